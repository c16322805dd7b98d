#!/usr/bin/python3
"""Says when cron expressions run, by other people's code: croniter reads them,
zoneinfo knows the zones. Only the rule for clock changes is written here, time
by time as docs/schedule.md says it.

  cron_oracle.py TABLE wall             for each expression of TABLE
                                        "run INDEX MINUTE", the wall clock's minute
                                        counted from 1970
  cron_oracle.py TABLE zones            for each expression and zone
                                        "digest INDEX ZONE COUNT HASH" of the
                                        seconds in UTC
  cron_oracle.py TABLE list INDEX ZONE  "run INDEX SECOND"
"""
import datetime
import sys
import zoneinfo
from bisect import bisect_left

from croniter import croniter

YEAR = 2026
EPOCH = datetime.datetime(1970, 1, 1)
START = datetime.datetime(YEAR, 1, 1)
DAY = 86400


def seconds(moment):
    return int((moment - EPOCH).total_seconds())


def read_table(path):
    table = []
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                zones, rule, days, text = line.rstrip("\n").split(None, 3)
                table.append((zones, rule, int(days), text))
    return table


def wall_runs(text, days):
    """Seconds of the wall clock, from START on."""
    end = START + datetime.timedelta(days=days)
    runs = []
    # croniter answers what comes after the time that it is given.
    times = croniter(text, START - datetime.timedelta(seconds=1),
                     ret_type=datetime.datetime)
    while True:
        try:
            moment = times.get_next()
        except ValueError:
            return runs
        if moment >= end:
            return runs
        runs.append(seconds(moment))


class Zone:
    def __init__(self, name):
        self.name = name
        self.info = zoneinfo.ZoneInfo(name)
        self.changes = self.find_changes()

    def offset(self, utc):
        moment = datetime.datetime.fromtimestamp(utc, self.info)
        return int(moment.utcoffset().total_seconds())

    def first_change(self, low, high):
        """The first second in (low, high] whose offset is not that of low."""
        before = self.offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == before:
                low = middle
            else:
                high = middle
        return high

    def find_changes(self):
        """Of the year and the days around it, as seconds of UTC."""
        step = 6 * 3600
        changes = []
        at = seconds(START) - 3 * DAY
        offset = self.offset(at)
        while at < seconds(START) + 370 * DAY:
            after = self.offset(at + step)
            if after != offset:
                changes.append(self.first_change(at, at + step))
                offset = after
            at += step
        return changes

    def passes(self, wall):
        """The instants at which the zone's clocks show this second."""
        naive = EPOCH + datetime.timedelta(seconds=wall)
        out = set()
        for fold in (0, 1):
            aware = naive.replace(tzinfo=self.info, fold=fold)
            utc = wall - int(aware.utcoffset().total_seconds())
            if utc + self.offset(utc) == wall:
                out.add(utc)
        return sorted(out)

    def gap_end(self, wall):
        """The first instant after the gap that this second is in."""
        naive = EPOCH + datetime.timedelta(seconds=wall)
        utc = [wall - int(naive.replace(tzinfo=self.info, fold=fold)
                          .utcoffset().total_seconds()) for fold in (0, 1)]
        return self.first_change(min(utc) - 1, max(utc))


def runs_of(wall, rule, zone, second):
    """The instants at which one run of the wall clock takes place."""
    passes = zone.passes(second)
    if passes:
        return passes if rule == "elapsed" else passes[:1]
    end = zone.gap_end(second)
    if rule == "elapsed":
        before, after = zone.offset(end - 1), zone.offset(end)
        earlier = bisect_left(wall, end + before) - 1
        later = bisect_left(wall, end + after)
        if earlier >= 0 and later < len(wall) and (
                wall[later] - after) - (wall[earlier] - before) <= 3600:
            return []
    return [end]


def zone_runs(wall, rule, zone):
    """Seconds of UTC. Far from a clock change the offset is all there is."""
    out = set()
    at = 0
    for change in zone.changes + [None]:
        if change is None:
            near, after = len(wall), len(wall)
        else:
            near = bisect_left(wall, change - 2 * DAY)
            after = bisect_left(wall, change + 2 * DAY)
        if at < near:
            offset = zone.offset(wall[at])
            assert zone.offset(wall[near - 1]) == offset
            out.update([second - offset for second in wall[at:near]])
        for second in wall[max(at, near):after]:
            out.update(runs_of(wall, rule, zone, second))
        at = max(at, after)
    return sorted(out)


def digest(runs):
    value = 0
    for run in runs:
        value = ((value ^ run) * 0x100000001b3 + 1) & 0xffffffffffffffff
    return value


def main():
    table = read_table(sys.argv[1])
    mode = sys.argv[2]
    if mode == "wall":
        for index, (_, _, days, text) in enumerate(table):
            for run in wall_runs(text, days):
                print("run", index, run // 60)
    elif mode == "zones":
        # Factory stands for "no zone was chosen".
        names = zoneinfo.available_timezones() - {"Factory"}
        zones = [Zone(name) for name in sorted(names)]
        groups = {}
        for zone in zones:
            groups.setdefault((zone.offset(seconds(START)), tuple(
                (change, zone.offset(change)) for change in zone.changes)),
                []).append(zone)
        for index, (where, rule, days, text) in enumerate(table):
            if where == "none":
                continue
            wall = wall_runs(text, days)
            for alike in groups.values():
                runs = zone_runs(wall, rule, alike[0])
                value = digest(runs)
                for zone in alike if where == "every" else alike[:1]:
                    print("digest", index, zone.name, len(runs), value)
    elif mode == "list":
        index = int(sys.argv[3])
        _, rule, days, text = table[index]
        for run in zone_runs(wall_runs(text, days), rule, Zone(sys.argv[4])):
            print("run", index, run)
    else:
        sys.exit("unknown mode " + mode)


main()

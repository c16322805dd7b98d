#include "domain/schedule.hpp"

#include <date/tz.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace carillon {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using texts = std::vector<std::string>;

cron_expression cron(std::string_view text) {
  auto out = parse_cron(text);
  if (!out)
    throw std::runtime_error{std::string{text} + ": " + out.error().detail};
  return *out;
}

time_zone zone(std::string_view name) {
  auto out = find_time_zone(name);
  if (!out)
    throw std::runtime_error{std::string{name} + ' ' + out.error().detail};
  return *out;
}

instant at(std::string_view text) {
  auto out = parse_time(text);
  if (!out)
    throw std::runtime_error{std::string{text} + ' ' + out.error().detail};
  return *out;
}

/// `2026-03-29T01:00`, UTC.
std::string show(std::optional<instant> t) {
  return t ? format_api_time(*t).substr(0, 16) : "none";
}

std::vector<instant> runs_between(const cron_expression& expression,
                                  time_zone where, instant after,
                                  instant until) {
  std::vector<instant> out;
  for (auto t = next_run(expression, where, after); t && *t <= until;
       t = next_run(expression, where, *t))
    out.push_back(*t);
  return out;
}

texts shown(const std::vector<instant>& runs) {
  texts out;
  for (const auto t : runs)
    out.push_back(show(t));
  return out;
}

// -- one clock change at a time
// ------------------------------------------------

struct change_case {
  std::string_view zone;
  std::string_view cron;
  std::string_view after;
  texts expected; ///< UTC.
};

void PrintTo(const change_case& c, std::ostream* out) {
  *out << c.cron << " in " << c.zone;
}

class RunsAcrossAClockChange : public testing::TestWithParam<change_case> {};

TEST_P(RunsAcrossAClockChange, FollowTheRule) {
  const auto& c = GetParam();
  auto t = at(c.after);
  texts got;
  for (std::size_t i = 0; i < c.expected.size(); ++i) {
    const auto run = next_run(cron(c.cron), zone(c.zone), t);
    got.push_back(show(run));
    if (!run)
      break;
    t = *run;
  }
  EXPECT_EQ(got, c.expected);
}

// Berlin 2026: on 29 March 02:00 becomes 03:00, at 01:00 UTC.
INSTANTIATE_TEST_SUITE_P(
  Gap, RunsAcrossAClockChange,
  testing::Values(
    change_case{"Europe/Berlin",
                "30 1 * * *",
                "2026-03-28T12:00Z",
                {"2026-03-29T00:30", "2026-03-29T23:30"}},
    change_case{"Europe/Berlin",
                "0 2 * * *",
                "2026-03-28T00:00Z",
                {"2026-03-28T01:00", "2026-03-29T01:00", "2026-03-30T00:00"}},
    change_case{"Europe/Berlin",
                "45 2 * * *",
                "2026-03-28T12:00Z",
                {"2026-03-29T01:00", "2026-03-30T00:45"}},
    change_case{"Europe/Berlin",
                "0 3 * * *",
                "2026-03-28T12:00Z",
                {"2026-03-29T01:00", "2026-03-30T01:00"}},
    // Several lost times, and one that is not lost, are one run.
    change_case{"Europe/Berlin",
                "15,30 2 * * *",
                "2026-03-28T12:00Z",
                {"2026-03-29T01:00", "2026-03-30T00:15"}},
    change_case{"Europe/Berlin",
                "0 2,3 * * *",
                "2026-03-28T12:00Z",
                {"2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T01:00"}},
    change_case{"Europe/Berlin",
                "0 0 29 3 *",
                "2026-03-28T12:00Z",
                {"2026-03-28T23:00", "2027-03-28T22:00"}},
    change_case{"Europe/Berlin",
                "30 2 29 3 *",
                "2026-01-01T00:00Z",
                {"2026-03-29T01:00", "2027-03-29T00:30"}},
    change_case{"Europe/Berlin",
                "0 4 * * SUN",
                "2026-03-23T00:00Z",
                {"2026-03-29T02:00", "2026-04-05T02:00"}},
    change_case{"Europe/Berlin",
                "0 */2 * * *",
                "2026-03-28T23:00Z",
                {"2026-03-29T01:00", "2026-03-29T02:00", "2026-03-29T04:00"}},
    change_case{"Europe/Berlin",
                "*/30 * * * *",
                "2026-03-29T00:00Z",
                {"2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"}},
    change_case{"Europe/Berlin",
                "5 * * * *",
                "2026-03-28T23:30Z",
                {"2026-03-29T00:05", "2026-03-29T01:05", "2026-03-29T02:05"}},
    // Repeats in 01 and 02 only: 02 is lost, so once at the end of the gap.
    change_case{"Europe/Berlin",
                "10,40 1-2 * * *",
                "2026-03-29T00:00Z",
                {"2026-03-29T00:10", "2026-03-29T00:40", "2026-03-29T01:00",
                 "2026-03-29T23:10"}},
    // Goes on in 03, so nothing is lost.
    change_case{"Europe/Berlin",
                "10,40 1-3 * * *",
                "2026-03-29T00:30Z",
                {"2026-03-29T00:40", "2026-03-29T01:10", "2026-03-29T01:40"}}));

// Berlin 2026: on 25 October 03:00 becomes 02:00, at 01:00 UTC.
INSTANTIATE_TEST_SUITE_P(
  Fold, RunsAcrossAClockChange,
  testing::Values(
    change_case{"Europe/Berlin",
                "0 2 * * *",
                "2026-10-24T12:00Z",
                {"2026-10-25T00:00", "2026-10-26T01:00"}},
    change_case{"Europe/Berlin",
                "59 2 * * *",
                "2026-10-24T12:00Z",
                {"2026-10-25T00:59", "2026-10-26T01:59"}},
    change_case{"Europe/Berlin",
                "0 3 * * *",
                "2026-10-24T12:00Z",
                {"2026-10-25T02:00", "2026-10-26T02:00"}},
    // Asked from within the second pass.
    change_case{"Europe/Berlin",
                "30 2 * * *",
                "2026-10-25T01:10Z",
                {"2026-10-26T01:30"}},
    change_case{"Europe/Berlin",
                "30 2,3 * * *",
                "2026-10-25T01:10Z",
                {"2026-10-25T02:30", "2026-10-26T01:30"}},
    change_case{"Europe/Berlin",
                "0 */2 * * *",
                "2026-10-24T23:00Z",
                {"2026-10-25T00:00", "2026-10-25T03:00", "2026-10-25T05:00"}},
    change_case{"Europe/Berlin",
                "*/30 * * * *",
                "2026-10-25T00:00Z",
                {"2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30",
                 "2026-10-25T02:00"}},
    change_case{"Europe/Berlin",
                "5 * * * *",
                "2026-10-25T00:00Z",
                {"2026-10-25T00:05", "2026-10-25T01:05", "2026-10-25T02:05"}},
    change_case{"Europe/Berlin",
                "*/30 1-3 * * *",
                "2026-10-25T00:20Z",
                {"2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30",
                 "2026-10-25T02:00"}}));

INSTANTIATE_TEST_SUITE_P(
  AtMidnight, RunsAcrossAClockChange,
  testing::Values(
    // Gap 00:00 to 01:00 on 15 October 2017; fold 00:00 to 23:00 on 18 February
    // 2018.
    change_case{"America/Sao_Paulo",
                "@daily",
                "2017-10-14T12:00Z",
                {"2017-10-15T03:00", "2017-10-16T02:00"}},
    change_case{"America/Sao_Paulo",
                "30 0 * * *",
                "2017-10-14T12:00Z",
                {"2017-10-15T03:00", "2017-10-16T02:30"}},
    change_case{"America/Sao_Paulo",
                "30 23 * * *",
                "2018-02-17T12:00Z",
                {"2018-02-18T01:30", "2018-02-19T02:30"}},
    change_case{"America/Sao_Paulo",
                "@weekly",
                "2017-10-09T00:00Z",
                {"2017-10-15T03:00", "2017-10-22T02:00"}},
    change_case{"Asia/Beirut",
                "@daily",
                "2026-03-28T12:00Z",
                {"2026-03-28T22:00", "2026-03-29T21:00"}},
    change_case{"Asia/Beirut",
                "15 0 * * SUN",
                "2026-03-28T12:00Z",
                {"2026-03-28T22:00", "2026-04-04T21:15"}},
    change_case{"Africa/Cairo",
                "0 0 * * FRI",
                "2024-04-25T12:00Z",
                {"2024-04-25T22:00", "2024-05-02T21:00"}},
    change_case{"Africa/Cairo",
                "30 23 * * *",
                "2024-10-31T12:00Z",
                {"2024-10-31T20:30", "2024-11-01T21:30"}},
    change_case{"America/Asuncion",
                "@daily",
                "2023-09-30T12:00Z",
                {"2023-10-01T04:00", "2023-10-02T03:00"}},
    change_case{"America/Santiago",
                "@daily",
                "2025-09-06T12:00Z",
                {"2025-09-07T04:00", "2025-09-08T03:00"}},
    change_case{"America/Santiago",
                "0 23 * * *",
                "2025-04-05T12:00Z",
                {"2025-04-06T02:00", "2025-04-07T03:00"}},
    // The fold shows 00:00 twice. (In 2026 Cuba stayed on summer time, which
    // only newer zone data know.)
    change_case{"America/Havana",
                "@daily",
                "2024-11-02T12:00Z",
                {"2024-11-03T04:00", "2024-11-04T05:00"}},
    // Newfoundland changed at 00:01 until 2011.
    change_case{"America/St_Johns",
                "@daily",
                "2010-03-13T12:00Z",
                {"2010-03-14T03:30", "2010-03-15T02:30"}},
    change_case{"America/St_Johns",
                "30 0 * * *",
                "2010-03-13T12:00Z",
                {"2010-03-14T03:31", "2010-03-15T03:00"}},
    change_case{"America/St_Johns",
                "30 23 * * *",
                "2010-11-06T12:00Z",
                {"2010-11-07T02:00", "2010-11-08T03:00"}},
    change_case{"America/St_Johns",
                "@daily",
                "2010-11-06T12:00Z",
                {"2010-11-07T02:30", "2010-11-08T03:30"}}));

INSTANTIATE_TEST_SUITE_P(
  ByLessThanAnHourOrMore, RunsAcrossAClockChange,
  testing::Values(
    // Lord Howe: 02:00 becomes 02:30, and 02:00 becomes 01:30.
    change_case{"Australia/Lord_Howe",
                "0 2 * * *",
                "2026-10-03T00:00Z",
                {"2026-10-03T15:30", "2026-10-04T15:00"}},
    change_case{"Australia/Lord_Howe",
                "15 2 * * *",
                "2026-10-03T00:00Z",
                {"2026-10-03T15:30", "2026-10-04T15:15"}},
    change_case{"Australia/Lord_Howe",
                "45 1 * * *",
                "2026-04-04T00:00Z",
                {"2026-04-04T14:45", "2026-04-05T15:15"}},
    change_case{"Australia/Lord_Howe",
                "*/15 * * * *",
                "2026-10-03T15:00Z",
                {"2026-10-03T15:15", "2026-10-03T15:30", "2026-10-03T15:45"}},
    // From 01:00 to 03:00 it is an hour and a half.
    change_case{"Australia/Lord_Howe",
                "@hourly",
                "2026-10-03T14:00Z",
                {"2026-10-03T14:30", "2026-10-03T15:30", "2026-10-03T16:00"}},
    // 02:45 becomes 03:45; from 02:00 to 04:00 it is an hour.
    change_case{"Pacific/Chatham",
                "@hourly",
                "2026-09-26T13:00Z",
                {"2026-09-26T13:15", "2026-09-26T14:15", "2026-09-26T15:15"}},
    change_case{"Pacific/Chatham",
                "*/15 1-2 * * *",
                "2026-09-26T13:30Z",
                {"2026-09-26T13:45", "2026-09-26T14:00", "2026-09-27T11:15"}},
    change_case{"Pacific/Chatham",
                "0 3 * * *",
                "2026-09-26T00:00Z",
                {"2026-09-26T14:00", "2026-09-27T13:15"}},
    change_case{"Asia/Kathmandu",
                "@daily",
                "1985-12-31T00:00Z",
                {"1985-12-31T18:30", "1986-01-01T18:15"}},
    change_case{"Asia/Pyongyang",
                "45 23 * * *",
                "2018-05-04T00:00Z",
                {"2018-05-04T15:00", "2018-05-05T14:45"}},
    // Two hours, at 01:00 UTC.
    change_case{"Antarctica/Troll",
                "0 2 * * *",
                "2026-03-28T12:00Z",
                {"2026-03-29T01:00", "2026-03-30T00:00"}},
    change_case{"Antarctica/Troll",
                "30 2 * * *",
                "2026-10-24T12:00Z",
                {"2026-10-25T00:30", "2026-10-26T02:30"}},
    // 44 minutes and a half.
    change_case{"Africa/Monrovia",
                "10 0 * * *",
                "1972-01-06T12:00Z",
                {"1972-01-07T00:44", "1972-01-08T00:10"}}));

INSTANTIATE_TEST_SUITE_P(
  ByAWholeDay, RunsAcrossAClockChange,
  testing::Values(
    // Samoa went from 29 to 31 December 2011.
    change_case{"Pacific/Apia",
                "@daily",
                "2011-12-29T00:00Z",
                {"2011-12-29T10:00", "2011-12-30T10:00", "2011-12-31T10:00"}},
    change_case{"Pacific/Apia",
                "0 12 * * *",
                "2011-12-29T00:00Z",
                {"2011-12-29T22:00", "2011-12-30T22:00", "2011-12-31T22:00"}},
    change_case{"Pacific/Apia",
                "0 12 30 12 *",
                "2011-12-01T00:00Z",
                {"2012-12-29T22:00"}},
    change_case{"Pacific/Apia",
                "0 0 * * FRI",
                "2011-12-24T00:00Z",
                {"2012-01-05T10:00"}},
    change_case{"Pacific/Kwajalein",
                "0 6 * * *",
                "1993-08-20T00:00Z",
                {"1993-08-20T18:00", "1993-08-21T18:00"}}));

TEST(NextRun, IsAfterTheGivenInstantAlsoWithinASecond) {
  const auto daily = cron("0 2 * * *");
  EXPECT_EQ(show(next_run(daily, {}, at("2026-02-07T02:00:00Z"))),
            "2026-02-08T02:00");
  EXPECT_EQ(show(next_run(daily, {}, at("2026-02-07T02:00:00.000001Z"))),
            "2026-02-08T02:00");
  EXPECT_EQ(show(next_run(daily, {}, at("2026-02-07T01:59:59.999999Z"))),
            "2026-02-07T02:00");
}

TEST(NextRun, ReachesFarAndEndsWithTheYear9999) {
  EXPECT_EQ(show(next_run(cron("0 0 * 2 MON#5"), zone("Europe/Berlin"),
                          at("2092-03-01T00:00Z"))),
            "2112-02-28T23:00");
  EXPECT_EQ(next_run(cron("@daily"), {}, at("9998-12-31T23:00Z")),
            std::nullopt);
  EXPECT_EQ(next_run(cron("@daily"), {}, instant::max()), std::nullopt);
  EXPECT_EQ(show(next_run(cron("@daily"), {}, instant::min())),
            "0001-01-03T00:00");
}

TEST(TimeZone, IsFoundByItsNameOnly) {
  EXPECT_EQ(zone("Europe/Berlin").name(), "Europe/Berlin");
  EXPECT_EQ(zone("Europe/Berlin"), zone("Europe/Berlin"));
  EXPECT_NE(zone("Europe/Berlin"), zone("Europe/Paris"));
  EXPECT_EQ(zone("UTC"), time_zone{});
  EXPECT_EQ(time_zone{}.name(), "UTC");
  for (const auto* name : {"", " ", "Mars/Olympus", "Europe", "europe/berlin",
                           "../../etc/passwd", "+01:00"}) {
    const auto got = find_time_zone(name);
    ASSERT_FALSE(got.has_value()) << name;
    EXPECT_EQ(got.error().code, errc::invalid_argument);
  }
}

TEST(TimeZone, ShowsItsLocalTime) {
  const auto t = at("2026-07-07T10:00:00.5Z");
  const auto since_utc = [&](std::string_view name) {
    return zone(name).local(t).time_since_epoch() - t.time_since_epoch();
  };
  EXPECT_EQ(since_utc("UTC"), 0s);
  EXPECT_EQ(since_utc("Europe/Berlin"), 2h);
  EXPECT_EQ(since_utc("America/St_Johns"), -150min);
  EXPECT_EQ(since_utc("Asia/Kathmandu"), 345min);
}

// -- a year in each of many zones
// ------------------------------------------------

struct year_case {
  std::string_view zone;
  int year;
};

void PrintTo(const year_case& c, std::ostream* out) {
  *out << c.zone << ' ' << c.year;
}

/// Virtual time from the first to the last instant of a year, in one zone.
class YearOfRuns : public testing::TestWithParam<year_case> {
protected:
  using local_day = date::local_days;

  const date::time_zone& theirs() const {
    return *date::locate_zone(GetParam().zone);
  }
  time_zone ours() const {
    return zone(GetParam().zone);
  }
  instant first() const {
    return instant{date::sys_days{date::year{GetParam().year} / 1 / 1}
                   - days{2}};
  }
  instant last() const {
    return instant{date::sys_days{date::year{GetParam().year + 1} / 1 / 1}
                   + days{2}};
  }

  /// The dates that the zone had that year.
  std::vector<local_day> dates() const {
    std::vector<local_day> out;
    const local_day end{date::year{GetParam().year + 1} / 1 / 1};
    for (local_day day{date::year{GetParam().year} / 1 / 1}; day < end;
         day += days{1})
      if (theirs().get_info(day + 12h).result != date::local_info::nonexistent)
        out.push_back(day);
    return out;
  }

  /// The instant for a local time by the rule, as the date library knows it.
  instant by_the_rule(date::local_time<minutes> local) const {
    const auto info = theirs().get_info(local);
    if (info.result == date::local_info::nonexistent)
      return instant{info.first.end};
    return instant{local.time_since_epoch() - info.first.offset};
  }

  /// One run for each of those dates, at the instant of the rule and nowhere
  /// else; it is on that date, or at the midnight where a gap ends.
  template <class Wanted>
  void expect_once_on(std::string_view text, minutes time, Wanted wanted) {
    std::vector<instant> expected;
    for (const auto day : dates())
      if (wanted(day)) {
        expected.push_back(by_the_rule(day + time));
        const auto local = theirs().to_local(expected.back());
        EXPECT_TRUE(date::floor<days>(local) == day || local == day + days{1})
          << date::format("%F %T", local);
      }
    ASSERT_GE(expected.size(), 50u);
    EXPECT_TRUE(
      std::is_sorted(expected.begin(), expected.end(), std::less_equal<>{}));
    const auto runs = runs_between(cron(text), ours(), expected.front() - 1us,
                                   expected.back());
    EXPECT_EQ(shown(runs), shown(expected));
  }

  bool had_whole_hour_changes() const {
    auto info = theirs().get_info(first());
    while (info.end < last()) {
      const auto next = theirs().get_info(info.end);
      if ((next.offset - info.offset) % 1h != 0s)
        return false;
      info = next;
    }
    return true;
  }

  /// All distances between runs that follow each other.
  std::set<minutes> distances(std::string_view text) const {
    const auto runs = runs_between(cron(text), ours(), first(), last());
    std::set<minutes> out;
    for (std::size_t i = 1; i < runs.size(); ++i)
      out.insert(std::chrono::floor<minutes>(runs[i] - runs[i - 1]));
    return out;
  }
};

TEST_P(YearOfRuns, ADailyJobRunsExactlyOnceOnEachLocalDay) {
  for (const auto time :
       {0min, 1min, 15min, 30min, 59min, 60min, 90min, 120min, 150min, 180min,
        12 * 60min, 22 * 60min + 30min, 23 * 60min, 23 * 60min + 59min}) {
    const auto text = std::to_string(time.count() % 60) + ' '
                      + std::to_string(time.count() / 60) + " * * *";
    SCOPED_TRACE(text);
    expect_once_on(text, time, [](local_day) { return true; });
  }
}

TEST_P(YearOfRuns, AWeeklyJobRunsExactlyOnceInEachWeek) {
  struct weekly {
    std::string_view text;
    minutes time;
    date::weekday day;
  };
  for (const auto& job :
       {weekly{"0 4 * * SUN", 4h, date::Sunday},
        weekly{"@weekly", 0min, date::Sunday},
        weekly{"30 0 * * SUN", 30min, date::Sunday},
        weekly{"0 0 * * FRI", 0min, date::Friday},
        weekly{"30 2 * * SAT", 150min, date::Saturday},
        weekly{"30 23 * * SAT", 23h + 30min, date::Saturday}}) {
    SCOPED_TRACE(job.text);
    expect_once_on(job.text, job.time, [&](local_day day) {
      return date::weekday{day} == job.day;
    });
  }
}

TEST_P(YearOfRuns, EveryFifteenMinutesHasNoGapAndNoDouble) {
  EXPECT_EQ(distances("*/15 * * * *"), std::set<minutes>{15min});
}

TEST_P(YearOfRuns, EveryMinuteHasNoGapAndNoDouble) {
  const auto every_minute = cron("* * * * *");
  auto info = theirs().get_info(first());
  do {
    info = theirs().get_info(info.end);
    const auto change
      = std::clamp(instant{info.begin}, first() + 1h, last() - 1h);
    auto t = change - 150min;
    while (t < change + 150min) {
      const auto next = next_run(every_minute, ours(), t);
      ASSERT_EQ(next, t + 1min) << show(t);
      t = *next;
    }
  } while (info.end < last());
}

TEST_P(YearOfRuns, EveryHourComesOnceInEachElapsedHour) {
  const auto found = distances("@hourly");
  if (had_whole_hour_changes()) {
    EXPECT_EQ(found, std::set<minutes>{60min});
  } else {
    // The clock's hours shift against the elapsed ones, by 15 to 45 minutes.
    EXPECT_EQ(found.count(60min), 1u);
    EXPECT_LT(*found.rbegin(), 120min);
  }
}

TEST_P(YearOfRuns, EverySixHoursRunsFourTimesOnEachLocalDay) {
  std::map<local_day, int> by_day;
  for (const auto run :
       runs_between(cron("0 */6 * * *"), ours(), first(), last()))
    ++by_day[date::floor<days>(theirs().to_local(run))];
  for (const auto day : dates())
    EXPECT_EQ(by_day[day], 4) << date::format("%F", day);
}

TEST_P(YearOfRuns, TheNextRunDoesNotDependOnWhereTheQuestionStarts) {
  for (const auto* text : {"30 2 * * *", "@daily", "*/20 * * * *",
                           "10,40 23,0-2 * * *", "0 * 1,15 * *"}) {
    SCOPED_TRACE(text);
    const auto expression = cron(text);
    auto info = theirs().get_info(first());
    do {
      info = theirs().get_info(info.end);
      const auto change
        = std::clamp(instant{info.begin}, first() + 1h, last() - 1h);
      const auto start = change - 100h;
      const auto runs = runs_between(expression, ours(), start, change + 800h);
      for (auto t = change - 26h; t < change + 26h; t += 1'297s) {
        const auto expected = std::upper_bound(runs.begin(), runs.end(), t);
        const auto next = next_run(expression, ours(), t);
        ASSERT_NE(expected, runs.end());
        ASSERT_EQ(next, *expected) << format_precise_time(t);
        const auto latest = latest_run(expression, ours(), start, t);
        ASSERT_EQ(latest, expected == runs.begin()
                            ? std::nullopt
                            : std::optional{*std::prev(expected)})
          << format_precise_time(t);
      }
    } while (info.end < last());
  }
}

std::string case_name(const testing::TestParamInfo<year_case>& info) {
  std::string out;
  for (const auto c : info.param.zone)
    if (std::isalnum(static_cast<unsigned char>(c)))
      out += c;
  return out + std::to_string(info.param.year);
}

INSTANTIATE_TEST_SUITE_P(
  OfOurTime, YearOfRuns,
  testing::Values(
    year_case{"UTC", 2026}, year_case{"Europe/Berlin", 2026},
    year_case{"Europe/London", 2026}, year_case{"Europe/Dublin", 2026},
    year_case{"Europe/Chisinau", 2026}, year_case{"Atlantic/Azores", 2026},
    year_case{"America/New_York", 2026}, year_case{"America/Los_Angeles", 2026},
    year_case{"America/St_Johns", 2026}, year_case{"America/Havana", 2026},
    year_case{"America/Santiago", 2026}, year_case{"Pacific/Easter", 2026},
    year_case{"America/Nuuk", 2026}, year_case{"America/Asuncion", 2026},
    year_case{"America/Sao_Paulo", 2026}, year_case{"Africa/Cairo", 2026},
    year_case{"Africa/Casablanca", 2026}, year_case{"Asia/Beirut", 2026},
    year_case{"Asia/Jerusalem", 2026}, year_case{"Asia/Gaza", 2026},
    year_case{"Asia/Kathmandu", 2026}, year_case{"Asia/Kolkata", 2026},
    year_case{"Australia/Sydney", 2026}, year_case{"Australia/Adelaide", 2026},
    year_case{"Australia/Lord_Howe", 2026}, year_case{"Pacific/Auckland", 2026},
    year_case{"Pacific/Chatham", 2026}, year_case{"Pacific/Norfolk", 2026},
    year_case{"Antarctica/Troll", 2026}),
  case_name);

// Midnight changes, odd amounts, four changes in a year, a lost day.
INSTANTIATE_TEST_SUITE_P(
  OfThePast, YearOfRuns,
  testing::Values(
    year_case{"America/Sao_Paulo", 2017}, year_case{"America/Sao_Paulo", 2018},
    year_case{"America/Asuncion", 2023}, year_case{"Asia/Beirut", 2024},
    year_case{"Asia/Tehran", 2021}, year_case{"Asia/Amman", 2021},
    year_case{"Asia/Damascus", 2021}, year_case{"America/St_Johns", 2010},
    year_case{"America/Caracas", 2007}, year_case{"America/Caracas", 2016},
    year_case{"Asia/Pyongyang", 2015}, year_case{"Asia/Pyongyang", 2018},
    year_case{"America/Scoresbysund", 2024}, year_case{"Africa/Cairo", 2014},
    year_case{"Africa/Cairo", 2024}, year_case{"Africa/Casablanca", 2012},
    year_case{"Europe/Istanbul", 2016}, year_case{"Asia/Kathmandu", 1986},
    year_case{"Pacific/Apia", 2011}, year_case{"Pacific/Kwajalein", 1993},
    year_case{"Antarctica/Casey", 2020}, year_case{"Europe/London", 1947}),
  case_name);

// -- missed runs
// -------------------------------------------------------------------

TEST(LatestRun, IsTheLastOneInTheIntervalOrNothing) {
  const auto burst = cron("* 2 1 * *");
  EXPECT_EQ(show(latest_run(burst, {}, at("2026-01-01T00:00Z"),
                            at("2026-05-31T00:00Z"))),
            "2026-05-01T02:59");
  EXPECT_EQ(show(latest_run(burst, {}, at("2026-05-01T02:58Z"),
                            at("2026-05-01T02:59Z"))),
            "2026-05-01T02:59");
  EXPECT_EQ(show(latest_run(burst, {}, at("2026-05-01T02:59Z"),
                            at("2026-06-01T01:59Z"))),
            "none");
  EXPECT_EQ(show(latest_run(burst, {}, at("2026-05-01T02:30Z"),
                            at("2026-05-01T02:30:59Z"))),
            "none");
  EXPECT_EQ(show(latest_run(cron("@yearly"), {}, at("1980-06-01T00:00Z"),
                            at("2026-12-31T23:59Z"))),
            "2026-01-01T00:00");
  EXPECT_EQ(show(latest_run(burst, {}, at("2026-05-01T00:00Z"),
                            at("2026-04-01T00:00Z"))),
            "none");
}

TEST(LatestRun, AgreesWithCountingForward) {
  for (const auto* text : {"*/15 * * * *", "0 2 * * *", "0 4 * * SUN",
                           "5,50 1,2,17 * * *", "* 1-2 * * MON#1"}) {
    const auto expression = cron(text);
    const auto runs
      = runs_between(expression, zone("Europe/Berlin"), at("2026-03-01T00:00Z"),
                     at("2026-05-01T00:00Z"));
    std::optional<instant> expected;
    std::size_t seen = 0;
    for (auto t = at("2026-03-01T00:00Z"); t < at("2026-04-30T00:00Z");
         t += 41min) {
      for (; seen < runs.size() && runs[seen] <= t; ++seen)
        expected = runs[seen];
      ASSERT_EQ(latest_run(expression, zone("Europe/Berlin"),
                           at("2026-03-01T00:00Z"), t),
                expected)
        << text << ' ' << show(t);
    }
  }
}

struct plan_case {
  std::string_view cron;
  missed_policy policy;
  std::string_view last;
  std::string_view now;
  minutes grace;
  texts expected;
  std::string next;
  bool missed;
};

void PrintTo(const plan_case& c, std::ostream* out) {
  *out << c.cron << ' ' << to_string(c.policy) << " at " << c.now;
}

class PlannedRuns : public testing::TestWithParam<plan_case> {};

TEST_P(PlannedRuns, FollowThePolicy) {
  const auto& c = GetParam();
  run_calendar calendar{cron(c.cron)};
  for (const auto& plan :
       {plan_runs(cron(c.cron), {}, c.policy, at(c.last), at(c.now), c.grace),
        calendar.plan_runs({}, c.policy, at(c.last), at(c.now), c.grace)}) {
    EXPECT_EQ(shown(plan.now), c.expected);
    EXPECT_EQ(show(plan.next), c.next);
    EXPECT_EQ(plan.missed, c.missed);
  }
}

constexpr auto skip = missed_policy::skip;
constexpr auto run_once = missed_policy::run_once;
constexpr auto run_all = missed_policy::run_all;

INSTANTIATE_TEST_SUITE_P(OnTime, PlannedRuns,
                         testing::Values(plan_case{"0 2 * * *",
                                                   skip,
                                                   "2026-02-06T02:00Z",
                                                   "2026-02-07T01:59:59Z",
                                                   5min,
                                                   {},
                                                   "2026-02-07T02:00",
                                                   false},
                                         plan_case{"0 2 * * *",
                                                   skip,
                                                   "2026-02-06T02:00Z",
                                                   "2026-02-07T02:00Z",
                                                   5min,
                                                   {"2026-02-07T02:00"},
                                                   "2026-02-08T02:00",
                                                   false},
                                         plan_case{"0 2 * * *",
                                                   skip,
                                                   "2026-02-06T02:00Z",
                                                   "2026-02-07T02:05Z",
                                                   5min,
                                                   {"2026-02-07T02:00"},
                                                   "2026-02-08T02:00",
                                                   false},
                                         plan_case{"0 2 * * *",
                                                   run_once,
                                                   "2026-02-06T02:00Z",
                                                   "2026-02-07T02:00:01Z",
                                                   0min,
                                                   {"2026-02-07T02:00"},
                                                   "2026-02-08T02:00",
                                                   true},
                                         // Done already: nothing twice.
                                         plan_case{"0 2 * * *",
                                                   run_once,
                                                   "2026-02-07T02:00Z",
                                                   "2026-02-07T02:00:30Z",
                                                   5min,
                                                   {},
                                                   "2026-02-08T02:00",
                                                   false},
                                         plan_case{"0 2 * * *",
                                                   run_all,
                                                   "2026-02-07T02:00Z",
                                                   "2026-02-07T02:00Z",
                                                   5min,
                                                   {},
                                                   "2026-02-08T02:00",
                                                   false},
                                         // The clock went back.
                                         plan_case{"0 2 * * *",
                                                   run_all,
                                                   "2026-02-07T02:00Z",
                                                   "2026-02-05T02:00Z",
                                                   5min,
                                                   {},
                                                   "2026-02-08T02:00",
                                                   false}));

INSTANTIATE_TEST_SUITE_P(
  Late, PlannedRuns,
  testing::Values(plan_case{"0 2 * * *",
                            skip,
                            "2026-02-06T02:00Z",
                            "2026-02-07T02:05:01Z",
                            5min,
                            {},
                            "2026-02-08T02:00",
                            true},
                  plan_case{"0 2 * * *",
                            run_once,
                            "2026-02-06T02:00Z",
                            "2026-02-07T02:05:01Z",
                            5min,
                            {"2026-02-07T02:00"},
                            "2026-02-08T02:00",
                            true},
                  plan_case{"0 2 * * *",
                            run_all,
                            "2026-02-06T02:00Z",
                            "2026-02-07T02:05:01Z",
                            5min,
                            {"2026-02-07T02:00"},
                            "2026-02-08T02:00",
                            true},
                  plan_case{"0 2 * * *",
                            skip,
                            "2026-01-06T02:00Z",
                            "2026-02-07T12:00Z",
                            5min,
                            {},
                            "2026-02-08T02:00",
                            true},
                  plan_case{"0 2 * * *",
                            run_once,
                            "2026-01-06T02:00Z",
                            "2026-02-07T12:00Z",
                            5min,
                            {"2026-02-07T02:00"},
                            "2026-02-08T02:00",
                            true},
                  plan_case{"0 2 * * *",
                            run_all,
                            "2026-02-04T02:00Z",
                            "2026-02-07T12:00Z",
                            5min,
                            {"2026-02-05T02:00", "2026-02-06T02:00",
                             "2026-02-07T02:00"},
                            "2026-02-08T02:00",
                            true},
                  // The newest is on time, older ones are not.
                  plan_case{"*/15 * * * *",
                            skip,
                            "2026-02-07T01:00Z",
                            "2026-02-07T02:01Z",
                            5min,
                            {"2026-02-07T02:00"},
                            "2026-02-07T02:15",
                            true},
                  plan_case{"*/15 * * * *",
                            run_once,
                            "2026-02-07T01:00Z",
                            "2026-02-07T02:01Z",
                            5min,
                            {"2026-02-07T02:00"},
                            "2026-02-07T02:15",
                            true},
                  plan_case{"*/15 * * * *",
                            run_once,
                            "2025-02-07T01:00Z",
                            "2026-02-07T02:14Z",
                            5min,
                            {"2026-02-07T02:00"},
                            "2026-02-07T02:15",
                            true}));

TEST(PlannedRuns, AllMissedRunsAreBounded) {
  const auto plan
    = plan_runs(cron("* * * * *"), {}, run_all, at("2020-01-01T00:00Z"),
                at("2026-02-07T12:00:30Z"), 1min);
  ASSERT_EQ(plan.now.size(), max_missed_runs);
  EXPECT_EQ(show(plan.now.front()), "2026-02-07T10:21");
  EXPECT_EQ(show(plan.now.back()), "2026-02-07T12:00");
  EXPECT_TRUE(std::is_sorted(plan.now.begin(), plan.now.end()));
}

TEST(PlannedRuns, ANewZoneMovesTheNextRun) {
  const auto nightly = cron("0 2 * * *");
  const auto changed = at("2026-02-07T12:00Z");
  EXPECT_EQ(show(plan_runs(nightly, zone("Europe/Berlin"), run_once, changed,
                           changed, 5min)
                   .next),
            "2026-02-08T01:00");
  EXPECT_EQ(show(plan_runs(nightly, zone("America/New_York"), run_once, changed,
                           changed, 5min)
                   .next),
            "2026-02-08T07:00");
  EXPECT_EQ(show(plan_runs(nightly, zone("Asia/Tokyo"), run_once, changed,
                           changed, 5min)
                   .next),
            "2026-02-07T17:00");
}

TEST(PlannedRuns, AFullYearOfTicksStartsEachRunOnce) {
  // Ticks of 47 seconds, with a spread, across two clock changes.
  for (const auto* text : {"0 2 * * *", "0 4 * * SUN", "0 */6 * * *"}) {
    const auto where = zone("Europe/Berlin");
    run_calendar calendar{cron(text)};
    const auto offset = spread_offset(workspace_id{}, text, 50min);
    const auto first = at("2026-01-01T00:00Z");
    const auto end = at("2027-01-01T00:00Z");
    auto last = first;
    std::vector<instant> started;
    for (auto now = first; now < end; now += 47s) {
      const auto plan
        = calendar.plan_runs(where, run_once, last, now - offset, 2min);
      ASSERT_LE(plan.now.size(), 1u);
      ASSERT_FALSE(plan.missed);
      for (const auto run : plan.now) {
        ASSERT_GE(now, run + offset);
        ASSERT_LT(now, run + offset + 47s);
        started.push_back(run);
        last = run;
      }
    }
    EXPECT_EQ(shown(started),
              shown(runs_between(cron(text), where, first, end - 47s - offset)))
      << text;
    EXPECT_LE(calendar.evaluations(), started.size() + 3) << text;
  }
}

// -- many workspaces
// ---------------------------------------------------------------

TEST(RunCalendar, SharesAnEvaluationBetweenAllWorkspacesOfAZone) {
  std::vector<time_zone> zones;
  for (const auto& each : date::get_tzdb().zones)
    if (zones.size() < 400)
      zones.push_back(zone(each.name()));
  ASSERT_EQ(zones.size(), 400u);

  run_calendar nightly{cron("0 2 * * *")};
  const auto last = at("2026-03-28T02:00Z");
  for (int tick = 0; tick < 3; ++tick)
    for (std::size_t workspace = 0; workspace < 100'000; ++workspace) {
      const auto where = zones[workspace % zones.size()];
      const auto next = nightly.next_run(where, last);
      if (workspace % 1'000 == 0) {
        ASSERT_EQ(next, next_run(nightly.cron(), where, last)) << where.name();
      }
    }
  EXPECT_EQ(nightly.evaluations(), zones.size());
}

TEST(RunCalendar, AnswersAsTheFunctionDoesInAnyOrderOfQuestions) {
  run_calendar calendar{cron("*/20 1-3 * * *")};
  const std::array zones{zone("Europe/Berlin"), zone("America/New_York"),
                         time_zone{}};
  auto t = at("2026-03-01T00:00Z");
  for (int i = 0; i < 4'000; ++i) {
    // Forward and back, in uneven steps.
    t += (i % 3 == 0 ? -1 : 1) * seconds{(i * 7919) % 20'000};
    const auto where = zones[static_cast<std::size_t>(i) % zones.size()];
    ASSERT_EQ(calendar.next_run(where, t), next_run(calendar.cron(), where, t))
      << show(t);
  }
}

TEST(RunCalendar, KeepsBothSidesOfARunThatIsBeingFannedOut) {
  run_calendar calendar{cron("0 2 * * *")};
  const auto before = at("2026-02-06T02:00Z");
  const auto after = at("2026-02-07T02:00Z");
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(calendar.next_run({}, before), after);
    EXPECT_EQ(show(calendar.next_run({}, after)), "2026-02-08T02:00");
  }
  EXPECT_EQ(calendar.evaluations(), 2u);
}

TEST(RunCalendar, LearnsFromAnEarlierQuestionOnce) {
  run_calendar calendar{cron("0 2 * * *")};
  for (int i = 0; i < 3; ++i)
    for (const auto* asked :
         {"2026-02-06T12:00Z", "2026-02-06T02:00Z", "2026-02-07T01:59:59Z"})
      EXPECT_EQ(show(calendar.next_run({}, at(asked))), "2026-02-07T02:00");
  EXPECT_EQ(calendar.evaluations(), 2u);
}

workspace_id numbered(std::uint32_t n) {
  workspace_id out;
  for (std::size_t i = 0; i < 4; ++i)
    out.value.bytes[12 + i] = static_cast<std::uint8_t>(n >> (24 - 8 * i));
  return out;
}

TEST(SpreadOffset, FillsTheWindowEvenlyAndNeverLeavesIt) {
  constexpr int minutes_in_window = 50;
  std::array<int, minutes_in_window> buckets{};
  for (std::uint32_t n = 0; n < 100'000; ++n) {
    const auto offset
      = spread_offset(numbered(n), "cleanup_old_notifications", 50min);
    ASSERT_GE(offset, 0ms);
    ASSERT_LT(offset, 50min);
    ++buckets[static_cast<std::size_t>(offset / 1min)];
  }
  // 2,000 each; six standard deviations are 266.
  for (const auto count : buckets)
    EXPECT_NEAR(count, 2'000, 270);
}

TEST(SpreadOffset, IsTheSameOnEveryNodeAndBuild) {
  const auto id = workspace_id::parse("01945b1c-7f3e-7a10-8c55-2b6c9d0e1f2a");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(spread_offset(*id, "cleanup_old_notifications", 50min).count(),
            111'728);
  EXPECT_EQ(spread_offset(*id, "sync_inbox", 10min).count(), 508'512);
}

TEST(SpreadOffset, DiffersBetweenEntries) {
  int same = 0;
  for (std::uint32_t n = 0; n < 1'000; ++n)
    same += spread_offset(numbered(n), "a", 1h) / 1min
            == spread_offset(numbered(n), "b", 1h) / 1min;
  EXPECT_LT(same, 60);
}

TEST(SpreadOffset, OfNoWindowIsNothing) {
  EXPECT_EQ(spread_offset(numbered(1), "a", 0ms), 0ms);
  EXPECT_EQ(spread_offset(numbered(1), "a", -5ms), 0ms);
  EXPECT_EQ(spread_offset(numbered(1), "a", 1ms), 0ms);
  EXPECT_LT(spread_offset(numbered(1), "a", std::chrono::hours{24 * 365}),
            std::chrono::hours{24 * 50});
}

} // namespace
} // namespace carillon

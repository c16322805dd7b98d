#include "domain/schedule.hpp"

#include <date/tz.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace carillon {

namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

using local_second = std::chrono::local_time<seconds>;
using utc_second = std::chrono::sys_time<seconds>;

constexpr utc_second first_second{
  std::chrono::sys_days{std::chrono::year{1} / 1 / 2}};
constexpr utc_second end_of_time{
  std::chrono::sys_days{std::chrono::year{9999} / 1 / 1}};

/// More than any zone ever moved its clocks: some islands changed the side of
/// the date line.
constexpr hours longest_clock_change{26};

} // namespace

/// A stretch of time in which a zone kept one distance from UTC.
struct zone_period {
  utc_second begin;
  utc_second end;
  seconds offset;

  static zone_period at(time_zone zone, utc_second t) {
    if (zone.zone_ == nullptr)
      return {utc_second::min(), utc_second::max(), seconds{0}};
    const auto info = zone.zone_->get_info(t);
    return {info.begin, info.end, info.offset};
  }

  local_second local(utc_second t) const {
    return local_second{t.time_since_epoch() + offset};
  }
  instant utc(local_minute t) const {
    return instant{t.time_since_epoch() - offset};
  }
};

namespace {

/// How far a wall clock had come, in any period before the one that `t` is in;
/// what it shows again after that is a second pass.
local_second shown_before(time_zone zone, zone_period period, utc_second t) {
  auto out = local_second::min();
  while (t - longest_clock_change < period.begin
         && period.begin > first_second) {
    period = zone_period::at(zone, period.begin - seconds{1});
    out = std::max(out, period.local(period.end));
  }
  return out;
}

/// Whether a run makes up, at the end of the gap between two periods, for times
/// from `from` on that it left out.
bool runs_after_gap(const cron_expression& cron, const zone_period& before,
                    const zone_period& after, local_second from) {
  const auto until = after.local(after.begin);
  const auto end = std::chrono::ceil<minutes>(until);
  auto search = std::chrono::ceil<minutes>(from);
  while (const auto lost = cron.next(search, end)) {
    const auto day = std::chrono::floor<days>(*lost);
    if (day < from || day + days{1} > until) {
      if (!follows_elapsed_time(cron))
        return true;
      constexpr hours most{1};
      const auto next = cron.next(end, end + most);
      if (!next)
        return true;
      const auto within
        = before.local(std::chrono::ceil<seconds>(after.utc(*next) - most));
      return !cron.next(std::chrono::ceil<minutes>(within),
                        std::chrono::ceil<minutes>(from));
    }
    search = day + days{1}; // A date that never was.
  }
  return false;
}

} // namespace

std::string_view time_zone::name() const noexcept {
  return zone_ == nullptr ? std::string_view{"UTC"} : zone_->name();
}

std::chrono::local_time<microseconds> time_zone::local(instant t) const {
  const auto period = zone_period::at(*this, std::chrono::floor<seconds>(t));
  return std::chrono::local_time<microseconds>{t.time_since_epoch()
                                               + period.offset};
}

result<time_zone> find_time_zone(std::string_view name) {
  time_zone out;
  if (name == out.name())
    return out;
  try {
    // The library reports a lookup, also of an empty name, by exception.
    if (!name.empty())
      out.zone_ = date::locate_zone(name);
  } catch (const std::runtime_error&) {
  }
  if (out.zone_ == nullptr)
    return failure{errc::invalid_argument,
                   "is not a time zone of the IANA database",
                   {},
                   {}};
  return out;
}

std::optional<instant> next_run(const cron_expression& cron, time_zone zone,
                                instant after) {
  const auto second
    = std::max(std::chrono::floor<seconds>(after), first_second);
  if (second >= end_of_time)
    return std::nullopt;
  const bool elapsed = follows_elapsed_time(cron);
  auto period = zone_period::at(zone, second);
  auto shown
    = elapsed ? local_second::min() : shown_before(zone, period, second);
  auto from = std::chrono::floor<minutes>(period.local(second)) + minutes{1};
  for (;;) {
    if (shown > from)
      from = std::chrono::ceil<minutes>(shown);
    const auto end = std::min(period.end, end_of_time);
    const auto local_end = period.local(end);
    if (const auto found
        = cron.next(from, std::chrono::ceil<minutes>(local_end)))
      return period.utc(*found);
    if (end == end_of_time)
      return std::nullopt;

    const auto before = period;
    period = zone_period::at(zone, end);
    from = std::chrono::ceil<minutes>(period.local(end));
    if (!elapsed)
      shown = std::max(shown, local_end);
    if (runs_after_gap(cron, before, period, std::max(local_end, shown)))
      return instant{end};
  }
}

std::optional<instant> latest_run(const cron_expression& cron, time_zone zone,
                                  instant after, instant until) {
  const auto run_by = [&](instant from, instant limit) {
    const auto run = next_run(cron, zone, from);
    return run && *run <= limit ? run : std::nullopt;
  };
  auto latest = run_by(after, until);
  if (!latest)
    return std::nullopt;
  // Back from the end in growing steps, since it is mostly near, then halve
  // what is between the latest known run and a time without one behind it.
  auto none_after = until;
  for (microseconds step = minutes{1}; none_after - step > *latest; step *= 2) {
    const auto from = none_after - step;
    if (const auto run = run_by(from, until)) {
      latest = run;
      break;
    }
    none_after = from;
  }
  while (none_after - *latest > seconds{1}) {
    const auto middle = *latest + (none_after - *latest) / 2;
    if (const auto run = run_by(middle, until))
      latest = run;
    else
      none_after = middle;
  }
  return latest;
}

std::string_view to_string(missed_policy policy) noexcept {
  constexpr std::array<std::string_view, 3> texts{"skip", "run_once",
                                                  "run_all"};
  return texts[static_cast<std::size_t>(policy)];
}

namespace {

/// `next(t)` is the first run after t, however it is found.
template <class Next>
run_plan plan(Next next, const cron_expression& cron, time_zone zone,
              missed_policy policy, instant last, instant now,
              microseconds grace) {
  run_plan out;
  const auto first = next(last);
  if (!first || *first > now) {
    out.next = first;
    return out;
  }
  const auto second = next(*first);
  out.next = next(now);
  const bool several = second && *second <= now;
  const auto newest
    = several ? latest_run(cron, zone, *first, now).value_or(*first) : *first;
  const bool late = now - newest > grace;
  out.missed = several || late;

  if (policy == missed_policy::skip && late)
    return out;
  out.now.push_back(newest);
  if (policy == missed_policy::run_all) {
    constexpr microseconds before{1};
    while (out.now.back() > *first && out.now.size() < max_missed_runs) {
      const auto run
        = latest_run(cron, zone, *first - before, out.now.back() - before);
      if (!run)
        break;
      out.now.push_back(*run);
    }
    std::reverse(out.now.begin(), out.now.end());
  }
  return out;
}

/// FNV-1a and a final mix, written out because it must never change: the
/// standard's hash may differ between builds.
std::uint64_t stable_hash(const uuid& id, std::string_view text) noexcept {
  std::uint64_t h = 0xcbf2'9ce4'8422'2325;
  const auto add
    = [&h](std::uint8_t byte) { h = (h ^ byte) * 0x100'0000'01b3; };
  for (const auto byte : id.bytes)
    add(byte);
  for (const auto c : text)
    add(static_cast<std::uint8_t>(c));
  h = (h ^ h >> 33) * 0xff51'afd7'ed55'8ccd;
  h = (h ^ h >> 33) * 0xc4ce'b9fe'1a85'ec53;
  return h ^ h >> 33;
}

} // namespace

run_plan plan_runs(const cron_expression& cron, time_zone zone,
                   missed_policy policy, instant last, instant now,
                   microseconds grace) {
  return plan([&](instant t) { return next_run(cron, zone, t); }, cron, zone,
              policy, last, now, grace);
}

std::chrono::milliseconds spread_offset(const workspace_id& workspace,
                                        std::string_view entry,
                                        std::chrono::milliseconds window) {
  constexpr std::uint64_t longest = 0xffff'ffff;
  const auto length = std::min(
    static_cast<std::uint64_t>(std::max<std::int64_t>(window.count(), 0)),
    longest);
  const auto share = stable_hash(workspace.value, entry) >> 32;
  return std::chrono::milliseconds{
    static_cast<std::int64_t>(share * length >> 32)};
}

std::optional<instant> run_calendar::next_run(time_zone zone, instant after) {
  auto& known = known_[zone];
  if (known.newest.holds(after))
    return known.newest.next;
  if (known.other.holds(after))
    return known.other.next;
  ++evaluations_;
  const stretch found{after, carillon::next_run(cron_, zone, after)};
  for (auto* same : {&known.newest, &known.other})
    if (same->from != instant::max() && same->next == found.next) {
      same->from = after; // Its earlier part.
      return found.next;
    }
  if (known.newest.from == instant::max() || after > known.newest.from) {
    known.other = known.newest;
    known.newest = found;
  } else {
    known.other = found;
  }
  return found.next;
}

run_plan run_calendar::plan_runs(time_zone zone, missed_policy policy,
                                 instant last, instant now,
                                 microseconds grace) {
  return plan([&](instant t) { return next_run(zone, t); }, cron_, zone, policy,
              last, now, grace);
}

} // namespace carillon

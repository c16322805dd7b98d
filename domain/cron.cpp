#include "domain/cron.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <vector>

namespace carillon {

namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;

struct field_rule {
  std::string_view name;
  unsigned min;
  unsigned max;
  std::span<const std::string_view> names; ///< Of the values from `min` on.
};

constexpr std::array<std::string_view, 12> month_names{
  "JAN", "FEB", "MAR", "APR", "MAY", "JUN",
  "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> weekday_names{
  "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

constexpr field_rule minute_rule{"minute", 0, 59, {}};
constexpr field_rule hour_rule{"hour", 0, 23, {}};
constexpr field_rule day_rule{"day_of_month", 1, 31, {}};
constexpr field_rule month_rule{"month", 1, 12, month_names};
constexpr field_rule weekday_rule{"day_of_week", 0, 7, weekday_names};

struct macro {
  std::string_view name;
  std::string_view text;
};

constexpr macro macros[] = {
  {"@YEARLY", "0 0 1 1 *"},  {"@ANNUALLY", "0 0 1 1 *"},
  {"@MONTHLY", "0 0 1 * *"}, {"@WEEKLY", "0 0 * * 0"},
  {"@DAILY", "0 0 * * *"},   {"@MIDNIGHT", "0 0 * * *"},
  {"@HOURLY", "0 * * * *"},
};

constexpr std::uint32_t all_days = 0xffff'fffe;
constexpr std::uint32_t all_hours = 0xff'ffff;
constexpr std::uint8_t all_weekdays = 0x7f;

template <class Bits>
constexpr bool has(Bits bits, unsigned n) noexcept {
  return (bits >> n & 1) != 0;
}

constexpr std::uint64_t bit(unsigned n) noexcept {
  return std::uint64_t{1} << n;
}

/// Bits `first` and up; none from 64 on.
constexpr std::uint64_t from_bit(unsigned first) noexcept {
  return first > 63 ? 0 : ~std::uint64_t{0} << first;
}

unsigned lowest(std::uint64_t bits) noexcept {
  return static_cast<unsigned>(std::countr_zero(bits));
}

unsigned days_in(std::chrono::year_month month) noexcept {
  return static_cast<unsigned>((month / std::chrono::last).day());
}

constexpr local_minute first_minute{
  std::chrono::local_days{std::chrono::year{1} / 1 / 1}};
constexpr local_minute end_of_time{
  std::chrono::local_days{std::chrono::year{10000} / 1 / 1}};

} // namespace

bool cron_expression::any_day() const noexcept {
  return days_ == all_days;
}

bool cron_expression::any_weekday() const noexcept {
  return weekdays_ == all_weekdays;
}

std::uint32_t
cron_expression::days_of(std::chrono::year_month month) const noexcept {
  const auto length = days_in(month);
  const std::uint64_t real_days = bit(length + 1) - 2;
  std::uint64_t by_day = days_ & real_days;
  for (std::uint64_t rest = days_before_last_; rest != 0; rest &= rest - 1)
    if (lowest(rest) < length)
      by_day |= bit(length - lowest(rest));
  if (any_weekday())
    return static_cast<std::uint32_t>(by_day);

  const std::chrono::weekday first{std::chrono::local_days{month / 1}};
  std::uint64_t by_weekday = 0;
  for (unsigned w = 0; w < 7; ++w) {
    const auto day = 1 + (std::chrono::weekday{w} - first).count();
    const auto earliest = static_cast<unsigned>(day);
    // Every seventh day from bit 0 on, moved to the first such weekday.
    if (has(weekdays_, w))
      by_weekday |= 0x1020'4081ULL << earliest;
    for (unsigned n = 1; n <= 5; ++n)
      if (has(nth_weekdays_[w], n))
        by_weekday |= bit(earliest + 7 * (n - 1));
    if (has(nth_weekdays_[w], 0))
      by_weekday |= bit(earliest + (length - earliest) / 7 * 7);
  }
  by_weekday &= real_days;
  return static_cast<std::uint32_t>(any_day() ? by_weekday
                                              : by_day | by_weekday);
}

bool cron_expression::matches(local_minute t) const noexcept {
  return next(t, t + minutes{1}) == t;
}

std::optional<local_minute>
cron_expression::next(local_minute from, local_minute until) const noexcept {
  from = std::max(from, first_minute);
  until = std::min(until, end_of_time);
  if (from >= until)
    return std::nullopt;
  const auto start_day = std::chrono::floor<days>(from);
  const std::chrono::year_month_day date{start_day};
  const auto start_minute = static_cast<unsigned>((from - start_day).count());
  std::chrono::year_month month{date.year(), date.month()};
  auto day = static_cast<unsigned>(date.day());
  auto hour = start_minute / 60;
  auto minute = start_minute % 60;

  for (; std::chrono::local_days{month / 1} < until;
       month += std::chrono::months{1}, day = 1, hour = minute = 0) {
    if (!has(months_, static_cast<unsigned>(month.month())))
      continue;
    const std::uint64_t candidates = days_of(month);
    while (const auto left = candidates & from_bit(day)) {
      if (lowest(left) != day)
        hour = minute = 0;
      day = lowest(left);
      // The rest of the hour that was begun, else the first minute of a later
      // one.
      auto hours_left = hours_ & from_bit(hour);
      auto minutes_left = minutes_;
      if (has(hours_left, hour)) {
        minutes_left = minutes_ & from_bit(minute);
        if (minutes_left == 0) {
          hours_left &= hours_left - 1;
          minutes_left = minutes_;
        }
      }
      if (hours_left != 0) {
        const local_minute found
          = std::chrono::local_days{month / static_cast<int>(day)}
            + hours{lowest(hours_left)} + minutes{lowest(minutes_left)};
        return found < until ? std::optional{found} : std::nullopt;
      }
      ++day;
      hour = minute = 0;
    }
  }
  return std::nullopt;
}

bool follows_elapsed_time(const cron_expression& cron) noexcept {
  if (cron.hours_ == all_hours)
    return true;
  // An hour without a neighbour is a time of its own, not part of a stretch.
  const auto after_one = cron.hours_ << 1 | cron.hours_ >> 23;
  const auto before_one = cron.hours_ >> 1 | cron.hours_ << 23;
  if ((cron.hours_ & ~(after_one | before_one)) != 0)
    return false;
  const auto count = static_cast<unsigned>(std::popcount(cron.minutes_));
  if (count < 2 || 60 % count != 0)
    return false;
  const auto step = 60 / count;
  for (auto n = lowest(cron.minutes_); n < 60; n += step)
    if (!has(cron.minutes_, n))
      return false;
  return lowest(cron.minutes_) < step;
}

/// Reads one text; stops at the first error.
class cron_parser {
public:
  explicit cron_parser(std::string_view text) {
    for (const auto c : text)
      text_ += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }

  result<cron_expression> parse() {
    if (!read())
      return std::move(*error_);
    return cron_;
  }

private:
  bool fail(std::string_view field, const std::string& reason) {
    error_ = invalid(std::string{field}, reason);
    error_->detail = "cron expression: " + std::string{field} + ' ' + reason;
    return false;
  }
  bool fail(const std::string& reason) {
    return fail("expression", reason);
  }

  bool read() {
    if (text_.size() > max_cron_length)
      return fail("is longer than " + std::to_string(max_cron_length)
                  + " characters");
    const auto known = [](unsigned char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
             || std::string_view{" \t*/,-?#@"}.find(static_cast<char>(c))
                  != std::string_view::npos;
    };
    if (!std::all_of(text_.begin(), text_.end(), known))
      return fail("has a character that no cron expression has");

    auto parts = split(text_, " \t");
    std::erase(parts, std::string_view{});
    if (parts.size() == 1 && parts[0].front() == '@') {
      const auto found
        = std::find_if(std::begin(macros), std::end(macros),
                       [&](const macro& m) { return m.name == parts[0]; });
      if (found == std::end(macros))
        return fail("is none of @yearly, @annually, @monthly, @weekly, @daily, "
                    "@midnight and @hourly");
      parts = split(found->text, " ");
    }
    if (parts.size() != 5)
      return fail("has " + std::to_string(parts.size())
                  + " fields, not five: minute, hour, day of month, month, day "
                    "of week");

    std::uint64_t hours_read = 0;
    std::uint64_t days_read = 0;
    std::uint64_t months_read = 0;
    std::uint64_t weekdays_read = 0;
    if (!read_field(minute_rule, parts[0], cron_.minutes_)
        || !read_field(hour_rule, parts[1], hours_read)
        || !read_field(day_rule, parts[2], days_read)
        || !read_field(month_rule, parts[3], months_read)
        || !read_field(weekday_rule, parts[4], weekdays_read))
      return false;
    cron_.hours_ = static_cast<std::uint32_t>(hours_read);
    cron_.days_ = static_cast<std::uint32_t>(days_read);
    cron_.months_ = static_cast<std::uint16_t>(months_read);
    cron_.weekdays_ = static_cast<std::uint8_t>(
      (weekdays_read | weekdays_read >> 7) & all_weekdays);
    drop_what_is_covered();
    return can_run();
  }

  /// So that equal sets of times are equal values.
  void drop_what_is_covered() {
    if (cron_.any_day())
      cron_.days_before_last_ = 0;
    for (unsigned w = 0; w < 7; ++w)
      if (has(cron_.weekdays_, w))
        cron_.nth_weekdays_[w] = 0;
  }

  /// Every weekday, also a fifth one in February, comes up in some year; only
  /// days of the month can be such that no month has them.
  bool can_run() {
    if (!cron_.any_weekday())
      return true;
    for (unsigned m = 1; m <= 12; ++m) {
      const std::chrono::year_month longest{std::chrono::year{2000},
                                            std::chrono::month{m}};
      if (has(cron_.months_, m) && cron_.days_of(longest) != 0)
        return true;
    }
    return fail(day_rule.name, "is a day that none of the months has: it would "
                               "never run");
  }

  bool read_field(const field_rule& rule, std::string_view text,
                  std::uint64_t& out) {
    if (text == "?" && (&rule == &day_rule || &rule == &weekday_rule))
      text = "*";
    for (const auto element : split(text, ",")) {
      if (element.empty())
        return fail(rule.name, "has an empty element in its list");
      if (!read_element(rule, element, out))
        return false;
    }
    return true;
  }

  bool read_element(const field_rule& rule, std::string_view element,
                    std::uint64_t& out) {
    if (&rule == &day_rule && element.front() == 'L')
      return read_last_day(element.substr(1));
    if (&rule == &weekday_rule) {
      if (const auto hash = element.find('#'); hash != std::string_view::npos)
        return read_nth_weekday(element.substr(0, hash),
                                element.substr(hash + 1));
      if (element.front() == 'L')
        return read_last_weekday(element.substr(1));
      if (element.back() == 'L')
        return read_last_weekday(element.substr(0, element.size() - 1));
    }

    const auto slash = element.find('/');
    const auto range = element.substr(0, slash);
    unsigned first = rule.min;
    unsigned last = rule.max;
    if (range != "*") {
      const auto dash = range.find('-');
      if (!read_value(rule, range.substr(0, dash), first))
        return false;
      last = first;
      if (dash != std::string_view::npos) {
        if (!read_value(rule, range.substr(dash + 1), last))
          return false;
        if (&rule == &weekday_rule && last == 0 && first != 0)
          last = 7;
        if (first > last)
          return fail(rule.name, "has the range " + std::string{range}
                                   + ", which runs backwards; write it as two");
      } else if (slash != std::string_view::npos) {
        last = rule.max;
      }
    }
    unsigned step = 1;
    if (slash != std::string_view::npos
        && !read_step(rule, element.substr(slash + 1), step))
      return false;
    for (auto n = first; n <= last; n += step)
      out |= bit(n);
    return true;
  }

  /// `text`: what follows the L.
  bool read_last_day(std::string_view text) {
    unsigned before = 0;
    if (!text.empty()) {
      if (text.front() != '-' || !read_number(text.substr(1), before))
        return fail(day_rule.name,
                    "has L" + std::string{text} + "; only L and L-n are known");
      if (before > 30)
        return fail(day_rule.name, "has L" + std::string{text}
                                     + "; at most L-30 can be a day");
    }
    cron_.days_before_last_ |= static_cast<std::uint32_t>(bit(before));
    return true;
  }

  bool read_nth_weekday(std::string_view day, std::string_view nth) {
    unsigned w = 0;
    unsigned n = 0;
    if (!read_value(weekday_rule, day, w))
      return false;
    if (!read_number(nth, n) || n < 1 || n > 5)
      return fail(weekday_rule.name, "has " + std::string{day} + '#'
                                       + std::string{nth}
                                       + "; the number after # is 1 to 5");
    cron_.nth_weekdays_[w % 7] |= static_cast<std::uint8_t>(bit(n));
    return true;
  }

  bool read_last_weekday(std::string_view day) {
    unsigned w = 0;
    if (day.empty())
      return fail(weekday_rule.name,
                  "has L without a day; the last Friday is 5L");
    if (!read_value(weekday_rule, day, w))
      return false;
    cron_.nth_weekdays_[w % 7] |= 1;
    return true;
  }

  bool read_step(const field_rule& rule, std::string_view text,
                 unsigned& step) {
    // More than the field has values is a mistake, like */90 for minutes.
    const auto most = rule.max - rule.min + (&rule == &weekday_rule ? 0 : 1);
    if (!read_number(text, step) || step < 1 || step > most)
      return fail(rule.name, "has the step " + quoted(text)
                               + "; steps are 1 to " + std::to_string(most));
    return true;
  }

  bool read_value(const field_rule& rule, std::string_view text,
                  unsigned& value) {
    const auto name = std::find(rule.names.begin(), rule.names.end(), text);
    if (name != rule.names.end()) {
      value = rule.min + static_cast<unsigned>(name - rule.names.begin());
      return true;
    }
    if (read_number(text, value) && value >= rule.min && value <= rule.max)
      return true;
    return fail(rule.name,
                "has " + quoted(text) + "; values are "
                  + std::to_string(rule.min) + " to " + std::to_string(rule.max)
                  + (rule.names.empty()
                       ? std::string{}
                       : " and " + std::string{rule.names.front()} + " to "
                           + std::string{rule.names.back()}));
  }

  /// One or two digits; no field needs more.
  static bool read_number(std::string_view text, unsigned& value) {
    if (text.empty() || text.size() > 2)
      return false;
    value = 0;
    for (const auto c : text) {
      if (c < '0' || c > '9')
        return false;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return true;
  }

  static std::string quoted(std::string_view text) {
    return '\'' + std::string{text} + '\'';
  }

  static std::vector<std::string_view> split(std::string_view text,
                                             std::string_view separators) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0;;) {
      const auto end = text.find_first_of(separators, at);
      out.push_back(text.substr(at, end - at));
      if (end == std::string_view::npos)
        return out;
      at = end + 1;
    }
  }

  std::string text_;
  cron_expression cron_;
  std::optional<failure> error_;
};

result<cron_expression> parse_cron(std::string_view text) {
  return cron_parser{text}.parse();
}

namespace {

/// Runs of three and more as ranges; `*/n` where that is the whole set.
std::string set_text(std::uint64_t bits, unsigned min, unsigned max) {
  const auto count = static_cast<unsigned>(std::popcount(bits));
  const auto whole = from_bit(min) & ~from_bit(max + 1);
  if (bits == whole)
    return "*";
  if (count >= 3 || (count == 2 && (max + 1 - min) % 2 == 0)) {
    const auto step = lowest(bits & (bits - 1)) - lowest(bits);
    std::uint64_t stepped = 0;
    for (auto n = min; n <= max; n += step)
      stepped |= bit(n);
    if (step > 1 && bits == stepped)
      return "*/" + std::to_string(step);
  }
  std::string out;
  while (bits != 0) {
    const auto first = lowest(bits);
    auto last = first;
    while (last < max && has(bits, last + 1))
      ++last;
    if (last - first < 2)
      last = first;
    if (!out.empty())
      out += ',';
    out += std::to_string(first);
    if (last != first)
      out += '-' + std::to_string(last);
    bits &= from_bit(last + 1);
  }
  return out;
}

} // namespace

std::string to_string(const cron_expression& cron) {
  const auto append = [](std::string& list, const std::string& element) {
    if (!list.empty())
      list += ',';
    list += element;
  };
  auto days_text = set_text(cron.days_, 1, 31);
  for (unsigned n = 0; n <= 30; ++n)
    if (has(cron.days_before_last_, n))
      append(days_text, n == 0 ? "L" : "L-" + std::to_string(n));
  auto weekdays_text = set_text(cron.weekdays_, 0, 6);
  for (unsigned w = 0; w < 7; ++w) {
    for (unsigned n = 1; n <= 5; ++n)
      if (has(cron.nth_weekdays_[w], n))
        append(weekdays_text, std::to_string(w) + '#' + std::to_string(n));
    if (has(cron.nth_weekdays_[w], 0))
      append(weekdays_text, std::to_string(w) + 'L');
  }
  return set_text(cron.minutes_, 0, 59) + ' ' + set_text(cron.hours_, 0, 23)
         + ' ' + days_text + ' ' + set_text(cron.months_, 1, 12) + ' '
         + weekdays_text;
}

} // namespace carillon

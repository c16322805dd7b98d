#include "domain/instant.hpp"

#include <cstdio>
#include <stdexcept>

#include <date/tz.h>

namespace carillon {

namespace {

/// Reads exactly `count` digits; -1 when they are not there.
int take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count)
    return -1;
  int value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9')
      return -1;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c)
    return false;
  text.remove_prefix(1);
  return true;
}

failure not_a_time() {
  return {errc::invalid_argument, "is not an ISO-8601 date and time", {}, {}};
}

/// What ISO-8601 writes in four digits, so that every instant that was read
/// can be stored, shown and read again.
result<instant> checked(instant t) {
  const auto year = date::year_month_day{date::floor<date::days>(t)}.year();
  if (year < date::year{1} || year > date::year{9999})
    return not_a_time();
  return t;
}

/// The zone files of Debian list changes until 2037, and the library knows no
/// rule beyond. A later time is looked up as the same day of a year with the
/// same weekdays, which is what the rules go by; 2027 to 2037 have them all.
date::local_time<std::chrono::microseconds>
within_the_zone_file(date::local_time<std::chrono::microseconds> local) {
  constexpr date::year last_listed{2037};
  const auto day = date::floor<date::days>(local);
  const date::year_month_day written{day};
  if (written.year() <= last_listed)
    return local;
  // A leap day moves what follows it, not what comes before.
  const auto first = written.month() < date::March ? date::January : date::March;
  const auto weekday_in = [&](date::year y) {
    return date::weekday{date::local_days{y / first / 1}};
  };
  auto like = last_listed;
  while (weekday_in(like) != weekday_in(written.year()))
    --like;
  return date::local_days{like / first / 1}
         + (local - date::local_days{written.year() / first / 1});
}

instant resolve(date::local_time<std::chrono::microseconds> local,
                const date::time_zone& zone) {
  const auto info = zone.get_info(within_the_zone_file(local));
  // A gap moves forward by its own length: the offset before it still holds.
  // A fold takes its first pass, which is also the offset before the change.
  return instant{local.time_since_epoch() - info.first.offset};
}

void write_digits(char* out, int value, int count) {
  for (int i = count - 1; i >= 0; --i, value /= 10)
    out[i] = static_cast<char>('0' + value % 10);
}

/// `2026-02-07T10:00:00`, by hand: answers hold dozens of times, and the
/// library's streams took longer than all else in them.
std::string format_seconds(std::chrono::sys_seconds t) {
  const auto day = date::floor<date::days>(t);
  const date::year_month_day ymd{day};
  const auto year = static_cast<int>(ymd.year());
  if (year < 0 || year > 9999)
    return date::format("%FT%T", t);
  const auto of_day = static_cast<int>((t - day).count());
  std::string out = "0000-00-00T00:00:00";
  write_digits(out.data(), year, 4);
  write_digits(out.data() + 5, static_cast<int>(static_cast<unsigned>(ymd.month())), 2);
  write_digits(out.data() + 8, static_cast<int>(static_cast<unsigned>(ymd.day())), 2);
  write_digits(out.data() + 11, of_day / 3600, 2);
  write_digits(out.data() + 14, of_day / 60 % 60, 2);
  write_digits(out.data() + 17, of_day % 60, 2);
  return out;
}

} // namespace

std::string format_api_time(instant t) {
  return format_seconds(std::chrono::floor<std::chrono::seconds>(t)) += "+00:00";
}

std::string format_precise_time(instant t) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(t);
  char fraction[] = ".000000+00:00";
  write_digits(fraction + 1, static_cast<int>((t - seconds).count()), 6);
  return format_seconds(seconds) += fraction;
}

result<instant> parse_time(std::string_view text, std::string_view zone) {
  const auto year = take_digits(text, 4);
  if (year < 0 || !take(text, '-'))
    return not_a_time();
  const auto month = take_digits(text, 2);
  if (month < 0 || !take(text, '-'))
    return not_a_time();
  const auto day = take_digits(text, 2);
  const date::year_month_day date_part{
    date::year{year}, date::month{static_cast<unsigned>(month < 0 ? 0 : month)},
    date::day{static_cast<unsigned>(day < 0 ? 0 : day)}};
  if (day < 0 || !date_part.ok())
    return not_a_time();

  int hour = 0;
  int minute = 0;
  int second = 0;
  std::chrono::microseconds fraction{0};
  if (take(text, 'T') || take(text, 't') || take(text, ' ')) {
    hour = take_digits(text, 2);
    if (hour < 0 || hour > 23 || !take(text, ':'))
      return not_a_time();
    minute = take_digits(text, 2);
    if (minute < 0 || minute > 59)
      return not_a_time();
    if (take(text, ':')) {
      second = take_digits(text, 2);
      if (second < 0 || second > 59)
        return not_a_time();
      if (take(text, '.') || take(text, ',')) {
        std::int64_t scale = 100'000;
        std::size_t digits = 0;
        for (; !text.empty() && text.front() >= '0' && text.front() <= '9';
             ++digits, text.remove_prefix(1), scale /= 10)
          fraction += std::chrono::microseconds{scale * (text.front() - '0')};
        if (digits == 0 || digits > 9)
          return not_a_time();
      }
    }
  } else if (!text.empty()) {
    return not_a_time();
  }

  const auto local = date::local_days{date_part} + std::chrono::hours{hour}
                     + std::chrono::minutes{minute}
                     + std::chrono::seconds{second} + fraction;
  if (text.empty()) {
    try {
      return checked(resolve(local, *date::locate_zone(zone)));
    } catch (const std::runtime_error&) {
      return failure{errc::invalid_argument,
                     "is not a time zone of the IANA database", {}, {}};
    }
  }
  std::chrono::minutes offset{0};
  if (!take(text, 'Z') && !take(text, 'z')) {
    const bool west = !text.empty() && text.front() == '-';
    if (!west && text.front() != '+')
      return not_a_time();
    text.remove_prefix(1);
    const auto offset_hours = take_digits(text, 2);
    const bool colon = take(text, ':');
    const auto offset_minutes = text.empty() && !colon ? 0 : take_digits(text, 2);
    if (offset_hours < 0 || offset_hours > 15 || offset_minutes < 0
        || offset_minutes > 59)
      return not_a_time();
    offset = std::chrono::minutes{offset_hours * 60 + offset_minutes};
    if (west)
      offset = -offset;
  }
  if (!text.empty())
    return not_a_time();
  return checked(instant{local.time_since_epoch() - offset});
}

bool is_time_zone(std::string_view name) {
  try {
    // The library reports a lookup, also of an empty name, by exception.
    return !name.empty() && date::locate_zone(name) != nullptr;
  } catch (const std::runtime_error&) {
    return false;
  }
}

} // namespace carillon

#include "outbound/retry_after.hpp"

#include <algorithm>
#include <charconv>
#include <string>

#include <curl/curl.h>

namespace carillon::outbound {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds longest = std::chrono::hours{24};

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || at != end)
    return std::nullopt;
  // Far more than a day either way; keeps the sums below in range.
  constexpr std::int64_t most = 1'000'000'000'000;
  if (error == std::errc::result_out_of_range)
    return text.front() == '-' ? -most : most;
  return std::clamp(value, -most, most);
}

milliseconds bounded(milliseconds wait) {
  return std::clamp(wait, milliseconds{0}, longest);
}

milliseconds until(instant then, instant now) {
  return bounded(std::chrono::ceil<milliseconds>(then - now));
}

} // namespace

std::optional<instant> parse_http_date(std::string_view value) {
  const auto at = curl_getdate(std::string{value}.c_str(), nullptr);
  if (at == -1)
    return std::nullopt;
  return instant{seconds{at}};
}

std::optional<milliseconds> parse_retry_after(std::string_view value,
                                              instant now) {
  if (auto count = whole_number(value))
    return bounded(seconds{*count});
  if (auto date = parse_http_date(value))
    return until(*date, now);
  return std::nullopt;
}

std::optional<milliseconds> parse_rate_limit_reset(std::string_view value,
                                                   instant now) {
  if (auto number = whole_number(value)) {
    const bool counts_from_now = *number < 100'000'000;
    return until((counts_from_now ? now : instant{}) + seconds{*number}, now);
  }
  if (auto time = parse_time(value))
    return until(*time, now);
  return std::nullopt;
}

} // namespace carillon::outbound

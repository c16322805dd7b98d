#include "outbound/social/call.hpp"

#include <algorithm>

#include "outbound/retry_after.hpp"

namespace carillon::outbound {

namespace {

/// A call whose time passed while it waited for its turn was never begun: the
/// next one comes a little later.
constexpr std::chrono::milliseconds no_turn_pause{2'000};

} // namespace

errc softened(errc code, effect what) noexcept {
  return code == errc::outcome_unknown && what == effect::none ? errc::transient : code;
}

errc code_of_status(int status, effect what) noexcept {
  switch (status) {
    case 401:
    case 403:
      return errc::unauthorized;
    case 408: // gave up waiting for the request
    case 425: // will not run the risk of a replayed request
      return errc::transient;
    case 429:
      return errc::throttled;
    case 301:
    case 307:
    case 308:
      return errc::permanent;
    default:
      return softened(status >= 400 && status < 500 ? errc::permanent : errc::outcome_unknown, what);
  }
}

std::optional<failure> failure_of_delivery(const http_response& response, effect what) {
  using delivery = http_response::delivery;
  switch (response.how) {
    case delivery::not_sent: {
      // An address that is refused or makes no sense is so the next time too.
      const bool never = response.why == errc::invalid_argument || response.why == errc::forbidden;
      if (response.why == errc::not_found)
        return failure{errc::not_found, "not sent: " + one_line(response.detail), {}, {}};
      if (!never && !response.tried)
        return failure{errc::cancelled, "not sent: " + one_line(response.detail), {}, no_turn_pause};
      return failure{never ? errc::permanent : errc::transient, "not sent: " + one_line(response.detail), {}, {}};
    }
    case delivery::no_answer:
      return failure{softened(errc::outcome_unknown, what),
                     "sent, but no full answer: " + one_line(response.detail), {}, {}};
    case delivery::answered:
      break;
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> wait_of(const http_response& response, instant now) {
  if (auto date = parse_http_date(response.header("date")))
    now = *date;
  if (auto wait = parse_retry_after(response.header("retry-after"), now))
    return wait;
  if (response.status != 429)
    return std::nullopt;
  if (auto wait = parse_rate_limit_reset(response.header("x-ratelimit-reset"), now))
    return wait;
  return parse_rate_limit_reset(response.header("ratelimit-reset"), now);
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_.~";
  std::string out;
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (plain.find(c) != plain.npos) {
      out += c;
    } else {
      out += '%';
      out += digits[u >> 4];
      out += digits[u & 15];
    }
  }
  return out;
}

std::string one_line(std::string text) {
  std::replace_if(
    text.begin(), text.end(),
    [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
    },
    ' ');
  if (text.size() > 500) {
    auto end = std::size_t{500};
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
      --end;
    text.resize(end);
  }
  return text;
}

nlohmann::json parse_answer(const http_response& response) {
  if (response.body_truncated)
    return nlohmann::json(nlohmann::json::value_t::discarded);
  return nlohmann::json::parse(response.body, nullptr, false);
}

std::string text_of(const nlohmann::json& object, const char* name) {
  if (!object.is_object())
    return {};
  auto i = object.find(name);
  if (i == object.end())
    return {};
  if (i->is_string())
    return i->get<std::string>();
  return i->is_number_integer() ? i->dump() : std::string{};
}

namespace {

bool is_visible_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

} // namespace

bool is_plain_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 255 && is_visible_ascii(text);
}

std::string plain_address(std::string text) {
  return text.size() <= 500 && is_visible_ascii(text) ? std::move(text) : std::string{};
}

std::chrono::milliseconds time_left(std::chrono::steady_clock::time_point deadline) {
  return std::chrono::floor<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
}

failure out_of_time(std::string_view before) {
  return {errc::transient, "no time left before " + std::string{before}, {}, {}};
}

std::string file_name_of(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

} // namespace carillon::outbound

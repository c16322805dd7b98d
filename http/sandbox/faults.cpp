#include "http/sandbox/faults.hpp"

#include "http/sandbox/limits.hpp"

#include <algorithm>

namespace carillon::http::sandbox {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct rate_key {
  const char* name;
  double faults::*value;
};

struct time_key {
  const char* name;
  milliseconds faults::*value;
  milliseconds longest;
};

struct flag_key {
  const char* name;
  bool faults::*value;
};

struct number_key {
  const char* name;
  std::uint64_t faults::*value;
};

constexpr rate_key rates[] = {
  {"rate_429", &faults::rate_429},
  {"rate_5xx", &faults::rate_5xx},
  {"drop_before_accept", &faults::drop_before_accept},
  {"accept_then_drop", &faults::accept_then_drop},
  {"accept_then_hang", &faults::accept_then_hang},
  {"accept_then_5xx", &faults::accept_then_5xx},
};

constexpr time_key times[] = {
  {"latency_ms", &faults::latency, most_delay},
  {"hang_ms", &faults::hang, most_delay},
  {"visibility_delay_ms", &faults::visibility_delay, most_invisible},
  {"media_processing_ms", &faults::media_processing, most_invisible},
};

constexpr flag_key flags[] = {
  {"ignore_idempotency_keys", &faults::ignore_idempotency_keys},
  {"error_html", &faults::error_html},
};

constexpr number_key numbers[] = {
  {"times", &faults::times},
  {"seed", &faults::seed},
};

constexpr int statuses_5xx[] = {500, 502, 503, 504};

std::optional<std::int64_t> whole_number(const json& value, std::int64_t least,
                                         std::int64_t most) {
  if (!value.is_number_integer())
    return std::nullopt;
  if (value.is_number_unsigned()
      && value.get<std::uint64_t>() > static_cast<std::uint64_t>(most))
    return std::nullopt;
  const auto number = value.get<std::int64_t>();
  if (number < least || number > most)
    return std::nullopt;
  return number;
}

std::string range_text(const char* kind, std::int64_t least,
                       std::int64_t most) {
  return std::string{"must be "} + kind + " from " + std::to_string(least)
         + " to " + std::to_string(most);
}

/// Why `value` cannot be had for `name`; empty when it was taken.
std::string take(faults& out, const std::string& name, const json& value) {
  for (const auto& key : rates)
    if (name == key.name) {
      if (!value.is_number() || value.get<double>() < 0
          || value.get<double>() > 1)
        return "must be a probability from 0 to 1";
      out.*key.value = value.get<double>();
      return {};
    }
  for (const auto& key : times)
    if (name == key.name) {
      const auto number = whole_number(value, 0, key.longest.count());
      if (!number)
        return range_text("a whole number of milliseconds", 0,
                          key.longest.count());
      out.*key.value = milliseconds{*number};
      return {};
    }
  for (const auto& key : flags)
    if (name == key.name) {
      if (!value.is_boolean())
        return "must be true or false";
      out.*key.value = value.get<bool>();
      return {};
    }
  for (const auto& key : numbers)
    if (name == key.name) {
      const auto number = whole_number(value, 0, most_number);
      if (!number)
        return range_text("a whole number", 0, most_number);
      out.*key.value = static_cast<std::uint64_t>(*number);
      return {};
    }
  if (name == "retry_after") {
    const auto number = whole_number(value, 0, most_retry_after.count());
    if (!number)
      return range_text("a whole number of seconds", 0,
                        most_retry_after.count());
    out.retry_after = seconds{*number};
    return {};
  }
  if (name == "status_5xx") {
    const auto number = whole_number(value, 0, 599);
    if (!number || (*number != 0 && *number < 500))
      return "must be 0 (any) or a status from 500 to 599";
    out.status_5xx = static_cast<int>(*number);
    return {};
  }
  if (name == "accounts") {
    const auto is_text = [](const json& one) { return one.is_string(); };
    if (!value.is_array() || value.size() > most_fault_accounts
        || !std::all_of(value.begin(), value.end(), is_text))
      return "must be a list of at most " + std::to_string(most_fault_accounts)
             + " names of accounts";
    out.accounts = value.get<std::vector<std::string>>();
    return {};
  }
  return "is not a fault that this network knows";
}

} // namespace

result<faults> parse_faults(const json& body) {
  if (!body.is_object())
    return invalid("body", "must be a JSON object");
  faults out;
  failure wrong{errc::invalid_argument, {}, {}, {}};
  for (const auto& [name, value] : body.items())
    if (auto why = take(out, name, value); !why.empty())
      wrong.fields.push_back({name, std::move(why)});
  if (wrong.fields.empty())
    return out;
  for (const auto& field : wrong.fields)
    wrong.detail
      += (wrong.detail.empty() ? "" : "; ") + field.field + ' ' + field.reason;
  return wrong;
}

json to_json(const faults& f) {
  json out = json::object();
  for (const auto& key : rates)
    out[key.name] = f.*key.value;
  for (const auto& key : times)
    out[key.name] = (f.*key.value).count();
  for (const auto& key : flags)
    out[key.name] = f.*key.value;
  for (const auto& key : numbers)
    out[key.name] = f.*key.value;
  out["retry_after"] = f.retry_after.count();
  out["status_5xx"] = f.status_5xx;
  out["accounts"] = f.accounts;
  return out;
}

std::string_view to_string(blow b) noexcept {
  switch (b) {
  case blow::none:
    return "none";
  case blow::too_many_requests:
    return "rate_429";
  case blow::server_error:
    return "rate_5xx";
  case blow::dropped_before_accept:
    return "drop_before_accept";
  case blow::dropped:
    return "accept_then_drop";
  case blow::hung:
    return "accept_then_hang";
  case blow::hidden_by_server_error:
    return "accept_then_5xx";
  }
  return "none";
}

void misbehaviour::set(faults f) {
  faults_ = std::move(f);
  random_.seed(faults_.seed);
  calls_ = 0;
}

std::optional<std::uint64_t> misbehaviour::times_left() const noexcept {
  if (faults_.times == 0)
    return std::nullopt;
  return faults_.times - std::min(faults_.times, calls_);
}

bool misbehaviour::strikes(std::string_view account) const {
  if (faults_.times > 0 && calls_ >= faults_.times)
    return false;
  const auto& only = faults_.accounts;
  return only.empty()
         || std::find(only.begin(), only.end(), account) != only.end();
}

/// From the bits, as std::uniform_real_distribution may differ between
/// standard libraries.
double misbehaviour::roll() {
  return static_cast<double>(random_() >> 11) * 0x1.0p-53;
}

fate misbehaviour::roll_other(std::string_view account) const {
  fate out;
  if (!strikes(account))
    return out;
  out.latency = faults_.latency;
  out.media_processing = faults_.media_processing;
  return out;
}

fate misbehaviour::roll_publish(std::string_view account) {
  auto out = roll_other(account);
  if (!strikes(account))
    return out;
  ++calls_;
  out.html = faults_.error_html;
  out.retry_after = faults_.retry_after;
  out.hang = faults_.hang;
  out.visibility_delay = faults_.visibility_delay;
  out.ignore_idempotency_keys = faults_.ignore_idempotency_keys;
  // Always the same number of rolls, so that call n meets the same numbers
  // whatever is switched on.
  const std::pair<double, blow> chances[] = {
    {faults_.rate_429, blow::too_many_requests},
    {faults_.rate_5xx, blow::server_error},
    {faults_.drop_before_accept, blow::dropped_before_accept},
    {faults_.accept_then_drop, blow::dropped},
    {faults_.accept_then_hang, blow::hung},
    {faults_.accept_then_5xx, blow::hidden_by_server_error},
  };
  for (const auto& [chance, what] : chances)
    if (roll() < chance && out.hit == blow::none)
      out.hit = what;
  const auto any
    = static_cast<std::size_t>(random_() % std::size(statuses_5xx));
  out.status = faults_.status_5xx != 0 ? faults_.status_5xx : statuses_5xx[any];
  return out;
}

} // namespace carillon::http::sandbox

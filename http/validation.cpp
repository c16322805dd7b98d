#include "http/validation.hpp"

#include <algorithm>
#include <charconv>

#include "domain/text.hpp"

namespace carillon::http {

namespace {

constexpr std::size_t longest_time = 64;
constexpr std::size_t longest_zone = 50;
constexpr std::size_t most_items = 100;
/// Of an object as JSON text: lists of posts show it a hundred times.
constexpr std::size_t largest_object = 100'000;
/// A list may hold as many faults as items; an answer need not repeat them.
constexpr std::size_t most_errors = 100;

/// What no URL holds unescaped (RFC 3986 §2): spaces, controls, quotes.
bool is_url_character(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '"' && c != '<' && c != '>' && c != '\\';
}

bool is_web_url(std::string_view text) noexcept {
  const auto scheme = text.starts_with("https://")  ? 8u
                      : text.starts_with("http://") ? 7u
                                                    : 0u;
  if (scheme == 0 || !std::all_of(text.begin(), text.end(), is_url_character))
    return false;
  const auto rest = text.substr(scheme);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  const auto host = authority.substr(authority.find('@') + 1); // npos + 1 is 0.
  return !host.empty() && host.front() != ':';
}

std::string too_many(std::size_t most) {
  return "must not have more than " + std::to_string(most) + " items.";
}

std::string too_long(std::size_t max) {
  return "must not be longer than " + std::to_string(max) + " characters.";
}

} // namespace

const json* body_reader::find(const std::string& field, presence need) {
  const auto i = body_.find(field);
  const bool given = i != body_.end() && !i->is_null()
                     && !(i->is_string() && i->get_ref<const std::string&>().empty());
  if (given)
    return &*i;
  if (need == presence::required)
    refuse(field, "is required.");
  return nullptr;
}

void body_reader::refuse(const std::string& field, const std::string& reason) {
  if (errors_.size() < most_errors)
    errors_.push_back({field, "The " + field + " field " + reason});
}

std::optional<failure> body_reader::problems() const {
  if (errors_.empty())
    return std::nullopt;
  return failure{errc::invalid_argument, "the body is not valid", errors_, {}};
}

std::optional<std::string> body_reader::text(const std::string& field, std::size_t max,
                                             presence need) {
  const auto* value = find(field, need);
  if (!value)
    return std::nullopt;
  if (!value->is_string()) {
    refuse(field, "must be a string.");
    return std::nullopt;
  }
  auto out = value->get<std::string>();
  if (character_count(out) > max) {
    refuse(field, too_long(max));
    return std::nullopt;
  }
  return out;
}

std::optional<std::string> body_reader::text_list(const std::string& field, std::size_t max) {
  const auto* value = find(field);
  if (!value)
    return std::nullopt;
  if (!value->is_array()) {
    refuse(field, "must be an array.");
    return std::nullopt;
  }
  if (value->size() > most_items) {
    refuse(field, too_many(most_items));
    return std::nullopt;
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const auto name = field + "." + std::to_string(i);
    const auto& item = (*value)[i];
    if (!item.is_string())
      refuse(name, "must be a string.");
    else if (character_count(item.get_ref<const std::string&>()) > max)
      refuse(name, too_long(max));
  }
  return value->dump();
}

std::optional<std::string> body_reader::object(const std::string& field) {
  const auto* value = find(field);
  if (!value)
    return std::nullopt;
  if (value->is_array() && value->empty())
    return "{}";
  if (!value->is_object()) {
    refuse(field, "must be an object.");
    return std::nullopt;
  }
  auto out = value->dump();
  if (out.size() > largest_object) {
    refuse(field, "must not be larger than " + std::to_string(largest_object) + " bytes.");
    return std::nullopt;
  }
  return out;
}

std::optional<std::vector<uuid>> body_reader::uuid_list(const std::string& field, std::size_t most,
                                                        presence need) {
  const auto* value = find(field, need);
  if (!value)
    return std::nullopt;
  if (!value->is_array()) {
    refuse(field, "must be an array.");
    return std::nullopt;
  }
  if (value->empty() && need == presence::required) {
    refuse(field, "must have at least one item.");
    return std::nullopt;
  }
  if (value->size() > most) {
    refuse(field, too_many(most));
    return std::nullopt;
  }
  std::vector<uuid> out;
  for (std::size_t i = 0; i < value->size(); ++i) {
    const auto& item = (*value)[i];
    const auto id
      = item.is_string() ? parse_uuid(item.get_ref<const std::string&>()) : std::nullopt;
    if (id)
      out.push_back(*id);
    else
      refuse(field + "." + std::to_string(i), "must be a valid UUID.");
  }
  return out;
}

std::optional<uuid> body_reader::id(const std::string& field, presence need) {
  const auto* value = find(field, need);
  if (!value)
    return std::nullopt;
  auto out = value->is_string() ? parse_uuid(value->get_ref<const std::string&>()) : std::nullopt;
  if (!out)
    refuse(field, "must be a valid UUID.");
  return out;
}

std::optional<std::string> body_reader::time_zone(const std::string& field) {
  auto zone = text(field, longest_zone);
  if (zone && !is_time_zone(*zone)) {
    refuse(field, "must be a valid time zone.");
    return std::nullopt;
  }
  return zone;
}

std::optional<instant> body_reader::time(const std::string& field, const std::string& zone,
                                         presence need) {
  const auto written = text(field, longest_time, need);
  if (!written)
    return std::nullopt;
  const auto parsed = parse_time(*written, zone);
  if (!parsed) {
    refuse(field, "must be a valid date.");
    return std::nullopt;
  }
  return *parsed;
}

std::optional<bool> body_reader::flag(const std::string& field) {
  const auto* value = find(field);
  if (!value)
    return std::nullopt;
  if (value->is_boolean())
    return value->get<bool>();
  const auto written = value->is_string() ? value->get<std::string>() : value->dump();
  if (written == "1" || written == "0")
    return written == "1";
  refuse(field, "must be true or false.");
  return std::nullopt;
}

std::optional<std::int64_t> body_reader::whole_number(const std::string& field, std::int64_t least,
                                                      std::int64_t most) {
  const auto* value = find(field);
  if (!value)
    return std::nullopt;
  // The text of a number is compared, so that none is too large to be read.
  const auto written = value->is_string() ? value->get<std::string>() : value->dump();
  std::int64_t out = 0;
  const auto* const end = written.data() + written.size();
  const auto [stop, ec] = std::from_chars(written.data(), end, out);
  const bool is_number = value->is_number_integer() || value->is_string();
  if (!is_number || stop != end || (ec != std::errc{} && ec != std::errc::result_out_of_range)) {
    refuse(field, "must be a whole number.");
    return std::nullopt;
  }
  if (ec != std::errc{} || out < least || out > most) {
    refuse(field, "must be between " + std::to_string(least) + " and " + std::to_string(most) + ".");
    return std::nullopt;
  }
  return out;
}

std::optional<std::string> body_reader::url(const std::string& field, std::size_t max) {
  auto out = text(field, max);
  if (out && !is_web_url(*out)) {
    refuse(field, "must be a valid URL.");
    return std::nullopt;
  }
  return out;
}

std::optional<bool> read_boolean(const json& value) {
  if (value.is_boolean())
    return value.get<bool>();
  if (value == 1 || value == "1")
    return true;
  if (value == 0 || value == "0")
    return false;
  return std::nullopt;
}

} // namespace carillon::http

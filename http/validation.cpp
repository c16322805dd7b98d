#include "http/validation.hpp"

#include "domain/text.hpp"

namespace carillon::http {

const json* body_reader::find(const std::string& field) const {
  const auto i = body_.find(field);
  return i == body_.end() || i->is_null() ? nullptr : &*i;
}

void body_reader::refuse(const std::string& field, const std::string& reason) {
  errors_.push_back({field, "The " + field + " field " + reason});
}

std::optional<failure> body_reader::problems() const {
  if (errors_.empty())
    return std::nullopt;
  return failure{errc::invalid_argument, "the body is not valid", errors_, {}};
}

std::optional<std::string> body_reader::text(const std::string& field, std::size_t max, bool required) {
  const auto* value = find(field);
  if (!value || (required && value->is_string() && value->get_ref<const std::string&>().empty())) {
    if (required)
      refuse(field, "is required.");
    return std::nullopt;
  }
  if (!value->is_string()) {
    refuse(field, "must be a string.");
    return std::nullopt;
  }
  auto out = value->get<std::string>();
  if (character_count(out) > max) {
    refuse(field, "must not be longer than " + std::to_string(max) + " characters.");
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
  for (std::size_t i = 0; i < value->size(); ++i) {
    const auto name = field + "." + std::to_string(i);
    const auto& item = (*value)[i];
    if (!item.is_string())
      refuse(name, "must be a string.");
    else if (character_count(item.get_ref<const std::string&>()) > max)
      refuse(name, "must not be longer than " + std::to_string(max) + " characters.");
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
  return value->dump();
}

std::optional<std::vector<uuid>> body_reader::uuid_list(const std::string& field, std::size_t most) {
  const auto* value = find(field);
  if (!value)
    return std::nullopt;
  if (!value->is_array()) {
    refuse(field, "must be an array.");
    return std::nullopt;
  }
  if (value->size() > most) {
    refuse(field, "must not have more than " + std::to_string(most) + " items.");
    return std::nullopt;
  }
  std::vector<uuid> out;
  for (std::size_t i = 0; i < value->size(); ++i) {
    const auto& item = (*value)[i];
    const auto id = item.is_string() ? parse_uuid(item.get_ref<const std::string&>()) : std::nullopt;
    if (id)
      out.push_back(*id);
    else
      refuse(field + "." + std::to_string(i), "must be a valid UUID.");
  }
  return out;
}

std::optional<std::string> body_reader::time_zone(const std::string& field) {
  auto zone = text(field, 50);
  if (zone && !is_time_zone(*zone)) {
    refuse(field, "must be a valid time zone.");
    return std::nullopt;
  }
  return zone;
}

std::optional<instant> body_reader::time(const std::string& field, const std::string& zone, bool required) {
  const auto written = text(field, 64, required);
  if (!written)
    return std::nullopt;
  const auto parsed = parse_time(*written, zone);
  if (!parsed) {
    refuse(field, "must be a valid date.");
    return std::nullopt;
  }
  return *parsed;
}

std::optional<std::string> body_reader::url(const std::string& field, std::size_t max) {
  auto out = text(field, max);
  if (!out)
    return out;
  const auto scheme = out->starts_with("https://") ? 8u : out->starts_with("http://") ? 7u : 0u;
  if (scheme == 0 || out->size() == scheme || out->find_first_of(" \t\r\n\"<>") != std::string::npos) {
    refuse(field, "must be a valid URL.");
    return std::nullopt;
  }
  return out;
}

} // namespace carillon::http

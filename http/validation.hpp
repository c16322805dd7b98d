// Reads fields of a JSON body and collects what is wrong with them
// (contract §1.4, §1.5, §10). null and absent are alike.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/ids.hpp"
#include "http/route.hpp"

namespace carillon::http {

class body_reader {
public:
  explicit body_reader(const json& body) : body_(body) {
  }

  /// At most `max` characters; `required` also refuses the empty text.
  std::optional<std::string> text(const std::string& field, std::size_t max, bool required = false);

  /// An array of texts of at most `max` characters, as JSON text.
  std::optional<std::string> text_list(const std::string& field, std::size_t max);

  /// A JSON object, as JSON text. An empty array counts as an empty object.
  std::optional<std::string> object(const std::string& field);

  std::optional<std::vector<uuid>> uuid_list(const std::string& field, std::size_t most);

  /// The IANA name of a time zone.
  std::optional<std::string> time_zone(const std::string& field);

  /// A time; a naive one is read in `zone`.
  std::optional<instant> time(const std::string& field, const std::string& zone, bool required = false);

  /// http or https, at most `max` characters.
  std::optional<std::string> url(const std::string& field, std::size_t max);

  template <class Enum>
  std::optional<Enum> choice(const std::string& field) {
    const auto text = this->text(field, 255);
    if (!text)
      return std::nullopt;
    auto value = parse<Enum>(*text);
    if (!value)
      refuse(field, "is not one of the allowed values.");
    return value;
  }

  /// `reason` completes "The <field> field …".
  void refuse(const std::string& field, const std::string& reason);

  /// invalid_argument with all that was refused; nothing when all is well.
  std::optional<failure> problems() const;

private:
  const json* find(const std::string& field) const;

  const json& body_;
  std::vector<field_error> errors_;
};

} // namespace carillon::http

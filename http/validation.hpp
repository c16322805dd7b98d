// Reads the fields of a JSON body (contract §1.4, §1.5, §10).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/ids.hpp"
#include "http/route.hpp"

namespace carillon::http {

enum class presence { optional, required };

/// Collects what is wrong, the first 100 faults, each under its field's name.
/// Absent, null and the empty text are alike: "not given", as the web client
/// sends its empty inputs. A reader returns nothing for what is not given and for
/// what it refused, so ask problems() before using any of it.
class body_reader {
public:
  /// `body` is a JSON object that outlives the reader.
  explicit body_reader(const json& body) : body_(body) {
  }

  /// At most `max` characters.
  std::optional<std::string> text(const std::string& field, std::size_t max,
                                  presence need = presence::optional);

  /// An array of at most 100 texts of at most `max` characters each, as JSON
  /// text.
  std::optional<std::string> text_list(const std::string& field, std::size_t max);

  /// A JSON object, as JSON text of at most 100,000 bytes. An empty array
  /// counts as an empty object.
  std::optional<std::string> object(const std::string& field);

  /// At most `most` UUIDs; a required list is not empty.
  std::optional<std::vector<uuid>> uuid_list(const std::string& field, std::size_t most,
                                             presence need = presence::optional);

  std::optional<uuid> id(const std::string& field, presence need = presence::optional);

  /// The IANA name of a time zone.
  std::optional<std::string> time_zone(const std::string& field);

  /// A time; a naive one is read in `zone`, which must exist.
  std::optional<instant> time(const std::string& field, const std::string& zone,
                              presence need = presence::optional);

  /// http or https with a host, at most `max` characters.
  std::optional<std::string> url(const std::string& field, std::size_t max);

  /// true, false, 1, 0, "1" or "0" (contract §1.5).
  std::optional<bool> flag(const std::string& field);

  /// A whole number in this range; one written as text counts too.
  std::optional<std::int64_t> whole_number(const std::string& field, std::int64_t least, std::int64_t most);

  /// The wire text of one of Enum's values.
  template <class Enum>
  std::optional<Enum> choice(const std::string& field, presence need = presence::optional) {
    const auto written = text(field, 255, need);
    if (!written)
      return std::nullopt;
    auto value = parse<Enum>(*written);
    if (!value)
      refuse(field, "is not one of the allowed values.");
    return value;
  }

  /// `reason` completes "The <field> field …".
  void refuse(const std::string& field, const std::string& reason);

  /// invalid_argument with all that was refused; nothing when all is well.
  std::optional<failure> problems() const;

private:
  /// Null when not given; `need` is refused then.
  const json* find(const std::string& field, presence need = presence::optional);

  const json& body_;
  std::vector<field_error> errors_;
};

/// true, false, 1, 0, "1" and "0" (contract §1.5); nothing for all else.
std::optional<bool> read_boolean(const json& value);

} // namespace carillon::http

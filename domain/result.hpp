// The one error model of Carillon (architecture page, "Errors").
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace carillon {

/// What the caller can do next. Append-only: values cross process borders.
enum class errc : std::uint8_t {
  invalid_argument,  ///< Fix the input; `failure::fields` names it.
  not_found,         ///< Unknown, deleted, or another tenant's.
  conflict,          ///< The state changed or the key is taken; re-read.
  unauthorized,      ///< No valid token.
  forbidden,         ///< A valid caller without the right.
  throttled,         ///< Try again after `failure::retry_after`.
  transient,         ///< Nothing happened; try again with backoff.
  permanent,         ///< Trying again cannot help.
  outcome_unknown,   ///< It may have happened; ask, never repeat blindly.
  cancelled,         ///< Given up before it started.
};

std::string_view to_string(errc code) noexcept;

/// One rejected input field; array elements use dotted names (`ids.0`).
struct field_error {
  std::string field;
  std::string reason;
  bool operator==(const field_error&) const = default;
};

/// `detail` is for the log. Only `fields` and the message of
/// invalid_argument, conflict and forbidden may reach a client.
struct failure {
  errc code = errc::permanent;
  std::string detail;
  std::vector<field_error> fields;
  std::optional<std::chrono::milliseconds> retry_after;
};

/// invalid_argument on a single field.
inline failure invalid(std::string field, std::string reason) {
  return {errc::invalid_argument, reason, {{std::move(field), reason}}, {}};
}

/// A value or a failure; member names follow std::expected (C++23) so that
/// an alias can replace it.
template <class T>
class [[nodiscard]] result {
public:
  using value_type = T;

  result(T value) : data_(std::in_place_index<0>, std::move(value)) {
  }
  result(failure f) : data_(std::in_place_index<1>, std::move(f)) {
  }

  bool has_value() const noexcept {
    return data_.index() == 0;
  }
  explicit operator bool() const noexcept {
    return has_value();
  }
  T& value() & {
    return std::get<0>(data_);
  }
  const T& value() const& {
    return std::get<0>(data_);
  }
  T&& value() && {
    return std::get<0>(std::move(data_));
  }
  T& operator*() & {
    return value();
  }
  const T& operator*() const& {
    return value();
  }
  T&& operator*() && {
    return std::move(*this).value();
  }
  T* operator->() {
    return &value();
  }
  const T* operator->() const {
    return &value();
  }
  failure& error() & {
    return std::get<1>(data_);
  }
  const failure& error() const& {
    return std::get<1>(data_);
  }
  failure&& error() && {
    return std::get<1>(std::move(data_));
  }
  T value_or(T other) const& {
    return has_value() ? value() : std::move(other);
  }

private:
  std::variant<T, failure> data_;
};

/// Success without a value.
struct done {
  bool operator==(const done&) const = default;
};

} // namespace carillon

// multipart/form-data (RFC 7578, RFC 2046 §5.1) as it arrives, in pieces of
// any size.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "domain/result.hpp"

namespace carillon::http {

struct part_head {
  std::string name;
  std::optional<std::string> file_name; ///< Set for a file; as it was sent.
  std::string content_type;             ///< Empty when not said.
};

/// What a form is made of, in order. A failure ends the reading.
struct part_events {
  std::function<std::optional<failure>(const part_head&)> on_part;
  std::function<std::optional<failure>(std::string_view)> on_bytes; ///< Any number of times.
  std::function<std::optional<failure>()> on_part_end;
};

/// Keeps no more than one boundary, or the head of one part, in memory.
/// Limits: 32 parts, 4 KiB for a head and for what stands before the first
/// part. Failures of its own: invalid_argument on `body`.
class multipart_reader {
public:
  /// `content_type` of the request; nothing when it is another type or names
  /// no boundary of 1 to 70 characters.
  static std::optional<multipart_reader> from(std::string_view content_type, part_events events);

  std::optional<failure> feed(std::string_view bytes);

  /// The body has ended: a failure when the form has not.
  std::optional<failure> finish();

private:
  enum class place : std::uint8_t { preamble, content, delimiter, head, epilogue };

  multipart_reader(std::string delimiter, part_events events);

  /// True when it could take a step, false when it needs more bytes.
  result<bool> step();
  result<bool> read_content();
  result<bool> read_delimiter();
  result<bool> read_head();

  std::string delimiter_; ///< CRLF, two hyphens, the boundary.
  part_events events_;
  std::string held_; ///< Not decided yet.
  std::size_t before_first_ = 0;
  int parts_ = 0;
  place place_ = place::preamble;
};

} // namespace carillon::http

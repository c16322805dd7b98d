// Replies as HTTP/1.1 bytes, CORS headers included (contract §1.6).
#pragma once

#include "http/route.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carillon::http {

/// What the request says about the form of its answer.
struct answer_form {
  bool head = false; ///< Answer with the length, without the body.
  bool keep_alive = true;
  bool http_1_0 = false;
  std::string origin; ///< Empty: not a cross-origin request.
  std::string correlation_id;
};

/// `raw`, or the JSON body; bytes that are not UTF-8 become U+FFFD, so it
/// never throws on them.
std::string render_payload(const reply& r);

/// The same, out of a reply whose body is not needed any more.
std::string take_payload(reply& r);

/// Status line, headers and `payload`; what is streamed follows them. A header that holds a control
/// character is left out: it could smuggle a second answer.
std::string render_answer(const reply& r, std::string_view payload,
                          const answer_form& form,
                          const std::vector<std::string>& cors_origins);

/// The answer to a CORS preflight; nothing when the request is none.
std::optional<reply> preflight_answer(const request& req);

std::string_view reason_phrase(int status) noexcept;

} // namespace carillon::http

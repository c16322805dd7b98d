// What the posts routes accept (contract §3.2, limits §10). Pure.
#pragma once

#include "domain/ports/post_store.hpp"
#include "http/route.hpp"

namespace carillon::http::posts {

result<post_content> parse_content(const json& body);

struct schedule_input {
  instant at{};
  std::optional<std::string> zone;
};

/// A naive time is read in the given zone, else in `stored_zone`.
result<schedule_input> parse_schedule(const json& body, const std::string& stored_zone);

struct decision_input {
  std::string reason; ///< Empty when not asked for.
  std::optional<std::string> comment;
};

result<decision_input> parse_decision(const json& body, bool needs_reason);

/// Unknown values are no filter, unknown columns the default one.
post_filter parse_filter(const request& req);

} // namespace carillon::http::posts

#include "domain/post_state.hpp"

#include <optional>

namespace carillon {

namespace {

std::optional<post_status> next(post_status from, post_event event) {
  using enum post_status;
  switch (event) {
    case post_event::submit:
      return from == draft ? std::optional{submitted} : std::nullopt;
    case post_event::approve:
      return from == submitted ? std::optional{approved} : std::nullopt;
    case post_event::reject:
      return from == submitted ? std::optional{rejected} : std::nullopt;
    case post_event::edit:
      return is_editable(from) ? std::optional{draft} : std::nullopt;
    case post_event::schedule:
      return is_publishable(from) ? std::optional{scheduled} : std::nullopt;
    case post_event::publish:
      return is_publishable(from) || from == failed ? std::optional{publishing} : std::nullopt;
    case post_event::cancel:
      return from == draft || from == scheduled ? std::optional{cancelled} : std::nullopt;
    case post_event::succeed:
      return from == publishing ? std::optional{published} : std::nullopt;
    case post_event::fail:
      return from == publishing || from == scheduled ? std::optional{failed} : std::nullopt;
  }
  return std::nullopt;
}

std::optional<target_status> next(target_status from, target_event event) {
  using enum target_status;
  switch (event) {
    case target_event::start:
      return from == pending ? std::optional{publishing} : std::nullopt;
    case target_event::succeed:
      return from == publishing ? std::optional{published} : std::nullopt;
    case target_event::fail:
      return from == publishing ? std::optional{failed} : std::nullopt;
    case target_event::retry:
      return from == failed ? std::optional{pending} : std::nullopt;
  }
  return std::nullopt;
}

template <class Status, class Event>
result<Status> checked(Status from, Event event) {
  if (const auto to = next(from, event))
    return *to;
  return failure{errc::conflict, "not possible while it is " + std::string{to_string(from)}, {}, {}};
}

} // namespace

result<post_status> transition(post_status from, post_event event) {
  return checked(from, event);
}

result<target_status> transition(target_status from, target_event event) {
  return checked(from, event);
}

} // namespace carillon

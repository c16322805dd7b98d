// docs/state_machine.md must show what the code does.
#include <array>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "domain/post_state.hpp"

namespace carillon {
namespace {

template <class Event>
struct named_event {
  Event event;
  const char* name;
};

constexpr std::array<named_event<post_event>, 9> named_post_events = {{
  {post_event::submit, "submit"},
  {post_event::approve, "approve"},
  {post_event::reject, "reject"},
  {post_event::edit, "edit"},
  {post_event::schedule, "schedule"},
  {post_event::publish, "publish"},
  {post_event::cancel, "cancel"},
  {post_event::succeed, "succeed"},
  {post_event::fail, "fail"},
}};

constexpr std::array<named_event<target_event>, 4> named_target_events = {{
  {target_event::start, "start"},
  {target_event::succeed, "succeed"},
  {target_event::fail, "fail"},
  {target_event::retry, "retry"},
}};

/// One row a state, one column an event; empty where it is a conflict.
template <class State, class Events>
std::string render_table(const Events& events) {
  std::string out = "| from |";
  std::string rule = "\n|---|";
  for (const auto& one : events) {
    out += std::string{" "} + one.name + " |";
    rule += "---|";
  }
  out += rule + '\n';
  for (const auto state : values_of<State>()) {
    out += "| **" + std::string{to_string(state)} + "** |";
    for (const auto& one : events) {
      const auto next = transition(state, one.event);
      out += next ? ' ' + std::string{to_string(*next)} + " |" : std::string{" |"};
    }
    out += '\n';
  }
  return out;
}

std::string page() {
  std::ifstream in{std::string{CARILLON_SOURCE_DIR} + "/docs/state_machine.md"};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(StateMachinePage, ShowsThePostsTransitions) {
  const auto table = render_table<post_status>(named_post_events);
  EXPECT_NE(page().find(table), std::string::npos) << "expected in docs/state_machine.md:\n" << table;
}

TEST(StateMachinePage, ShowsTheTargetsTransitions) {
  const auto table = render_table<target_status>(named_target_events);
  EXPECT_NE(page().find(table), std::string::npos) << "expected in docs/state_machine.md:\n" << table;
}

} // namespace
} // namespace carillon

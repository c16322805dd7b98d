#include "domain/live_event.hpp"

namespace carillon {

namespace {

constexpr std::string_view user_prefix = "private-user.";
constexpr std::string_view workspace_prefix = "private-workspace.";
constexpr std::string_view inbox_suffix = ".inbox";

} // namespace

std::string to_string(const live_channel& channel) {
  std::string out{channel.of == live_channel::audience::user ? user_prefix : workspace_prefix};
  out += to_string(channel.id);
  if (channel.of == live_channel::audience::inbox)
    out += inbox_suffix;
  return out;
}

std::optional<live_channel> parse_live_channel(std::string_view text) {
  live_channel out;
  auto id = text;
  if (text.starts_with(user_prefix)) {
    id.remove_prefix(user_prefix.size());
  } else if (text.starts_with(workspace_prefix)) {
    id.remove_prefix(workspace_prefix.size());
    out.of = live_channel::audience::workspace;
    if (id.ends_with(inbox_suffix)) {
      id.remove_suffix(inbox_suffix.size());
      out.of = live_channel::audience::inbox;
    }
  } else {
    return std::nullopt;
  }
  const auto parsed = parse_uuid(id);
  if (!parsed)
    return std::nullopt;
  out.id = *parsed;
  if (to_string(out) != text)
    return std::nullopt;
  return out;
}

} // namespace carillon

#include "domain/network.hpp"

#include <algorithm>

namespace carillon {

namespace {

struct entry {
  std::string_view text;
  std::string_view label;
  std::string_view color;
  std::size_t max_text;
};

constexpr entry entries[] = {
  {"linkedin", "LinkedIn", "#0A66C2", 3000},
  {"facebook", "Facebook", "#1877F2", 63206},
  {"instagram", "Instagram", "#E4405F", 2200},
  {"twitter", "Twitter", "#1DA1F2", 280},
  {"whatsapp", "WhatsApp", "#25D366", 4096},
  {"mastodon", "Mastodon", "#6364FF", 500},
  {"bluesky", "Bluesky", "#1185FE", 300},
};

const entry& entry_of(network value) noexcept {
  return entries[static_cast<std::size_t>(value)];
}

} // namespace

std::string_view to_string(network value) noexcept {
  return entry_of(value).text;
}

std::string_view label(network value) noexcept {
  return entry_of(value).label;
}

std::string_view color(network value) noexcept {
  return entry_of(value).color;
}

std::size_t max_text_length(network value) noexcept {
  return entry_of(value).max_text;
}

network compat(network value) noexcept {
  return value == network::mastodon || value == network::bluesky
           ? network::twitter
           : value;
}

template <>
std::optional<network> parse<network>(std::string_view text) noexcept {
  for (auto value : values_of<network>())
    if (to_string(value) == text)
      return value;
  return std::nullopt;
}

template <>
std::span<const network> values_of<network>() noexcept {
  using enum network;
  static constexpr network values[]
    = {linkedin, facebook, instagram, twitter, whatsapp, mastodon, bluesky};
  return values;
}

std::optional<network_refusal> why_not_publishable(std::string_view code, std::span<const network> available) {
  const auto known = parse<network>(code);
  if (!known)
    return network_refusal{"UNKNOWN_PLATFORM", "This program does not know the network \"" + std::string{code} + "\"."};
  const std::string name{label(*known)};
  if (*known == network::whatsapp)
    return network_refusal{"PUBLISH_ERROR", name + " is for conversations: nothing can be scheduled or published there."};
  if (std::find(available.begin(), available.end(), *known) == available.end())
    return network_refusal{"UNKNOWN_PLATFORM", "Publishing to " + name + " is not available in this version of Carillon."};
  return std::nullopt;
}

} // namespace carillon

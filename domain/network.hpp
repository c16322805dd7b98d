// The social networks Carillon knows (contract §6.2 and the overriding
// decisions): the true code, its label, and what the old client is shown.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "domain/enums.hpp"

namespace carillon {

enum class network : std::uint8_t {
  linkedin,
  facebook,
  instagram,
  twitter,
  whatsapp,
  mastodon,
  bluesky,
};

std::string_view to_string(network value) noexcept;
std::string_view label(network value) noexcept;
std::string_view color(network value) noexcept;

/// Longest post text in characters.
std::size_t max_text_length(network value) noexcept;

/// The code that a client which knows only the five older networks can
/// render: mastodon and bluesky answer as twitter.
network compat(network value) noexcept;

/// Why nothing can be published on a network, as a target's error code and a
/// message for the author.
struct network_refusal {
  std::string_view code;
  std::string reason;
};

/// `code` as stored on a target; `available` are the networks that this
/// program has a gateway to. Nothing when it can be published.
std::optional<network_refusal> why_not_publishable(std::string_view code, std::span<const network> available);

template <>
std::optional<network> parse<network>(std::string_view text) noexcept;
template <>
std::span<const network> values_of<network>() noexcept;

} // namespace carillon

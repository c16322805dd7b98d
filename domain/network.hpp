// The social networks Carillon knows (contract §6.2 and the overriding
// decisions): the true code, its label, and what the old client is shown.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
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

template <>
std::optional<network> parse<network>(std::string_view text) noexcept;
template <>
std::span<const network> values_of<network>() noexcept;

} // namespace carillon

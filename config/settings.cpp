#include "config/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <thread>

#include <unistd.h>

namespace carillon::config {

std::size_t caf_settings::threads() const {
  return worker_threads > 0 ? static_cast<std::size_t>(worker_threads) : std::max(2U, std::thread::hardware_concurrency());
}

std::string effective_node_name(const settings& s) {
  if (!s.node.name.empty())
    return s.node.name;
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0)
    return "localhost:" + std::to_string(getpid());
  // Leaves room for the process id within the 60 characters of a node name.
  return std::string{host.data()}.substr(0, 48) + ':' + std::to_string(getpid());
}

std::chrono::milliseconds effective_renew_every(const settings& s) {
  return s.ownership.renew_every.count() > 0 ? s.ownership.renew_every
                                             : s.ownership.lease / 4;
}

std::string token_key_bytes(std::string_view hexadecimal) {
  constexpr std::size_t digits = 64;
  if (hexadecimal.size() != digits)
    return {};
  std::string out;
  for (std::size_t i = 0; i < digits; i += 2) {
    unsigned byte = 0;
    const auto* first = hexadecimal.data() + i;
    const auto [end, error] = std::from_chars(first, first + 2, byte, 16);
    if (error != std::errc{} || end != first + 2)
      return {};
    out += static_cast<char>(byte);
  }
  return out;
}

} // namespace carillon::config

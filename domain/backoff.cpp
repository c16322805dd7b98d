#include "domain/backoff.hpp"

#include <algorithm>

namespace carillon {

std::chrono::milliseconds stepped_delay(std::span<const std::chrono::seconds> steps,
                                        int retry, double jitter, double random) {
  if (steps.empty())
    return std::chrono::milliseconds{0};
  const auto index = std::clamp<std::size_t>(static_cast<std::size_t>(std::max(retry, 0)), 0,
                                             steps.size() - 1);
  const std::chrono::duration<double, std::milli> step = steps[index];
  return std::chrono::duration_cast<std::chrono::milliseconds>(
    step * (1.0 + jitter * (2.0 * random - 1.0)));
}

std::chrono::milliseconds exponential_delay(std::chrono::milliseconds base,
                                            std::chrono::milliseconds cap,
                                            int attempt, double random) {
  const auto shift = std::clamp(attempt, 0, 30);
  const auto full = std::min<std::chrono::milliseconds>(cap, base * (std::int64_t{1} << shift));
  return std::chrono::duration_cast<std::chrono::milliseconds>(full * (0.5 + 0.5 * random));
}

} // namespace carillon

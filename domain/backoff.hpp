// Waits between tries. Pure: randomness comes in as a number.
#pragma once

#include <chrono>
#include <span>

namespace carillon {

/// The fixed steps of publishing (spec §14): `steps[retry]`, the last one
/// repeated, spread by ± `jitter` (0.1 is 10 %). `random` is uniform in
/// [0, 1).
std::chrono::milliseconds stepped_delay(std::span<const std::chrono::seconds> steps,
                                        int retry, double jitter, double random);

/// Exponential backoff for restarts: base · 2^attempt, at most `cap`, with
/// equal jitter: between half of it and all of it.
std::chrono::milliseconds exponential_delay(std::chrono::milliseconds base,
                                            std::chrono::milliseconds cap,
                                            int attempt, double random);

} // namespace carillon

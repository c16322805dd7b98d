#include "domain/lateness_budget.hpp"

namespace carillon {

bool burns(const lateness_promise& promise, std::uint64_t late, std::uint64_t posts) noexcept {
  return static_cast<double>(late) > promise.allowed_share * static_cast<double>(posts);
}

std::optional<lateness_alarm> lateness_budget::accepted(std::chrono::milliseconds lateness, time_point now) {
  const auto minute = std::chrono::floor<std::chrono::minutes>(now.time_since_epoch()).count();
  auto& current = hour_[static_cast<std::size_t>(minute % static_cast<std::int64_t>(hour_.size()))];
  if (current.minute != minute)
    current = {minute, 0, 0};
  ++current.posts;
  if (lateness <= promise_.late_after)
    return std::nullopt;
  ++current.late;
  lateness_alarm out;
  for (const auto& b : hour_) {
    if (b.minute <= minute - static_cast<std::int64_t>(hour_.size()))
      continue;
    out.posts += b.posts;
    out.late += b.late;
  }
  if (!burns(promise_, out.late, out.posts))
    return std::nullopt;
  if (last_alarm_ && now - *last_alarm_ < std::chrono::hours{1})
    return std::nullopt;
  last_alarm_ = now;
  return out;
}

} // namespace carillon

// The state machines of posts and their targets (contract §3.2). Values
// only: the transactions that follow them are in storage.
#pragma once

#include <cstdint>

#include "domain/enums.hpp"
#include "domain/result.hpp"

namespace carillon {

enum class post_event : std::uint8_t {
  submit,
  approve,
  reject,
  edit,     ///< A rejected post becomes a draft again.
  schedule, ///< Also moves one that is scheduled already.
  publish,
  cancel,
  succeed, ///< At least one target is live.
  fail,
};

enum class target_event : std::uint8_t { start, succeed, fail, retry };

/// Total: every pair yields a state or errc::conflict.
result<post_status> transition(post_status from, post_event event);
result<target_status> transition(target_status from, target_event event);

/// Text, targets and media may change.
constexpr bool is_editable(post_status s) noexcept {
  return s == post_status::draft || s == post_status::rejected;
}
constexpr bool is_deletable(post_status s) noexcept {
  return s != post_status::published && s != post_status::publishing;
}
/// By the publish route; a failed post is published again through retry.
constexpr bool is_publishable(post_status s) noexcept {
  return s == post_status::approved || s == post_status::scheduled;
}

} // namespace carillon

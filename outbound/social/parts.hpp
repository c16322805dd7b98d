// A post that is more than one: the parts of a thread, and the first comment.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/ports/social_gateway.hpp"

namespace carillon::outbound {

/// What is published one after the other, each but the first as an answer to
/// the one before.
struct post_parts {
  std::vector<std::string> texts;
  bool ends_with_comment = false;

  bool is_comment(std::size_t part) const noexcept {
    return ends_with_comment && part + 1 == texts.size();
  }
};

/// `limit` and `length` are the network's. A comment that is too long for one
/// post goes on in answers, as a thread does.
post_parts parts_of(const outgoing_post& post, std::size_t limit,
                    const std::function<std::size_t(std::string_view)>& length);

/// The words for `public_post::left_out` when part `part` is the first one
/// that is missing.
std::string left_out_words(const post_parts& parts, std::size_t part, const failure& why);

/// `key` for the first part; the others have keys of their own.
std::string key_of_part(const std::string& key, std::size_t part);

/// True for the audiences that a post may name.
bool is_known_visibility(std::string_view text) noexcept;

} // namespace carillon::outbound

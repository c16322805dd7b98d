// The name of a record, made from what it is to say so that the same post
// always gets the same one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "domain/instant.hpp"

namespace carillon::outbound::bluesky {

/// A TID (https://atproto.com/specs/tid): 13 characters of base32-sortable
/// for a 0 bit, 53 bits of microseconds since 1970 and a clock id of 10 bits.
/// The second is `made_at`'s; the microseconds in it and the clock id are
/// from a hash of `key` and `part`, so two keys of one second collide once in
/// a thousand million.
std::string record_key(instant made_at, std::string_view key, std::size_t part);

bool is_tid(std::string_view text) noexcept;

} // namespace carillon::outbound::bluesky

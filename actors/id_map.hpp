// Tables by id for what is looked up a hundred thousand times a second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <boost/unordered/unordered_flat_map.hpp>

#include "domain/ids.hpp"

namespace carillon {

/// Every version of UUID that we meet is random in its last eight bytes, so
/// hardly any mixing is left to do.
struct id_hash {
  template <class Tag>
  std::size_t operator()(const strong_id<Tag>& id) const noexcept {
    std::uint64_t halves[2];
    std::memcpy(halves, id.value.bytes.data(), sizeof halves);
    return static_cast<std::size_t>(halves[1] ^ (halves[0] * 0x9e3779b97f4a7c15U));
  }
};

/// As two words, not byte by byte.
struct id_equal {
  template <class Tag>
  bool operator()(const strong_id<Tag>& a, const strong_id<Tag>& b) const noexcept {
    std::uint64_t left[2];
    std::uint64_t right[2];
    std::memcpy(left, a.value.bytes.data(), sizeof left);
    std::memcpy(right, b.value.bytes.data(), sizeof right);
    return left[0] == right[0] && left[1] == right[1];
  }
};

/// Pointers to what is in it hold until the next insertion.
template <class Id, class Value>
using id_map = boost::unordered_flat_map<Id, Value, id_hash, id_equal>;

} // namespace carillon

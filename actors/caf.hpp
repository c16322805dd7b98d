// The one place that knows which CAF this is (0.17.6, platform-facts §4):
// actors write `protocol<answers<in...>::with<out...>, accepts<in...>>` and a
// move to CAF 1.x changes this header only.
#pragma once

#include <caf/actor_system.hpp>
#include <caf/all.hpp>

namespace carillon {

template <class... Signatures>
using protocol = caf::typed_actor<Signatures...>;

template <class... Inputs>
using answers = caf::replies_to<Inputs...>;

template <class... Inputs>
using accepts = caf::reacts_to<Inputs...>;

/// Messages that wait for this actor, as far as it has looked at them.
template <class Self>
std::size_t mailbox_depth(Self* self) {
  return self->mailbox().size();
}

} // namespace carillon

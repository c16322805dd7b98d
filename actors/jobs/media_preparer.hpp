#pragma once

#include "actors/engine_context.hpp"
#include "actors/protocol/media_preparer.hpp"

namespace carillon {

/// Of each account one post at a time, of all of them a few. What fails is no
/// failure of the post: its files are uploaded when it is due. What is kept of
/// an upload is in the database alone.
media_preparer_actor spawn_media_preparer(caf::actor_system& system, engine_context_ptr context);

} // namespace carillon

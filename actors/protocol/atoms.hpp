// Every atom of the actor protocols. CAF 0.17 limits their text to ten
// characters.
#pragma once

#include "actors/caf.hpp"

CAF_BEGIN_TYPE_ID_BLOCK(carillon, caf::first_custom_type_id)

CAF_ADD_ATOM(carillon, carillon::atom, run, "run")
CAF_ADD_ATOM(carillon, carillon::atom, done, "done")
CAF_ADD_ATOM(carillon, carillon::atom, idle, "idle")
CAF_ADD_ATOM(carillon, carillon::atom, tick, "tick")
CAF_ADD_ATOM(carillon, carillon::atom, stop, "stop")
CAF_ADD_ATOM(carillon, carillon::atom, restart, "restart")
CAF_ADD_ATOM(carillon, carillon::atom, hint, "hint")
CAF_ADD_ATOM(carillon, carillon::atom, gained, "gained")
CAF_ADD_ATOM(carillon, carillon::atom, lost, "lost")
CAF_ADD_ATOM(carillon, carillon::atom, drain, "drain")
CAF_ADD_ATOM(carillon, carillon::atom, drained, "drained")
CAF_ADD_ATOM(carillon, carillon::atom, job, "job")
CAF_ADD_ATOM(carillon, carillon::atom, conclude, "conclude")
CAF_ADD_ATOM(carillon, carillon::atom, report, "report")
CAF_ADD_ATOM(carillon, carillon::atom, release, "release")
CAF_ADD_ATOM(carillon, carillon::atom, passivate, "passivate")
CAF_ADD_ATOM(carillon, carillon::atom, configure, "configure")
CAF_ADD_ATOM(carillon, carillon::atom, hash, "hash")
CAF_ADD_ATOM(carillon, carillon::atom, verify, "verify")
CAF_ADD_ATOM(carillon, carillon::atom, sweep, "sweep")
CAF_ADD_ATOM(carillon, carillon::atom, controls, "controls")
CAF_ADD_ATOM(carillon, carillon::atom, flush, "flush")
CAF_ADD_ATOM(carillon, carillon::atom, wake, "wake")
CAF_ADD_ATOM(carillon, carillon::atom, subscribe, "subscribe")
CAF_ADD_ATOM(carillon, carillon::atom, leave, "leave")
CAF_ADD_ATOM(carillon, carillon::atom, gone, "gone")
CAF_ADD_ATOM(carillon, carillon::atom, grant, "grant")
CAF_ADD_ATOM(carillon, carillon::atom, live, "live")
CAF_ADD_ATOM(carillon, carillon::atom, peer, "peer")
CAF_ADD_ATOM(carillon, carillon::atom, listen, "listen")
CAF_ADD_ATOM(carillon, carillon::atom, dial, "dial")
CAF_ADD_ATOM(carillon, carillon::atom, resync, "resync")

CAF_END_TYPE_ID_BLOCK(carillon)

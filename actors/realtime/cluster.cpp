#include "actors/realtime/cluster.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "actors/realtime/peer_wire.hpp"
#include "actors/timer.hpp"
#include "domain/backoff.hpp"
#include "domain/node_message.hpp"
#include "domain/ports/ownership_store.hpp"

namespace carillon {

namespace {

using namespace std::chrono_literals;
namespace wire = peer_wire;
using time_point = caf::actor_clock::time_point;

constexpr auto tick_every = 250ms;
constexpr auto look_every = 1s;
/// One that has lost its lease is listed again within two.
constexpr int looks_until_gone = 3;
/// Time for what the hub tells to gather into one message.
constexpr auto linger = 2ms;
constexpr auto dial_patience = 10s;
constexpr auto handshake_patience = 3s;
/// A line that acknowledges nothing for so long is made anew.
constexpr auto ack_patience = 5s;
constexpr auto min_backoff = 100ms;
constexpr auto max_backoff = 1s;
constexpr auto refused_backoff = 10s;
constexpr auto good_bye = 1s;

constexpr std::size_t most_lines = 256;
/// In one message.
constexpr std::size_t message_bytes = 256 * 1024;
/// On the wire without an answer.
constexpr std::size_t window_bytes = 2 * 1024 * 1024;
/// Waiting for one node, on the wire or not.
constexpr std::size_t queue_bytes = 32 * 1024 * 1024;

struct tiding {
  std::shared_ptr<const std::string> text; ///< As encode_tidings makes it.
  time_point told_at{};
  bool gap = false;
  std::uint64_t number = 0; ///< 0: not on the wire.
};

enum class phase : std::uint8_t {
  down,
  dialing,
  greeted,    ///< We called and said hello.
  challenged, ///< We were called and said welcome.
  up,
};

/// To one life of another node.
struct line {
  std::string node;
  std::string instance;
  std::string host;
  std::uint16_t port = 0;
  int unlisted = 0; ///< Looks that did not find it.

  phase at = phase::down;
  time_point since{};
  time_point next_try{};
  int failures = 0;
  cluster_peer peer;
  std::string nonce;
  std::string their_nonce;
  std::string problem; ///< The last one in the log.
  bool ever_up = false;
  bool said_bye = false;

  // What we tell.
  std::string stream;
  std::uint64_t next_number = 1;
  std::deque<tiding> queue;
  std::size_t queued = 0; ///< Bytes.
  std::size_t flying = 0; ///< The first so many are on the wire.
  std::size_t flying_bytes = 0;
  time_point flying_since{};
  bool resumed = false;

  // What we hear.
  std::string their_stream;
  std::uint64_t received = 0;
};

std::string random_text() {
  std::random_device source;
  std::string out;
  for (int i = 0; i < 4; ++i)
    out += std::to_string(source()) + '.';
  return out;
}

struct cluster_state {
  static inline const char* name = "carillon.cluster";

  engine_context_ptr context;
  peer_network_actor network;
  /// Sorts by age: of two, the later one calls.
  std::string instance = to_string(make_uuid_v7());
  std::string endpoint; ///< Empty until we listen.

  std::map<std::string, line> lines; ///< By instance.
  wire::tidings gathered;
  std::size_t gathered_bytes = 0;
  bool flush_comes = false;
  bool has_told = false;
  bool looking = false;
  time_point next_look{};
  std::optional<caf::typed_response_promise<atom::done>> stopping;
  bool stopped = false;

  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t events_sent = 0;
  std::uint64_t events_received = 0;
  std::uint64_t refused = 0;
  std::uint64_t gaps = 0;

  const cluster_settings& settings() const {
    return context->settings.cluster;
  }
};

using self_pointer = cluster_actor::stateful_pointer<cluster_state>;

wire::hello myself(const cluster_state& state, const std::string& nonce) {
  return {wire::protocol, state.settings().name, state.context->settings.node, state.instance, nonce};
}

/// Each side proves that it has the secret, for this conversation only.
std::string proof_of(const cluster_state& state, const char* step, const std::string& caller,
                     const std::string& called, const std::string& callers_nonce, const std::string& calleds_nonce) {
  std::string text = "carillon cluster ";
  for (const auto& part : {std::string{step}, state.settings().name, caller, called, callers_nonce, calleds_nonce})
    text += std::to_string(part.size()) + ':' + part;
  return state.context->cluster_proof(text);
}

/// Their proofs, not they themselves: how far two texts agree is not to be
/// learned from the time this takes.
bool is_same(const cluster_state& state, const std::string& a, const std::string& b) {
  return state.context->cluster_proof(a) == state.context->cluster_proof(b);
}

void send(self_pointer self, const line& l, std::string envelope) {
  self->send(l.peer, std::move(envelope));
}

// -- lines ----------------------------------------------------------------------

void enter(self_pointer self, line& l, phase next) {
  l.at = next;
  l.since = clock_now(self);
}

void mark_gap(cluster_state& state, line& l) {
  ++state.gaps;
  l.queue.clear();
  l.queue.push_back({std::make_shared<const std::string>(wire::encode_tidings({})), {}, true, 0});
  l.queued = l.queue.front().text->size();
  l.flying = 0;
  l.flying_bytes = 0;
}

line* line_of(self_pointer self, const std::string& instance) {
  auto& state = self->state;
  if (const auto i = state.lines.find(instance); i != state.lines.end())
    return &i->second;
  if (state.lines.size() >= most_lines)
    return nullptr;
  auto& l = state.lines[instance];
  l.instance = instance;
  l.stream = to_string(make_uuid_v7());
  l.next_try = clock_now(self);
  // What was told before it came is not in the queue.
  if (state.has_told)
    mark_gap(state, l);
  return &l;
}

line* line_to(cluster_state& state, const caf::strong_actor_ptr& peer) {
  for (auto& [instance, l] : state.lines)
    if (peer && l.peer && l.peer.address() == peer->address())
      return &l;
  return nullptr;
}

void let_go(self_pointer self, line& l, std::chrono::milliseconds pause) {
  if (l.peer)
    self->demonitor(l.peer.address());
  l.peer = nullptr;
  l.resumed = false;
  l.flying = 0;
  l.flying_bytes = 0;
  enter(self, l, phase::down);
  l.next_try = clock_now(self) + pause;
}

void fail(self_pointer self, line& l, const std::string& why) {
  auto& state = self->state;
  if (std::exchange(l.problem, why) != why)
    state.context->log->warn("cluster-peer-not-reached", {{"peer", l.node},
                                                          {"endpoint", l.host + ':' + std::to_string(l.port)},
                                                          {"why", why}});
  let_go(self, l, exponential_delay(min_backoff, max_backoff, l.failures++, 0.5));
}

void refuse(self_pointer self, const std::string& node, const std::string& instance, const std::string& why) {
  auto& state = self->state;
  ++state.refused;
  state.context->log->error("cluster-peer-refused", {{"peer", node}, {"instance", instance}, {"why", why}});
}

void lost(self_pointer self, line& l, const std::string& why) {
  if (l.at == phase::up)
    self->state.context->log->warn("cluster-peer-lost", {{"peer", l.node}, {"why", why}});
  // It may see a line that is well, and only the younger node calls again.
  if (l.peer)
    send(self, l, wire::encode(wire::reset{}));
  l.failures = 0;
  let_go(self, l, min_backoff);
}

// -- what we tell ------------------------------------------------------------------

void pump(self_pointer self, line& l) {
  auto& state = self->state;
  const auto now = clock_now(self);
  while (l.at == phase::up && l.resumed && l.flying < l.queue.size() && l.flying_bytes < window_bytes) {
    auto& next = l.queue[l.flying];
    next.number = l.next_number++;
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(now - next.told_at);
    if (l.flying++ == 0)
      l.flying_since = now;
    l.flying_bytes += next.text->size();
    ++state.messages_sent;
    send(self, l, wire::encode_live(l.stream, next.number, next.gap,
                                    next.told_at == time_point{} ? 0 : static_cast<std::uint64_t>(age.count()),
                                    *next.text));
  }
}

void finish_stop(self_pointer self) {
  auto& state = self->state;
  if (!state.stopping || state.stopped)
    return;
  state.stopped = true;
  state.stopping->deliver(atom::done_v);
}

/// Said to whom everything was told; done when all have answered.
void say_good_bye(self_pointer self) {
  auto& state = self->state;
  if (!state.stopping)
    return;
  bool all = state.gathered_bytes == 0;
  for (auto& [instance, l] : state.lines) {
    if (l.at != phase::up || l.said_bye)
      continue;
    all = false;
    if (l.resumed && l.queue.empty())
      send(self, l, wire::encode(wire::bye{}));
  }
  if (all)
    finish_stop(self);
}

void flush(self_pointer self) {
  auto& state = self->state;
  state.flush_comes = false;
  if (state.gathered_bytes == 0)
    return;
  state.has_told = true;
  const auto text = std::make_shared<const std::string>(wire::encode_tidings(state.gathered));
  state.events_sent += state.gathered.events.size();
  state.gathered = {};
  state.gathered_bytes = 0;
  const auto now = clock_now(self);
  for (auto& [instance, l] : state.lines) {
    l.queue.push_back({text, now, false, 0});
    l.queued += text->size();
    if (l.queued > queue_bytes) {
      state.context->log->warn("cluster-peer-too-slow", {{"peer", l.node}});
      mark_gap(state, l);
    }
    pump(self, l);
  }
}

/// What the hub told and what it would have told is not known any more.
void skip(self_pointer self) {
  auto& state = self->state;
  flush(self);
  state.has_told = true;
  for (auto& [instance, l] : state.lines) {
    mark_gap(state, l);
    pump(self, l);
  }
}

void gather(self_pointer self, std::size_t bytes) {
  auto& state = self->state;
  state.gathered_bytes += bytes;
  if (state.gathered_bytes >= message_bytes) {
    flush(self);
  } else if (!state.flush_comes) {
    state.flush_comes = true;
    self->delayed_send(self, linger, atom::flush_v);
  }
}

void tell(self_pointer self, live_batch& batch) {
  for (auto& event : batch.events) {
    const auto bytes = 32 + event.channel.size() + event.name.size() + event.id.size() + event.data.size();
    self->state.gathered.events.push_back(std::move(event));
    gather(self, bytes);
  }
  for (const auto& user : batch.rights_changed) {
    self->state.gathered.rights_changed.push_back(user);
    gather(self, 16);
  }
}

void tell(self_pointer self, const live_grant& grant) {
  self->state.gathered.grants.push_back(grant);
  gather(self, 64 + grant.socket.size() + grant.channel.size());
}

// -- what we hear -------------------------------------------------------------------

std::string mismatch(const cluster_state& state, const wire::hello& other) {
  if (other.version != wire::protocol)
    return "it speaks version " + std::to_string(other.version) + " of the protocol, this node "
           + std::to_string(wire::protocol);
  if (other.cluster != state.settings().name)
    return "its cluster.name is '" + other.cluster.substr(0, 60) + "', this node's '" + state.settings().name + "'";
  return {};
}

constexpr auto wrong_secret = "its live.app_secret is not this node's";

void come_up(self_pointer self, line& l) {
  enter(self, l, phase::up);
  l.failures = 0;
  l.problem.clear();
  l.ever_up = true;
  l.said_bye = false;
  l.resumed = false;
  self->state.context->log->info("cluster-peer-up", {{"peer", l.node}, {"instance", l.instance}});
  send(self, l, wire::encode(wire::resume{l.their_stream, l.received}));
}

void hear(self_pointer self, const caf::strong_actor_ptr& sender, const wire::hello& m) {
  auto& state = self->state;
  const auto from = caf::actor_cast<cluster_peer>(sender);
  if (const auto why = mismatch(state, m); !why.empty()) {
    refuse(self, m.node, m.instance, why);
    self->send(from, wire::encode(wire::refusal{why}));
    return;
  }
  if (m.instance == state.instance || state.stopping)
    return;
  auto* l = line_of(self, m.instance);
  if (!l)
    return;
  // An earlier line of it is one that it has lost.
  let_go(self, *l, min_backoff);
  if (auto* taken_for_another = line_to(state, sender))
    let_go(self, *taken_for_another, min_backoff);
  l->node = m.node;
  l->peer = from;
  l->their_nonce = m.nonce;
  l->nonce = random_text();
  self->monitor(l->peer);
  enter(self, *l, phase::challenged);
  send(self, *l,
       wire::encode(wire::welcome{myself(state, l->nonce), proof_of(state, "welcome", m.instance, state.instance,
                                                                    m.nonce, l->nonce)}));
}

void refuse_line(self_pointer self, line& l, const std::string& why) {
  refuse(self, l.node, l.instance, why);
  send(self, l, wire::encode(wire::refusal{why}));
  let_go(self, l, refused_backoff);
}

void hear(self_pointer self, line& l, const wire::welcome& m) {
  auto& state = self->state;
  if (l.at != phase::greeted)
    return;
  if (const auto why = mismatch(state, m.who); !why.empty())
    return refuse_line(self, l, why);
  // Another node listens there now; the next look tells which.
  if (m.who.instance != l.instance)
    return fail(self, l, "another node answered");
  l.their_nonce = m.who.nonce;
  if (!is_same(state, m.proof, proof_of(state, "welcome", state.instance, l.instance, l.nonce, l.their_nonce)))
    return refuse_line(self, l, wrong_secret);
  send(self, l,
       wire::encode(wire::confirm{proof_of(state, "confirm", state.instance, l.instance, l.nonce, l.their_nonce)}));
  come_up(self, l);
}

void hear(self_pointer self, line& l, const wire::confirm& m) {
  auto& state = self->state;
  if (l.at != phase::challenged)
    return;
  if (!is_same(state, m.proof, proof_of(state, "confirm", l.instance, state.instance, l.their_nonce, l.nonce)))
    return refuse_line(self, l, wrong_secret);
  come_up(self, l);
}

void hear(self_pointer self, line& l, const wire::resume& m) {
  auto& state = self->state;
  if (l.stream == m.stream) {
    while (!l.queue.empty() && l.queue.front().number != 0 && l.queue.front().number <= m.received) {
      l.queued -= l.queue.front().text->size();
      l.queue.pop_front();
    }
    l.next_number = m.received + 1;
  } else if (l.next_number > 1) {
    // It has forgotten us: what of the last stream it has, nobody knows.
    l.stream = to_string(make_uuid_v7());
    l.next_number = 1;
    mark_gap(state, l);
  }
  for (auto& one : l.queue)
    one.number = 0;
  l.flying = 0;
  l.flying_bytes = 0;
  l.resumed = true;
  pump(self, l);
  say_good_bye(self);
}

void hear(self_pointer self, line& l, wire::live& m) {
  auto& state = self->state;
  if (m.stream != l.their_stream) {
    l.their_stream = m.stream;
    l.received = 0;
  }
  if (m.number > l.received + 1)
    return lost(self, l, "it left something out");
  if (m.number == l.received + 1) {
    l.received = m.number;
    ++state.messages_received;
    state.events_received += m.said.events.size();
    const auto& hub = *state.context->realtime;
    if (m.gap)
      hub.tell(atom::resync_v);
    for (auto& grant : m.said.grants)
      hub.tell(atom::peer_v, std::move(grant));
    if (!m.said.events.empty() || !m.said.rights_changed.empty())
      hub.tell(atom::peer_v, live_batch{std::move(m.said.events), std::move(m.said.rights_changed),
                                        std::chrono::milliseconds{std::min<std::uint64_t>(m.age, 86'400'000)}});
  }
  send(self, l, wire::encode(wire::ack{m.stream, l.received}));
}

void hear(self_pointer self, line& l, const wire::ack& m) {
  if (m.stream != l.stream)
    return;
  while (l.flying > 0 && l.queue.front().number <= m.number) {
    const auto size = l.queue.front().text->size();
    l.queued -= size;
    l.flying_bytes -= size;
    --l.flying;
    l.queue.pop_front();
    l.flying_since = clock_now(self);
  }
  pump(self, l);
  say_good_bye(self);
}

void hear_bye(self_pointer self, line& l) {
  // The answer to our own has no answer.
  if (!std::exchange(l.said_bye, true) && !self->state.stopping)
    send(self, l, wire::encode(wire::bye{}));
  say_good_bye(self);
}

void hear_refusal(self_pointer self, line& l, const wire::refusal& m) {
  const auto why = "refused by it: " + m.why.substr(0, 300);
  if (std::exchange(l.problem, why) != why)
    refuse(self, l.node, l.instance, why);
  let_go(self, l, refused_backoff);
}

template <class Message>
void hear_body(self_pointer self, line& l, const std::string& body) {
  if (auto m = wire::decode<Message>(body))
    hear(self, l, *m);
  else
    lost(self, l, "a message of it is malformed");
}

/// What is not known is a newer node's and passed over.
void hear(self_pointer self, const std::string& envelope) {
  auto& state = self->state;
  const auto sender = self->current_sender();
  const auto message = decode_node_message(envelope);
  if (!sender || !message || message->version != 1)
    return;
  const auto& type = message->type;
  if (type == wire::hello::type) {
    if (const auto m = wire::decode<wire::hello>(message->body))
      hear(self, sender, *m);
    return;
  }
  auto* l = line_to(state, sender);
  const bool is_up = l && l->at == phase::up;
  if (type == wire::welcome::type && l)
    hear_body<wire::welcome>(self, *l, message->body);
  else if (type == wire::confirm::type && l)
    hear_body<wire::confirm>(self, *l, message->body);
  else if (type == wire::refusal::type && l) {
    if (const auto m = wire::decode<wire::refusal>(message->body))
      hear_refusal(self, *l, *m);
  } else if (type == wire::reset::type && l)
    lost(self, *l, "it has lost this node");
  else if (type == wire::live::type && is_up)
    hear_body<wire::live>(self, *l, message->body);
  else if (type == wire::ack::type && is_up)
    hear_body<wire::ack>(self, *l, message->body);
  else if (type == wire::resume::type && is_up)
    hear_body<wire::resume>(self, *l, message->body);
  else if (type == wire::bye::type && is_up)
    hear_bye(self, *l);
  else if (type == wire::live::type || type == wire::ack::type || type == wire::resume::type)
    // Not to those whom we have refused; they know.
    self->send(caf::actor_cast<cluster_peer>(sender), wire::encode(wire::reset{}));
}

// -- finding each other ---------------------------------------------------------------

void dial(self_pointer self, line& l) {
  auto& state = self->state;
  enter(self, l, phase::dialing);
  self->request(state.network, dial_patience, atom::dial_v, l.host, l.port)
    .then(
      [self, instance = l.instance](cluster_peer& peer) {
        auto& state = self->state;
        const auto i = state.lines.find(instance);
        // It may have called meanwhile, or gone.
        if (i == state.lines.end() || i->second.at != phase::dialing)
          return;
        auto& l = i->second;
        l.peer = std::move(peer);
        l.nonce = random_text();
        self->monitor(l.peer);
        enter(self, l, phase::greeted);
        send(self, l, wire::encode(myself(state, l.nonce)));
      },
      [self, instance = l.instance](caf::error& error) {
        const auto i = self->state.lines.find(instance);
        if (i != self->state.lines.end() && i->second.at == phase::dialing)
          fail(self, i->second, self->home_system().render(error));
      });
}

void take_list(self_pointer self, const std::vector<node_endpoint>& all) {
  auto& state = self->state;
  for (auto& [instance, l] : state.lines)
    ++l.unlisted;
  bool are_listed = false;
  for (const auto& one : all) {
    const auto hash = one.endpoint.rfind('#');
    const auto at = parse_peer_address(std::string_view{one.endpoint}.substr(0, hash));
    if (hash == std::string::npos || !at)
      continue;
    const auto instance = one.endpoint.substr(hash + 1);
    if (instance == state.instance) {
      are_listed = true;
      continue;
    }
    if (auto* l = line_of(self, instance)) {
      l->node = one.node;
      l->host = at->host;
      l->port = at->port;
      l->unlisted = 0;
    }
  }
  if (!are_listed)
    state.next_look = clock_now(self) + tick_every;
  for (auto i = state.lines.begin(); i != state.lines.end();) {
    auto& l = i->second;
    if (l.unlisted < looks_until_gone || l.peer || l.at == phase::dialing) {
      ++i;
      continue;
    }
    state.context->log->info("cluster-peer-gone", {{"peer", l.node}, {"instance", l.instance}});
    // What it had committed and not yet told, nobody here knows.
    if (l.ever_up && !l.said_bye)
      state.context->realtime->tell(atom::resync_v);
    i = state.lines.erase(i);
  }
}

void look(self_pointer self) {
  auto& state = self->state;
  state.next_look = clock_now(self) + look_every;
  state.looking = true;
  ask_database<std::vector<node_endpoint>>(
    self, state.context->databases.background, "exchange-endpoints", state.context->settings.database_timeout,
    [node = state.context->settings.node, endpoint = state.endpoint + '#' + state.instance](store& db) {
      return db.ownership().exchange_endpoints(node, endpoint);
    },
    [self](result<std::vector<node_endpoint>> all) {
      self->state.looking = false;
      if (all)
        take_list(self, *all);
      else
        self->state.context->log->warn("cluster-list-not-read", {{"error", all.error().detail}});
    });
}

void tick(self_pointer self) {
  auto& state = self->state;
  self->delayed_send(self, tick_every, atom::tick_v);
  if (state.endpoint.empty() || state.stopping)
    return;
  const auto now = clock_now(self);
  if (!state.looking && state.next_look <= now)
    look(self);
  for (auto& [instance, l] : state.lines) {
    if ((l.at == phase::greeted || l.at == phase::challenged) && l.since + handshake_patience < now)
      fail(self, l, "it does not answer");
    else if (l.at == phase::up && ((l.flying > 0 && l.flying_since + ack_patience < now)
                                   || (!l.resumed && l.since + handshake_patience < now)))
      lost(self, l, "it does not acknowledge");
    else if (l.at == phase::down && l.port != 0 && l.unlisted == 0 && l.next_try <= now
             && state.instance > l.instance)
      dial(self, l);
  }
}

void listen(self_pointer self) {
  auto& state = self->state;
  const auto& settings = state.settings();
  self->request(state.network, dial_patience, atom::listen_v, settings.address, settings.port,
                caf::actor_cast<cluster_peer>(caf::actor_cast<caf::strong_actor_ptr>(self)))
    .then(
      [self](std::uint16_t port) {
        auto& state = self->state;
        const auto& settings = state.settings();
        const bool is_v6 = settings.address.find(':') != std::string::npos;
        state.endpoint = !settings.advertise.empty() ? settings.advertise
                         : (is_v6 ? '[' + settings.address + ']' : settings.address) + ':' + std::to_string(port);
        state.context->log->info("cluster-listening", {{"cluster", settings.name},
                                                       {"endpoint", state.endpoint},
                                                       {"instance", state.instance}});
        look(self);
      },
      [self](caf::error& error) {
        self->state.context->log->error("cluster-not-listening", {{"error", self->home_system().render(error)}});
        self->delayed_send(self, look_every, atom::listen_v);
      });
}

caf::result<atom::done> stop(self_pointer self) {
  auto& state = self->state;
  if (state.stopping)
    return atom::done_v;
  state.stopping = self->make_response_promise<atom::done>();
  self->delayed_send(self, good_bye, atom::stop_v, atom::tick_v);
  flush(self);
  const auto promise = *state.stopping;
  say_good_bye(self);
  return promise;
}

actor_report report(const cluster_state& state) {
  std::size_t up = 0;
  std::size_t queued = 0;
  for (const auto& [instance, l] : state.lines) {
    up += l.at == phase::up ? 1 : 0;
    queued += l.queued;
  }
  return {"cluster",
          state.endpoint.empty() ? "starting" : "running",
          {{"endpoint", state.endpoint},
           {"peers", std::to_string(state.lines.size())},
           {"peers_up", std::to_string(up)},
           {"queued_bytes", std::to_string(queued)},
           {"messages_sent", std::to_string(state.messages_sent)},
           {"messages_received", std::to_string(state.messages_received)},
           {"events_sent", std::to_string(state.events_sent)},
           {"events_received", std::to_string(state.events_received)},
           {"refused", std::to_string(state.refused)},
           {"gaps", std::to_string(state.gaps)}},
          {}};
}

cluster_actor::behavior_type cluster(self_pointer self, engine_context_ptr context, peer_network_actor network) {
  self->state.context = std::move(context);
  self->state.network = std::move(network);
  self->set_down_handler([self](const caf::down_msg& down) {
    for (auto& [instance, l] : self->state.lines)
      if (l.peer && l.peer.address() == down.source)
        lost(self, l, self->home_system().render(down.reason));
  });
  self->send(self, atom::listen_v);
  self->send(self, atom::tick_v);
  return {
    [self](const std::string& envelope) { hear(self, envelope); },
    [self](atom::live, live_batch& batch) { tell(self, batch); },
    [self](atom::grant, const live_grant& grant) { tell(self, grant); },
    [self](atom::stop) { return stop(self); },
    [self](atom::report) { return report(self->state); },
    [self](atom::listen) { listen(self); },
    [self](atom::tick) { tick(self); },
    [self](atom::flush) { flush(self); },
    [self](atom::resync) { skip(self); },
    [self](atom::stop, atom::tick) { finish_stop(self); },
  };
}

} // namespace

std::optional<peer_address> parse_peer_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0)
    return std::nullopt;
  peer_address out;
  const auto digits = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (error != std::errc{} || end != digits.data() + digits.size() || out.port == 0)
    return std::nullopt;
  auto host = text.substr(0, colon);
  if (host.front() == '[') {
    if (host.size() < 4 || host.back() != ']')
      return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return std::nullopt;
  }
  out.host = host;
  return out;
}

cluster_actor spawn_cluster(caf::actor_system& system, engine_context_ptr context, peer_network_actor network) {
  return system.spawn(cluster, std::move(context), std::move(network));
}

} // namespace carillon

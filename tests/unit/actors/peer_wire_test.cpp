// What crosses the wire between nodes comes out as it went in, and nothing
// that comes in does harm.
#include "actors/realtime/peer_wire.hpp"

#include <gtest/gtest.h>

#include "domain/node_message.hpp"

namespace carillon::peer_wire {

namespace {

/// The body, when the envelope is of this type.
std::string body_of(const std::string& envelope, std::string_view type) {
  const auto m = decode_node_message(envelope);
  EXPECT_TRUE(m) << envelope;
  EXPECT_EQ(m->version, 1);
  EXPECT_EQ(m->type, type);
  return m->body;
}

template <class M>
M round_trip(const M& m) {
  auto out = decode<M>(body_of(encode(m), M::type));
  EXPECT_TRUE(out);
  return out.value_or(M{});
}

const std::string any_bytes = std::string("\0 \xff\n1 live ", 11) + "\u05d0\U0001F514";

live full_message() {
  live m{"stream", 7, true, 12'345, {}};
  m.said.events = {{"private-user.x", "notification.new", "id-1", "{\"title\":\"\U0001F514\"}"}, {"c", any_bytes, "", ""}};
  m.said.rights_changed = {user_id::make(), user_id::make()};
  m.said.grants = {{"1.2", "private-user.x", user_id::make(), tenant_id::make(), -9'000'000'000}};
  return m;
}

TEST(PeerWireTest, EveryMessageComesOutAsItWentIn) {
  const hello h{3, "blue", any_bytes, "instance", "nonce"};
  const auto same = [](const hello& a, const hello& b) {
    return a.version == b.version && a.cluster == b.cluster && a.node == b.node && a.instance == b.instance
           && a.nonce == b.nonce;
  };
  EXPECT_TRUE(same(round_trip(h), h));
  const auto w = round_trip(welcome{h, any_bytes});
  EXPECT_TRUE(same(w.who, h));
  EXPECT_EQ(w.proof, any_bytes);
  EXPECT_EQ(round_trip(confirm{"proof"}).proof, "proof");
  const auto r = round_trip(resume{"stream", UINT64_MAX});
  EXPECT_EQ(r.stream, "stream");
  EXPECT_EQ(r.received, UINT64_MAX);
  const auto a = round_trip(ack{"stream", 5});
  EXPECT_EQ(a.stream, "stream");
  EXPECT_EQ(a.number, 5u);
  EXPECT_EQ(round_trip(refusal{any_bytes}).why, any_bytes);
  EXPECT_EQ(body_of(encode(bye{}), "bye"), "");
  EXPECT_EQ(body_of(encode(reset{}), "reset"), "");
}

TEST(PeerWireTest, TidingsComeOutAsTheyWentIn) {
  const auto in = full_message();
  const auto out = round_trip(in);
  EXPECT_EQ(out.stream, in.stream);
  EXPECT_EQ(out.number, in.number);
  EXPECT_TRUE(out.gap);
  EXPECT_EQ(out.age, in.age);
  ASSERT_EQ(out.said.events.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(out.said.events[i].channel, in.said.events[i].channel);
    EXPECT_EQ(out.said.events[i].name, in.said.events[i].name);
    EXPECT_EQ(out.said.events[i].id, in.said.events[i].id);
    EXPECT_EQ(out.said.events[i].data, in.said.events[i].data);
  }
  EXPECT_EQ(out.said.rights_changed, in.said.rights_changed);
  ASSERT_EQ(out.said.grants.size(), 1u);
  const auto& grant = out.said.grants[0];
  EXPECT_EQ(grant.socket, "1.2");
  EXPECT_EQ(grant.channel, "private-user.x");
  EXPECT_EQ(grant.user, in.said.grants[0].user);
  EXPECT_EQ(grant.tenant, in.said.grants[0].tenant);
  EXPECT_EQ(grant.token, -9'000'000'000);
  EXPECT_EQ(encode(in), encode_live(in.stream, in.number, in.gap, in.age, encode_tidings(in.said)));
}

TEST(PeerWireTest, ABodyThatIsCutShortIsNoMessage) {
  const auto body = body_of(encode(full_message()), live::type);
  for (std::size_t n = 0; n < body.size(); ++n)
    ASSERT_FALSE(decode<live>(body.substr(0, n))) << n;
  const auto greeting = body_of(encode(hello{1, "blue", "n1", "i", "x"}), hello::type);
  for (std::size_t n = 0; n < greeting.size(); ++n)
    ASSERT_FALSE(decode<hello>(greeting.substr(0, n))) << n;
}

TEST(PeerWireTest, WhatANewerNodeAddsIsPassedOver) {
  const auto body = body_of(encode(ack{"s", 1}), ack::type) + "and more";
  ASSERT_TRUE(decode<ack>(body));
  EXPECT_EQ(decode<ack>(body)->number, 1u);
}

TEST(PeerWireTest, ACountThatCannotBeTrueIsRefusedBeforeMemoryIsTakenForIt) {
  auto body = body_of(encode(live{"", 1, false, 0, {}}), live::type);
  // The three lists are empty: their counts are the last 24 bytes.
  for (const auto at : {body.size() - 24, body.size() - 16, body.size() - 8}) {
    auto forged = body;
    forged.replace(at, 8, std::string(7, '\xff') + '\x7f');
    EXPECT_FALSE(decode<live>(forged)) << at;
  }
}

} // namespace

} // namespace carillon::peer_wire

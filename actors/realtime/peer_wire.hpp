// What the hubs of the nodes say to each other, as the bodies of
// node_message: the one envelope that crosses the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/live_event.hpp"

namespace carillon::peer_wire {

/// Of what is said, and in which order. Nodes of another one are refused.
inline constexpr std::uint32_t protocol = 1;

/// Who speaks. The first word of the one who calls; its form never changes.
struct hello {
  static constexpr std::string_view type = "hello";
  std::uint32_t version = protocol;
  std::string cluster;
  std::string node;
  std::string instance; ///< One life of the node's cluster actor.
  std::string nonce;
};

/// The answer of the one who is called.
struct welcome {
  static constexpr std::string_view type = "welcome";
  hello who;
  std::string proof;
};

struct confirm {
  static constexpr std::string_view type = "confirm";
  std::string proof;
};

/// Up to where I have heard you.
struct resume {
  static constexpr std::string_view type = "resume";
  std::string stream;
  std::uint64_t received = 0;
};

/// What one or more transactions told, and who may listen where.
struct tidings {
  std::vector<live_event> events;
  std::vector<user_id> rights_changed;
  std::vector<live_grant> grants;
};

struct live {
  static constexpr std::string_view type = "live";
  std::string stream;
  std::uint64_t number = 0; ///< One more than the last one's of the stream.
  bool gap = false;         ///< What came before it is lost in part.
  std::uint64_t age = 0;    ///< In milliseconds.
  tidings said;
};

struct ack {
  static constexpr std::string_view type = "ack";
  std::string stream;
  std::uint64_t number = 0;
};

/// I go for good and have told you everything. Answered by the same.
struct bye {
  static constexpr std::string_view type = "bye";
};

/// I do not know you (any more): begin again.
struct reset {
  static constexpr std::string_view type = "reset";
};

struct refusal {
  static constexpr std::string_view type = "refusal";
  std::string why;
};

/// Whole envelopes.
std::string encode(const hello& m);
std::string encode(const welcome& m);
std::string encode(const confirm& m);
std::string encode(const resume& m);
std::string encode(const live& m);
std::string encode(const ack& m);
std::string encode(const bye& m);
std::string encode(const reset& m);
std::string encode(const refusal& m);

/// The same as encode(live) with `said` encoded before: for many peers once.
std::string encode_tidings(const tidings& said);
std::string encode_live(const std::string& stream, std::uint64_t number, bool gap, std::uint64_t age,
                        std::string_view encoded_tidings);

/// Nothing when the body is cut short or a count cannot be true. What follows
/// the known fields is a newer node's and passed over. Never throws but for
/// memory, and takes no more of it than a small multiple of the body's size.
template <class Message>
std::optional<Message> decode(std::string_view body);

extern template std::optional<hello> decode<hello>(std::string_view);
extern template std::optional<welcome> decode<welcome>(std::string_view);
extern template std::optional<confirm> decode<confirm>(std::string_view);
extern template std::optional<resume> decode<resume>(std::string_view);
extern template std::optional<live> decode<live>(std::string_view);
extern template std::optional<ack> decode<ack>(std::string_view);
extern template std::optional<refusal> decode<refusal>(std::string_view);

} // namespace carillon::peer_wire

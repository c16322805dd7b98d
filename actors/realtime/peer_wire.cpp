#include "actors/realtime/peer_wire.hpp"

#include <algorithm>
#include <type_traits>

#include "domain/node_message.hpp"

namespace carillon::peer_wire {

namespace {

// Numbers are little-endian, of 8 bytes; texts and lists begin with their
// length. Each message names its fields once, for both directions.

template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, hello>
void fields(Codec& c, M& m) {
  c(m.version, m.cluster, m.node, m.instance, m.nonce);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, welcome>
void fields(Codec& c, M& m) {
  c(m.who, m.proof);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, confirm>
void fields(Codec& c, M& m) {
  c(m.proof);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, resume> || std::is_same_v<std::remove_const_t<M>, ack>
void fields(Codec& c, M& m) {
  if constexpr (std::is_same_v<std::remove_const_t<M>, ack>)
    c(m.stream, m.number);
  else
    c(m.stream, m.received);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, tidings>
void fields(Codec& c, M& m) {
  c(m.events, m.rights_changed, m.grants);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, live>
void fields(Codec& c, M& m) {
  c(m.stream, m.number, m.gap, m.age, m.said);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, refusal>
void fields(Codec& c, M& m) {
  c(m.why);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, live_event>
void fields(Codec& c, M& m) {
  c(m.channel, m.name, m.id, m.data);
}
template <class Codec, class M>
  requires std::is_same_v<std::remove_const_t<M>, live_grant>
void fields(Codec& c, M& m) {
  c(m.socket, m.channel, m.user, m.tenant, m.token);
}

class writer {
public:
  template <class... T>
  void operator()(const T&... field) {
    (put(field), ...);
  }
  std::string take() {
    return std::move(out_);
  }

private:
  template <class T>
    requires std::is_integral_v<T>
  void put(T n) {
    const auto bits = static_cast<std::uint64_t>(n);
    for (int shift = 0; shift < 64; shift += 8)
      out_ += static_cast<char>(bits >> shift & 0xff);
  }
  void put(const std::string& text) {
    put(text.size());
    out_ += text;
  }
  template <class Tag>
  void put(const strong_id<Tag>& id) {
    out_.append(reinterpret_cast<const char*>(id.value.bytes.data()), id.value.bytes.size());
  }
  template <class T>
  void put(const std::vector<T>& list) {
    put(list.size());
    for (const auto& one : list)
      put(one);
  }
  template <class T>
    requires std::is_class_v<T>
  void put(const T& message) {
    fields(*this, message);
  }

  std::string out_;
};

class reader {
public:
  explicit reader(std::string_view in) : in_(in) {
  }
  template <class... T>
  void operator()(T&... field) {
    (get(field), ...);
  }
  bool is_whole() const noexcept {
    return ok_;
  }

private:
  bool has(std::uint64_t count) {
    ok_ = ok_ && count <= in_.size();
    return ok_;
  }
  template <class T>
    requires std::is_integral_v<T>
  void get(T& n) {
    if (!has(8))
      return;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 8; ++i)
      bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(in_[i])) << (8 * i);
    in_.remove_prefix(8);
    n = static_cast<T>(bits);
  }
  void get(std::string& text) {
    std::uint64_t size = 0;
    get(size);
    if (!has(size))
      return;
    text = in_.substr(0, size);
    in_.remove_prefix(size);
  }
  template <class Tag>
  void get(strong_id<Tag>& id) {
    if (!has(id.value.bytes.size()))
      return;
    std::copy_n(in_.begin(), id.value.bytes.size(), id.value.bytes.begin());
    in_.remove_prefix(id.value.bytes.size());
  }
  template <class T>
  void get(std::vector<T>& list) {
    std::uint64_t count = 0;
    get(count);
    // Each element takes at least 16 bytes: a count beyond that is a lie.
    if (!has(count > in_.size() / 16 ? in_.size() + 1 : 0))
      return;
    list.reserve(count);
    while (ok_ && list.size() < count)
      get(list.emplace_back());
  }
  template <class T>
    requires std::is_class_v<T>
  void get(T& message) {
    fields(*this, message);
  }

  std::string_view in_;
  bool ok_ = true;
};

template <class M>
std::string enveloped(const M& m) {
  writer out;
  fields(out, m);
  return carillon::encode(node_message{1, std::string{M::type}, out.take()});
}

} // namespace

std::string encode(const hello& m) {
  return enveloped(m);
}
std::string encode(const welcome& m) {
  return enveloped(m);
}
std::string encode(const confirm& m) {
  return enveloped(m);
}
std::string encode(const resume& m) {
  return enveloped(m);
}
std::string encode(const live& m) {
  return enveloped(m);
}
std::string encode(const ack& m) {
  return enveloped(m);
}
std::string encode(const bye&) {
  return carillon::encode(node_message{1, std::string{bye::type}, {}});
}
std::string encode(const reset&) {
  return carillon::encode(node_message{1, std::string{reset::type}, {}});
}
std::string encode(const refusal& m) {
  return enveloped(m);
}

std::string encode_tidings(const tidings& said) {
  writer out;
  fields(out, said);
  return out.take();
}

std::string encode_live(const std::string& stream, std::uint64_t number, bool gap, std::uint64_t age,
                        std::string_view encoded_tidings) {
  writer out;
  out(stream, number, gap, age);
  auto body = out.take();
  body += encoded_tidings;
  return carillon::encode(node_message{1, std::string{live::type}, std::move(body)});
}

template <class Message>
std::optional<Message> decode(std::string_view body) {
  Message out;
  reader in{body};
  fields(in, out);
  if (!in.is_whole())
    return std::nullopt;
  return out;
}

template std::optional<hello> decode<hello>(std::string_view);
template std::optional<welcome> decode<welcome>(std::string_view);
template std::optional<confirm> decode<confirm>(std::string_view);
template std::optional<resume> decode<resume>(std::string_view);
template std::optional<live> decode<live>(std::string_view);
template std::optional<ack> decode<ack>(std::string_view);
template std::optional<refusal> decode<refusal>(std::string_view);

} // namespace carillon::peer_wire

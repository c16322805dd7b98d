// An answer's body that goes out while it is read: for what is more than
// belongs into memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace carillon::http {

/// Asked for its next piece when the one before has been sent, so that a slow
/// client fills no memory. Let go of before its end: the client has gone, or
/// was too slow.
class answer_body {
public:
  /// Once, from any thread. Nothing, or an empty piece: the rest cannot be
  /// had, and the connection closes, which tells the client.
  using piece_taker = std::function<void(std::optional<std::string>)>;

  virtual ~answer_body() = default;

  /// Of all pieces together: the answer's Content-Length.
  virtual std::uint64_t size() const noexcept = 0;

  /// On the connection's strand, so it must not block or throw.
  virtual void next(piece_taker taker) = 0;
};

} // namespace carillon::http

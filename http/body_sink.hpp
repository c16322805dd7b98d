// A request's body while it arrives: for routes that take more than belongs
// into memory.
#pragma once

#include <functional>
#include <string>

namespace carillon::http {

/// Called on the connection's strand, so nothing here may block or throw.
/// Nothing is read from the client before the sink asks for it, so that a
/// slow disk slows the client and fills no memory. Destroyed before finish:
/// the client has gone, was too slow, or has been answered already.
class body_sink {
public:
  /// From any thread, once for each time that it was given.
  using ready = std::function<void()>;

  virtual ~body_sink() = default;

  /// Before the first byte; a client that waits for "100 Continue" gets it
  /// with the first `next`. Answering instead refuses the body unread.
  virtual void begin(ready next) = 0;

  virtual void take(std::string bytes, ready next) = 0;

  /// The body is whole.
  virtual void finish() = 0;
};

} // namespace carillon::http

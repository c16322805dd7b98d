// A request that takes several steps: what a route's `start` is given.
#pragma once

#include "http/route.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace carillon::http {

/// Kept alive by whoever still has a step to do; when the last one lets go
/// without an answer, the client gets 503. Safe from any thread.
class exchange : public std::enable_shared_from_this<exchange> {
public:
  virtual ~exchange() = default;

  virtual const request& req() const noexcept = 0;
  virtual const clock_port& clock() const noexcept = 0;
  virtual logger& log() noexcept = 0;

  /// The first answer counts, later ones are ignored.
  virtual void answer(reply r) = 0;

  /// Answers with problem(f) and logs what is ours to mend.
  virtual void answer(const failure& f) = 0;

  /// Runs `task` on a database worker, then `then` on an actor thread:
  /// without a failure when `task` has run. Neither may throw to be heard:
  /// an exception is answered with 500.
  virtual void on_database(std::string name, std::function<void(store&)> task,
                           std::function<void(std::optional<failure>)> then)
    = 0;

  /// on_database for `body(store&) -> result<T>` and `then(result<T>)`.
  template <class T, class Body, class Then>
  void ask_database(std::string name, Body body, Then then) {
    auto slot = std::make_shared<std::optional<result<T>>>();
    on_database(
      std::move(name),
      [slot, body = std::move(body)](store& db) mutable {
        slot->emplace(body(db));
      },
      [slot, then = std::move(then)](std::optional<failure> f) mutable {
        if (f)
          then(result<T>{std::move(*f)});
        else
          then(std::move(**slot));
      });
  }
};

} // namespace carillon::http

// Callbacks of the outbound thread as values of the test's.
#pragma once

#include <future>
#include <stdexcept>

#include "tests/support/process.hpp"

namespace carillon::test {

/// What `begin(callback)` calls back with; throws when that takes for ever.
template <class T, class Begin>
T wait_for(Begin begin) {
  const auto promise = std::make_shared<std::promise<T>>();
  auto future = promise->get_future();
  begin([promise](T value) { promise->set_value(std::move(value)); });
  if (future.wait_for(patience) != std::future_status::ready)
    throw std::runtime_error{"no callback came"};
  return future.get();
}

} // namespace carillon::test

// The compiled route table: method and path in, route and parameters out.
#pragma once

#include "http/route.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace carillon::http {

struct route_match {
  const route* found = nullptr; ///< Null: see `allowed`.
  std::map<std::string, std::string> path_params;
  /// Methods that the path knows, when `found` is null; none: 404.
  std::vector<std::string> allowed;
};

/// Immutable after construction, so safe from any thread.
class router {
public:
  /// Throws std::invalid_argument when two routes are the same or a pattern
  /// is malformed.
  explicit router(std::vector<route> routes);
  ~router();
  router(router&&) noexcept;
  router& operator=(router&&) noexcept;

  /// A static segment wins over a parameter at the same place; HEAD is
  /// answered by GET; a slash at the end does not matter.
  route_match match(std::string_view method, std::string_view path) const;

private:
  struct node;
  std::vector<route> routes_;
  std::unique_ptr<node> root_;
};

} // namespace carillon::http

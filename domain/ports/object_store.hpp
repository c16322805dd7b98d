// Where uploaded media lie. Implementations live in outbound/object_store/.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "domain/ids.hpp"
#include "domain/result.hpp"

namespace carillon {

/// The key of a workspace's object: what one workspace names, no other can
/// reach. `path` as is_object_path (domain/media_content.hpp) allows.
inline std::string object_key(const tenant_id& tenant, const workspace_id& workspace, std::string_view path) {
  return to_string(tenant) + "/" + to_string(workspace) + "/" + std::string{path};
}

/// The folder of a workspace that holds what was uploaded here: made, named
/// and judged by this program, and its own to remove.
inline constexpr std::string_view upload_folder = "uploads/";

/// One object while it is written, on one thread at a time. Destroyed before
/// commit has succeeded: nothing of it stays.
class object_writer {
public:
  virtual ~object_writer() = default;

  /// Failures: transient (no space, no access).
  virtual result<done> write(std::string_view bytes) = 0;

  /// After it the object is there, whole and lasting. Once.
  virtual result<done> commit() = 0;
};

/// Safe from any thread; every call blocks. A key that is not made of plain
/// segments is refused with invalid_argument.
class object_store {
public:
  virtual ~object_store() = default;

  /// Replaces an object that is there.
  virtual result<std::unique_ptr<object_writer>> create(const std::string& key) = 0;

  /// One that is not there counts as removed.
  virtual result<done> remove(const std::string& key) = 0;

  /// Calls `visit` with the key of each object right below `folder`, a key
  /// with a slash at its end, that was written longer than `age` ago; false
  /// from it ends the visit. It may remove what it is shown. A folder that is
  /// not there has none.
  virtual result<done> visit_old(const std::string& folder, std::chrono::hours age,
                                 const std::function<bool(const std::string& key)>& visit)
    = 0;

  /// A file that this node can read. not_found: there is no such object.
  virtual result<std::string> local_file(const std::string& key) = 0;
};

} // namespace carillon

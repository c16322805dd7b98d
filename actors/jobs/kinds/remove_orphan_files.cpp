#include "actors/jobs/kinds/remove_orphan_files.hpp"

#include <atomic>
#include <optional>
#include <string_view>
#include <utility>

#include "domain/media_content.hpp"
#include "domain/ports/post_store.hpp"

namespace carillon {

namespace {

/// A file is there before its row is: no upload takes so long.
constexpr std::chrono::hours orphan_age{24};
/// Of one transaction: the disk's time is the database connection's, too.
constexpr std::size_t orphan_chunk = 20;

/// A disk that hangs takes one database worker with it, not all.
std::atomic<bool> orphan_removal_runs{false};

/// As uploads name their files; whatever else lies there is somebody else's.
bool is_upload_name(std::string_view name) {
  const auto stem = name.substr(0, name.rfind('.'));
  const auto id = parse_uuid(stem);
  return id && to_string(*id) == stem && media_format_of_path(name);
}

} // namespace

job_outcome remove_orphan_files(store& db, object_store& files, const node_identity& me, const job& work, logger& log,
                                const std::stop_token& stop) {
  if (orphan_removal_runs.exchange(true))
    return {};
  struct turn {
    ~turn() {
      orphan_removal_runs = false;
    }
  } const mine;
  const auto root = object_key(work.tenant, work.workspace, {});
  std::vector<std::string> paths;
  std::optional<failure> failed;
  int removed = 0;
  const auto settle = [&] {
    auto done = db.posts().remove_unnamed_files(me, work, paths, [&](const std::string& path) {
      const auto gone = files.remove(root + path);
      if (!gone)
        log.warn("orphan-file-not-removed", {{"error", gone.error().detail}});
      return bool{gone};
    });
    paths.clear();
    if (done)
      removed += *done;
    else
      failed = std::move(done).error();
    return !failed;
  };
  const auto folder = root + std::string{upload_folder};
  const auto seen = files.visit_old(folder, orphan_age, [&](const std::string& key) {
    if (is_upload_name(std::string_view{key}.substr(folder.size())))
      paths.push_back(key.substr(root.size()));
    return !stop.stop_requested() && (paths.size() < orphan_chunk || settle());
  });
  if (!seen)
    log.warn("orphan-files-not-seen", {{"workspace", to_string(work.workspace)}, {"error", seen.error().detail}});
  if (!failed && stop.stop_requested())
    failed = failure{errc::transient, "it was told to stop", {}, {}};
  else if (!failed && !paths.empty())
    settle();
  if (removed > 0)
    log.info("orphan-files-removed", {{"workspace", to_string(work.workspace)}, {"count", std::to_string(removed)}});
  if (!failed)
    return {};
  // Fenced out: no longer this run's to report.
  if (failed->code == errc::cancelled)
    return {job_report::kind::concluded, {}, {}};
  return {job_report::kind::retry, failed->detail, {}};
}

} // namespace carillon

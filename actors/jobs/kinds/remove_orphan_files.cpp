#include "actors/jobs/kinds/remove_orphan_files.hpp"

#include <optional>
#include <utility>

#include "domain/ports/post_store.hpp"

namespace carillon {

namespace {

/// A file is there before its row is: no upload takes so long.
constexpr std::chrono::hours orphan_age{24};
/// Looked up with one statement.
constexpr std::size_t orphan_chunk = 500;

} // namespace

job_outcome remove_orphan_files(store& db, object_store& files, const node_identity& me, const job& work, logger& log,
                                const std::stop_token& stop) {
  const auto root = object_key(work.tenant, work.workspace, {});
  std::vector<std::string> paths;
  std::optional<failure> failed;
  int removed = 0;
  const auto settle = [&] {
    auto done = db.posts().remove_unnamed_files(me, work, paths, [&](const std::string& path) {
      return files.remove(root + path);
    });
    paths.clear();
    if (done)
      removed += *done;
    else
      failed = std::move(done).error();
    return !failed;
  };
  const auto seen = files.visit_old(root + std::string{upload_folder}, orphan_age, [&](const std::string& key) {
    paths.push_back(key.substr(root.size()));
    return !stop.stop_requested() && (paths.size() < orphan_chunk || settle());
  });
  if (!seen)
    failed = seen.error();
  else if (!failed && stop.stop_requested())
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

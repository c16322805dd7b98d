// Objects as files under one folder of this machine, or of a file system that
// all nodes share.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>

#include "domain/ports/log.hpp"
#include "domain/ports/object_store.hpp"

namespace carillon::outbound {

/// An object is written beside the others and takes its name when it is
/// whole and on the disk, so that a reader never meets half of one. Files of
/// writers that died are removed a day later, by the next start or visit.
class directory_store final : public object_store {
public:
  /// `root` is made when it is first written to.
  directory_store(std::filesystem::path root, logger& log);

  result<std::unique_ptr<object_writer>> create(const std::string& key) override;
  result<done> remove(const std::string& key) override;
  result<done> visit_old(const std::string& folder, std::chrono::hours age,
                         const std::function<bool(const std::string& key)>& visit) override;
  result<std::string> local_file(const std::string& key) override;

private:
  /// Of writers that died a day ago.
  void remove_unfinished();

  std::filesystem::path root_;
  logger& log_;
  std::atomic<std::chrono::steady_clock::time_point> swept_;
};

} // namespace carillon::outbound

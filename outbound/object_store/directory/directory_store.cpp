#include "outbound/object_store/directory/directory_store.hpp"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "domain/media_content.hpp"

namespace carillon::outbound {

namespace {

namespace fs = std::filesystem;

/// Beside the objects, so that a rename stays within one file system. No key
/// reaches it: keys begin with a tenant's id.
constexpr auto unfinished = ".unfinished";
constexpr std::chrono::hours keep_unfinished{24};
constexpr std::chrono::hours sweep_unfinished_every{1};

failure disk_failure(const std::string& what, const fs::path& where, int error) {
  return {errc::transient, what + " " + where.string() + ": " + std::strerror(error), {}, {}};
}

failure disk_failure(const std::string& what, const fs::path& where, const std::error_code& error) {
  return {errc::transient, what + " " + where.string() + ": " + error.message(), {}, {}};
}

std::optional<failure> refuse_key(const std::string& key) {
  if (is_object_path(key) && key.front() != '.')
    return std::nullopt;
  return invalid("key", "The object's name is not allowed.");
}

/// The new name must outlive a power cut too.
void sync_folder(const fs::path& folder) {
  if (const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

class file_writer final : public object_writer {
public:
  file_writer(int fd, fs::path temporary, fs::path final_name)
    : fd_(fd), temporary_(std::move(temporary)), final_name_(std::move(final_name)) {
  }
  file_writer(const file_writer&) = delete;
  file_writer& operator=(const file_writer&) = delete;

  ~file_writer() override {
    if (fd_ >= 0)
      ::close(fd_);
    if (!committed_)
      ::unlink(temporary_.c_str());
  }

  result<done> write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR)
        continue;
      if (written < 0)
        return disk_failure("cannot write", temporary_, errno);
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return done{};
  }

  result<done> commit() override {
    if (::fsync(fd_) != 0)
      return disk_failure("cannot write", temporary_, errno);
    std::error_code error;
    fs::create_directories(final_name_.parent_path(), error);
    if (error)
      return disk_failure("cannot make the folder of", final_name_, error);
    fs::rename(temporary_, final_name_, error);
    if (error)
      return disk_failure("cannot name", final_name_, error);
    committed_ = true;
    sync_folder(final_name_.parent_path());
    return done{};
  }

private:
  int fd_;
  fs::path temporary_;
  fs::path final_name_;
  bool committed_ = false;
};

} // namespace

directory_store::directory_store(fs::path root, logger& log) : root_(fs::absolute(root)), log_(log) {
  remove_unfinished();
}

void directory_store::remove_unfinished() {
  swept_ = std::chrono::steady_clock::now();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{root_ / unfinished, error}) {
    const auto written = entry.last_write_time(error);
    if (error || fs::file_time_type::clock::now() - written < keep_unfinished)
      continue;
    if (fs::remove(entry.path(), error))
      log_.info("unfinished-object-removed", {{"file", entry.path().filename().string()}});
  }
}

result<std::unique_ptr<object_writer>> directory_store::create(const std::string& key) {
  if (auto refused = refuse_key(key))
    return std::move(*refused);
  const auto folder = root_ / unfinished;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    return disk_failure("cannot make", folder, error);
  auto temporary = folder / to_string(make_uuid_v7());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd < 0)
    return disk_failure("cannot make", temporary, errno);
  return std::unique_ptr<object_writer>{std::make_unique<file_writer>(fd, std::move(temporary), root_ / key)};
}

result<done> directory_store::remove(const std::string& key) {
  if (auto refused = refuse_key(key))
    return std::move(*refused);
  if (::unlink((root_ / key).c_str()) != 0 && errno != ENOENT && errno != ENOTDIR)
    return disk_failure("cannot remove", root_ / key, errno);
  return done{};
}

result<done> directory_store::visit_old(const std::string& folder, std::chrono::hours age,
                                        const std::function<bool(const std::string& key)>& visit) {
  if (!folder.ends_with('/'))
    return invalid("key", "A folder's name ends with a slash.");
  const auto name = folder.substr(0, folder.size() - 1);
  if (auto refused = refuse_key(name))
    return std::move(*refused);
  // One visit in a while looks there; there are as many as workspaces.
  if (std::chrono::steady_clock::now() - swept_.load() > sweep_unfinished_every)
    remove_unfinished();
  std::error_code error;
  fs::directory_iterator entries{root_ / name, error};
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory)
    return done{};
  const auto oldest = fs::file_time_type::clock::now() - age;
  for (; !error && entries != fs::directory_iterator{}; entries.increment(error)) {
    // What is gone meanwhile is none of the visit's.
    std::error_code of_entry;
    const auto& entry = *entries;
    if (entry.symlink_status(of_entry).type() != fs::file_type::regular)
      continue;
    const auto written = entry.last_write_time(of_entry);
    if (of_entry || written > oldest)
      continue;
    if (!visit(folder + entry.path().filename().string()))
      return done{};
  }
  if (error)
    return disk_failure("cannot list", root_ / name, error);
  return done{};
}

result<std::string> directory_store::local_file(const std::string& key) {
  if (auto refused = refuse_key(key))
    return std::move(*refused);
  std::error_code error;
  const auto file = root_ / key;
  const auto status = fs::status(file, error);
  if (error && status.type() != fs::file_type::not_found)
    return failure{errc::transient, "the object " + key + " cannot be reached: " + error.message(), {}, {}};
  if (status.type() != fs::file_type::regular)
    return failure{errc::not_found, "there is no object " + key, {}, {}};
  return file.string();
}

} // namespace carillon::outbound

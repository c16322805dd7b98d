#include "http/handlers/posts/media_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "domain/media_content.hpp"
#include "http/answer_body.hpp"
#include "http/byte_range.hpp"

namespace carillon::http::posts {

namespace asio = boost::asio;

namespace {

constexpr std::size_t reader_threads = 2;
/// What one client that reads slowly may hold of memory.
constexpr std::uint64_t piece_size = 64 * 1024;

failure no_such_file(std::string why) {
  return {errc::not_found, std::move(why), {}, {}};
}

/// Open, and closed with the last who needs it.
class opened_file {
public:
  explicit opened_file(int fd) noexcept : fd_(fd) {
  }
  opened_file(opened_file&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
  }
  opened_file(const opened_file&) = delete;
  opened_file& operator=(const opened_file&) = delete;
  opened_file& operator=(opened_file&&) = delete;
  ~opened_file() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  int fd() const noexcept {
    return fd_;
  }

private:
  int fd_;
};

} // namespace

struct media_files::impl {
  impl(std::shared_ptr<object_store> s, std::shared_ptr<const media_links> l, int max, logger& to)
    : store(std::move(s)), links(std::move(l)), max_at_once(max), log(to) {
  }

  /// Counts one more of this tenant's; false when that is one too many.
  bool enter(const tenant_id& tenant) {
    const std::lock_guard lock{mutex};
    auto& of_tenant = running_of[tenant];
    if (running >= max_at_once || of_tenant >= std::max(1, max_at_once / 2)) {
      if (of_tenant == 0)
        running_of.erase(tenant);
      return false;
    }
    ++running;
    ++of_tenant;
    return true;
  }

  void leave(const tenant_id& tenant) {
    const std::lock_guard lock{mutex};
    --running;
    if (--running_of[tenant] == 0)
      running_of.erase(tenant);
  }

  std::shared_ptr<object_store> store;
  const std::shared_ptr<const media_links> links;
  const int max_at_once;
  logger& log;
  std::mutex mutex;
  int running = 0;
  std::map<tenant_id, int> running_of;
  asio::thread_pool threads{reader_threads};
};

namespace {

/// One place among those that are served at once.
class serving_place {
public:
  serving_place(std::shared_ptr<media_files::impl> host, tenant_id tenant)
    : host_(std::move(host)), tenant_(tenant) {
  }
  serving_place(const serving_place&) = delete;
  serving_place& operator=(const serving_place&) = delete;
  ~serving_place() {
    host_->leave(tenant_);
  }
  media_files::impl& host() const noexcept {
    return *host_;
  }

private:
  std::shared_ptr<media_files::impl> host_;
  tenant_id tenant_;
};

using place_ptr = std::shared_ptr<serving_place>;

/// A range of a file, read on the threads piece by piece.
class file_range final : public answer_body, public std::enable_shared_from_this<file_range> {
public:
  file_range(place_ptr place, opened_file file, byte_range range)
    : place_(std::move(place)), file_(std::move(file)), size_(range.count), at_(range.first), left_(range.count) {
  }

  std::uint64_t size() const noexcept override {
    return size_;
  }

  void next(piece_taker taker) override {
    asio::post(place_->host().threads, [self = shared_from_this(), taker = std::move(taker)] {
      std::optional<std::string> piece;
      try {
        piece = self->read();
      } catch (const std::exception& e) {
        self->place_->host().log.warn("media-file-not-read", {{"error", e.what()}});
      }
      taker(std::move(piece));
    });
  }

private:
  std::optional<std::string> read() {
    std::string out(static_cast<std::size_t>(std::min(left_, piece_size)), '\0');
    const auto got = ::pread(file_.fd(), out.data(), out.size(), static_cast<off_t>(at_));
    if (got <= 0) {
      place_->host().log.warn("media-file-not-read",
                              {{"error", got == 0 ? "it is shorter than it was" : std::strerror(errno)}});
      return std::nullopt;
    }
    out.resize(static_cast<std::size_t>(got));
    at_ += out.size();
    left_ -= out.size();
    return out;
  }

  place_ptr place_;
  opened_file file_;
  const std::uint64_t size_;
  std::uint64_t at_;
  std::uint64_t left_;
};

/// Whether a page may show it itself: what no browser runs.
bool is_shown_inline(media_format format) {
  return format != media_format::pdf;
}

std::string name_in(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

/// Of a list of entity tags, or `*`. Ours are strong and plain.
bool names_tag(const std::string& list, const std::string& tag) {
  return list == "*" || list.find(tag) != list.npos;
}

std::vector<std::pair<std::string, std::string>> headers_of(const media_links::valid_link& link, media_format format,
                                                            const std::string& tag, instant now) {
  const auto left = std::chrono::floor<std::chrono::seconds>(link.ends - now).count();
  return {{"Accept-Ranges", "bytes"},
          {"Cache-Control", "private, max-age=" + std::to_string(left) + ", immutable"},
          {"Content-Disposition", std::string{is_shown_inline(format) ? "inline" : "attachment"} + "; filename=\""
                                    + name_in(link.file.path) + "\""},
          {"Content-Security-Policy", "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"},
          {"Cross-Origin-Resource-Policy", "cross-origin"},
          {"ETag", tag},
          {"Referrer-Policy", "no-referrer"}};
}

result<opened_file> open_object(object_store& store, const std::string& key) {
  const auto name = store.local_file(key);
  if (!name)
    return name.error();
  opened_file file{::open(name->c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  if (file.fd() >= 0)
    return file;
  if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR)
    return no_such_file("there is no object " + key);
  return failure{errc::transient, "cannot open the object " + key + ": " + std::strerror(errno), {}, {}};
}

result<reply> answer_with_file(const place_ptr& place, const request& req, const media_links::valid_link& link,
                               media_format format, instant now) {
  auto file = open_object(*place->host().store, object_key(link.file.tenant, link.file.workspace, link.file.path));
  if (!file)
    return std::move(file).error();
  struct stat status {};
  if (::fstat(file->fd(), &status) != 0)
    return failure{errc::transient, std::string{"cannot look at a media file: "} + std::strerror(errno), {}, {}};
  if (!S_ISREG(status.st_mode))
    return no_such_file("it is no file");
  const auto size = static_cast<std::uint64_t>(status.st_size);
  // A path is written once, so its name is a strong validator.
  const auto tag = '"' + name_in(link.file.path) + '"';
  reply out;
  out.content_type = std::string{mime_type_of(format)};
  out.headers = headers_of(link, format, tag, now);
  if (const auto known = req.header("if-none-match"); !known.empty() && names_tag(known, tag)) {
    out.status = 304;
    return out;
  }
  byte_range all{0, size};
  const auto condition = req.header("if-range");
  if (req.method == "GET" && (condition.empty() || condition == tag)) {
    const auto wanted = read_range(req.header("range"), size);
    if (wanted.is_range && !wanted.bytes) {
      reply refused = problem({errc::invalid_argument, "the range is behind the end", {}, {}});
      refused.status = 416;
      refused.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
      return refused;
    }
    if (wanted.bytes) {
      all = *wanted.bytes;
      out.status = 206;
      out.headers.emplace_back("Content-Range", "bytes " + std::to_string(all.first) + "-"
                                                  + std::to_string(all.first + all.count - 1) + "/"
                                                  + std::to_string(size));
    }
  }
  out.streamed = std::make_shared<file_range>(place, std::move(*file), all);
  return out;
}

} // namespace

media_files::media_files(std::shared_ptr<object_store> store, std::shared_ptr<const media_links> links,
                         int max_at_once, logger& log)
  : impl_(std::make_shared<impl>(std::move(store), std::move(links), max_at_once, log)) {
}

media_files::~media_files() {
  // Here, not with the last file: that one may end on one of the threads.
  impl_->threads.join();
}

void media_files::serve(std::shared_ptr<exchange> x) {
  const auto token = x->req().path_params.find("token");
  const auto now = x->clock().now();
  auto link = token == x->req().path_params.end() ? std::nullopt : impl_->links->read(token->second, now);
  const auto format = link ? media_format_of_path(link->file.path) : std::nullopt;
  if (!format || !link->file.path.starts_with(upload_folder))
    return x->answer(no_such_file("the address is not valid"));
  if (!impl_->enter(link->file.tenant))
    return x->answer(failure{errc::transient, "too many files at once", {}, {}});
  auto place = std::make_shared<serving_place>(impl_, link->file.tenant);
  asio::post(impl_->threads, [x = std::move(x), place = std::move(place), link = std::move(*link), format = *format, now] {
    try {
      auto out = answer_with_file(place, x->req(), link, format, now);
      if (out)
        x->answer(std::move(*out));
      else
        x->answer(out.error());
    } catch (const std::exception& e) {
      x->answer(failure{errc::permanent, std::string{"exception: "} + e.what(), {}, {}});
    }
  });
}

} // namespace carillon::http::posts

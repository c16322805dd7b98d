#include "http/sandbox/timeline_file.hpp"

#include "http/route.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

namespace carillon::http::sandbox {

namespace {

/// A post is far shorter; what is longer is no line of ours.
constexpr std::size_t longest_line = 256 * 1024;

std::system_error failed(const std::string& what,
                         const std::filesystem::path& path) {
  return std::system_error{errno, std::system_category(),
                           what + ' ' + path.string()};
}

std::int64_t as_number(instant t) {
  return t.time_since_epoch().count();
}

instant as_instant(std::int64_t microseconds) {
  return instant{std::chrono::microseconds{microseconds}};
}

json to_line(const post& p) {
  json out{{"id", p.id},
           {"account", p.account},
           {"text", p.text},
           {"visibility", to_string(p.seen_by)},
           {"created_us", as_number(p.created_at)},
           {"visible_us", as_number(p.visible_at)}};
  if (p.in_reply_to)
    out["in_reply_to"] = *p.in_reply_to;
  if (!p.idempotency_key.empty())
    out["idempotency_key"] = p.idempotency_key;
  if (!p.media.empty())
    out["media"] = p.media;
  if (p.sensitive)
    out["sensitive"] = true;
  if (!p.spoiler_text.empty())
    out["spoiler_text"] = p.spoiler_text;
  if (!p.language.empty())
    out["language"] = p.language;
  if (!p.record_key.empty()) {
    out["record_key"] = p.record_key;
    out["record"] = p.record;
  }
  return out;
}

/// Throws json::exception for anything but a line of ours.
post from_line(const json& line) {
  post out;
  out.id = line.at("id").get<object_id>();
  out.account = line.at("account").get<std::string>();
  out.text = line.at("text").get<std::string>();
  out.seen_by = parse_audience(line.at("visibility").get<std::string>())
                  .value_or(audience::everyone);
  out.created_at = as_instant(line.at("created_us").get<std::int64_t>());
  out.visible_at = as_instant(line.at("visible_us").get<std::int64_t>());
  if (line.contains("in_reply_to"))
    out.in_reply_to = line["in_reply_to"].get<object_id>();
  out.idempotency_key = line.value("idempotency_key", "");
  out.media = line.value("media", std::vector<object_id>{});
  out.sensitive = line.value("sensitive", false);
  out.spoiler_text = line.value("spoiler_text", "");
  out.language = line.value("language", "");
  out.record_key = line.value("record_key", "");
  out.record = line.value("record", "");
  return out;
}

/// False when it is no line of ours.
bool take(const std::string& text, network& net, instant now) {
  if (text.size() > longest_line)
    return false;
  const auto line = json::parse(text, nullptr, false);
  if (!line.is_object())
    return false;
  try {
    if (line.contains("removed"))
      net.restore_removal(line["removed"].get<object_id>());
    else
      return net.restore(from_line(line), now);
  } catch (const json::exception&) {
    return false;
  }
  return true;
}

std::string render(const json& line) {
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

/// All of it, or false.
bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

} // namespace

timeline_file::timeline_file(std::filesystem::path path, logger& log)
  : path_(std::move(path)), log_(log) {
  if (path_.has_parent_path())
    std::filesystem::create_directories(path_.parent_path());
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0)
    throw failed("cannot open", path_);
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const auto why = failed("another process has", path_);
    ::close(file_);
    throw why;
  }
}

timeline_file::~timeline_file() {
  ::close(file_);
}

void timeline_file::read_into(network& net, instant now) {
  std::ifstream in{path_, std::ios::binary};
  std::uint64_t skipped = 0;
  std::uint64_t end_of_lines = 0;
  std::string line;
  while (std::getline(in, line)) {
    if (in.eof()) {
      log_.warn("sandbox-timeline-cut",
                {{"file", path_.string()},
                 {"bytes", std::to_string(line.size())},
                 {"reason", "the last line was not written to its end"}});
      if (::ftruncate(file_, static_cast<off_t>(end_of_lines)) != 0)
        throw failed("cannot write", path_);
      break;
    }
    end_of_lines += line.size() + 1;
    if (!take(line, net, now))
      ++skipped;
  }
  if (skipped > 0)
    log_.warn("sandbox-timeline-unreadable",
              {{"file", path_.string()},
               {"lines", std::to_string(skipped)},
               {"reason", "they are skipped"}});
  if (const auto counts = net.counts(now); counts.posts > counts.kept)
    rewrite(net, now);
}

/// A copy that takes the place of the old file in one step.
void timeline_file::rewrite(network& net, instant now) {
  auto fresh_path = path_;
  fresh_path += ".new";
  const int fresh
    = ::open(fresh_path.c_str(),
             O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (fresh < 0)
    throw failed("cannot open", fresh_path);
  bool well = ::flock(fresh, LOCK_EX | LOCK_NB) == 0;
  for (const auto& [id, p] : net.all_posts(now)) {
    well = well && write_all(fresh, render(to_line(p)));
    if (p.deleted)
      well = well && write_all(fresh, render({{"removed", id}}));
  }
  well = well && ::rename(fresh_path.c_str(), path_.c_str()) == 0;
  if (!well) {
    const auto why = failed("cannot write", fresh_path);
    ::close(fresh);
    throw why;
  }
  ::close(std::exchange(file_, fresh));
}

void timeline_file::write(std::string line) {
  const auto before = ::lseek(file_, 0, SEEK_END);
  if (write_all(file_, line)) {
    failing_ = false;
    return;
  }
  const auto why = std::system_category().message(errno);
  // Half a line would spoil the next one.
  [[maybe_unused]] const int undone = ::ftruncate(file_, before);
  if (!std::exchange(failing_, true))
    log_.error("sandbox-timeline-not-written",
               {{"file", path_.string()}, {"error", why}});
}

void timeline_file::append(const post& p) {
  write(render(to_line(p)));
}

void timeline_file::append_removal(object_id id) {
  write(render({{"removed", id}}));
}

void timeline_file::clear() {
  if (::ftruncate(file_, 0) != 0)
    log_.error("sandbox-timeline-not-written",
               {{"file", path_.string()},
                {"error", std::system_category().message(errno)}});
}

} // namespace carillon::http::sandbox

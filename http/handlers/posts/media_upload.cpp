#include "http/handlers/posts/media_upload.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include "domain/media_content.hpp"
#include "domain/text.hpp"
#include "http/gates.hpp"
#include "http/handlers/posts/post_access.hpp"
#include "http/handlers/posts/post_json.hpp"
#include "http/multipart.hpp"

namespace carillon::http::posts {

namespace asio = boost::asio;

namespace {

constexpr std::size_t writer_threads = 2;
constexpr std::uint64_t form_overhead = 64 * 1024;
constexpr std::size_t longest_field = 4 * 1024;
constexpr std::size_t longest_alt_text = 500;

failure refused_field(const char* field, std::string reason) {
  return {errc::invalid_argument, reason, {{field, std::move(reason)}}, {}};
}

/// Who uploads, and to which post.
struct admission {
  tenant_id tenant;
  workspace_id workspace;
  post_id post;
  post_actor actor;
};

/// The gates and rights that a `run` route would pass.
result<admission> admit(exchange& x, store& db) {
  const api_settings settings;
  call c{x.req(), db, x.clock(), x.log(), settings, {}, {}, {}};
  if (auto refused = pass_gates(c, access::workspace))
    return std::move(*refused);
  const auto found = load_editable(c);
  if (!found)
    return found.error();
  // add_media decides; this spares who cannot succeed the upload.
  if (found->media.size() >= static_cast<std::size_t>(most_media_per_post)) {
    const auto reason = "A post cannot have more than " + std::to_string(most_media_per_post) + " media.";
    return failure{errc::conflict, reason, {{"media", reason}}, {}};
  }
  return admission{c.who.tenant, c.workspace->id, found->post.id, actor_of(c)};
}

} // namespace

std::uint64_t largest_upload_body() noexcept {
  return static_cast<std::uint64_t>(largest_media_size()) + form_overhead;
}

struct media_uploads::impl {
  impl(std::shared_ptr<object_store> s, upload_options o, logger& l) : store(std::move(s)), options(o), log(l) {
  }

  /// Counts one more of this user's; false when he has, or all together
  /// have, as many as may be.
  bool enter(const user_id& user) {
    const std::lock_guard lock{mutex};
    auto& of_user = running_of[user];
    if (running >= options.max_at_once || of_user >= std::max(1, options.max_at_once / 4)) {
      if (of_user == 0)
        running_of.erase(user);
      return false;
    }
    ++running;
    ++of_user;
    return true;
  }

  void leave(const user_id& user) {
    const std::lock_guard lock{mutex};
    --running;
    if (--running_of[user] == 0)
      running_of.erase(user);
  }

  std::shared_ptr<object_store> store;
  const upload_options options;
  logger& log;
  std::mutex mutex;
  int running = 0;
  std::map<user_id, int> running_of;
  asio::thread_pool threads{writer_threads};
};

namespace {

/// One upload. `begin`, `take` and `finish` come from the connection's
/// strand; the rest happens on the strand of the writers, one step at a time,
/// but for the two steps in the database.
class media_upload final : public body_sink, public std::enable_shared_from_this<media_upload> {
public:
  media_upload(std::shared_ptr<media_uploads::impl> host, std::shared_ptr<exchange> x)
    : host_(std::move(host)), x_(std::move(x)), strand_(asio::make_strand(host_->threads)),
      inspector_(host_->options.max_pixels) {
  }
  media_upload(const media_upload&) = delete;
  media_upload& operator=(const media_upload&) = delete;

  ~media_upload() override {
    if (entered_)
      host_->leave(*entered_);
    // Closing and unlinking touch the disk; this may be an io thread.
    if (writer_)
      asio::post(host_->threads, [host = host_, writer = std::shared_ptr<object_writer>{std::move(writer_)}] {});
  }

  void begin(ready next) override {
    auto self = shared_from_this();
    x_->ask_database<admission>(
      "authorise-upload", [x = x_](store& db) { return admit(*x, db); },
      [self, next = std::move(next)](result<admission> admitted) {
        if (!admitted)
          return self->x_->answer(admitted.error());
        if (!self->host_->enter(admitted->actor.user))
          return self->x_->answer(failure{errc::transient, "too many uploads at once", {}, {}});
        self->entered_ = admitted->actor.user;
        self->admitted_ = std::move(*admitted);
        self->on_strand([self, next] { self->open_form(next); });
      });
  }

  void take(std::string bytes, ready next) override {
    on_strand([self = shared_from_this(), bytes = std::move(bytes), next = std::move(next)] {
      if (self->ended_)
        return;
      if (auto refused = self->form_->feed(bytes))
        return self->refuse(*refused);
      next();
    });
  }

  void finish() override {
    on_strand([self = shared_from_this()] {
      if (self->ended_)
        return;
      if (auto refused = self->conclude())
        self->refuse(*refused);
    });
  }

private:
  /// What `step` throws (no memory) is answered like any other crash.
  template <class Step>
  void on_strand(Step step) {
    asio::post(strand_, [self = shared_from_this(), step = std::move(step)] {
      try {
        step();
      } catch (const std::exception& e) {
        self->refuse({errc::permanent, std::string{"exception: "} + e.what(), {}, {}});
      }
    });
  }

  void refuse(const failure& f) {
    ended_ = true;
    writer_.reset();
    x_->answer(f);
  }

  // -- the form -------------------------------------------------------------------

  void open_form(const ready& next) {
    form_ = multipart_reader::from(x_->req().header("content-type"),
                                   {[this](const part_head& head) { return on_part(head); },
                                    [this](std::string_view bytes) { return on_bytes(bytes); },
                                    [this] { return on_part_end(); }});
    if (!form_)
      return refuse(refused_field("body", "The form has no boundary."));
    next();
  }

  std::optional<failure> on_part(const part_head& head) {
    in_file_ = head.name == "file";
    field_ = head.name;
    value_.clear();
    if (!in_file_)
      return std::nullopt;
    if (has_file_)
      return refused_field("file", "Only one file can be uploaded at a time.");
    if (!head.file_name)
      return refused_field("file", "The file field must be a file.");
    has_file_ = true;
    file_name_ = *head.file_name;
    declared_type_ = head.content_type;
    if (!is_file_name(file_name_))
      return refused_field("file", "The file's name must be a name without a path.");
    return std::nullopt;
  }

  std::optional<failure> on_bytes(std::string_view bytes) {
    if (in_file_)
      return on_file_bytes(bytes);
    value_ += bytes;
    if (value_.size() > longest_field)
      return refused_field("body", "A field of the form is too long.");
    return std::nullopt;
  }

  std::optional<failure> on_part_end() {
    if (!in_file_) {
      if (!is_valid_utf8(value_) || value_.find('\0') != std::string::npos)
        return refused_field("body", "A field of the form is no text.");
      fields_[field_] = std::move(value_);
      return std::nullopt;
    }
    if (auto reason = inspector_.finish())
      return refused_field("file", std::move(*reason));
    return write(unwritten_);
  }

  std::optional<failure> on_file_bytes(std::string_view bytes) {
    size_ += static_cast<std::int64_t>(bytes.size());
    if (auto reason = inspector_.feed(bytes))
      return refused_field("file", std::move(*reason));
    const auto format = inspector_.format();
    if (size_ > (format ? largest_size(*format) : largest_media_size()))
      return refused_field("file", "The file is larger than the "
                                     + std::to_string(format ? largest_size(*format) : largest_media_size())
                                     + " bytes that are allowed for its kind.");
    // Nothing is written before it is known what it is.
    if (!format) {
      unwritten_ += bytes;
      return std::nullopt;
    }
    if (auto failed = write(unwritten_))
      return failed;
    unwritten_.clear();
    return write(bytes);
  }

  std::optional<failure> write(std::string_view bytes) {
    if (!writer_) {
      const auto format = inspector_.format();
      if (!format)
        return refused_field("file", "The file is empty.");
      path_ = std::string{upload_folder} + to_string(make_uuid_v7()) + "." + std::string{extension_of(*format)};
      auto created = host_->store->create(object_key(admitted_->tenant, admitted_->workspace, path_));
      if (!created)
        return std::move(created).error();
      writer_ = std::move(*created);
    }
    if (auto written = writer_->write(bytes); !written)
      return std::move(written).error();
    return std::nullopt;
  }

  // -- the end --------------------------------------------------------------------

  std::string field(const std::string& name) const {
    const auto i = fields_.find(name);
    return i == fields_.end() ? std::string{} : i->second;
  }

  /// What the fields claim, compared with the file.
  result<new_media> describe() const {
    failure bad{errc::invalid_argument, "the form is not valid", {}, {}};
    const auto refuse = [&](const char* name, std::string reason) {
      bad.fields.push_back({name, std::move(reason)});
    };
    new_media out;
    const auto format = *inspector_.format();
    const auto type = parse<media_type>(field("media_type"));
    if (!type)
      refuse("media_type", "The media_type field must be one of image, video, gif and document.");
    else if (!is_allowed(*type, format))
      refuse("file", "The file is " + std::string{mime_type_of(format)} + ", which is not allowed for this media_type.");
    else if (size_ > largest_size(*type))
      refuse("file", "The file is larger than the " + std::to_string(largest_size(*type))
                       + " bytes that are allowed for its kind.");
    if (!may_be_declared_as(format, declared_type_))
      refuse("file", "The file says that it is " + declared_type_.substr(0, 100) + ", but it is "
                       + std::string{mime_type_of(format)} + ".");
    if (!may_be_declared_as(format, field("mime_type")))
      refuse("mime_type", "The file is " + std::string{mime_type_of(format)} + ".");
    if (const auto claimed = field("file_size"); !claimed.empty() && claimed != std::to_string(size_))
      refuse("file_size", "The file has " + std::to_string(size_) + " bytes.");
    const auto name = field("original_filename");
    if (!name.empty() && !is_file_name(name))
      refuse("original_filename", "The original_filename field must be a name without a path.");
    if (const auto alt = field("alt_text"); character_count(alt) > longest_alt_text)
      refuse("alt_text", "The alt_text field must not be longer than 500 characters.");
    else if (!alt.empty())
      out.alt_text = alt;
    if (!bad.fields.empty())
      return bad;
    out.type = *type;
    out.path = path_;
    out.file_name = name.empty() ? file_name_ : name;
    out.size = size_;
    out.mime_type = std::string{mime_type_of(format)};
    out.processing = media_processing_status::completed;
    if (const auto pixels = inspector_.size())
      out.dimensions = json{{"width", pixels->width}, {"height", pixels->height}}.dump();
    return out;
  }

  std::optional<failure> conclude() {
    if (auto broken = form_->finish())
      return broken;
    if (!has_file_)
      return refused_field("file", "The file field is required.");
    auto media = describe();
    if (!media)
      return std::move(media).error();
    if (auto kept = writer_->commit(); !kept)
      return std::move(kept).error();
    writer_.reset();
    ended_ = true;
    auto self = shared_from_this();
    // A long upload outlives a token or a membership: asked again, in the
    // step that uses them.
    x_->ask_database<post_media>(
      "add-uploaded-media",
      [x = x_, media = std::move(*media)](store& db) -> result<post_media> {
        const auto admitted = admit(*x, db);
        if (!admitted)
          return admitted.error();
        return db.posts().add_media(scope::tenant(admitted->tenant), admitted->workspace, admitted->post,
                                    admitted->actor, media);
      },
      [self](result<post_media> added) { self->answer_with(std::move(added)); });
    return std::nullopt;
  }

  void answer_with(result<post_media> added) {
    if (added)
      return x_->answer(created(render(admitted_->post, *added,
                                       {host_->options.links, admitted_->tenant, admitted_->workspace,
                                        x_->req().base_url, x_->clock().now()}),
                                "Media added"));
    // Where the row may be there, so must the file.
    if (added.error().code == errc::outcome_unknown)
      return x_->answer(added.error());
    on_strand([self = shared_from_this(), why = std::move(added).error()] {
      const auto key = object_key(self->admitted_->tenant, self->admitted_->workspace, self->path_);
      if (auto removed = self->host_->store->remove(key); !removed)
        self->host_->log.error("object-not-removed", {{"error", removed.error().detail}});
      self->x_->answer(why);
    });
  }

  std::shared_ptr<media_uploads::impl> host_;
  std::shared_ptr<exchange> x_;
  asio::strand<asio::thread_pool::executor_type> strand_;
  std::optional<admission> admitted_;
  std::optional<multipart_reader> form_;
  media_inspector inspector_;
  std::unique_ptr<object_writer> writer_;
  std::map<std::string, std::string> fields_;
  std::string field_;
  std::string value_;
  std::string file_name_;
  std::string declared_type_;
  std::string path_;
  std::string unwritten_;
  std::int64_t size_ = 0;
  std::optional<user_id> entered_;
  bool in_file_ = false;
  bool has_file_ = false;
  bool ended_ = false;
};

} // namespace

media_uploads::media_uploads(std::shared_ptr<object_store> store, upload_options options, logger& log)
  : impl_(std::make_shared<impl>(std::move(store), options, log)) {
}

media_uploads::~media_uploads() {
  // Here, not with the last upload: that one may end on one of the threads.
  impl_->threads.join();
}

std::shared_ptr<body_sink> media_uploads::open(std::shared_ptr<exchange> x) {
  return std::make_shared<media_upload>(impl_, std::move(x));
}

void media_uploads::remove(const tenant_id& tenant, const workspace_id& workspace, const std::string& path) {
  if (!path.starts_with(upload_folder))
    return;
  asio::post(impl_->threads, [host = impl_.get(), key = object_key(tenant, workspace, path)] {
    if (auto removed = host->store->remove(key); !removed)
      host->log.error("object-not-removed", {{"error", removed.error().detail}});
  });
}

} // namespace carillon::http::posts

#include "outbound/social/bluesky/bluesky_gateway.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "outbound/social/admission.hpp"
#include "outbound/social/bluesky/bluesky_answer.hpp"
#include "outbound/social/bluesky/record_key.hpp"
#include "outbound/social/bluesky/rich_text.hpp"
#include "outbound/social/bluesky/sessions.hpp"
#include "outbound/social/call.hpp"
#include "outbound/social/graphemes.hpp"
#include "outbound/social/parts.hpp"
#include "outbound/social/rate_budgets.hpp"

namespace carillon::outbound {

namespace {

using bluesky_steady = std::chrono::steady_clock;
using nlohmann::json;

constexpr std::string_view post_collection = "app.bsky.feed.post";
constexpr std::size_t most_graphemes = 300;
constexpr std::size_t bytes_per_grapheme = 10; ///< 3,000 bytes for 300.
constexpr std::size_t most_pictures = 4;
constexpr std::size_t most_picture_bytes = 4 * 1024 * 1024;
constexpr std::size_t most_resolved_handles = 20;
constexpr std::int64_t points_per_record = 3;
constexpr std::chrono::milliseconds longest_lookup{3'000};
constexpr std::size_t most_listed_posts = 200;

/// So that one limit holds for both: a text of many bytes counts as longer.
std::size_t bluesky_length(std::string_view text) {
  return std::max(count_graphemes(text), (text.size() + bytes_per_grapheme - 1) / bytes_per_grapheme);
}

post_parts bluesky_parts_of(const outgoing_post& post) {
  return parts_of(post, most_graphemes, bluesky_length);
}

failure bluesky_refusal(std::string words) {
  return {errc::permanent, std::move(words), {}, {}};
}

std::optional<failure> bluesky_refusal_of(const outgoing_media& media) {
  if (media.mime_type.starts_with("image/"))
    return std::nullopt;
  return bluesky_refusal("Only pictures can be published on Bluesky.");
}

std::optional<failure> bluesky_refusal_of(const outgoing_post& post) {
  if (!post.visibility.empty() && post.visibility != "public")
    return bluesky_refusal("Bluesky's posts are public; the visibility \"" + one_line(post.visibility) + "\" is not possible.");
  if (post.media.size() > most_pictures)
    return bluesky_refusal("The post has " + std::to_string(post.media.size()) + " files; Bluesky allows 4.");
  for (const auto& media : post.media)
    if (auto refusal = bluesky_refusal_of(media))
      return refusal;
  if (!post.is_thread && bluesky_length(post.text) > most_graphemes)
    return bluesky_refusal("The text has " + std::to_string(count_graphemes(post.text)) + " characters and "
                           + std::to_string(post.text.size()) + " bytes; Bluesky allows 300 and 3000.");
  return std::nullopt;
}

/// `2026-02-07T10:00:00.123Z`: https://atproto.com/specs/lexicon#datetime.
std::string record_time(instant t) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(t);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(t - seconds).count();
  auto digits = std::to_string(1'000 + milliseconds).substr(1);
  auto out = format_api_time(t); // …+00:00
  out.resize(out.size() - 6);
  return out + "." + digits + "Z";
}

std::string get_record_url(const account_credentials& account, const std::string& key) {
  return account.instance_url + "/xrpc/com.atproto.repo.getRecord?repo=" + percent_encoded(account.platform_account_id)
         + "&collection=" + std::string{post_collection} + "&rkey=" + key;
}

/// What a call needs to speak within a session. Kept alive by the callbacks it
/// waits for; runs on the loop's thread.
class bluesky_caller : public std::enable_shared_from_this<bluesky_caller> {
public:
  bluesky_caller(social_http http, const clock_port& clock, const bluesky_options& options,
                 std::shared_ptr<bluesky::sessions> sessions, std::shared_ptr<rate_budgets> rates,
                 account_credentials account, std::string correlation_id, std::chrono::milliseconds timeout)
    : http_(std::move(http)),
      clock_(clock),
      options_(options),
      sessions_(std::move(sessions)),
      rates_(std::move(rates)),
      account_(std::move(account)),
      correlation_id_(std::move(correlation_id)),
      timeout_(timeout),
      deadline_(bluesky_steady::now() + timeout) {
  }
  virtual ~bluesky_caller() = default;

protected:
  using response_handler = std::function<void(const http_response&)>;

  /// The first step that is still to be done: there is a session.
  virtual void next() = 0;
  virtual void fail(failure f) = 0;

  bool is_late() const {
    return time_left(deadline_) < least_time();
  }

  std::chrono::milliseconds least_time() const {
    return std::max(std::chrono::milliseconds{1}, std::min(options_.least_record_time, timeout_ / 10));
  }

  void log_in() {
    if (is_late())
      return fail(out_of_time("the session"));
    sessions_->ask(account_, time_left(deadline_), [self = shared_from_this()](result<bluesky::session> s) {
      if (!s) {
        // Too many sessions for one account: it is left alone as with posts.
        if (s.error().code == errc::throttled && s.error().retry_after)
          self->rates_->close(self->account_, rate_scope::account, *s.error().retry_after);
        return self->fail(std::move(s).error());
      }
      self->session_ = std::move(*s);
      self->next();
    });
  }

  http_request request(std::string method, std::string_view name_and_query) {
    http_request out;
    out.method = std::move(method);
    out.url = account_.instance_url + "/xrpc/com.atproto." + std::string{name_and_query};
    out.headers = {{"Authorization", "Bearer " + session_.access_token}, {"Accept", "application/json"}};
    if (!correlation_id_.empty())
      out.headers.emplace_back("traceparent", correlation_id_);
    out.timeout = time_left(deadline_);
    return out;
  }

  /// `take` may use this.
  void send(http_request req, rate_scope scope, response_handler take) {
    http_.send(std::move(req), [self = shared_from_this(), scope, take = std::move(take)](const http_response& response) {
      self->rates_->learn(self->account_, scope, response, self->clock_.now());
      if (!bluesky::is_session_refused(response) || self->has_renewed_)
        return take(response);
      // Not carried out, so the same step may be made once more.
      self->has_renewed_ = true;
      self->sessions_->forget_access(self->account_, self->session_.access_token);
      self->log_in();
    });
  }

  /// `take` gets the `blob` as it goes into a record.
  void upload(const outgoing_media& media, std::function<void(json)> take) {
    auto req = request("POST", "repo.uploadBlob");
    req.headers.emplace_back("Content-Type", media.mime_type);
    req.file = body_file{media.path, most_picture_bytes};
    send(std::move(req), rate_scope::uploads, [this, take = std::move(take)](const http_response& response) {
      if (auto f = bluesky::failure_of(response, effect::none, clock_.now()))
        return fail(std::move(*f));
      auto blob = bluesky::read_blob(response);
      if (!blob)
        return fail(std::move(blob).error());
      take(std::move(*blob));
    });
  }

  const social_http http_;
  const clock_port& clock_;
  const bluesky_options options_;
  std::shared_ptr<bluesky::sessions> sessions_;
  std::shared_ptr<rate_budgets> rates_;
  const account_credentials account_;
  const std::string correlation_id_;
  const std::chrono::milliseconds timeout_;
  const bluesky_steady::time_point deadline_;
  rate_budgets::permit permit_;
  bluesky::session session_;
  bool has_renewed_ = false;
};

/// One file, before its post is due.
class bluesky_preparation final : public bluesky_caller {
public:
  bluesky_preparation(const social_http& http, const clock_port& clock, const bluesky_options& options,
                      std::shared_ptr<bluesky::sessions> sessions, std::shared_ptr<rate_budgets> rates,
                      early_upload what, social_gateway::prepare_callback done)
    : bluesky_caller(http, clock, options, std::move(sessions), std::move(rates), what.account, {}, what.timeout),
      what_(std::move(what)),
      done_(std::move(done)) {
  }

  void start() {
    if (auto refusal = bluesky_refusal_of(what_.media))
      return fail(std::move(*refusal));
    auto permit = admit_early(http_, *rates_, what_, {0, 1, 1});
    if (!permit)
      return fail(std::move(permit).error());
    permit_ = std::move(*permit);
    log_in();
  }

private:
  void next() override {
    if (is_late())
      return fail(out_of_time("the upload"));
    upload(what_.media, [this](const json& blob) {
      auto reference = blob.dump(-1, ' ', false, json::error_handler_t::replace);
      if (reference.size() > longest_media_reference || !bluesky::read_reference(reference))
        return fail({errc::permanent, "the PDS names an uploaded file in a way that cannot be kept", {}, {}});
      done_(std::move(reference));
    });
  }

  void fail(failure f) override {
    done_(std::move(f));
  }

  const early_upload what_;
  social_gateway::prepare_callback done_;
};

/// One publish call: session, files, handles, then the records one after the
/// other.
class bluesky_publish final : public bluesky_caller {
public:
  bluesky_publish(const social_http& http, const clock_port& clock, const bluesky_options& options,
                  std::shared_ptr<bluesky::sessions> sessions, std::shared_ptr<rate_budgets> rates, outgoing_post post,
                  social_gateway::publish_callback done)
    : bluesky_caller(http, clock, options, std::move(sessions), std::move(rates), post.account, post.correlation_id,
                     post.timeout),
      post_(std::move(post)),
      done_(std::move(done)) {
  }

  void start() {
    if (auto refusal = bluesky_refusal_of(post_))
      return fail(std::move(*refusal));
    parts_ = bluesky_parts_of(post_);
    for (const auto& text : parts_.texts)
      facets_.push_back(bluesky::find_facets(text));
    auto permit = admit_post(http_, *rates_, post_, cost(), deadline_);
    if (!permit)
      return fail(std::move(permit).error());
    permit_ = std::move(*permit);
    log_in();
  }

private:
  /// Before the first record nothing is public; after it the post is.
  void fail(failure f) override {
    if (part_ == 0)
      return done_(std::move(f));
    first_.left_out = left_out_words(parts_, part_, f);
    done_(std::move(first_));
  }

  /// Of the account three points a record and its uploads, of this address
  /// everything.
  rate_budgets::cost cost() const {
    const auto records = static_cast<std::int64_t>(parts_.texts.size());
    const auto files = std::count_if(post_.media.begin(), post_.media.end(),
                                     [](const outgoing_media& media) { return media.reference.empty(); });
    return {points_per_record * records, files, records + files};
  }

  void next() override {
    if (is_late())
      return fail(out_of_time("the record"));
    if (blobs_.size() < post_.media.size())
      return add_file(post_.media[blobs_.size()]);
    for (const auto& of_part : facets_)
      for (const auto& facet : of_part)
        if (facet.what == bluesky::facet::kind::mention && !handles_.contains(facet.value) && may_look_up())
          return resolve(facet.value);
    put();
  }

  void add_file(const outgoing_media& media) {
    if (auto blob = bluesky::read_reference(media.reference)) {
      was_prepared_ = true;
      blobs_.push_back(std::move(*blob));
      return next();
    }
    upload(media, [this](json blob) {
      blobs_.push_back(std::move(blob));
      next();
    });
  }

  /// The PDS has forgotten a file that was uploaded earlier, or may have: all
  /// are uploaded now.
  void upload_again() {
    was_prepared_ = false;
    blobs_.clear();
    for (auto& media : post_.media)
      media.reference.clear();
    next();
  }

  /// All lookups together get half of the time there was before the first.
  bool may_look_up() {
    const auto now = bluesky_steady::now();
    if (!lookups_end_)
      lookups_end_ = now + (deadline_ - now) / 2;
    return handles_.size() < most_resolved_handles && now < *lookups_end_;
  }

  void resolve(const std::string& handle) {
    resolving_ = handle;
    auto req = request("GET", "identity.resolveHandle?handle=" + percent_encoded(handle));
    req.timeout = std::clamp(req.timeout / 4, std::chrono::milliseconds{1}, longest_lookup);
    send(std::move(req), rate_scope::host, [this](const http_response& response) { take_did(response); });
  }

  void take_did(const http_response& response) {
    auto f = bluesky::failure_of(response, effect::none, clock_.now());
    if (f && bluesky::is_session_refused(response))
      return fail(std::move(*f));
    auto did = f ? result<std::string>{std::move(*f)} : bluesky::read_did(response);
    // Without a DID it stays text: the post matters more than the mark.
    handles_[resolving_] = did ? std::move(*did) : std::string{};
    next();
  }

  json facets_of_part() const {
    json out = json::array();
    for (const auto& facet : facets_[part_]) {
      json feature;
      switch (facet.what) {
        case bluesky::facet::kind::link:
          feature = {{"$type", "app.bsky.richtext.facet#link"}, {"uri", facet.value}};
          break;
        case bluesky::facet::kind::tag:
          feature = {{"$type", "app.bsky.richtext.facet#tag"}, {"tag", facet.value}};
          break;
        case bluesky::facet::kind::mention: {
          const auto known = handles_.find(facet.value);
          if (known == handles_.end() || known->second.empty())
            continue;
          feature = {{"$type", "app.bsky.richtext.facet#mention"}, {"did", known->second}};
          break;
        }
      }
      out.push_back({{"index", {{"byteStart", facet.begin}, {"byteEnd", facet.end}}},
                     {"features", json::array({std::move(feature)})}});
    }
    return out;
  }

  json record() const {
    json out{{"$type", post_collection}, {"text", parts_.texts[part_]}, {"createdAt", record_time(clock_.now())}};
    if (auto facets = facets_of_part(); !facets.empty())
      out["facets"] = std::move(facets);
    const auto reference = [](const bluesky::record_reference& to) {
      return json{{"uri", to.uri}, {"cid", to.cid}};
    };
    if (part_ > 0)
      out["reply"] = {{"root", reference(root_)}, {"parent", reference(last_)}};
    if (part_ == 0 && !blobs_.empty()) {
      json images = json::array();
      for (std::size_t i = 0; i < blobs_.size(); ++i)
        images.push_back({{"image", blobs_[i]}, {"alt", post_.media[i].alt_text}});
      out["embed"] = {{"$type", "app.bsky.embed.images"}, {"images", std::move(images)}};
    }
    return out;
  }

  std::string key() const {
    return bluesky::record_key(post_.made_at, post_.idempotency_key, part_);
  }

  void put() {
    auto req = request("POST", "repo.putRecord");
    req.headers.emplace_back("Content-Type", "application/json");
    req.body = json{{"repo", session_.did},
                    {"collection", post_collection},
                    {"rkey", key()},
                    {"record", record()},
                    {"swapRecord", nullptr}}
                 .dump(-1, ' ', false, json::error_handler_t::replace);
    send(std::move(req), rate_scope::account, [this](const http_response& response) { take_put(response); });
  }

  void take_put(const http_response& response) {
    if (response.answered() && response.status == 400 && bluesky::error_name(response) == "InvalidSwap")
      return ask_for_existing();
    // What the PDS says of a blob that it does not have differs; what it means
    // by anything else comes again.
    if (was_prepared_ && part_ == 0 && response.answered() && (response.status == 400 || response.status == 404)
        && !bluesky::error_name(response).empty() && !bluesky::is_session_refused(response))
      return upload_again();
    if (auto f = bluesky::failure_of(response, effect::publishes, clock_.now()))
      return part_ == 0 ? fail(std::move(*f)) : try_again_or_leave_out(*f);
    auto reference = bluesky::read_put(response);
    if (!reference)
      return fail(std::move(reference).error());
    take_record({std::move(*reference), {}});
  }

  /// An earlier call was here first, or somebody else's record is.
  void ask_for_existing() {
    http_request req;
    req.url = get_record_url(post_.account, key());
    req.headers = {{"Accept", "application/json"}};
    req.timeout = time_left(deadline_);
    http_.send(std::move(req), [this, self = shared_from_this()](const http_response& response) {
      // The record is there, so what goes wrong now leaves open whose it is.
      if (auto f = bluesky::failure_of(response, effect::publishes, clock_.now())) {
        f->code = errc::outcome_unknown;
        return fail(std::move(*f));
      }
      auto found = bluesky::read_record(response);
      if (!found)
        return fail({errc::outcome_unknown, found.error().detail, {}, {}});
      if (found->post.text != normalise_text(parts_.texts[part_]))
        return fail(bluesky_refusal("Another post has this post's record key."));
      take_record(std::move(*found));
    });
  }

  void take_record(bluesky::stored_record record) {
    if (part_ == 0) {
      root_ = record.reference;
      first_.id = root_.uri;
      first_.url = bluesky::web_address(root_.uri);
      first_.text = normalise_text(parts_.texts[0]);
      first_.created_at = record.post.created_at == instant{} ? clock_.now() : record.post.created_at;
    }
    last_ = std::move(record.reference);
    tries_ = 0;
    if (++part_ == parts_.texts.size())
      return done_(std::move(first_));
    next();
  }

  void try_again_or_leave_out(const failure& f) {
    // A repeat is harmless, so also what may have been carried out is tried.
    const auto pause = std::max(options_.answer_pause * (1 << tries_), f.retry_after.value_or(std::chrono::milliseconds{0}));
    const bool may_help = f.code == errc::transient || f.code == errc::throttled || f.code == errc::outcome_unknown;
    if (!may_help || ++tries_ >= 3 || time_left(deadline_) - pause < least_time())
      return fail(f);
    http_.loop().after(pause, [this, self = shared_from_this(), f](bool runs) {
      if (runs)
        next();
      else
        fail(f);
    });
  }

  outgoing_post post_;
  social_gateway::publish_callback done_;
  post_parts parts_;
  std::vector<std::vector<bluesky::facet>> facets_; ///< By part.
  std::vector<json> blobs_;
  bool was_prepared_ = false; ///< One of them, earlier.
  std::string resolving_;
  std::map<std::string, std::string> handles_; ///< To DIDs; empty: not found.
  std::optional<bluesky_steady::time_point> lookups_end_;
  bluesky::record_reference root_;
  bluesky::record_reference last_;
  public_post first_;
  std::size_t part_ = 0;
  int tries_ = 0;
};

/// Reads a post's records, the first one and those that follow it.
class bluesky_search : public std::enable_shared_from_this<bluesky_search> {
public:
  bluesky_search(const social_http& http, const clock_port& clock, outgoing_post post, std::chrono::milliseconds timeout,
                 social_gateway::list_callback done)
    : http_(http),
      clock_(clock),
      post_(std::move(post)),
      parts_(bluesky_parts_of(post_)),
      done_(std::move(done)),
      deadline_(bluesky_steady::now() + timeout) {
  }

  void next() {
    if (time_left(deadline_) <= std::chrono::milliseconds{0})
      return done_(out_of_time("the record was read"));
    http_request req;
    req.url = get_record_url(post_.account, bluesky::record_key(post_.made_at, post_.idempotency_key, part_));
    req.headers = {{"Accept", "application/json"}};
    req.timeout = time_left(deadline_);
    http_.send(std::move(req), [self = shared_from_this()](const http_response& response) { self->take(response); });
  }

private:
  void take(const http_response& response) {
    if (bluesky::is_record_missing(response))
      return missing();
    if (auto f = bluesky::failure_of(response, effect::none, clock_.now()))
      return done_(std::move(*f));
    auto found = bluesky::read_record(response);
    if (!found)
      return done_(std::move(found).error());
    if (found->post.text != normalise_text(parts_.texts[part_]))
      return missing();
    if (part_ == 0)
      first_ = std::move(found->post);
    if (++part_ == parts_.texts.size())
      return done_(std::vector<public_post>{first_});
    next();
  }

  void missing() {
    if (part_ == 0)
      return done_(std::vector<public_post>{});
    first_.left_out = left_out_words(parts_, part_, {errc::permanent, "the call was interrupted before it", {}, {}});
    done_(std::vector<public_post>{first_});
  }

  const social_http http_;
  const clock_port& clock_;
  outgoing_post post_;
  post_parts parts_;
  social_gateway::list_callback done_;
  bluesky_steady::time_point deadline_;
  public_post first_;
  std::size_t part_ = 0;
};

class bluesky_listing : public std::enable_shared_from_this<bluesky_listing> {
public:
  bluesky_listing(const social_http& http, const clock_port& clock, account_credentials account, instant since,
                  std::chrono::milliseconds timeout, social_gateway::list_callback done)
    : http_(http),
      clock_(clock),
      account_(std::move(account)),
      since_(since),
      done_(std::move(done)),
      deadline_(bluesky_steady::now() + timeout) {
  }

  void next() {
    if (time_left(deadline_) <= std::chrono::milliseconds{0})
      return done_(out_of_time("the list was read"));
    http_request req;
    req.url = account_.instance_url + "/xrpc/com.atproto.repo.listRecords?repo="
              + percent_encoded(account_.platform_account_id) + "&collection=" + std::string{post_collection} + "&limit=100";
    if (!cursor_.empty())
      req.url += "&cursor=" + percent_encoded(cursor_);
    req.headers = {{"Accept", "application/json"}};
    req.timeout = time_left(deadline_);
    http_.send(std::move(req), [self = shared_from_this()](const http_response& response) { self->take(response); });
  }

private:
  void take(const http_response& response) {
    if (auto f = bluesky::failure_of(response, effect::none, clock_.now()))
      return done_(std::move(*f));
    auto page = bluesky::read_page(response);
    if (!page)
      return done_(std::move(page).error());
    const bool more = !page->posts.empty() && !page->cursor.empty() && page->cursor != cursor_
                      && page->posts.back().created_at >= since_;
    cursor_ = std::move(page->cursor);
    std::move(page->posts.begin(), page->posts.end(), std::back_inserter(posts_));
    if (more && posts_.size() < most_listed_posts)
      return next();
    done_(std::move(posts_));
  }

  const social_http http_;
  const clock_port& clock_;
  account_credentials account_;
  instant since_;
  social_gateway::list_callback done_;
  bluesky_steady::time_point deadline_;
  std::string cursor_;
  std::vector<public_post> posts_;
};

} // namespace

bluesky_gateway::bluesky_gateway(http_client& http, const clock_port& clock, bluesky_options options,
                                 std::shared_ptr<host_circuits> circuits, http_client* uploads)
  : http_(http, std::move(circuits), uploads),
    clock_(clock),
    options_(options),
    sessions_(std::make_shared<bluesky::sessions>(http_, clock)),
    rates_(std::make_shared<rate_budgets>()) {
}

bluesky_gateway::~bluesky_gateway() = default;

account_rates bluesky_gateway::take_learned_rates(const account_credentials& account) {
  return rates_->take_learned_rates(account);
}

void bluesky_gateway::prepare_media(early_upload what, prepare_callback done) {
  auto call = std::make_shared<bluesky_preparation>(http_, clock_, options_, sessions_, rates_, std::move(what), std::move(done));
  http_.loop().after(std::chrono::milliseconds{0}, [call](bool) { call->start(); });
}

void bluesky_gateway::publish(outgoing_post post, publish_callback done) {
  auto call = std::make_shared<bluesky_publish>(http_, clock_, options_, sessions_, rates_, std::move(post), std::move(done));
  http_.loop().after(std::chrono::milliseconds{0}, [call](bool) { call->start(); });
}

void bluesky_gateway::list_recent(account_credentials account, instant since, std::chrono::milliseconds timeout,
                                  list_callback done) {
  auto call = std::make_shared<bluesky_listing>(http_, clock_, std::move(account), since, timeout, std::move(done));
  http_.loop().after(std::chrono::milliseconds{0}, [call](bool) { call->next(); });
}

void bluesky_gateway::find_published(outgoing_post post, instant, std::chrono::milliseconds timeout,
                                     list_callback done) {
  auto call = std::make_shared<bluesky_search>(http_, clock_, std::move(post), timeout, std::move(done));
  http_.loop().after(std::chrono::milliseconds{0}, [call](bool) { call->next(); });
}

} // namespace carillon::outbound

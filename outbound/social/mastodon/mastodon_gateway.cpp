#include "outbound/social/mastodon/mastodon_gateway.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "domain/text.hpp"
#include "outbound/social/admission.hpp"
#include "outbound/social/call.hpp"
#include "outbound/social/graphemes.hpp"
#include "outbound/social/mastodon/limits_cache.hpp"
#include "outbound/social/mastodon/mastodon_answer.hpp"
#include "outbound/social/parts.hpp"
#include "outbound/social/rate_budgets.hpp"

namespace carillon::outbound {

namespace {

using mastodon_steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// The most posts that one listing reads.
constexpr std::size_t most_posts = 200;
constexpr int page_size = 40;

http_request request_for(const account_credentials& account,
                         std::string method, std::string_view path) {
  http_request out;
  out.method = std::move(method);
  out.url = account.instance_url;
  out.url += path;
  out.headers = {{"Authorization", "Bearer " + account.access_token},
                 {"Accept", "application/json"}};
  return out;
}

// -- publishing ---------------------------------------------------------------

/// Parts must fit also where code points are counted, which are never fewer.
post_parts parts_within(const outgoing_post& post, const mastodon::instance_limits& limits) {
  return parts_of(post, limits.characters, [per_url = limits.characters_per_url](std::string_view text) {
    return mastodon::text_length(text, per_url, character_count);
  });
}

bool needs_limits(const outgoing_post& post) {
  const mastodon::instance_limits usual;
  return post.is_thread || character_count(post.text) > usual.characters
         || character_count(post.first_comment) > usual.characters || post.media.size() > usual.files;
}

/// A thread that is begun shall have calls left for its end. Divided by the
/// usual limits: the instance's own are rarely less.
rate_budgets::cost cost_of(const outgoing_post& post) {
  const auto files = std::count_if(post.media.begin(), post.media.end(),
                                   [](const outgoing_media& media) { return media.reference.empty(); });
  return {static_cast<std::int64_t>(parts_within(post, {}).texts.size()) + files, files, 0};
}

/// What the instance would refuse, before anything is sent.
std::optional<failure> exceeds(const outgoing_post& post, const mastodon::instance_limits& limits) {
  if (!limits.is_known)
    return std::nullopt;
  const auto refuse = [](std::string words) {
    return failure{errc::permanent, std::move(words), {}, {}};
  };
  if (post.media.size() > limits.files)
    return refuse("The post has " + std::to_string(post.media.size()) + " files; this server allows "
                  + std::to_string(limits.files) + ".");
  const auto length = mastodon::text_length(post.text, limits.characters_per_url, count_graphemes);
  if (!post.is_thread && length > limits.characters)
    return refuse("The text has " + std::to_string(length) + " characters; this server allows "
                  + std::to_string(limits.characters) + ".");
  return std::nullopt;
}

/// Lets a call begin on the loop's thread, where all of it then happens.
template <class Call>
void begin(const social_http& http, std::shared_ptr<Call> call) {
  http.loop().after(milliseconds{0}, [call](bool) { call->next(); });
}

/// Who calls, for whom and until when.
struct mastodon_caller {
  social_http http;
  const clock_port& clock;
  const mastodon_options options;
  std::shared_ptr<rate_budgets> rates;
  account_credentials account;
  std::string correlation_id;
  milliseconds timeout;
  mastodon_steady::time_point deadline = mastodon_steady::now() + timeout;

  http_request request(std::string method, std::string_view path) const {
    auto out = request_for(account, std::move(method), path);
    if (!correlation_id.empty())
      out.headers.emplace_back("traceparent", correlation_id);
    out.timeout = time_left(deadline);
    return out;
  }

  milliseconds least_time() const {
    return std::max(milliseconds{1}, std::min(options.least_status_time, timeout / 10));
  }

  /// `done(f)`, unless it was not the API that refused: then the token is asked
  /// for. `done` keeps this alive.
  void settle(const http_response& response, failure f, std::function<void(failure)> done) const {
    if (!mastodon::is_refusal_by_something_else(response) || time_left(deadline) <= milliseconds{0})
      return done(std::move(f));
    http.send(request("GET", "/api/v1/accounts/verify_credentials"),
              [f = std::move(f), status = response.status, done = std::move(done)](const http_response& answer) {
                if (answer.answered() && (answer.status == 401 || answer.status == 403))
                  return done(f);
                const bool token_is_good = answer.answered() && answer.status == 200 && mastodon::read_account(answer);
                done({token_is_good && status == 403 ? errc::permanent : errc::transient,
                      f.detail + ", but the token is not refused", {}, {}});
              });
  }
};

/// One file: uploaded, then waited for until a status can show it. Kept alive
/// by the callbacks it waits for.
class upload_call : public std::enable_shared_from_this<upload_call> {
public:
  /// `done` runs on the loop's thread with the attachment's id.
  upload_call(mastodon_caller by, const outgoing_media& media, social_gateway::prepare_callback done)
    : by_(std::move(by)), media_(media), done_(std::move(done)) {
  }

  void next() {
    if (time_left(by_.deadline) < by_.least_time())
      return done_(out_of_time("the upload"));
    auto req = by_.request("POST", "/api/v2/media");
    req.form.push_back({"file", {}, media_.path, file_name_of(media_.path), media_.mime_type});
    if (!media_.alt_text.empty())
      req.form.push_back({"description", media_.alt_text, {}, {}, {}});
    by_.http.send(std::move(req), [self = shared_from_this()](const http_response& response) {
      self->take(response, rate_scope::uploads);
    });
  }

  /// Held as long as the call runs.
  rate_budgets::permit permit;

private:
  void take(const http_response& response, rate_scope scope) {
    by_.rates->learn(by_.account, scope, response, by_.clock.now());
    if (auto f = mastodon::failure_of(response, effect::none, by_.clock.now()))
      return by_.settle(response, std::move(*f), [self = shared_from_this()](failure why) { self->done_(std::move(why)); });
    auto media = mastodon::read_media(response);
    if (!media)
      return done_(std::move(media).error());
    if (media->ready)
      return done_(std::move(media->id));
    if (time_left(by_.deadline) - poll_ < by_.least_time())
      return done_(out_of_time("the upload was ready"));
    by_.http.loop().after(poll_, [self = shared_from_this(), id = media->id](bool runs) {
      if (runs)
        self->ask(id);
      else
        self->done_(failure{errc::transient, "the program stops", {}, {}});
    });
    poll_ = std::min(poll_ * 2, milliseconds{5'000});
  }

  void ask(const std::string& id) {
    by_.http.send(by_.request("GET", "/api/v1/media/" + percent_encoded(id)),
                  [self = shared_from_this()](const http_response& response) {
                    self->take(response, rate_scope::account);
                  });
  }

  const mastodon_caller by_;
  const outgoing_media media_;
  social_gateway::prepare_callback done_;
  milliseconds poll_ = by_.options.media_poll;
};

/// One publish call: limits when they matter, uploads one file after the
/// other, the status, and then what answers it. Kept alive by the callbacks
/// it waits for.
class publish_call : public std::enable_shared_from_this<publish_call> {
public:
  publish_call(mastodon_caller by, std::shared_ptr<mastodon::limits_cache> limits, outgoing_post post,
               social_gateway::publish_callback done)
    : by_(std::move(by)), limits_(std::move(limits)), post_(std::move(post)), done_(std::move(done)) {
  }

  void next() {
    if (parts_.texts.empty())
      divide();
    else if (media_ids_.size() < post_.media.size())
      add_file(post_.media[media_ids_.size()]);
    else
      send_status();
  }

private:
  void fail(failure f) {
    done_(std::move(f));
  }

  void divide() {
    if (!post_.visibility.empty() && !is_known_visibility(post_.visibility))
      return fail({errc::permanent, "The visibility \"" + one_line(post_.visibility) + "\" is not known.", {}, {}});
    auto permit = admit_post(by_.http, *by_.rates, post_, cost_of(post_), by_.deadline);
    if (!permit)
      return fail(std::move(permit).error());
    permit_ = std::move(*permit);
    if (!needs_limits(post_))
      return divide_by({});
    limits_->ask(by_.http, post_.account, time_left(by_.deadline),
                 [self = shared_from_this()](result<mastodon::instance_limits> limits) {
                   // Guessed limits could divide the text otherwise than the
                   // read-back will.
                   if (!limits)
                     return self->fail(std::move(limits).error());
                   self->divide_by(*limits);
                 });
  }

  void divide_by(const mastodon::instance_limits& limits) {
    if (auto refusal = exceeds(post_, limits))
      return fail(std::move(*refusal));
    parts_ = parts_within(post_, limits);
    next();
  }

  void settle(const http_response& response, failure f) {
    by_.settle(response, std::move(f), [self = shared_from_this()](failure why) { self->fail(std::move(why)); });
  }

  void add_file(const outgoing_media& media) {
    if (is_plain_id(media.reference)) {
      was_prepared_ = true;
      media_ids_.push_back(media.reference);
      return next();
    }
    std::make_shared<upload_call>(by_, media, [self = shared_from_this()](result<std::string> id) {
      if (!id)
        return self->fail(std::move(id).error());
      self->media_ids_.push_back(std::move(*id));
      self->next();
    })->next();
  }

  /// The server has forgotten a file that was uploaded earlier, or may have:
  /// all are uploaded now, and nothing but a second refusal comes of it if it
  /// had another reason. Only for a status that was certainly refused.
  void upload_again() {
    was_prepared_ = false;
    media_ids_.clear();
    for (auto& media : post_.media)
      media.reference.clear();
    next();
  }

  http_request status_request() {
    auto req = by_.request("POST", "/api/v1/statuses");
    req.headers.emplace_back("Content-Type", "application/json");
    if (!post_.idempotency_key.empty())
      req.headers.emplace_back("Idempotency-Key", key_of_part(post_.idempotency_key, part_));
    nlohmann::json body{{"status", parts_.texts[part_]}};
    if (!post_.visibility.empty())
      body["visibility"] = post_.visibility;
    if (part_ > 0)
      body["in_reply_to_id"] = last_id_;
    else if (!media_ids_.empty())
      body["media_ids"] = media_ids_;
    req.body = body.dump(-1, ' ', false,
                         nlohmann::json::error_handler_t::replace);
    return req;
  }

  void send_status() {
    if (time_left(by_.deadline) < by_.least_time())
      return part_ == 0 ? fail(out_of_time("the status")) : leave_out(out_of_time("it was sent"));
    by_.http.send(status_request(), [self = shared_from_this()](auto response) {
      self->take_status(response);
    });
  }

  void take_status(const http_response& response) {
    const auto now = by_.clock.now();
    by_.rates->learn(post_.account, rate_scope::account, response, now);
    auto f = mastodon::failure_of(response, effect::publishes, now);
    auto post = f ? result<public_post>{*f} : mastodon::read_published(response, now);
    if (part_ == 0) {
      if (was_prepared_ && mastodon::may_miss_media(response))
        return upload_again();
      if (f)
        return settle(response, std::move(*f));
      if (!post)
        return done_(std::move(post));
      first_ = *post;
      look_for_files(response);
    } else if (!post) {
      return try_again_or_leave_out(post.error());
    }
    if (is_of_another_division(*post)) {
      first_.left_out = "An earlier attempt had divided the text otherwise; what follows its part "
                        + std::to_string(part_ + 1) + " may be missing.";
      return done_(std::move(first_));
    }
    last_id_ = post->id;
    tries_ = 0;
    if (++part_ == parts_.texts.size())
      return done_(std::move(first_));
    send_status();
  }

  /// Some servers publish a status without the files that they do not know.
  void look_for_files(const http_response& response) {
    const auto shown = mastodon::count_attachments(response);
    if (was_prepared_ && shown && *shown < media_ids_.size())
      first_.left_out = "The server published the post without " + std::to_string(media_ids_.size() - *shown) + " of its "
                        + std::to_string(media_ids_.size()) + " files.";
  }

  /// True for the status that an earlier call with this key made of the same
  /// text when the server's limits were others: to go on would lose what lies
  /// between the two ends, or double it. A text that the server merely shows
  /// in its own way does not begin what is left to publish.
  bool is_of_another_division(const public_post& post) const {
    if (post.text.empty() || (!post_.is_thread && parts_.texts.size() == 1)
        || post.text == normalise_text(parts_.texts[part_]))
      return false;
    std::string rest;
    for (auto part = part_; part < parts_.texts.size(); ++part)
      rest += parts_.texts[part] + ' ';
    return normalise_text(rest).starts_with(post.text);
  }

  /// Only what was certainly not carried out may be sent again.
  void try_again_or_leave_out(const failure& f) {
    const auto pause = std::max(by_.options.answer_pause * (1 << tries_), f.retry_after.value_or(milliseconds{0}));
    const bool was_not_sent = f.code == errc::transient || f.code == errc::throttled;
    if (!was_not_sent || ++tries_ >= 3 || time_left(by_.deadline) - pause < by_.least_time())
      return leave_out(f);
    by_.http.loop().after(pause, [self = shared_from_this(), f](bool runs) {
      if (runs)
        self->send_status();
      else
        self->leave_out(f);
    });
  }

  void leave_out(const failure& f) {
    first_.left_out += (first_.left_out.empty() ? "" : " ") + left_out_words(parts_, part_, f);
    done_(std::move(first_));
  }

  const mastodon_caller by_;
  std::shared_ptr<mastodon::limits_cache> limits_;
  outgoing_post post_;
  social_gateway::publish_callback done_;
  rate_budgets::permit permit_;
  post_parts parts_;
  std::vector<std::string> media_ids_;
  bool was_prepared_ = false; ///< One of them, earlier.
  public_post first_;
  std::string last_id_;
  std::size_t part_ = 0;
  int tries_ = 0;
};

// -- reading back ---------------------------------------------------------------

class list_call : public std::enable_shared_from_this<list_call> {
public:
  list_call(const social_http& http, const clock_port& clock,
            std::shared_ptr<rate_budgets> rates, account_credentials account, instant since, milliseconds timeout,
            social_gateway::list_callback done)
    : http_(http),
      clock_(clock),
      rates_(std::move(rates)),
      account_(std::move(account)),
      since_(since),
      done_(std::move(done)),
      deadline_(mastodon_steady::now() + timeout) {
  }

  void next() {
    if (time_left(deadline_) <= milliseconds{0})
      return done_(out_of_time("the list was read"));
    auto path = "/api/v1/accounts/"
                + percent_encoded(account_.platform_account_id)
                + "/statuses?exclude_reblogs=true&limit="
                + std::to_string(page_size);
    if (!max_id_.empty())
      path += "&max_id=" + percent_encoded(max_id_);
    auto req = request_for(account_, "GET", path);
    req.timeout = time_left(deadline_);
    http_.send(std::move(req), [self = shared_from_this()](auto response) {
      self->take_page(response);
    });
  }

private:
  void take_page(const http_response& response) {
    rates_->learn(account_, rate_scope::account, response, clock_.now());
    if (auto f = mastodon::failure_of(response, effect::none, clock_.now()))
      return done_(std::move(*f));
    auto page = mastodon::read_page(response);
    if (!page)
      return done_(std::move(page).error());
    // A server may fill a page less than it could: only an empty one ends.
    const bool more = !page->posts.empty() && page->last_id != max_id_
                      && page->posts.back().created_at >= since_;
    max_id_ = std::move(page->last_id);
    posts_.insert(posts_.end(), std::make_move_iterator(page->posts.begin()),
                  std::make_move_iterator(page->posts.end()));
    if (more && posts_.size() < most_posts)
      return next();
    done_(std::move(posts_));
  }

  const social_http http_;
  const clock_port& clock_;
  std::shared_ptr<rate_budgets> rates_;
  account_credentials account_;
  instant since_;
  social_gateway::list_callback done_;
  mastodon_steady::time_point deadline_;
  std::string max_id_;
  std::vector<public_post> posts_;
};

/// Of `seen`, newest first: the posts that the first part can have become,
/// each with what follows it.
std::vector<public_post> published_among(const std::vector<public_post>& seen, const post_parts& parts) {
  const auto answer_to = [&](const std::string& id, std::size_t part) {
    return std::find_if(seen.begin(), seen.end(), [&, text = normalise_text(parts.texts[part])](const public_post& p) {
      return p.in_reply_to == id && p.text == text;
    });
  };
  std::vector<public_post> out;
  for (const auto& first : seen) {
    if (!first.in_reply_to.empty() || first.text != normalise_text(parts.texts[0]))
      continue;
    out.push_back(first);
    auto id = first.id;
    for (std::size_t part = 1; part < parts.texts.size(); ++part) {
      const auto next = answer_to(id, part);
      if (next == seen.end()) {
        out.back().left_out = left_out_words(parts, part, {errc::permanent, "the call was interrupted before it", {}, {}});
        break;
      }
      id = next->id;
    }
  }
  return out;
}

} // namespace

mastodon_gateway::mastodon_gateway(http_client& http, const clock_port& clock,
                                   mastodon_options options,
                                   std::shared_ptr<host_circuits> circuits, http_client* uploads)
  : http_(http, std::move(circuits), uploads),
    clock_(clock),
    options_(options),
    limits_(std::make_shared<mastodon::limits_cache>(clock, options.limits_lifetime)),
    rates_(std::make_shared<rate_budgets>()) {
}

mastodon_gateway::~mastodon_gateway() = default;

account_rates mastodon_gateway::take_learned_rates(const account_credentials& account) {
  return rates_->take_learned_rates(account);
}

void mastodon_gateway::publish(outgoing_post post, publish_callback done) {
  mastodon_caller by{http_, clock_, options_, rates_, post.account, post.correlation_id, post.timeout};
  begin(http_, std::make_shared<publish_call>(std::move(by), limits_, std::move(post), std::move(done)));
}

void mastodon_gateway::prepare_media(early_upload what, prepare_callback done) {
  mastodon_caller by{http_, clock_, options_, rates_, what.account, {}, what.timeout};
  http_.loop().after(milliseconds{0}, [by = std::move(by), what = std::move(what), done = std::move(done)](bool) mutable {
    auto permit = admit_early(by.http, *by.rates, what, {1, 1, 0});
    if (!permit)
      return done(std::move(permit).error());
    const auto call = std::make_shared<upload_call>(std::move(by), what.media, std::move(done));
    call->permit = std::move(*permit);
    call->next();
  });
}

void mastodon_gateway::list_recent(account_credentials account, instant since,
                                   milliseconds timeout, list_callback done) {
  begin(http_, std::make_shared<list_call>(http_, clock_, rates_, std::move(account),
                                           since, timeout, std::move(done)));
}

void mastodon_gateway::find_published(outgoing_post post, instant since, milliseconds timeout, list_callback done) {
  const auto deadline = mastodon_steady::now() + timeout;
  const auto account = post.account;
  const bool ask_first = needs_limits(post);
  auto search = [http = http_, &clock = clock_, rates = rates_, post = std::move(post), since, deadline,
                 done](const mastodon::instance_limits& limits) {
    begin(http, std::make_shared<list_call>(
                  http, clock, rates, post.account, since, time_left(deadline),
                  [parts = parts_within(post, limits), done](result<std::vector<public_post>> seen) {
                    done(seen ? result<std::vector<public_post>>{published_among(*seen, parts)} : std::move(seen));
                  }));
  };
  if (!ask_first)
    return search({});
  // The cache belongs to the loop's thread.
  http_.loop().after(milliseconds{0}, [http = http_, limits = limits_, account, deadline, search, done](bool) {
    // Held until the answer is there.
    limits->ask(http, account, time_left(deadline), [limits, search, done](result<mastodon::instance_limits> known) {
      if (known)
        search(*known);
      else
        done(std::move(known).error());
    });
  });
}

void mastodon_gateway::verify_account(account_credentials account,
                                      milliseconds timeout,
                                      verify_callback done) {
  auto req = request_for(account, "GET",
                         "/api/v1/accounts/verify_credentials");
  req.timeout = timeout;
  http_.send(std::move(req), [done = std::move(done),
                              &clock = clock_](auto response) {
    if (auto f = mastodon::failure_of(response, effect::none, clock.now()))
      done(std::move(*f));
    else
      done(mastodon::read_account(response));
  });
}

} // namespace carillon::outbound

#include "outbound/social/mastodon/mastodon_gateway.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "outbound/social/mastodon/mastodon_answer.hpp"

namespace carillon::outbound {

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;
using mastodon::effect;

/// The most posts that one listing reads.
constexpr std::size_t most_posts = 200;
constexpr int page_size = 40;

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_.~";
  std::string out;
  for (char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (plain.find(c) != plain.npos) {
      out += c;
    } else {
      out += '%';
      out += digits[u >> 4];
      out += digits[u & 15];
    }
  }
  return out;
}

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

milliseconds time_left(steady::time_point deadline) {
  return std::chrono::floor<milliseconds>(deadline - steady::now());
}

failure out_of_time(std::string_view before) {
  return {errc::transient, "no time left before " + std::string{before}, {}, {}};
}

// -- publishing ---------------------------------------------------------------

/// Lets a call begin on the loop's thread, where all of it then happens.
template <class Call>
void begin(http_client& http, std::shared_ptr<Call> call) {
  http.loop().after(milliseconds{0}, [call](bool) { call->next(); });
}

/// One publish call: uploads one file after the other, then the status. Kept
/// alive by the callbacks it waits for.
class publish_call : public std::enable_shared_from_this<publish_call> {
public:
  publish_call(http_client& http, const clock_port& clock,
               const mastodon_options& options, outgoing_post post,
               social_gateway::publish_callback done)
    : http_(http),
      clock_(clock),
      options_(options),
      post_(std::move(post)),
      done_(std::move(done)),
      deadline_(steady::now() + post_.timeout) {
  }

  void next() {
    if (media_ids_.size() < post_.media.size())
      upload(post_.media[media_ids_.size()]);
    else
      send_status();
  }

private:
  void fail(failure f) {
    done_(std::move(f));
  }

  http_request request(std::string method, std::string_view path) {
    auto out = request_for(post_.account, std::move(method), path);
    if (!post_.correlation_id.empty())
      out.headers.emplace_back("traceparent", post_.correlation_id);
    out.timeout = time_left(deadline_);
    return out;
  }

  void upload(const outgoing_media& media) {
    if (time_left(deadline_) < least_time())
      return fail(out_of_time("the upload"));
    auto req = request("POST", "/api/v2/media");
    const auto name_from = media.path.find_last_of('/') + 1;
    req.form.push_back({"file",
                        {},
                        media.path,
                        media.path.substr(name_from),
                        media.mime_type});
    if (!media.alt_text.empty())
      req.form.push_back({"description", media.alt_text, {}, {}, {}});
    http_.send(std::move(req), [self = shared_from_this()](auto response) {
      self->take_media(response);
    });
  }

  void take_media(const http_response& response) {
    if (auto f = mastodon::failure_of(response, effect::none, clock_.now()))
      return fail(std::move(*f));
    auto media = mastodon::read_media(response);
    if (!media)
      return fail(std::move(media).error());
    if (media->ready) {
      media_ids_.push_back(std::move(media->id));
      poll_ = options_.media_poll;
      return next();
    }
    if (time_left(deadline_) - poll_ < least_time())
      return fail(out_of_time("the upload was ready"));
    http_.loop().after(poll_, [self = shared_from_this(),
                               id = media->id](bool runs) {
      if (runs)
        self->ask_media(id);
      else
        self->fail({errc::transient, "the program stops", {}, {}});
    });
    poll_ = std::min(poll_ * 2, milliseconds{5'000});
  }

  void ask_media(const std::string& id) {
    http_.send(request("GET", "/api/v1/media/" + percent_encoded(id)),
               [self = shared_from_this()](auto response) {
                 self->take_media(response);
               });
  }

  void send_status() {
    if (time_left(deadline_) < least_time())
      return fail(out_of_time("the status"));
    auto req = request("POST", "/api/v1/statuses");
    req.headers.emplace_back("Content-Type", "application/json");
    if (!post_.idempotency_key.empty())
      req.headers.emplace_back("Idempotency-Key", post_.idempotency_key);
    nlohmann::json body{{"status", post_.text}};
    if (!media_ids_.empty())
      body["media_ids"] = media_ids_;
    req.body = body.dump(-1, ' ', false,
                         nlohmann::json::error_handler_t::replace);
    http_.send(std::move(req), [self = shared_from_this()](auto response) {
      self->take_status(response);
    });
  }

  void take_status(const http_response& response) {
    const auto now = clock_.now();
    if (auto f = mastodon::failure_of(response, effect::publishes, now))
      fail(std::move(*f));
    else
      done_(mastodon::read_published(response, now));
  }

  milliseconds least_time() const {
    return std::max(milliseconds{1}, std::min(options_.least_status_time,
                                              post_.timeout / 10));
  }

  http_client& http_;
  const clock_port& clock_;
  const mastodon_options options_;
  outgoing_post post_;
  social_gateway::publish_callback done_;
  steady::time_point deadline_;
  std::vector<std::string> media_ids_;
  milliseconds poll_ = options_.media_poll;
};

// -- reading back ---------------------------------------------------------------

class list_call : public std::enable_shared_from_this<list_call> {
public:
  list_call(http_client& http, const clock_port& clock,
            account_credentials account, instant since, milliseconds timeout,
            social_gateway::list_callback done)
    : http_(http),
      clock_(clock),
      account_(std::move(account)),
      since_(since),
      done_(std::move(done)),
      deadline_(steady::now() + timeout) {
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

  http_client& http_;
  const clock_port& clock_;
  account_credentials account_;
  instant since_;
  social_gateway::list_callback done_;
  steady::time_point deadline_;
  std::string max_id_;
  std::vector<public_post> posts_;
};

} // namespace

mastodon_gateway::mastodon_gateway(http_client& http, const clock_port& clock,
                                   mastodon_options options)
  : http_(http), clock_(clock), options_(options) {
}

void mastodon_gateway::publish(outgoing_post post, publish_callback done) {
  begin(http_, std::make_shared<publish_call>(http_, clock_, options_,
                                              std::move(post),
                                              std::move(done)));
}

void mastodon_gateway::list_recent(account_credentials account, instant since,
                                   milliseconds timeout, list_callback done) {
  begin(http_, std::make_shared<list_call>(http_, clock_, std::move(account),
                                           since, timeout, std::move(done)));
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

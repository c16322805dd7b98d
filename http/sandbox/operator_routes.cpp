#include "http/sandbox/operator_routes.hpp"

#include "http/envelope.hpp"
#include "http/sandbox/mastodon_json.hpp"

#include <algorithm>

namespace carillon::http::sandbox {

namespace {

constexpr std::size_t most_listed = 100;

reply fresh_answer(json body) {
  reply out;
  out.body = std::move(body);
  out.headers.emplace_back("Cache-Control", "no-store");
  return out;
}

/// Any web site can make a browser send a request to this machine; the browser
/// then says where it comes from.
bool is_from_elsewhere(const request& req) {
  const auto origin = req.header("origin");
  return !origin.empty() && origin != req.base_url;
}

route change_route(const char* method, const char* pattern,
                   std::function<reply(const request&)> run) {
  return local_route(method, pattern,
                      [run = std::move(run)](const request& req) {
                        if (is_from_elsewhere(req))
                          return api_error(403, "Only this network's own page "
                                                "may do that in a browser");
                        return run(req);
                      });
}

json stats_json(world& w) {
  const auto n = w.net.counts(w.clock.now());
  json injected{{"latency", w.calls.slowed},
                {"visibility_delay", w.calls.shown_late},
                {"ignore_idempotency_keys", w.calls.keys_ignored}};
  for (auto b : {blow::too_many_requests, blow::server_error,
                 blow::dropped_before_accept, blow::dropped, blow::hung,
                 blow::hidden_by_server_error})
    injected[std::string{to_string(b)}] = w.calls.blows[b];
  return {{"posts", n.posts},
          {"kept", n.kept},
          {"visible", n.visible},
          {"not_visible_yet", n.not_visible_yet},
          {"deleted", n.deleted},
          {"accounts", n.accounts},
          {"media", n.media},
          {"calls", w.calls.all},
          {"publish_calls", w.calls.publish},
          {"faults", std::move(injected)},
          {"idempotent_repeats", n.idempotent_repeats},
          {"duplicates", n.duplicates}};
}

json faults_json(const world& w) {
  auto out = to_json(w.faults.settings());
  const auto left = w.faults.times_left();
  out["times_left"] = left ? json(*left) : json{};
  return out;
}

reply set_faults(world& w, const request& req) {
  const auto body = req.body.size() <= most_json_bytes
                      ? parse_json_object(req.body)
                      : result<json>{invalid("body", "is too large")};
  const auto wanted
    = body ? parse_faults(*body)
           : result<faults>{invalid("body", "must be a JSON object")};
  if (!wanted) {
    auto out = api_error(422, wanted.error().detail);
    for (const auto& field : wanted.error().fields)
      out.body["fields"][field.field] = field.reason;
    return out;
  }
  w.faults.set(*wanted);
  return fresh_answer(faults_json(w));
}

json media_json(const world& w, const post& p) {
  auto out = json::array();
  for (const auto id : p.media) {
    json one{{"id", std::to_string(id)}};
    if (const auto* m = w.net.find_medium(id)) {
      one["kind"] = kind_of(*m);
      one["file_name"] = m->file_name;
      one["mime_type"] = m->mime_type;
      one["bytes"] = m->size;
      one["description"] = m->description;
      one["width"] = m->width;
      one["height"] = m->height;
      one["path"] = picture_path(*m);
    }
    out.push_back(std::move(one));
  }
  return out;
}

json post_json(const world& w, const post& p) {
  return {{"id", std::to_string(p.id)},
          {"account", p.account},
          {"text", p.text},
          {"created_at", format_milliseconds(p.created_at)},
          {"visible_at", format_milliseconds(p.visible_at)},
          {"idempotency_key", p.idempotency_key},
          {"visible", p.visible},
          {"deleted", p.deleted},
          {"visibility", to_string(p.seen_by)},
          {"media", media_json(w, p)},
          {"in_reply_to_id",
           p.in_reply_to ? json(std::to_string(*p.in_reply_to)) : json{}},
          {"record_key", p.record_key},
          {"record", p.record.empty() ? json{} : json::parse(p.record, nullptr, false)},
          {"calls", p.calls}};
}

/// Written piece by piece: it can be every post there is.
reply all_posts(world& w) {
  std::string out = "{\"posts\":[";
  for (const auto& [id, p] : w.net.all_posts(w.clock.now())) {
    if (out.back() == '}')
      out += ',';
    out += post_json(w, p).dump(-1, ' ', false, json::error_handler_t::replace);
  }
  out += "]}";
  reply r;
  r.raw = std::move(out);
  return r;
}

// -- for the page -------------------------------------------------------------

json card_json(const world& w, const post& p) {
  auto out = post_json(w, p);
  out["display_name"] = display_name(p.account);
  out["sensitive"] = p.sensitive;
  out["spoiler_text"] = p.spoiler_text;
  out["replies"] = w.net.count_replies(p.id);
  if (p.in_reply_to) {
    const auto* parent = w.net.find(*p.in_reply_to);
    out["in_reply_to_account"] = parent ? json(parent->account) : json{};
  }
  return out;
}

json cards_json(const world& w, const std::vector<const post*>& posts) {
  auto out = json::array();
  for (const auto* p : posts)
    out.push_back(card_json(w, *p));
  return out;
}

/// A post with what it answers and what answers it.
json thread_json(world& w, object_id id) {
  std::vector<const post*> out;
  const auto now = w.clock.now();
  const auto* p = w.net.find_visible(id, {}, now);
  if (!p && (p = w.net.find(id)) && !p->visible)
    p = nullptr;
  for (const auto* above = p; above && out.size() < most_listed;) {
    out.push_back(above);
    above = above->in_reply_to ? w.net.find(*above->in_reply_to) : nullptr;
    if (above && !above->visible)
      above = nullptr;
  }
  std::reverse(out.begin(), out.end());
  if (p)
    for (const auto* reply : w.net.list_replies(id, most_listed, now))
      out.push_back(reply);
  return cards_json(w, out);
}

/// `since` is the revision that the page has; nothing new costs next to
/// nothing.
reply timeline(world& w, const request& req) {
  const auto now = w.clock.now();
  const auto revision = w.net.revision(now);
  json out{{"revision", revision},
           {"now", format_milliseconds(now)},
           {"stats", stats_json(w)},
           {"faults", faults_json(w)},
           {"changed", true}};
  if (parse_object_id(req.query_value("since")) == revision) {
    out["changed"] = false;
    return fresh_answer(std::move(out));
  }
  listing which;
  which.max_id = parse_object_id(req.query_value("before"));
  if (const auto limit = parse_object_id(req.query_value("limit")))
    which.limit = std::clamp<std::size_t>(*limit, 1, most_listed);
  const auto name = req.query_value("account");
  const auto* of = name.empty() ? nullptr : w.net.find_account(name);
  if (const auto thread = parse_object_id(req.query_value("thread")))
    out["posts"] = thread_json(w, *thread);
  else if (name.empty())
    out["posts"] = cards_json(w, w.net.list_visible(which, now));
  else
    out["posts"] = of ? cards_json(w, w.net.list_account(*of, name, which, now))
                      : json::array();
  if (!req.query_value("pending").empty())
    out["pending"]
      = cards_json(w, w.net.list_not_visible_yet(most_listed, now));
  return fresh_answer(std::move(out));
}

} // namespace

std::vector<route> operator_routes(world& w) {
  return {
    local_route("GET", "/sandbox/stats",
                 [&w](const request&) { return fresh_answer(stats_json(w)); }),
    local_route("GET", "/sandbox/posts",
                 [&w](const request&) { return all_posts(w); }),
    local_route("GET", "/sandbox/timeline",
                 [&w](const request& req) { return timeline(w, req); }),
    local_route("GET", "/sandbox/faults",
                 [&w](const request&) { return fresh_answer(faults_json(w)); }),
    change_route("POST", "/sandbox/faults",
                 [&w](const request& req) { return set_faults(w, req); }),
    change_route("DELETE", "/sandbox/faults",
                 [&w](const request&) {
                   w.faults.set({});
                   return fresh_answer(faults_json(w));
                 }),
    change_route("POST", "/sandbox/reset",
                 [&w](const request&) {
                   w.net.reset();
                   w.calls = {};
                   if (w.file)
                     w.file->clear();
                   return fresh_answer(stats_json(w));
                 }),
  };
}

} // namespace carillon::http::sandbox

#include "http/sandbox/mastodon_routes.hpp"

#include "domain/text.hpp"
#include "http/envelope.hpp"
#include "http/sandbox/form.hpp"
#include "http/sandbox/mastodon_json.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

namespace carillon::http::sandbox {

namespace {

constexpr auto invalid_token = "The access token is invalid";

reply answer(json body, int status = 200) {
  reply out;
  out.status = status;
  out.body = std::move(body);
  return out;
}

reply not_found() {
  return api_error(404, "Record not found");
}

using with_account = std::function<reply(const account&, const request&)>;

/// A route that needs a token; its account is made at its first use.
route token_route(world& w, const char* method, const char* pattern,
                  with_account run) {
  return local_route(
    method, pattern, [&w, run = std::move(run)](const request& req) {
      const auto name = account_of_token(req);
      if (!name || name->empty())
        return api_error(401, invalid_token);
      const auto who = w.net.use_account(*name, w.clock.now());
      return who ? run(**who, req) : api_error(who.error());
    });
}

/// A route for everyone; `viewer` is empty without a token, but a wrong token
/// is refused.
route open_route(
  world& w, const char* method, const char* pattern,
  std::function<reply(const std::string& viewer, const request&)> run) {
  return local_route(
    method, pattern, [&w, run = std::move(run)](const request& req) {
      const auto name = account_of_token(req);
      if (!name)
        return api_error(401, invalid_token);
      if (!name->empty())
        if (const auto who = w.net.use_account(*name, w.clock.now()); !who)
          return api_error(who.error());
      return run(*name, req);
    });
}

std::optional<object_id> path_id(const request& req) {
  return parse_object_id(req.path_params.at("id"));
}

listing read_listing(const request& req) {
  listing out;
  const auto id = [&req](const char* name) {
    return parse_object_id(req.query_value(name));
  };
  out.max_id = id("max_id");
  out.since_id = id("since_id");
  out.min_id = id("min_id");
  if (const auto limit = parse_object_id(req.query_value("limit")))
    out.limit = std::clamp<std::size_t>(*limit, 1, largest_page);
  return out;
}

reply list_answer(const world& w, const std::vector<const post*>& posts,
                  const listing& which, const request& req) {
  auto out = answer(json::array());
  for (const auto* p : posts)
    out.body.push_back(status_json(w.net, *p, req.base_url));
  if (posts.empty())
    return out;
  const auto link = [&](const char* parameter, object_id id, const char* rel) {
    return "<" + req.base_url + req.path
           + "?limit=" + std::to_string(which.limit) + "&" + parameter + "="
           + std::to_string(id) + ">; rel=\"" + rel + "\"";
  };
  out.headers.emplace_back("Link",
                           link("max_id", posts.back()->id, "next") + ", "
                             + link("min_id", posts.front()->id, "prev"));
  return out;
}

// -- what a publish call says -------------------------------------------------

failure unreadable(std::string message) {
  return {errc::invalid_argument, std::move(message), {}, {}};
}

/// Texts also as numbers, as Rails takes them.
std::optional<std::string> text_of(const json& value) {
  if (value.is_string())
    return value.get<std::string>();
  if (value.is_number_integer())
    return value.dump();
  return std::nullopt;
}

result<draft> read_json_draft(const std::string& body) {
  const auto read = parse_json_object(body);
  if (!read)
    return unreadable("The body is not a JSON object in UTF-8");
  draft out;
  const auto take = [&](const char* name, std::string& into) {
    const auto found = read->find(name);
    if (found == read->end() || found->is_null())
      return true;
    auto text = text_of(*found);
    if (text)
      into = std::move(*text);
    return text.has_value();
  };
  std::string visibility;
  for (const auto& [name, into] : {std::pair{"status", &out.text},
                                   {"in_reply_to_id", &out.in_reply_to},
                                   {"spoiler_text", &out.spoiler_text},
                                   {"language", &out.language},
                                   {"visibility", &visibility}})
    if (!take(name, *into))
      return unreadable(std::string{"Validation failed: "} + name
                        + " must be a text");
  if (const auto ids = read->find("media_ids");
      ids != read->end() && !ids->is_null()) {
    if (!ids->is_array())
      return unreadable("Validation failed: media_ids must be a list");
    for (const auto& one : *ids) {
      auto id = text_of(one);
      if (!id)
        return unreadable("Validation failed: media_ids must be a list of ids");
      out.media_ids.push_back(std::move(*id));
    }
  }
  if (const auto flag = read->find("sensitive");
      flag != read->end() && flag->is_boolean())
    out.sensitive = flag->get<bool>();
  if (!visibility.empty()) {
    const auto seen_by = parse_audience(visibility);
    if (!seen_by)
      return unreadable("Validation failed: Visibility is not included in the "
                        "list");
    out.seen_by = *seen_by;
  }
  return out;
}

result<draft> read_form_draft(const std::string& body) {
  const auto fields = parse_fields(body);
  if (!fields)
    return unreadable("The body is not a form in UTF-8");
  json as_json = json::object();
  for (const auto& [name, value] : *fields)
    if (name == "media_ids[]")
      as_json["media_ids"].push_back(value);
    else if (name == "sensitive")
      as_json["sensitive"] = value == "true" || value == "1";
    else
      as_json[name] = value;
  return read_json_draft(as_json.dump());
}

result<draft> read_draft(const request& req) {
  if (req.body.size() > most_json_bytes)
    return unreadable("The body is larger than "
                      + std::to_string(most_json_bytes) + " bytes");
  const auto type = req.header("content-type");
  auto out = type.starts_with("application/x-www-form-urlencoded")
               ? read_form_draft(req.body)
               : read_json_draft(req.body);
  if (out)
    out->idempotency_key = req.header("idempotency-key");
  return out;
}

// -- files --------------------------------------------------------------------

result<upload> read_upload(const request& req) {
  const auto parts = parse_multipart(req.header("content-type"), req.body);
  if (!parts)
    return unreadable("The body is not a multipart form");
  upload out;
  for (const auto& part : *parts) {
    if (part.name == "file") {
      out.mime_type = part.content_type;
      out.file_name = part.file_name.value_or("");
      out.bytes = part.content;
    } else if (part.name == "description") {
      out.description = part.content;
    }
  }
  if (!is_valid_utf8(out.description) || !is_valid_utf8(out.file_name))
    return unreadable("Validation failed: Description is not UTF-8");
  return out;
}

reply add_medium(world& w, const account& who, const request& req) {
  auto file = read_upload(req);
  if (!file)
    return api_error(file.error());
  const auto now = w.clock.now();
  const auto processing = w.faults.roll_other(who.name).media_processing;
  const auto made
    = w.net.add_medium(who.name, std::move(*file), processing, now);
  if (!made)
    return api_error(made.error());
  const bool ready = (*made)->ready_at <= now;
  return answer(medium_json(**made, req.base_url, now), ready ? 200 : 202);
}

reply show_medium(world& w, const account& who, const request& req) {
  const auto id = path_id(req);
  const auto* found = id ? w.net.find_medium(*id) : nullptr;
  if (!found || found->account != who.name)
    return not_found();
  const auto now = w.clock.now();
  return answer(medium_json(*found, req.base_url, now),
                found->ready_at <= now ? 200 : 206);
}

reply describe_medium(world& w, const account& who, const request& req) {
  const auto id = path_id(req);
  const auto body = parse_json_object(req.body);
  if (!body)
    return api_error(422, "The body is not a JSON object in UTF-8");
  const auto text = body->find("description");
  if (text == body->end() || !text->is_string())
    return api_error(422, "Validation failed: description must be a text");
  if (!id)
    return not_found();
  const auto changed
    = w.net.describe_medium(who.name, *id, text->get<std::string>());
  if (!changed)
    return api_error(changed.error());
  return answer(medium_json(**changed, req.base_url, w.clock.now()));
}

// -- posts and accounts -------------------------------------------------------

reply show_own_account(const account& who, const request& req) {
  auto out = account_json(who, req.base_url);
  out["source"] = {{"privacy", "public"},     {"sensitive", false},
                   {"language", ""},          {"note", ""},
                   {"fields", json::array()}, {"follow_requests_count", 0}};
  return answer(std::move(out));
}

reply show_account(world& w, const request& req) {
  const auto* found = w.net.find_account(req.path_params.at("id"));
  return found ? answer(account_json(*found, req.base_url)) : not_found();
}

reply list_account(world& w, const std::string& viewer, const request& req) {
  const auto* found = w.net.find_account(req.path_params.at("id"));
  if (!found)
    return not_found();
  const auto which = read_listing(req);
  return list_answer(
    w, w.net.list_account(*found, viewer, which, w.clock.now()), which, req);
}

reply list_public(world& w, const request& req) {
  const auto which = read_listing(req);
  return list_answer(w, w.net.list_public(which, w.clock.now()), which, req);
}

reply show_status(world& w, const std::string& viewer, const request& req) {
  const auto id = path_id(req);
  const auto* found
    = id ? w.net.find_visible(*id, viewer, w.clock.now()) : nullptr;
  return found ? answer(status_json(w.net, *found, req.base_url)) : not_found();
}

reply remove_status(world& w, const account& who, const request& req) {
  const auto id = path_id(req);
  if (!id)
    return not_found();
  const auto removed = w.net.remove(who.name, *id, w.clock.now());
  if (!removed)
    return api_error(removed.error());
  if (w.file)
    w.file->append_removal(*id);
  auto out = status_json(w.net, *removed, req.base_url);
  out["text"] = removed->text;
  return answer(std::move(out));
}

} // namespace

result<std::string> account_of_token(const request& req) {
  const auto header = req.header("authorization");
  if (header.empty())
    return std::string{};
  constexpr std::string_view expected = "Bearer sandbox-";
  if (!header.starts_with(expected)
      || !is_account_name(std::string_view{header}.substr(expected.size())))
    return failure{errc::unauthorized, invalid_token, {}, {}};
  return header.substr(expected.size());
}

reply api_error(int status, std::string message) {
  return answer({{"error", std::move(message)}}, status);
}

reply api_error(const failure& f) {
  const int status = f.code == errc::not_found   ? 404
                     : f.code == errc::forbidden ? 403
                                                 : 422;
  return api_error(status, f.detail);
}

reply publish_status(world& w, const request& req, const fate& what) {
  const auto name = account_of_token(req);
  if (!name || name->empty())
    return api_error(401, invalid_token);
  auto d = read_draft(req);
  if (!d)
    return api_error(d.error());
  const bool has_key = !d->idempotency_key.empty();
  const auto made
    = w.net.publish(*name, std::move(*d), w.clock.now(),
                    {what.visibility_delay, what.ignore_idempotency_keys});
  if (!made)
    return api_error(made.error());
  if (!made->repeated) {
    if (w.file)
      w.file->append(*made->what);
    w.calls.shown_late += what.visibility_delay.count() > 0 ? 1 : 0;
    w.calls.keys_ignored += has_key && what.ignore_idempotency_keys ? 1 : 0;
  }
  return answer(status_json(w.net, *made->what, req.base_url));
}

std::vector<route> mastodon_routes(world& w) {
  return {
    token_route(w, "GET", "/api/v1/accounts/verify_credentials",
                [](const account& who, const request& req) {
                  return show_own_account(who, req);
                }),
    open_route(w, "GET", "/api/v1/accounts/{id}",
               [&w](const std::string&, const request& req) {
                 return show_account(w, req);
               }),
    open_route(w, "GET", "/api/v1/accounts/{id}/statuses",
               [&w](const std::string& viewer, const request& req) {
                 return list_account(w, viewer, req);
               }),
    open_route(w, "GET", "/api/v1/timelines/public",
               [&w](const std::string&, const request& req) {
                 return list_public(w, req);
               }),
    open_route(w, "GET", "/api/v1/statuses/{id}",
               [&w](const std::string& viewer, const request& req) {
                 return show_status(w, viewer, req);
               }),
    token_route(w, "DELETE", "/api/v1/statuses/{id}",
                [&w](const account& who, const request& req) {
                  return remove_status(w, who, req);
                }),
    token_route(w, "POST", "/api/v2/media",
                [&w](const account& who, const request& req) {
                  return add_medium(w, who, req);
                }),
    token_route(w, "GET", "/api/v1/media/{id}",
                [&w](const account& who, const request& req) {
                  return show_medium(w, who, req);
                }),
    token_route(w, "PUT", "/api/v1/media/{id}",
                [&w](const account& who, const request& req) {
                  return describe_medium(w, who, req);
                }),
    local_route(
      "GET", "/api/v2/instance",
      [](const request& req) { return answer(instance_json(req.base_url)); }),
  };
}

} // namespace carillon::http::sandbox

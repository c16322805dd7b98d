#include "http/sandbox/atproto_routes.hpp"

#include "domain/base64url.hpp"
#include "domain/text.hpp"
#include "http/envelope.hpp"
#include "http/sandbox/mastodon_json.hpp"

#include <openssl/sha.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <functional>
#include <variant>

namespace carillon::http::sandbox {

namespace {

constexpr std::string_view did_prefix = "did:web:sandbox.invalid:";
constexpr std::string_view handle_suffix = ".sandbox.invalid";
constexpr std::string_view posts_collection = "app.bsky.feed.post";
constexpr std::chrono::hours access_lifetime{2};
constexpr std::chrono::hours refresh_lifetime{24 * 60};
constexpr std::size_t most_sessions = 200'000;
constexpr std::size_t most_graphemes = 300;
constexpr std::size_t most_text_bytes = 3'000;
constexpr std::size_t largest_record_page = 100;

reply xrpc_answer(json body) {
  reply out;
  out.body = std::move(body);
  return out;
}

reply invalid_request(std::string message) {
  return xrpc_error(400, "InvalidRequest", std::move(message));
}

route xrpc_route(const char* method, const std::string& name,
                 std::function<reply(const request&)> run) {
  return {.method = method,
          .pattern = "/xrpc/com.atproto." + name,
          .need = access::open,
          .local = std::move(run)};
}

std::string handle_of(std::string_view account_name) {
  return std::string{account_name} + std::string{handle_suffix};
}

/// The account that a DID or handle names.
std::optional<std::string> account_named(std::string_view did_or_handle) {
  if (did_or_handle.starts_with(did_prefix))
    did_or_handle.remove_prefix(did_prefix.size());
  else if (did_or_handle.ends_with(handle_suffix))
    did_or_handle.remove_suffix(handle_suffix.size());
  else
    return std::nullopt;
  if (!is_account_name(did_or_handle))
    return std::nullopt;
  return std::string{did_or_handle};
}

/// A CIDv1 (https://atproto.com/specs/data-model#link-and-cid-formats) of
/// these bytes: `raw` for files, `dag-cbor` for records, here of their JSON.
std::string content_address(std::string_view bytes, unsigned char codec) {
  std::array<unsigned char, 4 + SHA256_DIGEST_LENGTH> cid{1, codec, 0x12, SHA256_DIGEST_LENGTH};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), cid.data() + 4);
  constexpr std::string_view digits = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out = "b";
  unsigned held = 0;
  int bits = 0;
  for (const auto byte : cid) {
    held = (held << 8 | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5)
      out += digits[held >> (bits - 5) & 31];
  }
  if (bits > 0)
    out += digits[held << (5 - bits) & 31];
  return out;
}

std::string cid_of(const post& p) {
  return content_address(p.record, 0x71);
}

std::string uri_of(const post& p) {
  return "at://" + did_of(p.account) + "/" + std::string{posts_collection} + "/" + p.record_key;
}

json record_json(const post& p) {
  return {{"uri", uri_of(p)}, {"cid", cid_of(p)}, {"value", json::parse(p.record, nullptr, false)}};
}

// -- sessions -----------------------------------------------------------------

std::string make_token(world& w, const std::string& account, bool refreshes) {
  const auto now = w.clock.now();
  session_token made{account, refreshes, now + (refreshes ? refresh_lifetime : access_lifetime)};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(made.until.time_since_epoch()).count();
  const json claims{{"scope", refreshes ? "com.atproto.refresh" : "com.atproto.access"},
                    {"sub", did_of(account)},
                    {"exp", static_cast<std::uint64_t>(std::max<std::int64_t>(0, seconds))},
                    {"jti", std::to_string(++w.last_session)}};
  const auto token = encode_base64url(R"({"typ":"JWT","alg":"none"})") + "." + encode_base64url(claims.dump()) + ".sandbox";
  w.sessions.emplace(token, std::move(made));
  w.sessions_by_age.push_back(token);
  while (w.sessions_by_age.size() > most_sessions) {
    w.sessions.erase(w.sessions_by_age.front());
    w.sessions_by_age.pop_front();
  }
  return token;
}

reply session_answer(world& w, const std::string& account) {
  return xrpc_answer({{"did", did_of(account)},
                      {"handle", handle_of(account)},
                      {"accessJwt", make_token(w, account, false)},
                      {"refreshJwt", make_token(w, account, true)},
                      {"active", true}});
}

std::string bearer_of(const request& req) {
  constexpr std::string_view expected = "Bearer ";
  const auto header = req.header("authorization");
  return header.starts_with(expected) ? header.substr(expected.size()) : std::string{};
}

/// The account, or the answer that refuses.
std::variant<std::string, reply> authenticate(const world& w, const request& req, bool to_refresh) {
  const auto token = bearer_of(req);
  if (token.empty())
    return xrpc_error(401, "AuthMissing", "Authentication Required");
  const auto known = w.sessions.find(token);
  if (known == w.sessions.end() || known->second.refreshes != to_refresh)
    return to_refresh ? xrpc_error(400, "ExpiredToken", "Token has been revoked")
                      : xrpc_error(400, "InvalidToken", "Token could not be verified");
  if (known->second.until <= w.clock.now())
    return xrpc_error(400, "ExpiredToken", "Token has expired");
  return known->second.account;
}

reply create_session(world& w, const request& req) {
  const auto body = parse_json_object(req.body);
  if (!body || !body->contains("identifier") || !(*body)["identifier"].is_string() || !body->contains("password")
      || !(*body)["password"].is_string())
    return invalid_request("Input must have the properties \"identifier\" and \"password\"");
  const auto account = account_named((*body)["identifier"].get<std::string>());
  if (!account || (*body)["password"] != "sandbox-" + *account)
    return xrpc_error(401, "AuthenticationRequired", "Invalid identifier or password");
  if (auto known = w.net.use_account(*account, w.clock.now()); !known)
    return xrpc_error(400, "InvalidRequest", known.error().detail);
  return session_answer(w, *account);
}

reply refresh_session(world& w, const request& req) {
  auto who = authenticate(w, req, true);
  if (auto* refused = std::get_if<reply>(&who))
    return std::move(*refused);
  w.sessions.erase(bearer_of(req)); // Good for one use.
  return session_answer(w, std::get<std::string>(who));
}

// -- files --------------------------------------------------------------------

reply upload_blob(world& w, const request& req) {
  auto who = authenticate(w, req, false);
  if (auto* refused = std::get_if<reply>(&who))
    return std::move(*refused);
  const auto cid = content_address(req.body, 0x55);
  const auto size = req.body.size();
  const auto made = w.net.add_medium(std::get<std::string>(who), {req.header("content-type"), {}, {}, req.body},
                                     std::chrono::milliseconds{0}, w.clock.now());
  if (!made)
    return invalid_request(made.error().detail);
  w.blobs[cid] = (*made)->id;
  while (w.blobs.size() > capacity{}.media)
    w.blobs.erase(w.blobs.begin());
  return xrpc_answer({{"blob",
                       {{"$type", "blob"}, {"ref", {{"$link", cid}}}, {"mimeType", (*made)->mime_type}, {"size", size}}}});
}

// -- what a record may hold ---------------------------------------------------

std::size_t grapheme_count(std::string_view text) {
  std::size_t count = 0;
  utf8proc_int32_t before = -1, state = 0;
  for (std::size_t i = 0; i < text.size();) {
    utf8proc_int32_t here = 0;
    const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + i,
                                         static_cast<utf8proc_ssize_t>(text.size() - i), &here);
    if (length <= 0)
      return text.size();
    count += before < 0 || utf8proc_grapheme_break_stateful(before, here, &state) ? 1 : 0;
    before = here;
    i += static_cast<std::size_t>(length);
  }
  return count;
}

bool is_text(const json& object, const char* name) {
  const auto i = object.find(name);
  return i != object.end() && i->is_string();
}

bool is_reference(const json& value) {
  return value.is_object() && is_text(value, "uri") && is_text(value, "cid");
}

bool is_feature(const json& feature) {
  if (!feature.is_object() || !is_text(feature, "$type"))
    return false;
  const auto type = feature["$type"].get<std::string>();
  if (type == "app.bsky.richtext.facet#link")
    return is_text(feature, "uri");
  if (type == "app.bsky.richtext.facet#tag")
    return is_text(feature, "tag");
  if (type == "app.bsky.richtext.facet#mention")
    return is_text(feature, "did") && feature["did"].get<std::string>().starts_with("did:");
  return true; // An open union.
}

bool is_facet(const json& facet, const std::string& text) {
  if (!facet.is_object() || !facet.contains("index") || !facet.contains("features") || !facet["features"].is_array())
    return false;
  const auto& index = facet["index"];
  if (!index.is_object() || !index.contains("byteStart") || !index.contains("byteEnd")
      || !index["byteStart"].is_number_unsigned() || !index["byteEnd"].is_number_unsigned())
    return false;
  const auto begin = index["byteStart"].get<std::size_t>();
  const auto end = index["byteEnd"].get<std::size_t>();
  // Stricter than the schema: a range outside the text, or within one of its
  // characters, is a mistake of the program that is tested here.
  return begin < end && end <= text.size() && is_valid_utf8(std::string_view{text}.substr(begin, end - begin))
         && std::all_of(facet["features"].begin(), facet["features"].end(), is_feature);
}

/// What is wrong with a record; empty when nothing is.
std::string flaw_of(const json& record) {
  if (!record.is_object() || record.value("$type", json{}) != posts_collection)
    return "Record/$type must be app.bsky.feed.post";
  if (!is_text(record, "text"))
    return "Record must have the property \"text\"";
  const auto text = record["text"].get<std::string>();
  if (text.size() > most_text_bytes)
    return "Record/text must not be longer than 3000 characters";
  if (grapheme_count(text) > most_graphemes)
    return "Record/text must not be longer than 300 graphemes";
  if (!is_text(record, "createdAt") || !parse_time(record["createdAt"].get<std::string>()))
    return "Record/createdAt must be an valid atproto datetime";
  if (const auto facets = record.find("facets"); facets != record.end())
    if (!facets->is_array()
        || !std::all_of(facets->begin(), facets->end(), [&](const json& f) { return is_facet(f, text); }))
      return "Record/facets is invalid";
  if (const auto reply_to = record.find("reply"); reply_to != record.end())
    if (!reply_to->is_object() || !is_reference(reply_to->value("root", json{}))
        || !is_reference(reply_to->value("parent", json{})))
      return "Record/reply must have the properties \"root\" and \"parent\"";
  return {};
}

/// The files that a record shows, with their descriptions; or what is wrong.
std::variant<std::vector<std::pair<std::string, std::string>>, std::string> images_of(const json& record) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto embed = record.find("embed");
  if (embed == record.end())
    return out;
  if (!embed->is_object() || embed->value("$type", json{}) != "app.bsky.embed.images" || !embed->contains("images")
      || !(*embed)["images"].is_array())
    return std::string{"Record/embed is not known here"};
  if ((*embed)["images"].size() > most_attachments)
    return std::string{"Record/embed/images must not have more than 4 elements"};
  for (const auto& image : (*embed)["images"]) {
    const auto link = json::json_pointer{"/image/ref/$link"};
    if (!image.is_object() || !is_text(image, "alt") || !image.contains(link) || !image.at(link).is_string())
      return std::string{"Record/embed/images must have the properties \"image\" and \"alt\""};
    out.emplace_back(image.at(link).get<std::string>(), image["alt"].get<std::string>());
  }
  return out;
}

bool is_record_key(std::string_view text) {
  return text.size() == 13
         && text.find_first_not_of("234567abcdefghijklmnopqrstuvwxyz") == std::string_view::npos
         && std::string_view{"234567abcdefghij"}.find(text[0]) != std::string_view::npos;
}

/// The post that a reply's parent names, when it is one of ours.
std::string parent_id(const world& w, const json& record) {
  const auto at = json::json_pointer{"/reply/parent/uri"};
  if (!record.contains(at))
    return {};
  const auto uri = record.at(at).get<std::string>();
  const auto middle = uri.find("/" + std::string{posts_collection} + "/");
  const auto account = uri.starts_with("at://") && middle != std::string::npos ? account_named(uri.substr(5, middle - 5))
                                                                             : std::nullopt;
  const auto* found = account ? w.net.find_record(*account, uri.substr(uri.rfind('/') + 1)) : nullptr;
  return found ? std::to_string(found->id) : std::string{};
}

// -- reading ------------------------------------------------------------------

reply get_record(world& w, const request& req) {
  const auto account = account_named(req.query_value("repo"));
  const auto key = req.query_value("rkey");
  const auto* found = account && req.query_value("collection") == posts_collection ? w.net.find_record(*account, key) : nullptr;
  if (found)
    found = w.net.find_visible(found->id, *account, w.clock.now());
  if (!found)
    return xrpc_error(400, "RecordNotFound",
                      "Could not locate record: at://" + req.query_value("repo") + "/" + req.query_value("collection") + "/"
                        + key);
  return xrpc_answer(record_json(*found));
}

reply list_records(world& w, const request& req) {
  const auto account = account_named(req.query_value("repo"));
  const auto* known = account ? w.net.find_account(*account) : nullptr;
  if (!known)
    return invalid_request("Could not find repo: " + req.query_value("repo"));
  const auto now = w.clock.now();
  listing all;
  all.limit = capacity{}.posts;
  std::vector<const post*> records;
  const auto cursor = req.query_value("cursor");
  for (const auto* p : w.net.list_account(*known, *account, all, now))
    if (!p->record_key.empty() && (cursor.empty() || p->record_key < cursor))
      records.push_back(p);
  std::sort(records.begin(), records.end(), [](const post* a, const post* b) { return a->record_key > b->record_key; });
  const auto limit = std::clamp<std::size_t>(parse_object_id(req.query_value("limit")).value_or(50), 1, largest_record_page);
  json out{{"records", json::array()}};
  for (std::size_t i = 0; i < std::min(limit, records.size()); ++i) {
    out["records"].push_back(record_json(*records[i]));
    out["cursor"] = records[i]->record_key;
  }
  return xrpc_answer(std::move(out));
}

reply resolve_handle(world& w, const request& req) {
  const auto handle = req.query_value("handle");
  const auto account = handle.ends_with(handle_suffix) ? account_named(handle) : std::nullopt;
  if (!account || !w.net.find_account(*account))
    return invalid_request("Unable to resolve handle");
  return xrpc_answer({{"did", did_of(*account)}});
}

} // namespace

bool is_xrpc(const request& req) noexcept {
  return req.path.starts_with("/xrpc/");
}

std::string did_of(std::string_view account_name) {
  return std::string{did_prefix} + std::string{account_name};
}

result<std::string> account_of_session(const world& w, const request& req) {
  if (bearer_of(req).empty())
    return std::string{};
  auto who = authenticate(w, req, false);
  if (auto* account = std::get_if<std::string>(&who))
    return std::move(*account);
  return failure{errc::unauthorized, "the token gives no access", {}, {}};
}

reply xrpc_error(int status, std::string_view name, std::string message) {
  reply out;
  out.status = status;
  out.body = {{"error", name}, {"message", std::move(message)}};
  return out;
}

reply xrpc_rate_limit_exceeded(const fate& what, instant now) {
  auto out = xrpc_error(429, "RateLimitExceeded", "Rate Limit Exceeded");
  const auto reset = std::chrono::ceil<std::chrono::seconds>((now + what.retry_after).time_since_epoch()).count();
  out.headers = {{"RateLimit-Limit", "5000"},
                 {"RateLimit-Remaining", "0"},
                 {"RateLimit-Reset", std::to_string(reset)},
                 {"RateLimit-Policy", "5000;w=3600"},
                 {"Retry-After", std::to_string(what.retry_after.count())}};
  return out;
}

reply put_record(world& w, const request& req, const fate& what) {
  auto who = authenticate(w, req, false);
  if (auto* refused = std::get_if<reply>(&who))
    return std::move(*refused);
  const auto& account = std::get<std::string>(who);
  if (req.body.size() > most_json_bytes)
    return xrpc_error(413, "PayloadTooLarge", "request entity too large");
  const auto body = parse_json_object(req.body);
  if (!body || !is_text(*body, "repo") || !is_text(*body, "collection") || !is_text(*body, "rkey") || !body->contains("record"))
    return invalid_request("Input must have the properties \"repo\", \"collection\", \"rkey\" and \"record\"");
  if (account_named((*body)["repo"].get<std::string>()) != account)
    return xrpc_error(401, "AuthRequired", "Authentication Required");
  if ((*body)["collection"] != posts_collection)
    return invalid_request("This sandbox network keeps posts only");
  const auto key = (*body)["rkey"].get<std::string>();
  if (!is_record_key(key))
    return invalid_request("Invalid record key: must be a TID");
  const auto& record = (*body)["record"];
  if (auto flaw = flaw_of(record); !flaw.empty())
    return invalid_request("Invalid app.bsky.feed.post record: " + flaw);
  const auto images = images_of(record);
  if (const auto* flaw = std::get_if<std::string>(&images))
    return invalid_request("Invalid app.bsky.feed.post record: " + *flaw);
  if (const auto* there = w.net.find_record(account, key)) {
    w.net.count_repeat(there->id);
    if (record.dump() == there->record)
      return xrpc_answer({{"uri", uri_of(*there)}, {"cid", cid_of(*there)}});
    const auto swap = body->find("swapRecord");
    if (swap != body->end() && (swap->is_null() || *swap != cid_of(*there)))
      return xrpc_error(400, "InvalidSwap", "Record was at " + cid_of(*there));
    return invalid_request("This sandbox network does not change a record");
  }
  if (const auto swap = body->find("swapRecord"); swap != body->end() && swap->is_string())
    return xrpc_error(400, "InvalidSwap", "Record was at null");

  draft d;
  d.text = record["text"].get<std::string>();
  d.in_reply_to = parent_id(w, record);
  d.record_key = key;
  d.record = record.dump();
  for (const auto& [cid, alt] : std::get<0>(images)) {
    const auto blob = w.blobs.find(cid);
    const auto* file = blob == w.blobs.end() ? nullptr : w.net.find_medium(blob->second);
    if (!file || file->account != account)
      return xrpc_error(400, "InvalidRequest", "Could not find blob: " + cid);
    // A file belongs to one post here, and a blob may be in many records.
    const auto bytes = file->bytes;
    if (!bytes)
      return xrpc_error(400, "InvalidRequest", "Could not find blob: " + cid);
    const auto copy
      = w.net.add_medium(account, {file->mime_type, {}, alt, *bytes}, std::chrono::milliseconds{0}, w.clock.now());
    if (!copy)
      return invalid_request(copy.error().detail);
    d.media_ids.push_back(std::to_string((*copy)->id));
  }
  const auto made = w.net.publish(account, std::move(d), w.clock.now(), {what.visibility_delay, true});
  if (!made)
    return invalid_request(made.error().detail);
  if (w.file)
    w.file->append(*made->what);
  w.calls.shown_late += what.visibility_delay.count() > 0 ? 1 : 0;
  return xrpc_answer({{"uri", uri_of(*made->what)}, {"cid", cid_of(*made->what)}});
}

std::vector<route> atproto_routes(world& w) {
  return {
    xrpc_route("POST", "server.createSession", [&w](const request& req) { return create_session(w, req); }),
    xrpc_route("POST", "server.refreshSession", [&w](const request& req) { return refresh_session(w, req); }),
    xrpc_route("POST", "repo.uploadBlob", [&w](const request& req) { return upload_blob(w, req); }),
    xrpc_route("GET", "repo.getRecord", [&w](const request& req) { return get_record(w, req); }),
    xrpc_route("GET", "repo.listRecords", [&w](const request& req) { return list_records(w, req); }),
    xrpc_route("GET", "identity.resolveHandle", [&w](const request& req) { return resolve_handle(w, req); }),
  };
}

} // namespace carillon::http::sandbox

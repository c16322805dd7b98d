#include "http/handlers/internal/notifications.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "http/token.hpp"
#include "http/validation.hpp"

namespace carillon::http::internal_area {

namespace {

constexpr std::size_t max_title = 200;
constexpr std::size_t max_message = 10'000;
constexpr std::size_t max_url = 255;
constexpr std::size_t max_users = 1'000;
constexpr std::size_t max_key = 255;

constexpr std::array known_fields{"tenant_id", "user_id", "user_ids", "all_users", "type",
                                  "title",     "message", "data",     "action_url", "workspace_id"};

template <class Id>
std::optional<Id> read_id(body_reader& in, const std::string& field, presence need = presence::optional) {
  const auto text = in.text(field, 36, need);
  if (!text)
    return std::nullopt;
  auto id = Id::parse(*text);
  if (!id)
    in.refuse(field, "must be a valid UUID.");
  return id;
}

void read_recipients(body_reader& in, const json& body, notification_request& request) {
  const auto user = read_id<user_id>(in, "user_id");
  const auto list = in.uuid_list("user_ids", max_users);
  const auto all = body.find("all_users");
  const bool all_given = all != body.end() && !all->is_null();
  if (all_given && !all->is_boolean())
    in.refuse("all_users", "must be true or false.");
  const bool everybody = all_given && all->is_boolean() && all->get<bool>();
  const auto given = [&](const char* name) {
    const auto i = body.find(name);
    return i != body.end() && !i->is_null();
  };
  const int ways = int{given("user_id")} + int{given("user_ids")} + int{everybody};
  if (ways != 1)
    in.refuse("user_id", "or user_ids, or all_users, is required, and only one of them.");
  if (list && list->empty())
    in.refuse("user_ids", "must have at least one item.");
  if (user)
    request.users = {*user};
  for (const auto& id : list.value_or(std::vector<uuid>{}))
    request.users.push_back({id});
}

bool is_key(const std::string& key) {
  return key.size() <= max_key && std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

} // namespace

result<notification_request> parse_notification_request(const json& body, const std::string& key) {
  body_reader in{body};
  for (const auto& [name, value] : body.items())
    if (std::find(known_fields.begin(), known_fields.end(), name) == known_fields.end())
      in.refuse(name.size() <= 50 ? name : "body", "is not known.");
  notification_request request;
  auto& message = request.message;
  if (const auto tenant = read_id<tenant_id>(in, "tenant_id", presence::required))
    message.tenant = *tenant;
  read_recipients(in, body, request);
  const auto type = in.text("type", 50, presence::required);
  if (type) {
    const auto known = parse<notification_type>(*type);
    if (known)
      message.type = *known;
    else
      in.refuse("type", "is no notification type.");
  }
  message.title = in.text("title", max_title, presence::required).value_or("");
  message.message = in.text("message", max_message, presence::required).value_or("");
  message.data = in.object("data").value_or("");
  if (auto url = in.text("action_url", max_url)) {
    if (url->starts_with('/') && !url->starts_with("//"))
      message.action_url = std::move(*url);
    else
      in.refuse("action_url", "must be a path that starts with one slash.");
  }
  if (const auto workspace = read_id<workspace_id>(in, "workspace_id"))
    message.workspace = *workspace;
  if (!is_key(key))
    in.refuse("Idempotency-Key", "must be at most 255 visible ASCII characters.");
  if (auto bad = in.problems())
    return *bad;
  request.idempotency_key = key;
  request.fingerprint = hash_token_secret(body.dump(-1, ' ', false, json::error_handler_t::replace));
  return request;
}

result<reply> run_notify(call& c) {
  auto body = c.body();
  if (!body)
    return std::move(body).error();
  auto request = parse_notification_request(*body, c.req.header("idempotency-key"));
  if (!request)
    return std::move(request).error();
  request->message.correlation_id = c.req.correlation_id;
  auto answer = c.db.notifications().send_once(scope::tenant(request->message.tenant), *request, c.after_commit);
  if (!answer)
    return std::move(answer).error();
  auto ids = json::array();
  for (const auto& id : answer->ids)
    ids.push_back(to_string(id));
  return created({{"notification_ids", std::move(ids)},
                  {"broadcast_id", answer->broadcast ? json(to_string(*answer->broadcast)) : json(nullptr)},
                  {"recipients", answer->recipients},
                  {"repeated", answer->repeated}},
                 "Accepted");
}

} // namespace carillon::http::internal_area

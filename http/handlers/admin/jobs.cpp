#include "http/handlers/admin/jobs.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "http/validation.hpp"

namespace carillon::http::admin_jobs {

namespace {

constexpr int default_page = 50;
constexpr int largest_page = 100;
/// One transaction, well inside a request's deadline.
constexpr int largest_batch = 10'000;
constexpr int top_workspaces = 20;
constexpr std::size_t longest_kind = 100;
constexpr std::size_t longest_queue = 50;
constexpr std::size_t longest_error = 255;
constexpr std::size_t longest_id = 36;

/// A filter as people write it.
struct job_selection {
  job_filter filter;
  std::optional<tenant_id> tenant;
  bool is_empty = true;

  scope who() const {
    return tenant ? scope::tenant(*tenant) : scope::maintenance("operator API of the job engine");
  }
};

const std::set<std::string>& filter_fields() {
  static const std::set<std::string> names{"state",     "kind",  "queue",         "workspace_id",
                                           "tenant_id", "error", "created_after", "created_before"};
  return names;
}

template <class Id>
std::optional<Id> read_id(body_reader& in, const std::string& field) {
  const auto written = in.text(field, longest_id);
  if (!written)
    return std::nullopt;
  const auto id = Id::parse(*written);
  if (!id)
    in.refuse(field, "must be a valid UUID.");
  return id;
}

job_selection read_selection(body_reader& in) {
  job_selection out;
  auto& f = out.filter;
  if (const auto state = in.text("state", longest_kind)) {
    f.state = parse_job_state(*state);
    if (!f.state)
      in.refuse("state", "must be available, retrying, succeeded, discarded or cancelled.");
  }
  f.kind = in.text("kind", longest_kind).value_or("");
  f.queue = in.text("queue", longest_queue).value_or("");
  f.error = in.text("error", longest_error).value_or("");
  f.workspace = read_id<workspace_id>(in, "workspace_id");
  out.tenant = read_id<tenant_id>(in, "tenant_id");
  f.created_after = in.time("created_after", "UTC");
  f.created_before = in.time("created_before", "UTC");
  out.is_empty = !f.state && f.kind.empty() && f.queue.empty() && f.error.empty() && !f.workspace && !out.tenant
                 && !f.created_after && !f.created_before;
  return out;
}

/// The query's parameters as a body would give them.
json query_object(const request& req) {
  auto out = json::object();
  for (const auto& [name, value] : req.query)
    out[name] = value;
  return out;
}

/// A number in JSON or as the text of a query.
int read_number(body_reader& in, const json& body, const std::string& field, int lowest, int highest,
                int otherwise) {
  const auto i = body.find(field);
  if (i == body.end() || i->is_null() || *i == "")
    return otherwise;
  if (i->is_number_integer() || i->is_number_unsigned()) {
    const auto value = i->get<double>();
    if (value >= lowest && value <= highest)
      return static_cast<int>(value);
  } else if (i->is_string()) {
    const auto& text = i->get_ref<const std::string&>();
    int value = 0;
    const auto* const end = text.data() + text.size();
    const auto [stop, ec] = std::from_chars(text.data(), end, value);
    if (ec == std::errc{} && stop == end && value >= lowest && value <= highest)
      return value;
  }
  in.refuse(field, "must be a number from " + std::to_string(lowest) + " to " + std::to_string(highest) + ".");
  return otherwise;
}

/// Contract §1.5.
bool read_flag(body_reader& in, const json& body, const std::string& field) {
  const auto i = body.find(field);
  if (i == body.end() || i->is_null() || *i == "")
    return false;
  if (i->is_boolean())
    return i->get<bool>();
  if (*i == 1 || *i == "1")
    return true;
  if (*i != 0 && *i != "0")
    in.refuse(field, "must be true or false.");
  return false;
}

void refuse_unknown(body_reader& in, const json& body, const std::set<std::string>& known) {
  for (const auto& [name, _] : body.items())
    if (!known.contains(name))
      in.refuse(name, "is not known here.");
}

operator_identity identity_of(const call& c) {
  return {c.who.admin->id, c.req.remote_address, c.req.correlation_id};
}

json text_or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

json errors_of(const job& j) {
  auto errors = json::parse(j.errors, nullptr, false);
  return errors.is_array() ? errors : json::array();
}

json render(const job& j) {
  const auto errors = errors_of(j);
  const bool failed = !errors.empty() && errors.back().is_object();
  return {{"id", to_string(j.id)},
          {"kind", j.kind},
          {"queue", j.queue},
          {"state", std::string{to_string(j.state)}},
          {"tenant_id", to_string(j.tenant)},
          {"workspace_id", to_string(j.workspace)},
          {"priority", j.priority},
          {"attempt", j.attempt},
          {"max_attempts", j.max_attempts},
          {"crashes", j.crashes},
          {"suspicion", j.suspicion},
          {"run_at", format_api_time(j.run_at)},
          {"created_at", format_api_time(j.created_at)},
          {"concluded_at", j.concluded_at ? json(format_api_time(*j.concluded_at)) : json(nullptr)},
          {"unique_key", text_or_null(j.unique_key)},
          {"rate_key", text_or_null(j.rate_key)},
          {"correlation_id", text_or_null(j.correlation_id)},
          {"last_error", failed ? text_or_null(errors.back().value("error", std::string{})) : json(nullptr)}};
}

/// conflict in words that may reach the client.
failure told(failure f) {
  if (f.code == errc::conflict && f.fields.empty())
    f.fields.push_back({"job", "This is not possible: " + f.detail + "."});
  return f;
}

json render(const job_control& control) {
  return {{"scope", std::string{to_string(control.scope)}},
          {"name", control.name},
          {"paused", control.paused},
          {"weight", control.weight ? json(*control.weight) : json(nullptr)},
          {"max_running", control.max_running ? json(*control.max_running) : json(nullptr)},
          {"rate", control.rate ? json{{"per_second", control.rate->per_second}, {"burst", control.rate->burst}}
                                : json(nullptr)}};
}

/// Not null in the body.
bool gives(const json& body, const char* field) {
  const auto i = body.find(field);
  return i != body.end() && !i->is_null();
}

void read_rate(body_reader& in, const json& body, job_control& control) {
  const auto& rate = body.at("rate");
  if (!rate.is_object()) {
    in.refuse("rate", "must be an object.");
    return;
  }
  rate_budget out;
  const auto per_second = rate.find("per_second");
  if (per_second == rate.end() || !per_second->is_number() || per_second->get<double>() <= 0
      || per_second->get<double>() > 1'000'000)
    in.refuse("rate.per_second", "must be a number above 0, at most 1000000.");
  else
    out.per_second = per_second->get<double>();
  if (const auto burst = rate.find("burst"); burst != rate.end() && !burst->is_null()) {
    if (burst->is_number_integer() && *burst >= 1 && *burst <= 1'000'000)
      out.burst = burst->get<int>();
    else
      in.refuse("rate.burst", "must be a number from 1 to 1000000.");
  }
  for (const auto& [name, _] : rate.items())
    if (name != "per_second" && name != "burst")
      in.refuse("rate." + name, "is not known here.");
  control.rate = out;
}

} // namespace

result<reply> run_stats(call& c) {
  const auto everywhere = scope::maintenance("operator API of the job engine");
  const auto counts = c.db.jobs().count(everywhere);
  if (!counts)
    return counts.error();
  const auto workspaces = c.db.jobs().count_workspaces(everywhere, top_workspaces);
  if (!workspaces)
    return workspaces.error();
  json out{{"by_state", json::object()}, {"by_kind", json::object()}, {"by_queue", json::object()},
           {"counts", json::array()}, {"workspaces", json::array()}};
  const auto add = [&out](const char* group, const std::string& name, std::int64_t n) {
    auto& sum = out[group][name];
    sum = (sum.is_null() ? 0 : sum.get<std::int64_t>()) + n;
  };
  for (const auto& row : *counts) {
    add("by_state", row.state, row.count);
    add("by_kind", row.kind, row.count);
    add("by_queue", row.queue, row.count);
    out["counts"].push_back({{"state", row.state},
                             {"kind", row.kind},
                             {"queue", row.queue},
                             {"count", row.count},
                             {"oldest_due_ms", row.oldest_due.count()}});
  }
  for (const auto& row : *workspaces)
    out["workspaces"].push_back({{"tenant_id", to_string(row.tenant)},
                                 {"workspace_id", to_string(row.workspace)},
                                 {"live", row.live},
                                 {"due", row.due}});
  return ok(std::move(out));
}

result<reply> run_list(call& c) {
  const auto query = query_object(c.req);
  body_reader in{query};
  auto selection = read_selection(in);
  const auto limit = read_number(in, query, "limit", 1, largest_page, default_page);
  if (const auto cursor = in.text("cursor", longest_error)) {
    selection.filter.after = job_id::parse(*cursor);
    if (!selection.filter.after)
      in.refuse("cursor", "must be what an answer gave as next_cursor.");
  }
  if (auto refused = in.problems())
    return std::move(*refused);
  // One more tells whether there is a next page.
  selection.filter.limit = limit + 1;
  const auto found = c.db.jobs().list(selection.who(), selection.filter);
  if (!found)
    return found.error();
  const auto shown = std::min<std::size_t>(found->size(), static_cast<std::size_t>(limit));
  auto items = json::array();
  for (std::size_t i = 0; i < shown; ++i)
    items.push_back(render((*found)[i]));
  auto out = ok(std::move(items));
  out.body["meta"] = {{"limit", limit},
                      {"next_cursor", found->size() > shown ? json(to_string((*found)[shown - 1].id)) : json(nullptr)}};
  return out;
}

result<reply> run_show(call& c) {
  const auto id = c.path_id<job_id>("job");
  if (!id)
    return id.error();
  const auto everywhere = scope::maintenance("operator API of the job engine");
  const auto found = c.db.jobs().find(everywhere, *id);
  if (!found)
    return found.error();
  const auto explanation = c.db.jobs().explain(everywhere, *id);
  if (!explanation)
    return explanation.error();
  auto out = render(*found);
  auto payload = json::parse(found->payload, nullptr, false);
  out["payload"] = payload.is_object() ? std::move(payload) : json::object();
  out["errors"] = errors_of(*found);
  out["explanation"] = *explanation;
  return ok(std::move(out));
}

result<reply> run_one(call& c, job_action what) {
  const auto id = c.path_id<job_id>("job");
  if (!id)
    return id.error();
  const auto everywhere = scope::maintenance("operator API of the job engine");
  auto& jobs = c.db.jobs();
  const auto changed = what == job_action::retry    ? jobs.retry(everywhere, identity_of(c), *id)
                       : what == job_action::cancel ? jobs.cancel(everywhere, identity_of(c), *id)
                                                    : jobs.discard(everywhere, identity_of(c), *id);
  if (!changed)
    return told(changed.error());
  return ok(render(*changed));
}

result<reply> run_all(call& c, job_action what) {
  auto body = c.body();
  if (!body)
    return std::move(body).error();
  body_reader in{*body};
  // A mistyped filter would meet more than was meant.
  auto known = filter_fields();
  known.insert({"all", "preview", "limit"});
  refuse_unknown(in, *body, known);
  const auto selection = read_selection(in);
  const bool all = read_flag(in, *body, "all");
  const bool preview = read_flag(in, *body, "preview");
  const auto limit = read_number(in, *body, "limit", 1, largest_batch, largest_batch);
  if (!in.problems() && selection.is_empty && !all)
    in.refuse("all", "must be true where no filter is given: this would meet every job.");
  if (auto refused = in.problems())
    return std::move(*refused);

  auto& jobs = c.db.jobs();
  if (preview) {
    const auto count = jobs.count_affected(selection.who(), selection.filter, what);
    if (!count)
      return count.error();
    return ok({{"count", *count}, {"preview", true}, {"more", false}});
  }
  const auto by = identity_of(c);
  const auto count = what == job_action::retry    ? jobs.retry_all(selection.who(), by, selection.filter, limit)
                     : what == job_action::cancel ? jobs.cancel_all(selection.who(), by, selection.filter, limit)
                                                  : jobs.discard_all(selection.who(), by, selection.filter, limit);
  if (!count)
    return count.error();
  return ok({{"count", *count}, {"preview", false}, {"more", *count >= limit}});
}

result<reply> run_controls(call& c) {
  const auto controls = c.db.jobs().load_controls();
  if (!controls)
    return controls.error();
  auto out = json::array();
  for (const auto& control : *controls)
    out.push_back(render(control));
  return ok(std::move(out));
}

result<reply> run_set_control(call& c) {
  auto body = c.body();
  if (!body)
    return std::move(body).error();
  body_reader in{*body};
  refuse_unknown(in, *body, {"scope", "name", "paused", "weight", "max_running", "rate"});
  using about = job_control::about;
  std::optional<about> scope_of;
  if (const auto written = in.text("scope", longest_kind, presence::required)) {
    scope_of = parse_control_scope(*written);
    if (!scope_of)
      in.refuse("scope", "must be kind, queue or workspace.");
  }
  auto name = in.text("name", longest_kind, presence::required);
  if (name && scope_of == about::workspace) {
    if (const auto id = workspace_id::parse(*name))
      name = to_string(*id);
    else
      in.refuse("name", "must be a valid UUID of a workspace.");
  }
  if (gives(*body, "weight") && scope_of && scope_of != about::workspace)
    in.refuse("weight", "is for workspaces only.");
  if (gives(*body, "max_running") && scope_of == about::queue)
    in.refuse("max_running", "is for kinds and workspaces only.");
  if (gives(*body, "rate") && scope_of && scope_of != about::kind)
    in.refuse("rate", "is for kinds only.");
  if (auto refused = in.problems())
    return std::move(*refused);

  const auto controls = c.db.jobs().load_controls();
  if (!controls)
    return controls.error();
  job_control control;
  control.scope = *scope_of;
  control.name = *name;
  for (const auto& known : *controls)
    if (known.scope == control.scope && known.name == control.name)
      control = known;
  if (body->contains("paused"))
    control.paused = read_flag(in, *body, "paused");
  if (body->contains("weight")) {
    control.weight.reset();
    if (gives(*body, "weight"))
      control.weight = read_number(in, *body, "weight", 1, 100, 1);
  }
  if (body->contains("max_running")) {
    control.max_running.reset();
    if (gives(*body, "max_running"))
      control.max_running = read_number(in, *body, "max_running", 0, 100'000, 0);
  }
  if (body->contains("rate")) {
    control.rate.reset();
    if (gives(*body, "rate"))
      read_rate(in, *body, control);
  }
  if (auto refused = in.problems())
    return std::move(*refused);
  const auto set = c.db.jobs().set_control(identity_of(c), control);
  if (!set)
    return set.error();
  return ok(render(control));
}

} // namespace carillon::http::admin_jobs

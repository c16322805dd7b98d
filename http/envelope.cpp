#include "http/envelope.hpp"

#include "domain/text.hpp"
#include "http/json_text.hpp"
#include "http/target.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace carillon::http {

namespace {

constexpr int deepest_nesting = 64;
constexpr int largest_page = 10'000'000;
constexpr int largest_per_page = 100;
constexpr std::size_t most_errors = 100;
constexpr std::size_t longest_name = 255;
constexpr std::string_view validation_message = "The given data was invalid.";

/// Brackets outside strings, counted before a parser sees them.
bool is_nested_deeper_than(std::string_view text, int limit) noexcept {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limit)
        return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

bool holds_nul(std::string_view text) noexcept {
  return text.find('\0') != std::string_view::npos;
}

/// PostgreSQL cannot store U+0000, and libpqxx 6 would cut the text there.
/// Names are made only for what is refused: a body of long keys and many
/// texts would else cost its size squared.
class nul_finder {
public:
  void visit(const json& value) {
    if (found_.size() >= most_errors)
      return;
    if (value.is_string()) {
      if (holds_nul(value.get_ref<const std::string&>()))
        found_.push_back({name(), "The text must not contain U+0000."});
    } else if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i)
        visit_member(std::to_string(i), value[i]);
    } else if (value.is_object()) {
      for (const auto& [key, member] : value.items()) {
        if (holds_nul(key))
          found_.push_back({name(), "A key must not contain U+0000."});
        else
          visit_member(key, member);
      }
    }
  }

  std::vector<field_error> found() && {
    return std::move(found_);
  }

private:
  void visit_member(std::string step, const json& member) {
    path_.push_back(std::move(step));
    visit(member);
    path_.pop_back();
  }

  std::string name() const {
    std::string out;
    for (const auto& step : path_) {
      if (out.size() > longest_name)
        break;
      out += (out.empty() ? "" : ".") + step;
    }
    return out.empty() ? "body" : std::string{first_characters(out, longest_name)};
  }

  std::vector<std::string> path_;
  std::vector<field_error> found_;
};

json errors_of(const failure& f) {
  json out = json::object();
  for (const auto& e : f.fields)
    out[e.field].push_back(e.reason);
  return out;
}

reply refused_input(std::string message, json errors) {
  auto out = error_reply(422, message);
  out.body["errors"] = std::move(errors);
  return out;
}

/// Contract §1.4: the first text, with a count when there are more.
std::string business_message(const failure& f) {
  auto out = f.fields.front().reason;
  if (const auto more = f.fields.size() - 1; more > 0)
    out += " (and " + std::to_string(more)
           + (more == 1 ? " more error)" : " more errors)");
  return out;
}

void add_retry_after(reply& r, const failure& f,
                     std::chrono::seconds otherwise) {
  const auto wait = f.retry_after
                      ? std::chrono::ceil<std::chrono::seconds>(*f.retry_after)
                      : otherwise;
  r.headers.emplace_back(
    "Retry-After", std::to_string(std::max<std::int64_t>(1, wait.count())));
}

int read_number(const std::string& text, int lowest, int highest,
                int otherwise) {
  if (text.empty())
    return otherwise;
  long long value = 0;
  const auto* const end = text.data() + text.size();
  const auto [stop, ec] = std::from_chars(text.data(), end, value);
  if (stop != end)
    return otherwise;
  if (ec == std::errc::result_out_of_range)
    value = text.front() == '-' ? std::numeric_limits<long long>::min()
                                : std::numeric_limits<long long>::max();
  else if (ec != std::errc{})
    return otherwise;
  return static_cast<int>(std::clamp<long long>(value, lowest, highest));
}

reply success(int status, json data, std::string_view message) {
  reply out;
  out.status = status;
  out.body = {{"success", true},
              {"message", std::string{message}},
              {"data", std::move(data)}};
  return out;
}

} // namespace

reply error_reply(int status, std::string_view message) {
  reply out;
  out.status = status;
  out.body = {{"success", false}, {"message", std::string{message}}};
  return out;
}

result<json> parse_json_object(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return json::object();
  if (!is_valid_utf8(text))
    return invalid("body", "The body must be UTF-8.");
  if (is_nested_deeper_than(text, deepest_nesting))
    return invalid("body", "The body is nested too deeply.");
  auto parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded())
    return invalid("body", "The body must be valid JSON.");
  if (!parsed.is_object())
    return invalid("body", "The body must be a JSON object.");
  nul_finder nuls;
  nuls.visit(parsed);
  auto refused = std::move(nuls).found();
  if (!refused.empty())
    return failure{
      errc::invalid_argument, "U+0000 in the body", std::move(refused), {}};
  return parsed;
}

result<json> call::body() const {
  return parse_json_object(req.body);
}

reply ok(json data, std::string_view message) {
  return success(200, std::move(data), message);
}

reply created(json data, std::string_view message) {
  return success(201, std::move(data), message);
}

page_request read_page(const request& req, int default_per_page) {
  return {read_number(req.query_value("page"), 1, largest_page, 1),
          read_number(req.query_value("per_page"), 1, largest_per_page,
                      default_per_page)};
}

namespace {

/// Where a page stands; what is nothing is null in the answer.
struct page_frame {
  std::int64_t last = 1;
  std::optional<std::int64_t> from;
  std::optional<std::int64_t> to;
  std::optional<std::int64_t> previous;
  std::optional<std::int64_t> next;
  std::string link_prefix; ///< Of a link, up to the page's number.
};

page_frame frame_of(const request& req, std::int64_t count, const page_request& page, std::int64_t total) {
  page_frame out;
  out.last = std::max<std::int64_t>(1, (total + page.per_page - 1) / page.per_page);
  if (count > 0) {
    out.from = static_cast<std::int64_t>(page.page - 1) * page.per_page + 1;
    out.to = *out.from + count - 1;
  }
  if (page.page > 1)
    out.previous = std::min<std::int64_t>(page.page - 1, out.last);
  if (page.page < out.last)
    out.next = page.page + 1;
  out.link_prefix = req.base_url + percent_encode(req.path, "/") + "?";
  for (const auto& [name, value] : req.query)
    if (name != "page")
      out.link_prefix += percent_encode(name, "[]") + "=" + percent_encode(value) + "&";
  out.link_prefix += "page=";
  return out;
}

void append_number_or_null(std::string& out, const std::optional<std::int64_t>& number) {
  if (number)
    out += std::to_string(*number);
  else
    out += "null";
}

/// `prefix_text` is the links' prefix in quotes.
void append_link_or_null(std::string& out, std::string_view prefix_text, const std::optional<std::int64_t>& number) {
  if (!number) {
    out += "null";
    return;
  }
  out += prefix_text.substr(0, prefix_text.size() - 1);
  out += std::to_string(*number);
  out += '"';
}

} // namespace

reply paginated(const request& req, json items, const page_request& page,
                std::int64_t total) {
  const auto frame = frame_of(req, static_cast<std::int64_t>(items.size()), page, total);
  const auto number = [](const std::optional<std::int64_t>& n) { return n ? json(*n) : json(); };
  const auto link = [&](const std::optional<std::int64_t>& n) {
    return n ? json(frame.link_prefix + std::to_string(*n)) : json();
  };
  auto out = success(200, std::move(items), "OK");
  out.body["meta"] = {{"current_page", page.page}, {"last_page", frame.last},  {"per_page", page.per_page},
                      {"total", total},            {"from", number(frame.from)}, {"to", number(frame.to)}};
  out.body["links"] = {{"first", link(1)},
                       {"last", link(frame.last)},
                       {"prev", link(frame.previous)},
                       {"next", link(frame.next)}};
  return out;
}

reply paginated_text(const request& req, std::string_view items, std::int64_t count, const page_request& page,
                     std::int64_t total) {
  const auto frame = frame_of(req, count, page, total);
  std::string prefix;
  append_json_text(prefix, frame.link_prefix);
  reply out;
  auto& text = out.raw.emplace();
  text.reserve(items.size() + 4 * prefix.size() + 512);
  text += R"({"success":true,"message":"OK","data":)";
  text += items;
  text += R"(,"meta":{"current_page":)";
  text += std::to_string(page.page);
  text += R"(,"from":)";
  append_number_or_null(text, frame.from);
  text += R"(,"last_page":)";
  text += std::to_string(frame.last);
  text += R"(,"per_page":)";
  text += std::to_string(page.per_page);
  text += R"(,"to":)";
  append_number_or_null(text, frame.to);
  text += R"(,"total":)";
  text += std::to_string(total);
  text += R"(},"links":{"first":)";
  append_link_or_null(text, prefix, 1);
  text += R"(,"last":)";
  append_link_or_null(text, prefix, frame.last);
  text += R"(,"next":)";
  append_link_or_null(text, prefix, frame.next);
  text += R"(,"prev":)";
  append_link_or_null(text, prefix, frame.previous);
  text += "}}";
  return out;
}

reply problem(const failure& f) {
  using std::chrono::seconds;
  switch (f.code) {
  case errc::invalid_argument: {
    auto errors = errors_of(f);
    if (errors.empty())
      errors["body"].push_back(
        f.detail.empty() ? std::string{validation_message} : f.detail);
    return refused_input(std::string{validation_message}, std::move(errors));
  }
  case errc::conflict: {
    // Without fields the detail may be the database's own words.
    if (f.fields.empty()) {
      const std::string message = "This is not possible in the current state.";
      return refused_input(message, {{"state", {message}}});
    }
    return refused_input(business_message(f), errors_of(f));
  }
  case errc::not_found:
    return error_reply(404, "Not found.");
  case errc::unauthorized: {
    auto out = error_reply(401, "Unauthenticated.");
    out.headers.emplace_back("WWW-Authenticate", "Bearer");
    return out;
  }
  case errc::forbidden:
    return error_reply(403, f.detail.empty() ? "You are not allowed to do this."
                                             : std::string_view{f.detail});
  case errc::throttled: {
    auto out = error_reply(429, "Too many requests.");
    add_retry_after(out, f, seconds{60});
    return out;
  }
  case errc::transient:
  case errc::cancelled: {
    auto out = error_reply(503, "Temporarily unavailable; nothing was "
                                "changed. Please try again.");
    add_retry_after(out, f, seconds{1});
    return out;
  }
  case errc::outcome_unknown:
    return error_reply(503, "It is not known whether this took effect. "
                            "Please look before you repeat it.");
  case errc::permanent:
    break;
  }
  return error_reply(500, "Something went wrong on our side.");
}

json time_or_null(const std::optional<instant>& t) {
  return t ? json(format_api_time(*t)) : json(nullptr);
}

} // namespace carillon::http

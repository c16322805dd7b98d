#include "config/schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>

#include <arpa/inet.h>

namespace carillon::config {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// -- enumerations travel as text ----------------------------------------------

constexpr std::array<std::string_view, 2> mail_transport_names = {"file", "smtp"};
constexpr std::array<std::string_view, 3> mail_security_names = {"none", "starttls", "tls"};
constexpr std::array<std::string_view, 2> sms_method_names = {"POST", "PUT"};
constexpr std::array<std::string_view, 4> sms_auth_names = {"none", "basic", "bearer", "header"};
constexpr std::array<std::string_view, 2> log_format_names = {"json", "text"};
constexpr std::array<std::string_view, 4> log_level_names = {"debug", "info", "warn", "error"};
constexpr std::array<std::string_view, 2> scheduling_names = {"stealing", "sharing"};

std::span<const std::string_view> names_of(mail_transport) {
  return mail_transport_names;
}
std::span<const std::string_view> names_of(mail_security) {
  return mail_security_names;
}
std::span<const std::string_view> names_of(sms_method) {
  return sms_method_names;
}
std::span<const std::string_view> names_of(sms_auth) {
  return sms_auth_names;
}
std::span<const std::string_view> names_of(log_format) {
  return log_format_names;
}
std::span<const std::string_view> names_of(log_level) {
  return log_level_names;
}
std::span<const std::string_view> names_of(scheduling) {
  return scheduling_names;
}

// -- between fields and values ------------------------------------------------

template <class T>
constexpr value_type type_of() {
  if constexpr (std::is_same_v<T, bool>)
    return value_type::boolean;
  else if constexpr (std::is_enum_v<T>)
    return value_type::choice;
  else if constexpr (std::is_integral_v<T>)
    return value_type::integer;
  else if constexpr (std::is_same_v<T, double>)
    return value_type::number;
  else if constexpr (std::is_same_v<T, milliseconds>)
    return value_type::duration;
  else if constexpr (std::is_same_v<T, std::vector<std::string>>)
    return value_type::text_list;
  else if constexpr (std::is_same_v<T, std::vector<seconds>>)
    return value_type::duration_list;
  else
    return value_type::text;
}

template <class T>
value to_value(const T& field) {
  if constexpr (type_of<T>() == value_type::choice)
    return std::string{names_of(field)[static_cast<std::size_t>(field)]};
  else if constexpr (type_of<T>() == value_type::integer)
    return static_cast<std::int64_t>(field);
  else if constexpr (type_of<T>() == value_type::duration_list)
    return std::vector<milliseconds>(field.begin(), field.end());
  else
    return field;
}

template <class T>
void from_value(const value& v, T& field) {
  if constexpr (type_of<T>() == value_type::choice) {
    const auto names = names_of(T{});
    const auto found = std::find(names.begin(), names.end(), std::get<std::string>(v));
    field = static_cast<T>(found - names.begin());
  } else if constexpr (type_of<T>() == value_type::integer) {
    field = static_cast<T>(std::get<std::int64_t>(v));
  } else if constexpr (type_of<T>() == value_type::duration_list) {
    field.clear();
    for (auto d : std::get<std::vector<milliseconds>>(v))
      field.push_back(std::chrono::duration_cast<seconds>(d));
  } else {
    field = std::get<T>(v);
  }
}

template <auto Section, auto Field>
value read_field(const settings& from) {
  return to_value((from.*Section).*Field);
}

template <auto Section, auto Field>
void write_field(settings& to, const value& v) {
  from_value(v, (to.*Section).*Field);
}

// -- rules for texts ----------------------------------------------------------

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c > 0x20 && c != 0x7f;
  });
}

bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) {
    return c < 0x20 || c == 0x7f;
  });
}

bool is_address(std::string_view text) {
  const std::string copy{text};
  in6_addr out;
  return inet_pton(AF_INET, copy.c_str(), &out) == 1
         || inet_pton(AF_INET6, copy.c_str(), &out) == 1;
}

bool is_web_url(std::string_view text) {
  const auto scheme = text.starts_with("http://")    ? 7U
                      : text.starts_with("https://") ? 8U
                                                     : 0U;
  return scheme != 0 && text.size() > scheme && text[scheme] != '/'
         && is_visible(text);
}

bool is_origin(std::string_view text) {
  if (text == "*")
    return true;
  return is_web_url(text) && text.find('/', text.find("://") + 3) == text.npos;
}

bool is_mailbox(std::string_view text) {
  const auto at = text.find('@');
  return at != text.npos && at > 0 && at + 1 < text.size()
         && text.find('@', at + 1) == text.npos && is_visible(text)
         && text.find_first_of("<>,;\"") == text.npos;
}

bool is_token_key(std::string_view text) {
  return text.empty()
         || (text.size() == 64
             && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos);
}

constexpr text_rule node_name_rule = {
  "empty or up to 60 letters, digits, '.', '_', ':' or '-'", [](std::string_view text) {
    return text.size() <= 60
           && std::all_of(text.begin(), text.end(), [](unsigned char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                       || (c >= 'A' && c <= 'Z') || c == '.' || c == '_'
                       || c == ':' || c == '-';
              });
  }};
constexpr text_rule database_url_rule = {
  "postgresql://… or a list of key=value", [](std::string_view text) {
    return is_one_line(text)
           && (text.starts_with("postgresql://")
               || text.starts_with("postgres://")
               || text.find('=') != text.npos);
  }};
constexpr text_rule address_rule = {"an IPv4 or IPv6 address", is_address};
constexpr text_rule address_block_rule = {
  "addresses or blocks of them such as 10.0.0.0/8", [](std::string_view text) {
    const auto slash = text.find('/');
    if (!is_address(text.substr(0, slash)))
      return false;
    if (slash == text.npos)
      return true;
    const auto digits = text.substr(slash + 1);
    if (digits.empty() || digits.size() > 3 || digits.find_first_not_of("0123456789") != digits.npos)
      return false;
    return std::stoi(std::string{digits}) <= (text.find(':') == text.npos ? 32 : 128);
  }};
constexpr text_rule web_url_rule = {"a URL with http:// or https://", is_web_url};
constexpr text_rule origin_rule = {"* or origins such as https://app.example", is_origin};
constexpr text_rule mailbox_rule = {"an e-mail address", is_mailbox};
constexpr text_rule mailboxes_rule = {"e-mail addresses", is_mailbox};
constexpr text_rule one_line_rule = {"text without control characters", is_one_line};
constexpr text_rule token_key_rule = {"empty or 64 hexadecimal digits", is_token_key};
constexpr text_rule host_rule = {
  "a host name or an address", [](std::string_view text) {
    return !text.empty() && is_visible(text)
           && text.find_first_of("/@") == text.npos;
  }};
constexpr text_rule cluster_name_rule = {
  "1 to 60 letters, digits, '.', '_' or '-'", [](std::string_view text) {
    return !text.empty() && text.find(':') == text.npos && node_name_rule.holds(text);
  }};
constexpr text_rule advertise_rule = {
  "empty or host:port", [](std::string_view text) {
    const auto colon = text.rfind(':');
    if (text.empty() || colon == text.npos)
      return text.empty();
    const auto port = text.substr(colon + 1);
    return colon > 0 && text.size() <= 200 && is_visible(text) && text.find_first_of("/@#") == text.npos
           && !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos
           && port.front() != '0';
  }};
constexpr text_rule operator_token_rule = {
  "empty or 16 and more characters without spaces", [](std::string_view text) {
    return text.empty() || (text.size() >= 16 && is_visible(text));
  }};
constexpr text_rule vapid_key_rule = {
  "empty or 43 characters of base64url", [](std::string_view text) {
    return text.empty()
           || (text.size() == 43
               && text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == text.npos);
  }};
constexpr text_rule vapid_subject_rule = {
  "empty, mailto:… or https://…", [](std::string_view text) {
    return text.empty() || (text.starts_with("mailto:") && is_mailbox(text.substr(7)))
           || (text.starts_with("https://") && is_web_url(text));
  }};
constexpr text_rule host_and_port_rule = {
  "host names or addresses, with or without a port", [](std::string_view text) {
    return !text.empty() && is_visible(text) && text.find_first_of("/@") == text.npos;
  }};
constexpr text_rule optional_web_url_rule = {
  "empty or a URL with http:// or https://",
  [](std::string_view text) { return text.empty() || is_web_url(text); }};
constexpr text_rule sms_field_rule = {
  "name=template", [](std::string_view text) {
    const auto equals = text.find('=');
    return equals != text.npos && equals > 0 && is_one_line(text);
  }};
constexpr text_rule header_name_rule = {
  "the name of an HTTP header", [](std::string_view text) {
    return !text.empty() && is_visible(text) && text.find_first_of(":,;\"()<>@/[]?={}\\") == text.npos;
  }};
constexpr text_rule status_rule = {
  "HTTP statuses such as 201 or 200-299", [](std::string_view text) {
    return (text.size() == 3 || (text.size() == 7 && text[3] == '-'))
           && text.find_first_not_of("0123456789-") == text.npos;
  }};
constexpr text_rule pointer_rule = {
  "empty or a JSON pointer", [](std::string_view text) {
    return (text.empty() || text.starts_with('/')) && is_one_line(text);
  }};
constexpr text_rule app_key_rule = {
  "1 to 64 letters, digits, '-' or '_'", [](std::string_view text) {
    return !text.empty() && text.size() <= 64
           && std::all_of(text.begin(), text.end(), [](unsigned char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                       || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
              });
  }};
constexpr text_rule path_rule = {
  "a path", [](std::string_view text) { return !text.empty() && is_one_line(text); }};
constexpr text_rule optional_path_rule = {"empty or a path", is_one_line};

// -- the declarations ---------------------------------------------------------

constexpr std::int64_t in_ms(milliseconds d) {
  return d.count();
}

/// Builds one entry; only used by the list below.
struct declare : key_schema {
  declare& range(std::int64_t low, std::int64_t high, std::string_view of = {}) {
    minimum = low;
    maximum = high;
    unit = of;
    return *this;
  }
  declare& between(milliseconds low, milliseconds high) {
    return range(in_ms(low), in_ms(high));
  }
  declare& numbers(double low, double high) {
    minimum_number = low;
    maximum_number = high;
    return *this;
  }
  declare& must_be(const text_rule& r) {
    rule = &r;
    return *this;
  }
  declare& while_running() {
    hot = true;
    return *this;
  }
  declare& hidden(secrecy how) {
    secret = how;
    return *this;
  }
};

template <auto Section, auto Field>
declare key(std::string_view section, std::string_view name, std::string_view help) {
  using field_type
    = std::remove_cvref_t<decltype((std::declval<settings&>().*Section).*Field)>;
  declare out;
  out.section = section;
  out.name = name;
  out.type = type_of<field_type>();
  out.help = help;
  if constexpr (type_of<field_type>() == value_type::choice)
    out.choices = names_of(field_type{});
  out.whole_seconds = type_of<field_type>() == value_type::duration_list;
  out.read = &read_field<Section, Field>;
  out.write = &write_field<Section, Field>;
  return out;
}

#define CARILLON_KEY(section, name, help)                                      \
  key<&settings::section, &section##_settings::name>(#section, #name, help)

constexpr section_schema all_sections[] = {
  {"node", "This process among the others on the same database."},
  {"database", "PostgreSQL: where it is and how hard it is used."},
  {"http", "The public API."},
  {"internal", "The operators' listener: /metrics and /internal/*."},
  {"api", "What the API answers."},
  {"ownership", "Which node runs which workspaces."},
  {"jobs", "The job engine."},
  {"workspaces", "The actors of a workspace and their supervision."},
  {"publishing", "How posts go out."},
  {"media", "Pictures, films and documents of posts."},
  {"live", "Live events over WebSockets and event streams (docs/live.md)."},
  {"cluster", "How nodes tell each other of live events (docs/live.md, docs/runbook.md). The line "
              "between them is not encrypted: a private network or a tunnel only."},
  {"operations", "What operators are told."},
  {"mail", "How notification mails go out."},
  {"push", "Push messages to browsers (docs/push-and-sms.md)."},
  {"sms", "Text messages by any provider that takes them over HTTP (docs/push-and-sms.md)."},
  {"secrets", "Keys that protect what is stored."},
  {"auth", "Passwords."},
  {"log", "The log on standard error."},
  {"caf", "The actor runtime."},
};

std::vector<key_schema> make_schema() {
  using namespace std::chrono_literals;
  return {
    CARILLON_KEY(node, name,
      "The node's name in logs, leases and operator pages. Empty means "
      "hostname:pid. A name must not be used by two processes at once.")
      .must_be(node_name_rule),

    CARILLON_KEY(database, url,
      "The database, as a libpq URL or key=value list.")
      .must_be(database_url_rule).hidden(secrecy::password_in_url),
    CARILLON_KEY(database, interactive_connections,
      "Connections that answer HTTP requests. More than twice the cores "
      "brings nothing.").range(1, 200, "connections"),
    CARILLON_KEY(database, background_connections,
      "Connections for jobs and sweeps.").range(1, 200, "connections"),
    CARILLON_KEY(database, queue_limit,
      "HTTP requests that may wait for a connection; one more is answered "
      "503. Jobs have limits of their own (jobs.max_in_flight).").range(1, 1'000'000, "requests"),
    CARILLON_KEY(database, statement_timeout,
      "The server ends a statement that takes longer.").between(100ms, 10min),
    CARILLON_KEY(database, connect_timeout,
      "A connection attempt fails after this.").between(1s, 2min),

    CARILLON_KEY(http, address,
      "The address to listen on. 0.0.0.0 for all.").must_be(address_rule),
    CARILLON_KEY(http, port,
      "The port to listen on. 0 takes any free one and logs it.")
      .range(0, 65'535),
    CARILLON_KEY(http, io_threads,
      "Threads that move bytes.").range(1, 64, "threads"),
    CARILLON_KEY(http, max_body_bytes,
      "A larger request body is answered 413.")
      .range(1'024, 1'073'741'824, "bytes"),
    CARILLON_KEY(http, max_header_bytes,
      "A larger request header is answered 431.")
      .range(1'024, 1'048'576, "bytes"),
    CARILLON_KEY(http, max_connections,
      "One connection more is closed at once.")
      .range(1, 1'000'000, "connections"),
    CARILLON_KEY(http, max_in_flight,
      "Requests that are being worked on; one more is answered 503 with "
      "Retry-After.").range(1, 1'000'000, "requests"),
    CARILLON_KEY(http, idle_timeout,
      "A kept-alive connection without a request is closed after this.")
      .between(1s, 1h),
    CARILLON_KEY(http, read_timeout,
      "From the first byte of a request to its last; a slower client gets "
      "408.").between(100ms, 10min),
    CARILLON_KEY(http, write_timeout,
      "A client that takes longer to read its answer is cut off.")
      .between(100ms, 10min),
    CARILLON_KEY(http, request_timeout,
      "From dispatch to answer; later the client gets 503.")
      .between(100ms, 10min),
    CARILLON_KEY(http, shutdown_grace,
      "Requests in flight may take this long when the server stops.")
      .between(0ms, 10min),
    CARILLON_KEY(http, public_url,
      "Where clients reach the API: what addresses in answers begin with. "
      "Empty: http:// and the Host header, which is wrong behind a proxy that "
      "ends TLS.")
      .must_be(optional_web_url_rule),
    CARILLON_KEY(http, cors_origins,
      "Origins of web pages that may call the API; * for any.")
      .must_be(origin_rule),
    CARILLON_KEY(http, auth_rate_limit_per_minute,
      "Log-in attempts per minute and client address; 0 for no limit.")
      .range(0, 1'000'000, "requests").while_running(),

    CARILLON_KEY(internal, address,
      "The address of the operators' listener.").must_be(address_rule),
    CARILLON_KEY(internal, port,
      "Its port. 0 takes any free one and logs it.").range(0, 65'535),
    CARILLON_KEY(internal, operator_token,
      "Operators on other machines send it as `Authorization: Bearer …`. "
      "Empty: only callers on this machine are answered.")
      .must_be(operator_token_rule).hidden(secrecy::whole),

    CARILLON_KEY(api, compat_platform_codes,
      "Show the two open networks as twitter in `platform`, for web clients "
      "that know only the five older codes. `network` always tells the "
      "truth.").while_running(),
    CARILLON_KEY(api, frontend_url,
      "Where the web client lives; links in mails point there.")
      .must_be(web_url_rule),

    CARILLON_KEY(ownership, lease,
      "A node that does not answer for this long loses its workspaces to the "
      "others. Shorter is a faster take-over and less patience with a busy "
      "machine.").between(1s, 5min),
    CARILLON_KEY(ownership, renew_every,
      "How often a lease is renewed; 0s means a quarter of it.")
      .between(0ms, 1min),

    CARILLON_KEY(jobs, batch_size,
      "Due jobs read at a time.").range(1, 10'000, "jobs"),
    CARILLON_KEY(jobs, max_in_flight,
      "Jobs that one node runs at the same time.")
      .range(1, 1'000'000, "jobs").while_running(),
    CARILLON_KEY(jobs, sweep_every,
      "How often everything that is due is read again, hint or not.").between(50ms, 1min),
    CARILLON_KEY(jobs, conclude_linger,
      "Finished jobs wait this long for company before they are concluded "
      "together.").between(0ms, 1s),
    CARILLON_KEY(jobs, shutdown_grace,
      "Running jobs may take this long when the node stops.")
      .between(0ms, 10min),
    CARILLON_KEY(jobs, max_running_per_workspace,
      "Jobs of one workspace that run at the same time.").range(1, 100'000, "jobs"),
    CARILLON_KEY(jobs, breaker_failures,
      "Failures of an outside service in a row after which its jobs wait.")
      .range(1, 1'000, "failures"),
    CARILLON_KEY(jobs, breaker_cool_down,
      "How long they wait; then one of them tries the service again.")
      .between(100ms, 1h),
    CARILLON_KEY(jobs, max_crashes,
      "Deaths of a node charged to a job before it becomes a dead letter.")
      .range(1, 100, "deaths"),
    CARILLON_KEY(jobs, keep_history_short,
      "How long finished jobs of the short retention class are kept.")
      .between(1h, 87600h),
    CARILLON_KEY(jobs, keep_history_standard,
      "How long finished jobs of the standard retention class are kept.")
      .between(1h, 87600h),
    CARILLON_KEY(jobs, keep_history_long,
      "How long finished jobs of the long retention class are kept, and every "
      "discarded or cancelled one.").between(1h, 87600h),

    CARILLON_KEY(workspaces, passivate_after,
      "A workspace without work for this long is put to sleep.")
      .between(1s, 24h).while_running(),
    CARILLON_KEY(workspaces, restart_min_backoff,
      "The first wait before a crashed actor starts again; it doubles with "
      "each crash.").between(1ms, 1min),
    CARILLON_KEY(workspaces, restart_max_backoff,
      "The longest such wait.").between(1ms, 1h),
    CARILLON_KEY(workspaces, restart_intensity,
      "Crashes within the window that a workspace may have before it is "
      "quarantined.").range(1, 1'000, "crashes"),
    CARILLON_KEY(workspaces, restart_window,
      "The window in which crashes count.").between(100ms, 1h),
    CARILLON_KEY(workspaces, quarantine_cool_down,
      "A quarantined workspace is tried again after this.")
      .between(100ms, 24h),

    CARILLON_KEY(publishing, sweep_every,
      "How often everything due is looked for in the database. The safety "
      "net: a due post normally leaves at once.").between(1s, 10min),
    CARILLON_KEY(publishing, request_timeout,
      "A call to a network, uploads included, ends within this time.")
      .between(100ms, 10min),
    CARILLON_KEY(publishing, visibility_delay,
      "How late a network may show an accepted post. Absence is not believed "
      "earlier.").between(0ms, 10min),
    CARILLON_KEY(publishing, reconcile_deadline,
      "A post whose outcome stays unknown this long fails with "
      "OUTCOME_UNKNOWN, and its author is told.").between(1s, 24h),
    CARILLON_KEY(publishing, retry_delays,
      "The waits before the second, third and each further try of a target. "
      "As many retries as entries.").between(1s, 24h),
    CARILLON_KEY(publishing, retry_jitter,
      "Each wait is spread by this share of it, up and down.")
      .numbers(0, 0.5),
    CARILLON_KEY(publishing, max_in_flight_per_workspace,
      "Calls to networks that one workspace may have open.")
      .range(1, 1'000, "calls").while_running(),
    CARILLON_KEY(publishing, max_in_flight_per_server,
      "Calls that may be open to one server, whatever the workspaces; the "
      "others wait in turn. With servers that answer after 0.1 s, 256 are about "
      "2,500 posts a second.")
      .range(1, 10'000, "calls"),
    CARILLON_KEY(publishing, prepare_media_before,
      "Files are uploaded to their network up to this long before their post "
      "is due, where the network keeps them that long. 0: when it is due.")
      .between(0ms, 6h).while_running(),
    CARILLON_KEY(publishing, private_networks,
      "Where social networks may be although it is no public address: an "
      "intranet's Mastodon, or the sandbox network at 127.0.0.0/8. All other "
      "private, loopback and link-local addresses are refused, whatever name "
      "leads there.").must_be(address_block_rule),
    CARILLON_KEY(publishing, late_after,
      "A post that the network accepts later than this after its instant is "
      "late.").between(1s, 24h),
    CARILLON_KEY(publishing, late_share,
      "The share of an hour's posts that may be late. When more are, the log "
      "says `lateness-budget-burning`, once an hour, and operations.notify is "
      "mailed.").numbers(0, 1),

    CARILLON_KEY(media, directory,
      "Where uploads are kept. Every node needs the same one.").must_be(path_rule),
    CARILLON_KEY(media, max_pixels,
      "A picture whose header declares more is refused, before anybody makes "
      "room for it.").range(1'000'000, 2'000'000'000, "pixels"),
    CARILLON_KEY(media, max_uploads,
      "Uploads at once, a quarter of them by one user; one more is answered "
      "with 503.").range(1, 1'000, "uploads"),
    CARILLON_KEY(media, upload_timeout,
      "An upload ends within this time. Each piece of it has http.read_timeout.")
      .between(10s, 12h),
    CARILLON_KEY(media, link_lifetime,
      "The address of an uploaded file (file_url) is valid so long, and an "
      "hour more at most. Whoever has it may read the file.")
      .between(1min, 168h),
    CARILLON_KEY(media, remove_orphans,
      "At night uploaded files older than a day that nothing in the database "
      "names are removed for good. Never on a folder that another installation "
      "or a restored older database shares."),

    CARILLON_KEY(live, app_key,
      "The key in the path of the WebSocket, `/app/{key}`; no secret. Web "
      "clients are built with it.").must_be(app_key_rule),
    CARILLON_KEY(live, app_secret,
      "Signs subscriptions to private channels; the same on every node. "
      "Empty: a new one at each start, which is enough for a single node.")
      .must_be(operator_token_rule).hidden(secrecy::whole),
    CARILLON_KEY(live, port,
      "A second port for WebSockets, beside the API's own, on http.address. "
      "0 for none; web clients expect 6001 unless told otherwise.")
      .range(0, 65'535),
    CARILLON_KEY(live, activity_timeout,
      "A client that is silent for this long is asked for a sign of life, and "
      "closed when it gives none within the same time again. Whole seconds "
      "are told to the client.").between(1s, 10min),
    CARILLON_KEY(live, recheck_every,
      "How often the right to listen is looked up again; what this node itself "
      "revokes ends at once.").between(1s, 1h),
    CARILLON_KEY(live, max_connections,
      "WebSockets, and as many event streams; one more is answered 503.")
      .range(1, 1'000'000, "connections"),
    CARILLON_KEY(live, max_connections_per_user,
      "Of one user on one node; one more is closed with 4004.")
      .range(1, 100'000, "connections"),
    CARILLON_KEY(live, max_channels,
      "Channels that one WebSocket may subscribe to.").range(1, 10'000, "channels"),
    CARILLON_KEY(live, max_frame_bytes,
      "A client that sends a larger message is closed with 1009.")
      .range(512, 1'048'576, "bytes"),
    CARILLON_KEY(live, max_messages_per_second,
      "Of one client, with twice as many at once; more closes with 4301.")
      .range(1, 10'000, "messages"),
    CARILLON_KEY(live, max_queued_bytes,
      "What may wait for one client; one that reads more slowly is cut off.")
      .range(4'096, 67'108'864, "bytes"),

    CARILLON_KEY(cluster, enabled,
      "Tell the other nodes on this database of live events, and hear theirs. "
      "Needs live.app_secret."),
    CARILLON_KEY(cluster, name,
      "Nodes of another name are refused.").must_be(cluster_name_rule),
    CARILLON_KEY(cluster, address,
      "The address to listen on for other nodes. 0.0.0.0 for all; then "
      "cluster.advertise must be set.").must_be(address_rule),
    CARILLON_KEY(cluster, port,
      "The port to listen on for other nodes. 0 takes any free one.")
      .range(0, 65'535),
    CARILLON_KEY(cluster, advertise,
      "Where other nodes reach this one, as in node1.internal:6002. Empty: "
      "cluster.address and the port.").must_be(advertise_rule),

    CARILLON_KEY(operations, notify,
      "Who is mailed when more posts are late than publishing.late_share "
      "allows: once an hour from all nodes together. Empty: nobody.")
      .must_be(mailboxes_rule),

    CARILLON_KEY(mail, transport,
      "`smtp` sends; `file` writes .eml files into mail.directory, for demos "
      "and tests."),
    CARILLON_KEY(mail, directory,
      "Where the file transport writes.").must_be(path_rule),
    CARILLON_KEY(mail, from_address,
      "The sender of every mail.").must_be(mailbox_rule),
    CARILLON_KEY(mail, from_name,
      "The sender's name.").must_be(one_line_rule),
    CARILLON_KEY(mail, smtp_host,
      "The mail server.").must_be(host_rule),
    CARILLON_KEY(mail, smtp_port,
      "Its port: 25 or 587 with starttls, 465 with tls.").range(1, 65'535),
    CARILLON_KEY(mail, security,
      "`starttls` refuses a server that does not offer it; `none` sends in "
      "clear."),
    CARILLON_KEY(mail, username,
      "For SMTP AUTH; empty for none.").must_be(one_line_rule),
    CARILLON_KEY(mail, password,
      "For SMTP AUTH.").must_be(one_line_rule).hidden(secrecy::whole),
    CARILLON_KEY(mail, timeout,
      "Sending one mail ends within this time.").between(1s, 10min),
    CARILLON_KEY(mail, connections,
      "Connections to the server, each with one mail under way. Mails to one "
      "domain take at most half of them, so that one that stalls leaves the "
      "others theirs.").range(1, 64, "connections"),
    CARILLON_KEY(mail, templates,
      "A folder with mail templates of your own, a folder for each language "
      "in it; empty for the built-in ones.").must_be(optional_path_rule),
    CARILLON_KEY(mail, unsubscribe_base,
      "The API's public address. With it mails carry List-Unsubscribe and a "
      "link that ends their kind; empty for neither.")
      .must_be(optional_web_url_rule),

    CARILLON_KEY(push, vapid_private_key,
      "The key that push services know this platform by, base64url. Empty: "
      "the first node makes one and keeps it encrypted in the database, for "
      "all. With another key every browser has to subscribe again.")
      .must_be(vapid_key_rule).hidden(secrecy::whole),
    CARILLON_KEY(push, vapid_subject,
      "Whom a push service may write to about our messages. Empty: "
      "mail.from_address.").must_be(vapid_subject_rule),
    CARILLON_KEY(push, trusted_hosts,
      "Push services that may have a private address or speak plain HTTP: "
      "your own, or one of a test. Users choose push services, so all others "
      "must be public and speak HTTPS.").must_be(host_and_port_rule),
    CARILLON_KEY(push, time_to_live,
      "How long a push service keeps a message for a browser that is away.")
      .between(0s, 28 * 24h),
    CARILLON_KEY(push, timeout,
      "A push service answers within this time.").between(1s, 30s),
    CARILLON_KEY(push, max_subscriptions_per_user,
      "Browsers that one user can subscribe.").range(1, 100, "browsers"),

    CARILLON_KEY(sms, url,
      "Where the provider takes a text; empty for no texts. This, `fields` "
      "and `body` are mustache templates with to, from, text and reference.")
      .must_be(optional_web_url_rule).hidden(secrecy::password_in_url),
    CARILLON_KEY(sms, method,
      "How the request is made."),
    CARILLON_KEY(sms, content_type,
      "What the request carries. Values are escaped for forms, JSON and XML.")
      .must_be(one_line_rule),
    CARILLON_KEY(sms, fields,
      "The fields of a form, or the members of an object where the content "
      "type is JSON, as name=template.").must_be(sms_field_rule),
    CARILLON_KEY(sms, body,
      "The whole request body, instead of `fields`.").must_be(one_line_rule),
    CARILLON_KEY(sms, from,
      "The sender, for the templates: a number or a name that the provider "
      "knows.").must_be(one_line_rule),
    CARILLON_KEY(sms, auth,
      "`basic` sends username and secret, `bearer` the secret as a token, "
      "`header` the secret as sms.auth_header."),
    CARILLON_KEY(sms, username,
      "For basic.").must_be(one_line_rule),
    CARILLON_KEY(sms, secret,
      "Password, token or key.").must_be(one_line_rule).hidden(secrecy::whole),
    CARILLON_KEY(sms, auth_header,
      "The name of the header that carries the secret.")
      .must_be(header_name_rule),
    CARILLON_KEY(sms, success_statuses,
      "Answers that say the text was taken.").must_be(status_rule),
    CARILLON_KEY(sms, id_pointer,
      "Where the provider's id of the text stands in a JSON answer.")
      .must_be(pointer_rule),
    CARILLON_KEY(sms, error_pointers,
      "What of a JSON answer says why a text was refused.")
      .must_be(pointer_rule),
    CARILLON_KEY(sms, max_characters,
      "A longer text is cut.").range(20, 1'600, "characters"),
    CARILLON_KEY(sms, daily_cap,
      "Texts that one tenant may send on a day in UTC; 0 for no limit. What "
      "is beyond is skipped, with that as its reason.")
      .range(0, 1'000'000, "texts"),
    CARILLON_KEY(sms, timeout,
      "The provider answers within this time.").between(1s, 30s),

    CARILLON_KEY(secrets, token_key,
      "AES-256 key for the networks' access tokens in the database. "
      "`carillon serve` needs it; make one with `openssl rand -hex 32`. "
      "Losing it means connecting every account again.")
      .must_be(token_key_rule).hidden(secrecy::whole),

    CARILLON_KEY(secrets, former_token_keys,
      "Keys that still decrypt what they once encrypted, so that token_key "
      "can be changed without losing an account.")
      .must_be(token_key_rule).hidden(secrecy::whole),

    CARILLON_KEY(auth, bcrypt_cost,
      "Work factor of new password hashes; each step doubles the time of a "
      "log-in.").range(4, 16),

    CARILLON_KEY(log, level,
      "Lines below this level are left out.").while_running(),
    CARILLON_KEY(log, format,
      "`json` writes one object a line, `text` is for people."),

    CARILLON_KEY(caf, worker_threads,
      "Threads that run actors; 0: one for each core, two at least.").range(0, 256, "threads"),
    CARILLON_KEY(caf, scheduler_policy,
      "How actors find a thread. `sharing` sleeps when idle, `stealing` "
      "scales with the cores."),
  };
}

std::string format_number(double d) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), d).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == text.npos)
    text += ".0";
  return text;
}

std::string in_quotes(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += digits[byte >> 4];
      out += digits[byte & 0x0f];
      continue;
    }
    if (c == '"' || c == '\\')
      out += '\\';
    out += c;
  }
  return out += '"';
}

template <class Items, class Format>
std::string format_list(const Items& items, Format&& format) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1)
      out += ", ";
    out += format(item);
  }
  return out += ']';
}

std::string join(std::span<const std::string_view> words) {
  std::string out;
  for (auto word : words) {
    if (!out.empty())
      out += ", ";
    out += word;
  }
  return out;
}

/// Hides what follows `start` up to one of `stops`.
void mask_from(std::string& text, std::size_t start, std::string_view stops) {
  const auto end = std::min(text.find_first_of(stops, start), text.size());
  text.replace(start, end - start, "***");
}

void append_wrapped(std::string& out, std::string_view text, std::string_view prefix) {
  constexpr std::size_t width = 78;
  std::size_t column = 0;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    const auto word = text.substr(0, space);
    if (column == 0 || column + 1 + word.size() > width) {
      if (column != 0)
        out += '\n';
      out += prefix;
      column = prefix.size();
    } else {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  out += '\n';
}

} // namespace

std::span<const section_schema> sections() noexcept {
  return all_sections;
}

std::span<const key_schema> schema() noexcept {
  static const std::vector<key_schema> all = make_schema();
  return all;
}

const key_schema* find_key(std::string_view section, std::string_view name) noexcept {
  for (const auto& key : schema())
    if (key.section == section && key.name == name)
      return &key;
  return nullptr;
}

std::string describe_allowed(const key_schema& key) {
  const auto bounded = [&](std::string_view what, auto&& format) {
    return std::string{what} + " from " + format(key.minimum) + " to "
           + format(key.maximum);
  };
  const auto as_integer = [](std::int64_t n) { return std::to_string(n); };
  const auto as_duration = [](std::int64_t n) {
    return format_duration(milliseconds{n});
  };
  switch (key.type) {
    case value_type::text:
      return key.rule ? std::string{key.rule->allowed} : "text";
    case value_type::choice:
      return "one of " + join(key.choices);
    case value_type::integer: {
      auto text = bounded("an integer", as_integer);
      return key.unit.empty() ? text : text + ' ' + std::string{key.unit};
    }
    case value_type::number:
      return "a number from " + format_number(key.minimum_number) + " to "
             + format_number(key.maximum_number);
    case value_type::boolean:
      return "true or false";
    case value_type::duration:
      return bounded("a duration", as_duration);
    case value_type::text_list:
      return "a list of "
             + (key.rule ? std::string{key.rule->allowed} : std::string{"texts"});
    case value_type::duration_list:
      return bounded("a list of durations", as_duration) + " in whole seconds";
  }
  return {};
}

namespace {

struct duration_unit {
  std::string_view text;
  std::int64_t in_milliseconds;
};

// Largest first.
constexpr duration_unit duration_units[] = {
  {"d", 86'400'000}, {"h", 3'600'000}, {"min", 60'000}, {"s", 1'000}, {"ms", 1}};

} // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || count < 0)
    return std::nullopt;
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  for (const auto& known : duration_units)
    if (unit == known.text) {
      if (count > INT64_MAX / known.in_milliseconds)
        return std::nullopt;
      return milliseconds{count * known.in_milliseconds};
    }
  return std::nullopt;
}

std::string format_duration(milliseconds d) {
  if (d.count() == 0)
    return "0s";
  for (const auto& unit : duration_units)
    if (d.count() % unit.in_milliseconds == 0)
      return std::to_string(d.count() / unit.in_milliseconds) + std::string{unit.text};
  return {};
}

std::string format_toml(const value& v) {
  const auto duration = [](milliseconds d) { return in_quotes(format_duration(d)); };
  return std::visit(
    [&](const auto& x) -> std::string {
      using type = std::remove_cvref_t<decltype(x)>;
      if constexpr (std::is_same_v<type, std::string>)
        return in_quotes(x);
      else if constexpr (std::is_same_v<type, bool>)
        return x ? "true" : "false";
      else if constexpr (std::is_same_v<type, std::int64_t>)
        return std::to_string(x);
      else if constexpr (std::is_same_v<type, double>)
        return format_number(x);
      else if constexpr (std::is_same_v<type, milliseconds>)
        return duration(x);
      else if constexpr (std::is_same_v<type, std::vector<std::string>>)
        return format_list(x, [](const std::string& s) { return in_quotes(s); });
      else
        return format_list(x, duration);
    },
    v);
}

std::string format_for_people(const key_schema& key, const value& v) {
  if (key.secret == secrecy::none)
    return format_toml(v);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&v))
    return format_list(*texts, [](const std::string&) { return in_quotes("***"); });
  const auto& text = std::get<std::string>(v);
  if (key.secret == secrecy::password_in_url)
    return in_quotes(mask_password(text));
  return text.empty() ? "\"\"" : "\"***\"";
}

std::string mask_password(std::string_view url) {
  std::string out{url};
  const auto authority = out.find("://");
  if (authority != out.npos) {
    const auto begin = authority + 3;
    // The last '@' before the path: passwords may hold one themselves.
    const auto end = std::min(out.find_first_of("/?", begin), out.size());
    const auto at = out.rfind('@', end);
    const auto colon = out.find(':', begin);
    if (at != out.npos && at >= begin && colon < at)
      out.replace(colon + 1, at - colon - 1, "***");
  }
  for (std::size_t at = 0; (at = out.find("password=", at)) != out.npos;) {
    at += std::string_view{"password="}.size();
    if (at < out.size() && out[at] == '\'') {
      const auto close = out.find('\'', at + 1);
      out.replace(at, (close == out.npos ? out.size() : close + 1) - at, "***");
    } else {
      mask_from(out, at, "& ");
    }
  }
  return out;
}

std::string render_example_file() {
  const settings defaults;
  std::string out
    = "# Carillon's configuration. Every key is listed with its default; remove the\n"
      "# leading # to change one. Durations are texts with a unit: \"500ms\", \"10s\",\n"
      "# \"5min\", \"2h\", \"1d\". A key marked hot is re-read on SIGHUP, the others at a\n"
      "# restart. The environment goes before this file: CARILLON_HTTP__PORT=9000\n"
      "# sets [http] port. `carillon config` shows what is in force and why.\n";
  for (const auto& section : all_sections) {
    out += '\n';
    append_wrapped(out, section.help, "# ");
    out += '[' + std::string{section.name} + "]\n";
    for (const auto& key : schema()) {
      if (key.section != section.name)
        continue;
      out += '\n';
      append_wrapped(out, key.help, "# ");
      std::string note = "Allowed: " + describe_allowed(key);
      if (key.hot)
        note += "; hot";
      if (key.secret == secrecy::whole)
        note += "; secret";
      append_wrapped(out, note + '.', "# ");
      out += '#' + std::string{key.name} + " = " + format_toml(key.read(defaults)) + '\n';
    }
  }
  return out;
}

std::string render_reference() {
  const settings defaults;
  const auto cell = [](std::string_view text) {
    std::string out;
    for (char c : text) {
      if (c == '|')
        out += '\\';
      out += c;
    }
    return out;
  };
  std::string out
    = "# Configuration\n\n"
      "Written by `carillon config --print-reference` from the schema in\n"
      "`config/schema.cpp`; a test keeps this page equal to it.\n\n"
      "A value is looked for in the environment, then in the file, then it is the\n"
      "default. The file is `--config FILE`, else `$CARILLON_CONFIG`, else\n"
      "`config/carillon.toml` under the working directory, else\n"
      "`/etc/carillon/carillon.toml`. The variable of `[section] key` is\n"
      "`CARILLON_SECTION__KEY`; lists are separated by commas there.\n\n"
      "Durations are texts with a unit: `\"500ms\"`, `\"10s\"`, `\"5min\"`, `\"2h\"`, `\"1d\"`.\n"
      "*Hot* keys are read again on SIGHUP; the others at a restart. A mistake\n"
      "anywhere refuses the whole file, and every mistake is reported at once.\n";
  for (const auto& section : all_sections) {
    out += "\n## [" + std::string{section.name} + "]\n\n" + std::string{section.help}
           + "\n\n| key | default | allowed | hot | |\n|---|---|---|---|---|\n";
    for (const auto& key : schema()) {
      if (key.section != section.name)
        continue;
      out += "| `" + std::string{key.name} + "` | `" + format_toml(key.read(defaults))
             + "` | " + cell(describe_allowed(key)) + " | " + (key.hot ? "hot" : "")
             + " | " + cell(key.help)
             + (key.secret == secrecy::whole ? " Secret: never shown." : "") + " |\n";
    }
  }
  return out;
}

} // namespace carillon::config

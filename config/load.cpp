#include "config/load.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include <toml++/toml.h>
#include <unistd.h>

#include "config/schema.hpp"

extern char** environ;

namespace carillon::config {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view variable_prefix = "CARILLON_";
constexpr std::string_view variable_separator = "__";
constexpr std::string_view from_environment = "environment";
constexpr std::string_view from_default = "default";

/// A value, or what is wrong with it ("is 70000").
struct reading {
  std::optional<value> got;
  std::string complaint;
};

reading complain(std::string what) {
  return {std::nullopt, std::move(what)};
}

/// The text of a rejected value; a secret is not repeated.
std::string shown(const key_schema& key, std::string text) {
  if (key.secret == secrecy::whole)
    return "is not valid";
  if (key.secret == secrecy::password_in_url)
    text = mask_password(text);
  return "is " + text;
}

/// Likewise of an element of a list.
std::string listed(const key_schema& key, const std::string& text) {
  return key.secret == secrecy::none ? "has " + text : "has an entry that is not valid";
}

std::string must_be(const key_schema& key) {
  return ", must be " + describe_allowed(key);
}

// -- range and rules ----------------------------------------------------------

std::optional<std::string> check_range(const key_schema& key, std::int64_t n,
                                       const std::string& text) {
  if (n < key.minimum || n > key.maximum)
    return shown(key, text) + must_be(key);
  return std::nullopt;
}

std::optional<std::string> check_text(const key_schema& key, const std::string& text) {
  if (key.type == value_type::choice) {
    if (std::find(key.choices.begin(), key.choices.end(), text) == key.choices.end())
      return shown(key, format_toml(text)) + must_be(key);
  } else if (key.rule && !key.rule->holds(text)) {
    return shown(key, format_toml(text)) + must_be(key);
  }
  return std::nullopt;
}

std::optional<std::string> check_duration(const key_schema& key, milliseconds d) {
  const auto text = format_toml(d);
  if (key.whole_seconds && d.count() % 1'000 != 0)
    return shown(key, text) + must_be(key);
  return check_range(key, d.count(), text);
}

/// What is wrong with a value of the right type.
std::optional<std::string> check(const key_schema& key, const value& v) {
  switch (key.type) {
    case value_type::text:
    case value_type::choice:
      return check_text(key, std::get<std::string>(v));
    case value_type::integer:
      return check_range(key, std::get<std::int64_t>(v), format_toml(v));
    case value_type::number: {
      const auto d = std::get<double>(v);
      if (!(d >= key.minimum_number && d <= key.maximum_number))
        return shown(key, format_toml(v)) + must_be(key);
      return std::nullopt;
    }
    case value_type::boolean:
      return std::nullopt;
    case value_type::duration:
      return check_duration(key, std::get<milliseconds>(v));
    case value_type::text_list:
      for (const auto& text : std::get<std::vector<std::string>>(v))
        if (check_text(key, text))
          return listed(key, format_toml(text)) + must_be(key);
      return std::nullopt;
    case value_type::duration_list:
      for (auto d : std::get<std::vector<milliseconds>>(v))
        if (check_duration(key, d))
          return listed(key, format_toml(d)) + must_be(key);
      return std::nullopt;
  }
  return std::nullopt;
}

// -- from TOML ----------------------------------------------------------------

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string())
    return format_toml(text->get());
  std::ostringstream out;
  node.visit([&](const auto& n) { out << n; });
  auto text = out.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

reading wrong_type(const key_schema& key, const toml::node& node) {
  if ((key.type == value_type::duration || key.type == value_type::duration_list)
      && node.is_number())
    return complain(shown(key, text_of(node)) + " without a unit" + must_be(key)
                    + ", such as \"10s\"");
  return complain(shown(key, text_of(node)) + must_be(key));
}

reading read_duration(const key_schema& key, const toml::node& node) {
  if (const auto* text = node.as_string())
    if (auto d = parse_duration(text->get()))
      return {value{*d}, {}};
  return wrong_type(key, node);
}

reading read_list(const key_schema& key, const toml::node& node) {
  const auto* array = node.as_array();
  if (!array)
    return wrong_type(key, node);
  std::vector<std::string> texts;
  std::vector<milliseconds> durations;
  for (const auto& element : *array) {
    if (key.type == value_type::duration_list) {
      auto one = read_duration(key, element);
      if (!one.got)
        return complain(listed(key, text_of(element)) + must_be(key));
      durations.push_back(std::get<milliseconds>(*one.got));
    } else if (const auto* text = element.as_string()) {
      texts.push_back(text->get());
    } else {
      return complain(listed(key, text_of(element)) + must_be(key));
    }
  }
  if (key.type == value_type::duration_list)
    return {value{std::move(durations)}, {}};
  return {value{std::move(texts)}, {}};
}

reading read_node(const key_schema& key, const toml::node& node) {
  switch (key.type) {
    case value_type::text:
    case value_type::choice:
      if (const auto* text = node.as_string())
        return {value{text->get()}, {}};
      break;
    case value_type::integer:
      if (const auto* n = node.as_integer())
        return {value{n->get()}, {}};
      break;
    case value_type::number:
      if (const auto* d = node.as_floating_point())
        return {value{d->get()}, {}};
      if (const auto* n = node.as_integer())
        return {value{static_cast<double>(n->get())}, {}};
      break;
    case value_type::boolean:
      if (const auto* b = node.as_boolean())
        return {value{b->get()}, {}};
      break;
    case value_type::duration:
      return read_duration(key, node);
    case value_type::text_list:
    case value_type::duration_list:
      return read_list(key, node);
  }
  return wrong_type(key, node);
}

// -- from a variable ----------------------------------------------------------

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    auto item = text.substr(0, comma);
    while (item.starts_with(' '))
      item.remove_prefix(1);
    while (item.ends_with(' '))
      item.remove_suffix(1);
    if (!item.empty())
      out.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number n{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return n;
}

reading read_text(const key_schema& key, const std::string& text) {
  const auto wrong = [&] {
    return complain(shown(key, format_toml(text)) + must_be(key));
  };
  switch (key.type) {
    case value_type::text:
    case value_type::choice:
      return {value{text}, {}};
    case value_type::integer:
      if (auto n = parse_number<std::int64_t>(text))
        return {value{*n}, {}};
      return wrong();
    case value_type::number:
      if (auto d = parse_number<double>(text))
        return {value{*d}, {}};
      return wrong();
    case value_type::boolean:
      if (text == "true" || text == "false")
        return {value{text == "true"}, {}};
      return wrong();
    case value_type::duration:
      if (auto d = parse_duration(text))
        return {value{*d}, {}};
      return wrong();
    case value_type::text_list:
      return {value{split_list(text)}, {}};
    case value_type::duration_list: {
      std::vector<milliseconds> all;
      for (const auto& item : split_list(text)) {
        const auto d = parse_duration(item);
        if (!d)
          return wrong();
        all.push_back(*d);
      }
      return {value{std::move(all)}, {}};
    }
  }
  return wrong();
}

// -- "did you mean" -----------------------------------------------------------

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1,
                         diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// Close enough to be a slip: a third of its length.
bool is_close(std::string_view written, std::size_t distance) {
  return distance <= std::max<std::size_t>(2, written.size() / 3);
}

std::string suggest_key(std::string_view section, std::string_view name) {
  const key_schema* best = nullptr;
  std::size_t best_distance = 0;
  for (const auto& key : schema()) {
    // The same name in another section is as likely as a slip of the pen.
    const auto distance = edit_distance(name, key.name)
                          + (key.section == section ? 0 : 2);
    if (!best || distance < best_distance) {
      best = &key;
      best_distance = distance;
    }
  }
  if (!best || !is_close(name, best_distance))
    return {};
  return "; did you mean " + best->key() + '?';
}

std::string suggest_section(std::string_view name) {
  std::string_view best;
  std::size_t best_distance = 0;
  for (const auto& section : sections()) {
    const auto distance = edit_distance(name, section.name);
    if (best.empty() || distance < best_distance) {
      best = section.name;
      best_distance = distance;
    }
  }
  if (best.empty() || !is_close(name, best_distance))
    return {};
  return "; did you mean [" + std::string{best} + "]?";
}

bool is_section(std::string_view name) {
  for (const auto& section : sections())
    if (section.name == name)
      return true;
  return false;
}

// -- the loader ---------------------------------------------------------------

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    c = c == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

class loader {
public:
  explicit loader(const source& from) : from_(from) {
    for (const auto& key : schema())
      out_.origins.emplace(key.key(), from_default);
  }

  load_outcome run() {
    if (!from_.file.empty())
      read_file();
    read_environment();
    // Rules between keys need every key to be right by itself.
    if (violations_.empty())
      check_together();
    if (!violations_.empty())
      return {std::nullopt, std::move(violations_)};
    return {std::move(out_), {}};
  }

private:
  void read_file() {
    std::ifstream in{from_.file};
    std::ostringstream text;
    std::error_code ignored;
    if (in && std::filesystem::file_size(from_.file, ignored) > 0)
      text << in.rdbuf();
    // A folder opens well.
    if (!in || std::filesystem::is_directory(from_.file, ignored)) {
      violations_.push_back({from_.file.string(), "file", "cannot be read"});
      return;
    }
    std::vector<std::pair<std::uint32_t, violation>> found;
    try {
      const toml::table root = toml::parse(text.str());
      for (const auto& [name, node] : root)
        read_section(name, node, found);
    } catch (const toml::parse_error& e) {
      violations_.push_back({place(e.source().begin.line), "syntax",
                             std::string{e.description()}});
      return;
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [line, v] : found)
      violations_.push_back(std::move(v));
  }

  template <class Found>
  void read_section(std::string_view name, const toml::node& node, Found& found) {
    const auto line = node.source().begin.line;
    const auto* table = node.as_table();
    if (!table) {
      found.push_back({line, {place(line), std::string{name},
                              "stands outside a [section]" + suggest_key({}, name)}});
      return;
    }
    if (!is_section(name)) {
      found.push_back({line, {place(line), std::string{name},
                              "is not a section" + suggest_section(name)}});
      return;
    }
    for (const auto& [key_name, value_node] : *table) {
      const auto at = value_node.source().begin.line;
      const auto* key = find_key(name, key_name);
      if (!key) {
        found.push_back(
          {at, {place(at), std::string{name} + '.' + std::string{std::string_view{key_name}},
                "is not a key" + suggest_key(name, key_name)}});
        continue;
      }
      if (auto wrong = take(*key, read_node(*key, value_node), place(at)))
        found.push_back({at, {place(at), key->key(), std::move(*wrong)}});
    }
  }

  void read_environment() {
    for (const auto& [variable, text] : from_.environment) {
      if (!variable.starts_with(variable_prefix))
        continue;
      const auto rest = variable.substr(variable_prefix.size());
      const auto separator = rest.find(variable_separator);
      // CARILLON_CONFIG and the like are no keys.
      if (separator == rest.npos)
        continue;
      const auto section = lower(rest.substr(0, separator));
      const auto name = lower(rest.substr(separator + variable_separator.size()));
      const auto refuse = [&](std::string message) {
        violations_.push_back(
          {std::string{from_environment}, variable, std::move(message)});
      };
      if (!is_section(section)) {
        refuse("names no section" + suggest_section(section));
      } else if (const auto* key = find_key(section, name); !key) {
        refuse("names no key" + suggest_key(section, name));
      } else if (auto wrong = take(*key, read_text(*key, text),
                                   std::string{from_environment})) {
        refuse(std::move(*wrong));
      }
    }
  }

  std::optional<std::string> take(const key_schema& key, reading r, std::string origin) {
    if (!r.got)
      return std::move(r.complaint);
    if (auto wrong = check(key, *r.got))
      return wrong;
    key.write(out_.values, *r.got);
    out_.origins[key.key()] = std::move(origin);
    return std::nullopt;
  }

  void refuse(const std::string& key, std::string message) {
    violations_.push_back({out_.origins.at(key), key, std::move(message)});
  }

  void check_together() {
    const auto& s = out_.values;
    if (s.ownership.renew_every * 2 > s.ownership.lease)
      refuse("ownership.renew_every",
             "is " + format_duration(s.ownership.renew_every)
               + ", must be at most half of ownership.lease ("
               + format_duration(s.ownership.lease) + ')');
    if (s.workspaces.restart_min_backoff > s.workspaces.restart_max_backoff)
      refuse("workspaces.restart_min_backoff",
             "is " + format_duration(s.workspaces.restart_min_backoff)
               + ", must not exceed workspaces.restart_max_backoff ("
               + format_duration(s.workspaces.restart_max_backoff) + ')');
    if (s.http.port != 0 && s.http.port == s.internal.port
        && s.http.address == s.internal.address)
      refuse("internal.port", "is " + std::to_string(s.internal.port)
                                + ", which is also http.port on the same address");
    if (s.publishing.retry_delays.empty())
      refuse("publishing.retry_delays", "is empty, must hold at least one duration");
    if (s.publishing.reconcile_deadline
        <= s.publishing.request_timeout + s.publishing.visibility_delay)
      refuse("publishing.reconcile_deadline",
             "is " + format_duration(s.publishing.reconcile_deadline)
               + ", must be longer than publishing.request_timeout and "
                 "publishing.visibility_delay together, else no absence could "
                 "ever be proven");
    if (!s.mail.username.empty() && s.mail.security == mail_security::none
        && s.mail.transport == mail_transport::smtp)
      refuse("mail.security",
             "is \"none\" beside a mail.username; the password would travel in clear");
    if (!s.sms.url.empty() && s.sms.auth != sms_auth::none) {
      if (s.sms.secret.empty())
        refuse("sms.secret", "is empty beside sms.auth");
      if (s.sms.url.starts_with("http://") && !s.sms.url.starts_with("http://127.0.0.1")
          && !s.sms.url.starts_with("http://localhost"))
        refuse("sms.url", "is not https beside sms.auth; the secret would travel in clear");
    }
  }

  std::string place(std::uint32_t line) const {
    return from_.file.string() + ':' + std::to_string(line);
  }

  const source& from_;
  loaded out_;
  std::vector<violation> violations_;
};

} // namespace

source make_source(std::filesystem::path file) {
  source out{std::move(file), {}};
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view line{*entry};
    const auto equals = line.find('=');
    if (line.starts_with(variable_prefix) && equals != line.npos)
      out.environment.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return out;
}

std::string to_string(const violation& v) {
  return v.where + ": " + v.key + ": " + v.message;
}

load_outcome load(const source& from) {
  return loader{from}.run();
}

std::vector<violation> missing_for_serve(const settings& s) {
  std::vector<violation> out;
  if (s.secrets.token_key.empty())
    out.push_back({std::string{from_default}, "secrets.token_key",
                   "is empty; the server needs 64 hexadecimal digits. Make them with "
                   "`openssl rand -hex 32` and set CARILLON_SECRETS__TOKEN_KEY"});
  if (s.cluster.enabled && s.live.app_secret.empty())
    out.push_back({std::string{from_default}, "live.app_secret",
                   "is empty; with cluster.enabled every node needs the same. Make it with "
                   "`openssl rand -hex 32`"});
  if (s.cluster.enabled && s.cluster.advertise.empty() && (s.cluster.address == "0.0.0.0" || s.cluster.address == "::"))
    out.push_back({std::string{from_default}, "cluster.advertise",
                   "is empty; where cluster.address is every address, other nodes cannot know which to call"});
  return out;
}

reload_outcome reload(const source& from, const settings& running) {
  reload_outcome out;
  out.next = running;
  auto fresh = load(from);
  if (!fresh.value) {
    out.violations = std::move(fresh.violations);
    return out;
  }
  for (const auto& key : schema()) {
    const auto old_value = key.read(running);
    const auto new_value = key.read(fresh.value->values);
    if (old_value == new_value)
      continue;
    if (!key.hot) {
      out.needs_restart.push_back(key.key());
      continue;
    }
    key.write(out.next, new_value);
    out.changes.push_back({key.key(), format_for_people(key, old_value),
                           format_for_people(key, new_value)});
  }
  out.origins = std::move(fresh.value->origins);
  return out;
}

std::vector<described_value>
describe(const settings& values, const std::map<std::string, std::string>& origins) {
  const settings defaults;
  std::vector<described_value> out;
  for (const auto& key : schema()) {
    const auto origin = origins.find(key.key());
    out.push_back({key.key(), format_for_people(key, key.read(values)),
                   format_for_people(key, key.read(defaults)),
                   origin == origins.end() ? std::string{from_default} : origin->second,
                   describe_allowed(key), std::string{key.help}, key.hot,
                   key.secret != secrecy::none});
  }
  return out;
}

} // namespace carillon::config

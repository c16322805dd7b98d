#include "storage/connection.hpp"

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

#include "domain/run_deadline.hpp"

namespace carillon::storage {

namespace {

constexpr std::string_view text_of_bytes_refused = "holds a character that cannot be stored";

/// libpqxx 6.4 knows a missing privilege as a class of its own, and forgets
/// its code.
std::string state_of(const pqxx::sql_error& e) {
  if (e.sqlstate().empty() && dynamic_cast<const pqxx::insufficient_privilege*>(&e))
    return "42501";
  if (e.sqlstate().empty() && dynamic_cast<const pqxx::insufficient_resources*>(&e))
    return "53000";
  return e.sqlstate();
}

constexpr auto take_role = R"sql(
  SELECT set_config('role', r.rolname, false) FROM pg_roles r, pg_namespace n
  WHERE r.rolname = $1 AND n.nspname = 'carillon' AND has_schema_privilege(r.oid, n.oid, 'USAGE')
    AND pg_has_role(r.oid,
          CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
)sql";

/// The run that asks has used up its time.
struct run_is_over : std::runtime_error {
  run_is_over() : std::runtime_error{"the time of the run is over"} {
  }
};

/// Statements of sessions whose time-out is shorter at the moment: a session
/// belongs to one thread.
std::unordered_map<const void*, int>& shortened_sessions() {
  thread_local std::unordered_map<const void*, int> sessions;
  return sessions;
}

/// What can succeed at all, though the run's time is nearly over.
constexpr std::chrono::milliseconds shortest_bound{100};

/// Before each use. The address of a session may come back, hence the backend.
/// `usual`: zero is without a bound, as PostgreSQL has it.
void bound_statements(pqxx::connection& session, std::chrono::milliseconds usual) {
  auto& shortened = shortened_sessions();
  const auto end = run_deadline::current();
  const auto known = shortened.find(&session);
  const bool is_short = known != shortened.end() && known->second == session.backendpid();
  auto wanted = usual;
  if (end) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*end - std::chrono::steady_clock::now());
    if (left.count() <= 0)
      throw run_is_over{};
    const auto bound = std::max(left, shortest_bound);
    wanted = usual.count() == 0 ? bound : std::min(usual, bound);
  }
  if (wanted == usual && !is_short)
    return;
  pqxx::nontransaction tx{session};
  tx.exec("SET statement_timeout = " + std::to_string(wanted.count()));
  tx.commit();
  if (wanted == usual)
    shortened.erase(&session);
  else
    shortened[&session] = session.backendpid();
}

} // namespace

std::string connection_string(const session_options& o) {
  const auto seconds = std::max<std::int64_t>(
    1, std::chrono::duration_cast<std::chrono::seconds>(o.connect_timeout).count());
  // Both forms of libpq connection strings take further settings at the end.
  const bool uri = o.url.starts_with("postgres://") || o.url.starts_with("postgresql://");
  std::string out = o.url;
  auto add = [&](std::string_view key, const std::string& value) {
    if (uri)
      out += (out.find('?') == std::string::npos ? '?' : '&');
    else
      out += ' ';
    out += key;
    out += '=';
    out += value;
  };
  add("application_name", o.application_name);
  add("connect_timeout", std::to_string(seconds));
  add("tcp_user_timeout", std::to_string(o.connect_timeout.count()));
  add("keepalives_idle", "10");
  return out;
}

connection::connection(session_options options, logger& log)
  : options_(std::move(options)), log_(log) {
}

void connection::reset() noexcept {
  session_.reset();
}

pqxx::connection& connection::session() {
  if (session_ && !session_->is_open())
    session_.reset();
  if (!session_) {
    auto fresh = std::make_unique<pqxx::connection>(connection_string(options_));
    pqxx::nontransaction tx{*fresh};
    tx.exec("SET statement_timeout = " + std::to_string(options_.statement_timeout.count())
            + "; SET idle_in_transaction_session_timeout = "
            + std::to_string(options_.idle_in_transaction_timeout.count())
            // Every statement has its index. A plan that was made and kept while
            // a table was empty must not go on scanning it when it has filled.
            + "; SET enable_seqscan = off; SET jit = off"
              "; SET timezone = 'UTC'; SET datestyle = 'ISO'; SET bytea_output = 'hex'; SET client_encoding = 'UTF8'"
              "; SET search_path = carillon, pg_temp");
    if (!options_.role.empty())
      tx.exec_params(take_role, options_.role);
    tx.commit();
    session_ = std::move(fresh);
  }
  bound_statements(*session_, options_.statement_timeout);
  return *session_;
}

void connection::tell(std::string_view name, live_notes& notes) noexcept {
  if (notes.dropped() > 0)
    log_.warn("live-events-dropped", {{"query", std::string{name}}, {"count", std::to_string(notes.dropped())}});
  notes.tell();
}

failure connection::translate(std::string_view name) noexcept {
  auto lost = [&](const std::exception& e, errc code) {
    log_.warn("database-connection-lost", {{"query", std::string{name}}, {"error", e.what()}});
    session_.reset();
    return failure{code, std::string{name} + ": " + e.what(), {}, {}};
  };
  try {
    throw;
  } catch (const run_is_over& e) {
    return {errc::transient, std::string{name} + ": " + e.what(), {}, {}};
  } catch (const pqxx::in_doubt_error& e) {
    return lost(e, errc::outcome_unknown);
  } catch (const pqxx::statement_completion_unknown& e) {
    return lost(e, errc::outcome_unknown);
  } catch (const pqxx::broken_connection& e) {
    return lost(e, errc::transient);
  } catch (const pqxx::unique_violation& e) {
    return {errc::conflict, std::string{name} + ": " + e.what(), {}, {}};
  } catch (const pqxx::transaction_rollback& e) {
    return {errc::transient, std::string{name} + ": " + e.what(), {}, {}};
  } catch (const pqxx::sql_error& e) {
    const auto state = state_of(e);
    // 57P01..03: the server is going down or starting; 25P03: our own
    // idle-in-transaction limit; 08: connection trouble.
    if (state.starts_with("57P") || state.starts_with("08") || state == "25P03"
        || (session_ && !session_->is_open()))
      return lost(e, errc::transient);
    // 57014 statement timeout, 55P03 lock timeout, 53 resources.
    if (state == "57014" || state == "55P03" || state.starts_with("53") || state.starts_with("40"))
      return {errc::transient, std::string{name} + ": " + e.what(), {}, {}};
    // 22021 bad encoding, 22P05 untranslatable character.
    if (state == "22021" || state == "22P05")
      return {errc::invalid_argument, std::string{text_of_bytes_refused}, {}, {}};
    log_.error("sql-failed", {{"query", std::string{name}}, {"sqlstate", state}, {"error", e.what()}});
    return {errc::permanent, std::string{name} + ": [" + state + "] " + e.what(), {}, {}};
  } catch (const std::exception& e) {
    if (session_ && !session_->is_open())
      return lost(e, errc::transient);
    log_.error("storage-failed", {{"query", std::string{name}}, {"error", e.what()}});
    session_.reset();
    return {errc::permanent, std::string{name} + ": " + e.what(), {}, {}};
  } catch (...) {
    session_.reset();
    return {errc::permanent, std::string{name} + ": unknown exception", {}, {}};
  }
}

namespace {

/// Statements that one session has prepared.
struct prepared_statements {
  int backend = 0;
  std::unordered_map<const char*, std::string> names;
};

} // namespace

const std::string& statement_name(pqxx::transaction_base& tx, const char* sql) {
  // A session belongs to one thread. Its address may come back with another
  // session behind it, hence the backend.
  thread_local std::unordered_map<const void*, prepared_statements> sessions;
  auto& session = tx.conn();
  auto& known = sessions[&session];
  if (known.backend != session.backendpid())
    known = {session.backendpid(), {}};
  const auto i = known.names.find(sql);
  if (i != known.names.end())
    return i->second;
  auto name = "s" + std::to_string(known.names.size());
  session.prepare(name, sql);
  return known.names.emplace(sql, std::move(name)).first->second;
}

std::string text_or_empty(const pqxx::field& f) {
  return f.is_null() ? std::string{} : std::string{f.c_str(), f.size()};
}

uuid read_uuid(const pqxx::field& f) {
  if (auto id = parse_uuid({f.c_str(), f.size()}))
    return *id;
  throw std::runtime_error{"not a uuid in column " + std::string{f.name()}};
}

instant read_instant(const pqxx::field& f) {
  auto t = parse_time({f.c_str(), f.size()});
  if (!t)
    throw std::runtime_error{"not a timestamp in column " + std::string{f.name()}};
  return *t;
}

std::optional<instant> read_nullable_instant(const pqxx::field& f) {
  if (f.is_null())
    return std::nullopt;
  return read_instant(f);
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += c;
  }
  out += '"';
}

std::string text_array(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const auto& text : texts) {
    if (out.size() > 1)
      out += ',';
    append_quoted(out, text);
  }
  return out += '}';
}

} // namespace carillon::storage

// One PostgreSQL session and the only door to libpqxx's exceptions.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pqxx/pqxx>

#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/ports/job_intake.hpp"
#include "domain/ports/live_events.hpp"
#include "domain/ports/log.hpp"
#include "domain/result.hpp"
#include "storage/job_takes.hpp"
#include "storage/live_notes.hpp"

namespace carillon::storage {

struct session_options {
  std::string url; ///< libpq URI or key=value string.
  std::string application_name = "carillon";
  /// Acts as this role where the URL's role is a member of it and it may use
  /// the schema (see migrate); empty: as the URL's role.
  std::string role = "carillon_app";
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds statement_timeout{10'000};
  /// A transaction left open this long is ended by the server, so that a
  /// stopped process cannot hold a fence for ever.
  std::chrono::milliseconds idle_in_transaction_timeout{10'000};
  /// Is told what was committed; outlives the session. Null: nobody is.
  live_events* live = nullptr;
  /// Takes jobs that are enqueued to run at once; outlives the session. Null:
  /// they are left to be read.
  job_intake* intake = nullptr;
};

/// The URL with name and time-outs added, for libpq.
std::string connection_string(const session_options& options);

using snapshot_transaction = pqxx::transaction<pqxx::isolation_level::repeatable_read>;

/// Owned and used by one thread. Connects on first use and again after the
/// connection broke; nothing is retried by itself.
class connection {
public:
  connection(session_options options, logger& log);

  /// Runs `body(pqxx::work&) -> result<T>` in one transaction: committed when
  /// it returns a value, rolled back when it returns a failure or throws.
  /// Failures: transient (deadlock, serialization, connection lost before
  /// commit), outcome_unknown (connection lost during commit), conflict
  /// (unique violation), invalid_argument (text PostgreSQL cannot store),
  /// permanent (any other SQL error; detail has the SQLSTATE). Never throws.
  /// What `body` noted for live delivery is told after the commit, also when
  /// its outcome is unknown.
  template <class Body>
  auto transact(std::string_view name, Body&& body)
    -> decltype(body(std::declval<pqxx::work&>())) {
    return transact_as<pqxx::work>(name, std::forward<Body>(body));
  }

  /// The same under REPEATABLE READ: every statement sees what was committed
  /// before the first one. Transient also when another transaction has changed
  /// since then what this one wants to lock or change.
  template <class Body>
  auto transact_on_snapshot(std::string_view name, Body&& body)
    -> decltype(body(std::declval<snapshot_transaction&>())) {
    return transact_as<snapshot_transaction>(name, std::forward<Body>(body));
  }

  /// Runs `body(pqxx::transaction_base&) -> result<T>`, of one statement that is
  /// its own transaction: no round trips to begin and to commit. Committed
  /// whatever `body` answers. Fails as transact; outcome_unknown when the
  /// connection was lost after it was asked.
  template <class Body>
  auto transact_at_once(std::string_view name, Body&& body)
    -> decltype(body(std::declval<pqxx::transaction_base&>())) {
    using outcome = decltype(body(std::declval<pqxx::transaction_base&>()));
    std::optional<outcome> out;
    bool asked = false;
    job_takes takes{options_.intake};
    auto failed = guarded(name, [&](pqxx::connection& session) {
      pqxx::nontransaction tx{session};
      asked = true;
      out.emplace(body(tx));
      tx.commit();
    });
    if (failed && asked && !session_)
      failed->code = errc::outcome_unknown;
    takes.settle(ending_of(failed, true));
    if (failed)
      return std::move(*failed);
    return std::move(*out);
  }

  /// Runs `body(pqxx::transaction_base&) -> result<T>`, which only reads: no
  /// transaction, each of its statements sees what is committed by then. Runs
  /// it once more when the session turns out to be lost. Fails as transact,
  /// but never with outcome_unknown.
  template <class Body>
  auto read(std::string_view name, Body&& body)
    -> decltype(body(std::declval<pqxx::transaction_base&>())) {
    using outcome = decltype(body(std::declval<pqxx::transaction_base&>()));
    std::optional<outcome> out;
    const auto work = [&](pqxx::connection& session) {
      pqxx::nontransaction tx{session};
      out.emplace(body(tx));
      tx.commit();
    };
    const bool was_connected = session_ != nullptr;
    auto failed = guarded(name, work);
    if (failed && was_connected && !session_)
      failed = guarded(name, work);
    if (!failed)
      return std::move(*out);
    if (failed->code == errc::outcome_unknown)
      failed->code = errc::transient;
    return std::move(*failed);
  }

  /// Drops the session; the next use connects anew.
  void reset() noexcept;

private:
  template <class Transaction, class Body>
  auto transact_as(std::string_view name, Body&& body)
    -> decltype(body(std::declval<Transaction&>())) {
    using outcome = decltype(body(std::declval<Transaction&>()));
    std::optional<outcome> out;
    live_notes notes{options_.live};
    job_takes takes{options_.intake};
    auto failed = guarded(name, [&](pqxx::connection& session) {
      Transaction tx{session};
      out.emplace(body(tx));
      if (out->has_value())
        tx.commit();
    });
    const auto ending = ending_of(failed, out && out->has_value());
    // What was changed, before what comes of it.
    if (ending != job_takes::ending::rolled_back)
      tell(name, notes);
    takes.settle(ending);
    if (failed)
      return std::move(*failed);
    return std::move(*out);
  }

  static job_takes::ending ending_of(const std::optional<failure>& failed, bool wanted) noexcept {
    if (!failed)
      return wanted ? job_takes::ending::committed : job_takes::ending::rolled_back;
    return failed->code == errc::outcome_unknown ? job_takes::ending::unknown : job_takes::ending::rolled_back;
  }

  template <class Work>
  std::optional<failure> guarded(std::string_view name, Work&& work) {
    try {
      work(session());
      return std::nullopt;
    } catch (...) {
      return translate(name);
    }
  }

  pqxx::connection& session();

  void tell(std::string_view name, live_notes& notes) noexcept;

  /// Turns the exception in flight into a failure; drops a broken session.
  failure translate(std::string_view name) noexcept;

  session_options options_;
  logger& log_;
  std::unique_ptr<pqxx::connection> session_;
};

// -- statements ----------------------------------------------------------------

/// The name under which the session of `tx` knows `sql`, a constant: prepared
/// at its first use there.
const std::string& statement_name(pqxx::transaction_base& tx, const char* sql);

/// Like exec_params, but planned once a session and not each time: for what
/// runs once a post, a notification or a job. Not for statements whose best
/// plan depends on their parameters (optional filters).
template <class... Args>
pqxx::result exec_planned(pqxx::transaction_base& tx, const char* sql, Args&&... args) {
  return tx.exec_prepared(statement_name(tx, sql), std::forward<Args>(args)...);
}

// -- columns and parameters ---------------------------------------------------

/// NULL becomes nothing. (libpqxx 6.4 throws on as<optional> of NULL.)
template <class T>
std::optional<T> nullable(const pqxx::field& f) {
  if (f.is_null())
    return std::nullopt;
  return f.as<T>();
}

/// NULL becomes the empty text.
std::string text_or_empty(const pqxx::field& f);

/// Empty text becomes NULL.
inline std::optional<std::string> null_if_empty(std::string text) {
  if (text.empty())
    return std::nullopt;
  return text;
}

uuid read_uuid(const pqxx::field& f);

template <class Id>
Id read_id(const pqxx::field& f) {
  return Id{read_uuid(f)};
}

template <class Id>
std::optional<Id> read_nullable_id(const pqxx::field& f) {
  if (f.is_null())
    return std::nullopt;
  return Id{read_uuid(f)};
}

/// The session runs in UTC with ISO dates.
instant read_instant(const pqxx::field& f);
std::optional<instant> read_nullable_instant(const pqxx::field& f);

inline std::string param(instant t) {
  return format_precise_time(t);
}
inline std::optional<std::string> param(const std::optional<instant>& t) {
  if (!t)
    return std::nullopt;
  return format_precise_time(*t);
}

/// `{a,b}` for `$1::uuid[]`.
template <class Id>
std::string uuid_array(const std::vector<Id>& ids) {
  std::string out = "{";
  for (const auto& id : ids) {
    if (out.size() > 1)
      out += ',';
    out += to_string(id);
  }
  return out += '}';
}

/// `text`, in quotes, as an array's element.
void append_quoted(std::string& out, std::string_view text);

/// `{"a","b"}` for `$1::text[]`.
std::string text_array(const std::vector<std::string>& texts);

} // namespace carillon::storage

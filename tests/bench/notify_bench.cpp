// How fast a whole tenant is told: one send_to_tenant to users with mixed
// preferences, against a plain COPY of the same rows into the same table, in
// turns on one private server. Prints one JSON line.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "actors/jobs/kinds/send_tenant_notification.hpp"
#include "domain/ports/notification_store.hpp"
#include "domain/ports/ownership_store.hpp"
#include "storage/migrator.hpp"
#include "storage/pg_store.hpp"
#include "storage/token_cipher.hpp"
#include "tests/bench/machine.hpp"
#include "tests/bench/workplace.hpp"

namespace {

using namespace carillon;
using clock_type = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

class silent_logger final : public logger {
public:
  void write(log_level, std::string_view, std::initializer_list<log_field>) noexcept override {
  }
};

/// Statements of the bench itself, as the server's owner.
class workbench {
public:
  explicit workbench(const std::string& url) : session_{url} {
  }
  std::string ask(const std::string& sql) {
    pqxx::nontransaction tx{session_};
    const auto rows = tx.exec(sql);
    return rows.empty() || rows[0][0].is_null() ? std::string{} : rows[0][0].as<std::string>();
  }
  seconds timed(const std::string& sql) {
    const auto from = clock_type::now();
    ask(sql);
    return clock_type::now() - from;
  }

private:
  pqxx::connection session_;
};

struct turn {
  seconds copy{};
  seconds rows{};     ///< Until the last in-app row is committed.
  seconds complete{}; ///< Until deliveries and jobs are as well.
};

void clear(workbench& bench) {
  bench.ask("TRUNCATE carillon.notifications, carillon.notification_deliveries, carillon.jobs, "
            "carillon.notification_broadcasts CASCADE");
  bench.ask("CHECKPOINT");
}

/// Rows as the service writes them, for COPY to read.
void prepare(workbench& bench, const std::string& tenant, int users, const std::string& file) {
  bench.ask("INSERT INTO carillon.tenants (id, name, slug, status) VALUES ('" + tenant + "', 'bench', 'bench', 'active')");
  bench.ask("INSERT INTO carillon.users (id, tenant_id, email, name, status) SELECT gen_random_uuid(), '" + tenant
            + "', 'u' || g || '@bench.example', 'User ' || g, 'active' FROM generate_series(1, " + std::to_string(users)
            + ") g");
  // A third has preferences: some without in-app, some without mail.
  bench.ask("INSERT INTO carillon.notification_preferences (id, tenant_id, user_id, notification_type, in_app_enabled, "
            "email_enabled) SELECT gen_random_uuid(), tenant_id, id, 'system_announcement', random() > 0.2, random() > 0.5 "
            "FROM carillon.users WHERE random() < 0.33");
  bench.ask("INSERT INTO carillon.notification_settings (user_id, tenant_id, digests) SELECT id, tenant_id, "
            "'{\"system\": \"daily\"}' FROM carillon.users WHERE random() < 0.05");
  bench.ask("VACUUM ANALYZE");
  bench.ask("COPY (SELECT carillon.uuid_v7(), tenant_id, id, 'system_announcement', 'in_app', 'We are open', "
            "'The new office is open. Come and see it; there is coffee.', '{\"office\": 7}'::jsonb, '/app/news' "
            "FROM carillon.users ORDER BY id) TO '" + file + "'");
}

} // namespace

int main(int argc, char** argv) {
  int users = 100'000;
  int rounds = 3;
  bool keep = false;
  CLI::App app{"Telling a whole tenant, against a plain COPY"};
  app.add_option("--users", users, "Recipients")->check(CLI::Range(1, 10'000'000));
  app.add_option("--rounds", rounds, "Turns; the middle one of each counts")->check(CLI::Range(1, 99));
  app.add_flag("--keep", keep, "Keep the folder");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  try {
    bench::work_folder folder{keep};
    bench::private_postgres server{folder};
    silent_logger log;
    if (auto migrated = storage::migrate(server.url(), storage::embedded_migrations(), log); !migrated)
      throw std::runtime_error{migrated.error().detail};
    workbench bench{server.url()};
    const auto tenant = tenant_id::make();
    // Where the server's user may write.
    const auto file = bench.ask("SHOW data_directory") + "/notifications.copy";
    prepare(bench, to_string(tenant), users, file);

    const storage::token_cipher cipher{std::string(32, 'k'), {}};
    auto store = storage::make_pg_store({.url = server.url()}, cipher, log);
    const auto me = store->ownership().start_incarnation("bench", std::chrono::hours{1});
    if (!me)
      throw std::runtime_error{me.error().detail};
    new_notification message;
    message.tenant = tenant;
    message.type = notification_type::system_announcement;
    message.title = "We are open";
    message.message = "The new office is open. Come and see it; there is coffee.";
    message.data = R"({"office": 7})";
    message.action_url = "/app/news";

    std::vector<turn> all;
    const auto memory_before = bench::peak_memory(::getpid()).value_or(0);
    for (int i = 0; i < rounds; ++i) {
      turn r;
      clear(bench);
      r.copy = bench.timed("COPY carillon.notifications (id, tenant_id, user_id, type, channel, title, message, data, "
                           "action_url) FROM '" + file + "'");
      clear(bench);
      hints wake;
      const auto from = clock_type::now();
      const auto started = store->notifications().send_to_tenant(scope::tenant(tenant), message, wake);
      if (!started)
        throw std::runtime_error{started.error().detail};
      job work;
      work.kind = kinds::send_tenant_notification;
      work.tenant = tenant;
      work.payload = R"({"v":1,"broadcast_id":")" + to_string(started->id) + "\"}";
      if (const auto outcome = send_tenant_notification(*store, *me, work); outcome.how != job_report::kind::succeeded)
        throw std::runtime_error{outcome.error};
      r.complete = clock_type::now() - from;
      r.rows = seconds{std::stod(bench.ask("SELECT extract(epoch FROM written_at - created_at) FROM "
                                           "carillon.notification_broadcasts"))};
      if (bench.ask("SELECT count(DISTINCT user_id) || ' ' || count(*) FROM carillon.notifications")
          != std::to_string(users) + " " + std::to_string(users))
        throw std::runtime_error{"not every user was told once"};
      bench::tell("round " + std::to_string(i + 1) + ": COPY " + std::to_string(r.copy.count()) + " s, rows "
                  + std::to_string(r.rows.count()) + " s, all " + std::to_string(r.complete.count()) + " s");
      all.push_back(r);
    }
    const auto middle = [&](seconds turn::*what) {
      std::vector<double> values;
      for (const auto& r : all)
        values.push_back((r.*what).count());
      std::sort(values.begin(), values.end());
      return values[values.size() / 2];
    };
    const auto per_second = [&](double taken) { return static_cast<std::int64_t>(users / taken); };
    const nlohmann::json line{
      {"users", users},
      {"rounds", rounds},
      {"copy_rows_per_s", per_second(middle(&turn::copy))},
      {"fanout_rows_per_s", per_second(middle(&turn::rows))},
      {"of_copy", middle(&turn::copy) / middle(&turn::rows)},
      {"complete_per_s", per_second(middle(&turn::complete))},
      {"deliveries", std::stoll(bench.ask("SELECT count(*) FROM carillon.notification_deliveries"))},
      {"email_jobs", std::stoll(bench.ask("SELECT count(*) FROM carillon.jobs WHERE kind = 'send_notification_email'"))},
      {"digest_jobs", std::stoll(bench.ask("SELECT count(*) FROM carillon.jobs WHERE kind = 'send_notification_digest'"))},
      {"memory_grew_mib", bench::peak_memory(::getpid()).value_or(0) - memory_before},
      {"settings",
       {{"fsync", bench.ask("SHOW fsync")},
        {"synchronous_commit", bench.ask("SHOW synchronous_commit")},
        {"server_version", bench.ask("SHOW server_version")}}}};
    std::cout << line.dump() << std::endl;
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "notify_bench: " << e.what() << '\n';
    return 1;
  }
}

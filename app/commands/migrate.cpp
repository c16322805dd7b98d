#include <iostream>

#include <CLI/CLI.hpp>

#include "app/commands/command.hpp"
#include "config/schema.hpp"
#include "storage/migrator.hpp"

namespace carillon::app {

namespace {

/// Shows each migration as soon as it is done; the rest goes to the log.
class migration_progress final : public logger {
public:
  explicit migration_progress(logger& next) : next_(next) {
  }

  void write(log_level level, std::string_view event,
             std::initializer_list<log_field> fields) noexcept override {
    if (event == "migration-applied" && fields.size() > 0)
      std::cout << "  applied " << fields.begin()->value << std::endl;
    else
      next_.write(level, event, fields);
  }

private:
  logger& next_;
};

int migrate(const command_input& input) {
  const auto& settings = input.settings();
  quiet_log log;
  migration_progress progress{log};
  const auto& files = storage::embedded_migrations();
  std::cout << "Migrating " << config::mask_password(settings.database.url) << std::endl;
  const auto applied = storage::migrate(settings.database.url, files, progress);
  if (!applied)
    return report_failure("migrate the database", applied.error(), settings);
  if (applied->empty())
    std::cout << "Nothing to do: all " << files.size() << " migrations are applied.\n";
  else
    std::cout << "Done: " << applied->size() << " of " << files.size()
              << " migrations applied now.\n";
  return exit_ok;
}

} // namespace

void add_migrate_command(CLI::App& app, chosen_command& chosen) {
  auto* command = app.add_subcommand("migrate", "Bring the database's schema up to date");
  command->footer("Applies what is missing, each file in its own transaction; safe to run again\n"
                  "and from several machines at once. Refuses a database that is newer than\n"
                  "this program, and migrations that were edited after they had been applied.\n\n"
                  "Example:\n"
                  "  CARILLON_DATABASE__URL=postgresql://carillon@db/carillon carillon migrate\n");
  command->callback([&chosen] { chosen.run = migrate; });
}

} // namespace carillon::app

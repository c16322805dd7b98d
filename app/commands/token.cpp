#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/commands/command.hpp"
#include "config/schema.hpp"
#include "http/token.hpp"
#include "storage/auth_repository.hpp"

namespace carillon::app {

namespace {

struct create_options {
  std::string email;
  std::string name = "command-line";
  std::string expires = "30d";
};

int create(const command_input& input, const create_options& options) {
  const auto lifetime = config::parse_duration(options.expires);
  if (!lifetime || *lifetime < std::chrono::seconds{1}) {
    std::cerr << "carillon: --expires " << options.expires
              << " is no duration such as 12h or 30d\n";
    return exit_usage;
  }
  quiet_log log;
  storage::connection db{session_options_of(input.settings(), "carillon-token"), log};
  storage::auth_repository users{db};
  const auto who = scope::maintenance("operator creates a token at the command line");
  const auto found = users.find_credentials(who, options.email);
  if (!found)
    return report_failure("look up the user", found.error(), input.settings());
  if (!*found) {
    std::cerr << "carillon: no user has the e-mail address " << options.email << '\n';
    return exit_failure;
  }
  const auto& account = (*found)->who;
  const auto issued = http::issue_token(
    users, scope::tenant(account.tenant), account.id, http::issue_reason::command,
    std::chrono::duration_cast<std::chrono::seconds>(*lifetime), options.name);
  if (!issued)
    return report_failure("create a token for " + options.email, issued.error(),
                          input.settings());
  // Only the token on standard output, so that it can be captured.
  std::cout << issued->plain << '\n';
  std::cerr << "A token for " << account.name << ", valid for " << options.expires
            << ". It is shown this once.\n";
  return exit_ok;
}

} // namespace

void add_token_command(CLI::App& app, chosen_command& chosen) {
  auto* command = app.add_subcommand("token", "API tokens");
  command->require_subcommand(1);
  command->fallthrough();
  command->footer("The token goes to standard output, everything else to standard error. A user\n"
              "keeps his 10 newest live tokens.\n\n"
              "Example:\n"
              "  token=$(carillon token create --email owner@acme.example)\n"
              "  curl -H \"Authorization: Bearer $token\" http://127.0.0.1:8080/api/v1/user\n");
  auto options = std::make_shared<create_options>();
  auto* sub = command->add_subcommand("create", "Make an API token for a user");
  sub->add_option("--email", options->email, "Whose token")->required();
  sub->add_option("--name", options->name, "What it is for")->capture_default_str();
  sub->add_option("--expires", options->expires, "How long it is valid: 12h, 30d")
    ->capture_default_str();
  sub->callback([&chosen, options] {
    chosen.run = [options](const command_input& input) { return create(input, *options); };
  });
}

} // namespace carillon::app

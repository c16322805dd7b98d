#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "app/commands/command.hpp"
#include "app/commands/demo_content.hpp"
#include "config/schema.hpp"
#include "domain/clock.hpp"
#include "http/password_hasher.hpp"
#include "storage/demo_data_repository.hpp"
#include "storage/social_account_repository.hpp"
#include "storage/token_cipher.hpp"

namespace carillon::app {

namespace {

struct demo_options {
  std::string sandbox_url = "http://127.0.0.1:8090";
};

/// One run: what is missing is added, what is there stays as it is.
class demo_writer {
public:
  demo_writer(const config::settings& s, std::string sandbox_url)
    : cipher_{config::token_key_bytes(s.secrets.token_key)},
      db_{session_options_of(s, "carillon-demo-data"), log_},
      rows_{db_},
      accounts_{db_, cipher_},
      sandbox_url_(std::move(sandbox_url)),
      bcrypt_cost_(s.auth.bcrypt_cost) {
  }

  /// True when something was written.
  result<bool> run() {
    auto found = rows_.find(demo_tenant_slug);
    if (!found)
      return found.error();
    if (!*found) {
      say("tenant Acme with two workspaces and four users");
      const auto company
        = make_demo_company(http::hash_password(demo_password, bcrypt_cost_), now_);
      if (auto written = rows_.insert_company(company); !written)
        return written.error();
      found = rows_.find(demo_tenant_slug);
      if (!found)
        return found.error();
    }
    const auto& there = **found;
    demo_cast cast{there.users, there.workspaces, {}};
    if (cast.users.size() < 4 || cast.workspaces.size() < 2)
      return failure{errc::conflict,
                     "a tenant with the slug acme is there, and it is not the demo company", {}, {}};
    if (auto connected = connect_accounts(there.tenant, cast); !connected)
      return connected.error();
    if (auto written = write_content(there, cast); !written)
      return written.error();
    return changed_;
  }

private:
  void say(const std::string& what) {
    changed_ = true;
    std::cout << "  + " << what << std::endl;
  }

  /// Fills `cast.accounts`. An account of another sandbox is pointed here.
  result<done> connect_accounts(tenant_id tenant, demo_cast& cast) {
    const auto who = scope::tenant(tenant);
    for (const auto& wanted : demo_accounts()) {
      const auto workspace = cast.workspaces[wanted.workspace];
      const auto present = find_account(who, workspace, wanted.platform_account_id());
      if (!present)
        return present.error();
      if (*present) {
        const auto known = accounts_.load_credentials(who, **present);
        // A row of another key cannot be read: it is connected anew.
        if (known && known->credentials.instance_url == sandbox_url_
            && known->status == social_account_status::connected) {
          cast.accounts.push_back(**present);
          continue;
        }
      }
      say("account @" + wanted.username + " at " + sandbox_url_);
      const auto connected = accounts_.connect(who, as_new_account(wanted, workspace, cast));
      if (!connected)
        return connected.error();
      cast.accounts.push_back(connected->id);
    }
    return done{};
  }

  result<std::optional<social_account_id>>
  find_account(const scope& who, workspace_id workspace, const std::string& platform_account_id) {
    social_account_filter all;
    all.per_page = 100;
    const auto page = accounts_.list(who, workspace, all);
    if (!page)
      return page.error();
    for (const auto& account : page->items)
      if (account.platform_account_id == platform_account_id)
        return std::optional{account.id};
    return std::optional<social_account_id>{};
  }

  new_social_account as_new_account(const demo_account& wanted, workspace_id workspace,
                                    const demo_cast& cast) const {
    new_social_account out;
    out.workspace = workspace;
    out.platform = wanted.platform;
    out.platform_account_id = wanted.platform_account_id();
    out.account_name = wanted.display_name;
    out.account_username = wanted.username;
    out.access_token = "sandbox-" + wanted.username;
    out.connected_by = cast.users.front();
    out.instance_url = sandbox_url_;
    return out;
  }

  result<done> write_content(const storage::demo_presence& there, const demo_cast& cast) {
    if (there.posts > 0 || there.notifications > 0)
      return done{};
    const auto who = scope::tenant(there.tenant);
    const auto posts = make_demo_posts(cast, now_);
    const auto notices = make_demo_notifications(cast, posts, now_);
    say(std::to_string(posts.size()) + " posts, in every status, and "
        + std::to_string(notices.size()) + " notifications");
    return rows_.insert_content(who, posts, notices);
  }

  quiet_log log_;
  storage::token_cipher cipher_;
  storage::connection db_;
  storage::demo_data_repository rows_;
  storage::social_account_repository accounts_;
  std::string sandbox_url_;
  int bcrypt_cost_;
  instant now_ = system_clock{}.now();
  bool changed_ = false;
};

int write_demo_data(const command_input& input, const demo_options& options) {
  const auto& settings = input.settings();
  const auto missing = config::missing_for_serve(settings);
  if (!missing.empty())
    return report_violations(missing);
  auto url = options.sandbox_url;
  while (url.ends_with('/'))
    url.pop_back();
  std::cout << "Demo data for " << config::mask_password(settings.database.url) << std::endl;
  const auto changed = demo_writer{settings, url}.run();
  if (!changed)
    return report_failure("write the demo data", changed.error(), settings);
  if (!*changed)
    std::cout << "Everything is there already; nothing was changed.\n";
  std::cout << "Log in as owner@, admin@, editor@ or viewer@acme.example with the password "
            << demo_password << ".\n";
  return exit_ok;
}

} // namespace

void add_demo_data_command(CLI::App& app, chosen_command& chosen) {
  auto options = std::make_shared<demo_options>();
  auto* command = app.add_subcommand("demo-data", "Fill the database with a company to try things on");
  command->add_option("--sandbox-url", options->sandbox_url,
                      "The sandbox network where its accounts live")
    ->type_name("URL")
    ->capture_default_str();
  command->footer("Tenant Acme: four users, two workspaces in Berlin and New York, accounts at the\n"
                  "sandbox network, posts in every status and 200 notifications. A second run\n"
                  "changes nothing, unless the sandbox has moved. Run `carillon migrate` before.\n\n"
                  "Example:\n"
                  "  carillon demo-data --sandbox-url http://127.0.0.1:8090\n");
  command->callback([&chosen, options] {
    chosen.run = [options](const command_input& input) { return write_demo_data(input, *options); };
  });
}

} // namespace carillon::app

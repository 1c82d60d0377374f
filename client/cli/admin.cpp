// saectl admin: users, tokens, the audit log, backups.
#include <fmt/format.h>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {

void AddAdminCommands(CLI::App& app, Session& session) {
  auto* admin = app.add_subcommand("admin", "For the keeper: users, tokens, audit log, backups");
  admin->require_subcommand(1);
  AddUserCommands(*admin, session);
  AddTokenCommands(*admin, session, Whose::kAnyones);
  auto* audit = admin->add_subcommand("audit", "What was changed or refused, newest first");
  auto user = std::make_shared<std::string>();
  auto pages = std::make_shared<int>(2);
  audit->add_option("--user", *user, "Only what they did");
  audit->add_option("--pages", *pages, "Of 50 records")->capture_default_str();
  Run(audit, session, [&session, user, pages]() -> absl::Status {
    v1::ListAuditRecordsRequest request;
    if (!user->empty()) request.set_user(FullName("users", *user));
    SAED_ASSIGN_OR_RETURN(const auto all, AllPages<v1::ListAuditRecordsResponse>(
                                              request,
                                              [&](auto* context, const auto& r, auto* out) {
                                                return session.client->admin().ListAuditRecords(
                                                    context, r, out);
                                              },
                                              *pages));
    if (session.json) {
      fmt::print("{}", Json(all));
      return absl::OkStatus();
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& r : all.records()) {
      rows.push_back({Utc(r.time()), r.user(), r.method(), r.resource(), r.outcome(), r.peer()});
    }
    fmt::print("{}", Listing("records", !user->empty(),
                             {"TIME", "USER", "METHOD", "RESOURCE", "OUTCOME", "FROM"}, rows));
    if (!all.next_page_token().empty()) {
      fmt::print("the newest {}; --pages {} shows more\n", all.records_size(), 2 * *pages);
    }
    return absl::OkStatus();
  });
  auto* backup = admin->add_subcommand("backup", "A consistent copy while jobs run");
  auto directory = std::make_shared<std::string>();
  backup->add_option("directory", *directory, "A new folder on the server's machine")->required();
  Run(backup, session, [&session, directory] {
    v1::CreateBackupRequest request;
    request.set_directory(*directory);
    return Ask<v1::CreateBackupRequest, v1::CreateBackupResponse>(
        session, request, [&](auto... a) { return session.client->admin().CreateBackup(a...); },
        [&](const v1::CreateBackupResponse& r) {
          fmt::print("{}: {}, {} objects\nRestore with: saed --data-dir NEW --restore {}\n",
                     *directory, Bytes(static_cast<double>(r.bytes())), r.objects(), *directory);
        });
  });
}

}  // namespace saed::cli

// saectl admin: users, tokens, the audit log, backups.
#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Time(bool there, const google::protobuf::Timestamp& time) {
  return there ? google::protobuf::util::TimeUtil::ToString(time).substr(0, 19) : "";
}

v1::Role RoleOf(const std::string& name) {
  return name == "admin" ? v1::ROLE_ADMIN : name == "member" ? v1::ROLE_MEMBER : v1::ROLE_READER;
}

// Calls, and prints JSON or what `show` makes of the answer.
template <class Request, class Response, class Call, class Show>
absl::Status Ask(const Session& session, const Request& request, const Call& call,
                 const Show& show) {
  grpc::ClientContext context;
  Response response;
  SAED_RETURN_IF_ERROR(client::FromGrpc(call(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response));
  } else {
    show(response);
  }
  return absl::OkStatus();
}

std::string RoleText(const v1::User& user) {
  return v1::Role_Name(user.role()).substr(5);  // without ROLE_
}

void AddUsers(CLI::App& admin, Session& session) {
  auto* group = admin.add_subcommand("users", "Who may call, and as what");
  group->require_subcommand(1);
  Run(group->add_subcommand("list", "All users"), session, [&session] {
    return Ask<v1::ListUsersRequest, v1::ListUsersResponse>(
        session, {}, [&](auto... a) { return session.client->admin().ListUsers(a...); },
        [](const v1::ListUsersResponse& r) {
          std::vector<std::vector<std::string>> rows;
          for (const auto& u : r.users()) {
            rows.push_back({u.name().substr(6), RoleText(u), fmt::format("{:g}", u.share()),
                            u.disabled() ? "disabled" : "", Time(true, u.create_time())});
          }
          fmt::print("{}", Table({"USER", "ROLE", "SHARE", "", "CREATED"}, rows, TerminalWidth()));
          if (rows.empty()) {
            fmt::print(
                "no users: everyone who reaches this server may do everything\nNext: saectl "
                "admin users create NAME --role admin, then admin tokens create NAME\n");
          }
        });
  });
  struct Flags {
    std::string name, role = "member";
    double share = 1;
    bool disabled = false;
  };
  const auto add = [&](const char* command, const char* help, bool create) {
    auto* c = group->add_subcommand(command, help);
    auto f = std::make_shared<Flags>();
    c->add_option("user", f->name, "1 to 40 of a-z, 0-9, '.', '_' and '-'")->required();
    auto* role = c->add_option("--role", f->role, "reader, member or admin")
                     ->check(CLI::IsMember({"reader", "member", "admin"}));
    if (create) role->capture_default_str();
    if (!create) role->required();
    c->add_option("--share", f->share, "Part of the machine against the others'")
        ->capture_default_str();
    if (!create) c->add_flag("--disabled", f->disabled, "Refuse all their tokens");
    Run(c, session, [&session, f, create]() -> absl::Status {
      v1::User user;
      user.set_name("users/" + f->name);
      user.set_role(RoleOf(f->role));
      user.set_share(f->share);
      user.set_disabled(f->disabled);
      const auto show = [&](const auto& r) {
        fmt::print("{} is {}{}\n", r.user().name(), RoleText(r.user()),
                   r.user().disabled() ? ", disabled" : "");
        if (create) fmt::print("Next: saectl admin tokens create {}\n", f->name);
      };
      if (create) {
        v1::CreateUserRequest request;
        *request.mutable_user() = user;
        return Ask<v1::CreateUserRequest, v1::CreateUserResponse>(
            session, request, [&](auto... a) { return session.client->admin().CreateUser(a...); },
            show);
      }
      v1::UpdateUserRequest request;
      *request.mutable_user() = user;
      return Ask<v1::UpdateUserRequest, v1::UpdateUserResponse>(
          session, request, [&](auto... a) { return session.client->admin().UpdateUser(a...); },
          show);
    });
  };
  add("create", "A new user", true);
  add("update", "Role and share as they are to be", false);
}

void AddTokens(CLI::App& admin, Session& session) {
  auto* group = admin.add_subcommand("tokens", "What users show");
  group->require_subcommand(1);
  struct Flags {
    std::string user, note, token;
    int days = 365;
  };
  auto f = std::make_shared<Flags>();
  auto* create = group->add_subcommand("create", "A new token, shown once");
  create->add_option("user", f->user, "Whose")->required();
  create->add_option("--note", f->note, "What for");
  create->add_option("--days", f->days, "Valid so long")->capture_default_str();
  Run(create, session, [&session, f] {
    v1::CreateTokenRequest request;
    request.set_user(FullName("users", f->user));
    request.set_note(f->note);
    request.set_valid_days(f->days);
    return Ask<v1::CreateTokenRequest, v1::CreateTokenResponse>(
        session, request, [&](auto... a) { return session.client->admin().CreateToken(a...); },
        [](const v1::CreateTokenResponse& r) {
          fmt::print("{}\n", r.secret());
          fmt::print(stderr,
                     "Keep this token: it is shown once. Use it as SAED_TOKEN. It is {}, "
                     "valid until {}.\n",
                     r.token().name(), Time(true, r.token().expire_time()));
        });
  });
  auto* list = group->add_subcommand("list", "All tokens, without their secrets");
  auto user = std::make_shared<std::string>();
  list->add_option("--user", *user, "Only theirs");
  Run(list, session, [&session, user] {
    v1::ListTokensRequest request;
    if (!user->empty()) request.set_user(FullName("users", *user));
    return Ask<v1::ListTokensRequest, v1::ListTokensResponse>(
        session, request, [&](auto... a) { return session.client->admin().ListTokens(a...); },
        [](const v1::ListTokensResponse& r) {
          std::vector<std::vector<std::string>> rows;
          for (const auto& t : r.tokens()) {
            rows.push_back({t.name(), t.user().substr(6), t.note(), Time(true, t.create_time()),
                            Time(true, t.expire_time()),
                            Time(t.has_last_use_time(), t.last_use_time()),
                            Time(t.has_revoke_time(), t.revoke_time())});
          }
          fmt::print("{}",
                     Table({"TOKEN", "USER", "NOTE", "CREATED", "EXPIRES", "LAST USED", "REVOKED"},
                           rows, TerminalWidth()));
        });
  });
  auto* revoke = group->add_subcommand("revoke", "Refuse a token from now on");
  revoke->add_option("token", f->token, "Its name or id")->required();
  Run(revoke, session, [&session, f] {
    v1::RevokeTokenRequest request;
    request.set_name(FullName("tokens", f->token));
    return Ask<v1::RevokeTokenRequest, v1::RevokeTokenResponse>(
        session, request, [&](auto... a) { return session.client->admin().RevokeToken(a...); },
        [&](const auto&) { fmt::print("{} is revoked\n", request.name()); });
  });
}

}  // namespace

void AddAdminCommands(CLI::App& app, Session& session) {
  auto* admin = app.add_subcommand("admin", "For the keeper: users, tokens, audit log, backups");
  admin->require_subcommand(1);
  AddUsers(*admin, session);
  AddTokens(*admin, session);
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
      rows.push_back(
          {Time(true, r.time()), r.user(), r.method(), r.resource(), r.outcome(), r.peer()});
    }
    fmt::print("{}", Table({"TIME", "USER", "METHOD", "RESOURCE", "OUTCOME", "FROM"}, rows,
                           TerminalWidth()));
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

// saectl admin: users, tokens, the audit log, backups.
#include <fmt/format.h>

#include <optional>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Time(bool there, const google::protobuf::Timestamp& time) {
  return there ? Utc(time) : "";
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

// "4 threads, 20 GB, 10 calls a second"; empty: as much as everyone.
std::string QuotaText(const v1::Quota& quota) {
  std::string out;
  const auto add = [&](bool there, auto value, const std::string& what) {
    if (!there) return;
    if (!out.empty()) out += ", ";
    out += value == 0 ? "unlimited " + what.substr(what.find(' ') + 1) : what;
  };
  add(quota.has_threads(), quota.threads(), fmt::format("{} threads", quota.threads()));
  add(quota.has_running_jobs(), quota.running_jobs(),
      fmt::format("{} running jobs", quota.running_jobs()));
  add(quota.has_unfinished_jobs(), quota.unfinished_jobs(),
      fmt::format("{} unfinished jobs", quota.unfinished_jobs()));
  add(quota.has_stored_bytes(), quota.stored_bytes(),
      quota.stored_bytes() == 0 ? "0 bytes" : Bytes(static_cast<double>(quota.stored_bytes())));
  add(quota.has_requests_per_second(), quota.requests_per_second(),
      fmt::format("{:g} calls a second", quota.requests_per_second()));
  return out;
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
                            u.disabled() ? "disabled" : "", QuotaText(u.quota()),
                            Time(true, u.create_time())});
          }
          fmt::print("{}", Table({"USER", "ROLE", "SHARE", "", "QUOTA", "CREATED"}, rows,
                                 TerminalWidth()));
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
    bool disabled = false, enabled = false, as_everyone = false;
    std::optional<int64_t> threads, running_jobs, unfinished_jobs, bytes;
    std::optional<double> requests;
  };
  const auto add = [&](const char* command, const char* help, bool create) {
    auto* c = group->add_subcommand(command, help);
    auto f = std::make_shared<Flags>();
    c->add_option("user", f->name, "1 to 40 of a-z, 0-9, '.', '_' and '-'")->required();
    auto* role = c->add_option("--role", f->role, "reader, member or admin")
                     ->check(CLI::IsMember({"reader", "member", "admin"}));
    auto* share = c->add_option("--share", f->share, "Part of the machine against the others'");
    if (create) {
      role->capture_default_str();
      share->capture_default_str();
    } else {
      auto* disabled = c->add_flag("--disabled", f->disabled, "Refuse all their tokens");
      c->add_flag("--enabled", f->enabled, "Take their tokens again")->excludes(disabled);
      c->add_flag("--quota-as-everyone", f->as_everyone, "No quota of their own any more");
    }
    const char* const quota = create ? "Quota: 0 for no limit; not given, as everyone"
                                     : "Quota: 0 for no limit; not given, as it was";
    c->add_option("--max-threads", f->threads, "Of their running jobs")->group(quota);
    c->add_option("--max-running-jobs", f->running_jobs, "At once")->group(quota);
    c->add_option("--max-unfinished-jobs", f->unfinished_jobs, "Queued and running")->group(quota);
    c->add_option("--max-bytes", f->bytes, "Of their recordings, such as 20GB")
        ->transform(CLI::AsSizeValue(true))
        ->group(quota);
    c->add_option("--max-requests", f->requests, "A second; twice as many may come at once")
        ->group(quota);
    Run(c, session, [&session, f, c, create]() -> absl::Status {
      v1::User user;
      user.set_name("users/" + f->name);
      user.set_role(RoleOf(f->role));
      user.set_share(f->share);
      user.set_disabled(f->disabled);
      auto* quota = user.mutable_quota();
      if (f->threads) quota->set_threads(*f->threads);
      if (f->running_jobs) quota->set_running_jobs(*f->running_jobs);
      if (f->unfinished_jobs) quota->set_unfinished_jobs(*f->unfinished_jobs);
      if (f->bytes) quota->set_stored_bytes(*f->bytes);
      if (f->requests) quota->set_requests_per_second(*f->requests);
      const auto show = [&](const auto& r) {
        const std::string quota_text = QuotaText(r.user().quota());
        fmt::print("{} is {}{}{}\n", r.user().name(), RoleText(r.user()),
                   r.user().disabled() ? ", disabled" : "",
                   quota_text.empty() ? "" : "; may have " + quota_text);
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
      // What is not given stays as it was.
      const auto change = [&](bool given, const char* path) {
        if (given) request.mutable_update_mask()->add_paths(path);
      };
      change(c->count("--role") > 0, "role");
      change(c->count("--share") > 0, "share");
      change(f->disabled || f->enabled, "disabled");
      change(f->as_everyone, "quota");
      change(f->threads && !f->as_everyone, "quota.threads");
      change(f->running_jobs && !f->as_everyone, "quota.running_jobs");
      change(f->unfinished_jobs && !f->as_everyone, "quota.unfinished_jobs");
      change(f->bytes && !f->as_everyone, "quota.stored_bytes");
      change(f->requests && !f->as_everyone, "quota.requests_per_second");
      if (request.update_mask().paths().empty()) {
        return absl::InvalidArgumentError(
            "nothing is to change; give --role, --share, --disabled, --enabled or a quota");
      }
      return Ask<v1::UpdateUserRequest, v1::UpdateUserResponse>(
          session, request, [&](auto... a) { return session.client->admin().UpdateUser(a...); },
          show);
    });
  };
  add("create", "A new user", true);
  add("update", "Changes role, share or quota; what is not given stays", false);
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

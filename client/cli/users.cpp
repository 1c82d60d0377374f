// saectl admin users, saectl whoami.
#include <fmt/format.h>

#include <optional>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

v1::Role RoleOf(const std::string& name) {
  return name == "admin" ? v1::ROLE_ADMIN : name == "member" ? v1::ROLE_MEMBER : v1::ROLE_READER;
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

void PrintRow(const char* what, const std::string& value, const std::string& most) {
  fmt::print("  {:<16} {}{}\n", what, value, most.empty() ? "" : " of " + most);
}

// What a user is and has, beside what they may have.
void PrintUser(const v1::GetUserResponse& r) {
  const v1::User& u = r.user();
  fmt::print("{}: {}{}, since {}\n", u.name(), RoleText(u), u.disabled() ? ", disabled" : "",
             Utc(u.create_time()));
  const v1::Holdings& h = r.holdings();
  const v1::Quota& most = r.limits();
  const auto number = [](int64_t n) { return std::to_string(n); };
  const auto limit = [&](int64_t n) { return n == 0 ? std::string() : number(n); };
  const auto bytes = [](int64_t n) {
    return n == 0 ? std::string("0 bytes") : Bytes(static_cast<double>(n));
  };
  PrintRow("share", fmt::format("{:g}", u.share()), "");
  PrintRow("threads in use", number(h.threads()), limit(most.threads()));
  PrintRow("running jobs", number(h.running_jobs()), limit(most.running_jobs()));
  PrintRow("unfinished jobs", number(h.unfinished_jobs()), limit(most.unfinished_jobs()));
  PrintRow("stored", bytes(h.stored_bytes()),
           most.stored_bytes() == 0 ? "" : bytes(most.stored_bytes()));
  if (most.requests_per_second() > 0) {
    PrintRow("calls a second", fmt::format("at most {:g}", most.requests_per_second()), "");
  }
  PrintRow("recordings", number(h.recordings()), "");
  PrintRow("jobs", number(h.jobs()), "");
  PrintRow("sweeps", number(h.sweeps()), "");
  PrintRow("models", number(h.models()), "");
  PrintRow("dictionaries", number(h.dictionaries()), "");
  PrintRow("tokens in force", number(h.tokens()), "");
}

absl::Status Show(Session& session, const std::string& name) {
  v1::GetUserRequest request;
  if (!name.empty()) request.set_name(FullName("users", name));
  return Ask<v1::GetUserRequest, v1::GetUserResponse>(
      session, request, [&](auto... a) { return session.client->admin().GetUser(a...); },
      PrintUser);
}

absl::Status Delete(Session& session, const std::string& name, const std::string& heir) {
  v1::DeleteUserRequest request;
  request.set_name(FullName("users", name));
  if (!heir.empty()) request.set_reassign_to(FullName("users", heir));
  return Ask<v1::DeleteUserRequest, v1::DeleteUserResponse>(
      session, request, [&](auto... a) { return session.client->admin().DeleteUser(a...); },
      [&](const v1::DeleteUserResponse& r) {
        fmt::print("deleted {}; nobody gets the name again\n", request.name());
        if (heir.empty()) return;
        const v1::Holdings& h = r.reassigned();
        fmt::print(
            "{} got recordings {}, jobs {} ({} unfinished), sweeps {}, models {}, "
            "dictionaries {}\n",
            request.reassign_to(), h.recordings(), h.jobs(), h.unfinished_jobs(), h.sweeps(),
            h.models(), h.dictionaries());
      });
}

absl::Status List(Session& session) {
  v1::ListUsersRequest request;
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListUsersResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->admin().ListUsers(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& u : all.users()) {
    rows.push_back({u.name().substr(6), RoleText(u), fmt::format("{:g}", u.share()),
                    u.disabled() ? "disabled" : "", QuotaText(u.quota()), Utc(u.create_time())});
  }
  if (!rows.empty()) {
    fmt::print("{}",
               Table({"USER", "ROLE", "SHARE", "", "QUOTA", "CREATED"}, rows, TerminalWidth()));
  } else {
    fmt::print(
        "no users: everyone who reaches this server may do everything\nNext: saectl admin users "
        "create NAME --role admin, then admin tokens create NAME\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddWhoamiCommand(CLI::App& app, Session& session) {
  Run(app.add_subcommand("whoami", "Who you are here, what you may have and what you have"),
      session, [&session] { return Show(session, ""); });
}

void AddUserCommands(CLI::App& admin, Session& session) {
  auto* group = admin.add_subcommand("users", "Who may call, and as what");
  group->require_subcommand(1);
  Run(group->add_subcommand("list", "All users"), session, [&session] { return List(session); });
  auto* show = group->add_subcommand("show", "What a user is, may have and has");
  auto shown = std::make_shared<std::string>();
  show->add_option("user", *shown, "Whom")->required();
  Run(show, session, [&session, shown] { return Show(session, *shown); });
  auto* remove =
      group->add_subcommand("delete", "Takes a user away for good; nobody gets the name again");
  auto gone = std::make_shared<std::pair<std::string, std::string>>();
  remove->add_option("user", gone->first, "Whom")->required();
  remove->add_option("--reassign-to", gone->second,
                     "Whose their recordings, jobs and models become, private ones too");
  Run(remove, session, [&session, gone] { return Delete(session, gone->first, gone->second); });
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

}  // namespace saed::cli

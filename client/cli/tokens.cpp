// saectl tokens, of one's own; saectl admin tokens, of anyone.
#include <fmt/format.h>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Time(bool there, const google::protobuf::Timestamp& time) {
  return there ? Utc(time) : "";
}

// "users/{name}" of the caller.
absl::StatusOr<std::string> Me(Session& session) {
  grpc::ClientContext context;
  v1::GetUserResponse response;
  const auto s = client::FromGrpc(session.client->admin().GetUser(&context, {}, &response));
  if (!s.ok()) return s;
  return response.user().name();
}

absl::Status Create(Session& session, const std::string& user, const std::string& note, int days) {
  v1::CreateTokenRequest request;
  if (!user.empty()) request.set_user(FullName("users", user));
  request.set_note(note);
  request.set_valid_days(days);
  return Ask<v1::CreateTokenRequest, v1::CreateTokenResponse>(
      session, request, [&](auto... a) { return session.client->admin().CreateToken(a...); },
      [](const v1::CreateTokenResponse& r) {
        fmt::print("{}\n", r.secret());
        fmt::print(stderr,
                   "Keep this token: it is shown once. Use it as SAED_TOKEN. It is {}, "
                   "valid until {}.\n",
                   r.token().name(), Time(true, r.token().expire_time()));
      });
}

absl::Status List(Session& session, const std::string& user) {
  v1::ListTokensRequest request;
  if (!user.empty()) request.set_user(FullName("users", user));
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListTokensResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->admin().ListTokens(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& t : all.tokens()) {
    rows.push_back({t.name(), t.user().substr(6), t.note(), Time(true, t.create_time()),
                    Time(t.has_expire_time(), t.expire_time()),
                    Time(t.has_last_use_time(), t.last_use_time()),
                    Time(t.has_revoke_time(), t.revoke_time()), t.made_with()});
  }
  fmt::print("{}", Listing("tokens", !user.empty(),
                           {"TOKEN", "USER", "NOTE", "CREATED", "EXPIRES", "LAST USED", "REVOKED",
                            "MADE WITH"},
                           rows));
  return absl::OkStatus();
}

absl::Status Revoke(Session& session, const std::string& token, bool with_made) {
  v1::RevokeTokenRequest request;
  request.set_name(FullName("tokens", token));
  request.set_with_made(with_made);
  return Ask<v1::RevokeTokenRequest, v1::RevokeTokenResponse>(
      session, request, [&](auto... a) { return session.client->admin().RevokeToken(a...); },
      [&](const v1::RevokeTokenResponse& r) {
        const int others = r.revoked() - 1;
        fmt::print("{} is revoked{}\n", request.name(),
                   others > 0 ? fmt::format(", and {} made with it", others) : "");
      });
}

}  // namespace

void AddTokenCommands(CLI::App& parent, Session& session, Whose whose) {
  const bool own = whose == Whose::kOwn;
  auto* group = parent.add_subcommand(
      "tokens", own ? "Your own tokens: list, make, revoke" : "What users show");
  group->require_subcommand(1);
  struct Flags {
    std::string user, note, token;
    int days = 0;
    bool with_made = false;
  };
  auto f = std::make_shared<Flags>();
  auto* create = group->add_subcommand("create", "A new token, shown once");
  if (!own) create->add_option("user", f->user, "Whose")->required();
  create->add_option("--note", f->note, "What for");
  create
      ->add_option("--days", f->days,
                   own ? "Valid so long; left out, 365, or as long as the token with which you "
                         "ask (administrators' may last longer)"
                       : "Valid so long; left out, 365")
      ->check(CLI::Range(1, 3650));
  Run(create, session, [&session, f] { return Create(session, f->user, f->note, f->days); });
  auto* list = group->add_subcommand(
      "list", own ? "Your tokens, without their secrets" : "All tokens, without their secrets");
  auto user = std::make_shared<std::string>();
  if (!own) list->add_option("--user", *user, "Only theirs");
  Run(list, session, [&session, user, own]() -> absl::Status {
    if (own) {
      SAED_ASSIGN_OR_RETURN(*user, Me(session));
    }
    return List(session, *user);
  });
  auto* revoke = group->add_subcommand("revoke", "Refuse a token from now on");
  revoke->add_option("token", f->token, "Its id, as list has it")->required();
  revoke->add_flag("--with-made", f->with_made,
                   own ? "Also those of yours made with it, and with those"
                       : "Also those made with it, and with those, of whichever user");
  Run(revoke, session, [&session, f] { return Revoke(session, f->token, f->with_made); });
}

}  // namespace saed::cli

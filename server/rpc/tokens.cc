// AdminService: tokens, of everyone for administrators and of themselves for others.
#include <limits>

#include "saed/v1/admin.pb.h"
#include "server/base/status_macros.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

v1::Token ToProto(const storage::TokenRow& row) {
  v1::Token m;
  m.set_name("tokens/" + row.id);
  m.set_user("users/" + row.user);
  m.set_note(row.note);
  *m.mutable_create_time() = Timestamp(row.created_at);
  if (row.expires_at) *m.mutable_expire_time() = Timestamp(*row.expires_at);
  if (row.last_used_at) *m.mutable_last_use_time() = Timestamp(*row.last_used_at);
  if (row.revoked_at) *m.mutable_revoke_time() = Timestamp(*row.revoked_at);
  const bool own = row.maker.empty() || row.maker == row.user;
  if (own && !row.made_with.empty()) m.set_made_with("tokens/" + row.made_with);
  return m;
}

absl::Status CreateToken(Context& context, const Caller& caller,
                         const v1::CreateTokenRequest& request, v1::CreateTokenResponse& response) {
  std::string user = caller.user;
  if (!request.user().empty() || !caller.known()) {
    SAED_ASSIGN_OR_RETURN(user, UserOf(request.user(), "user"));
  }
  SAED_ASSIGN_OR_RETURN(const auto made,
                        context.gate.MakeToken(user, request.note(), request.valid_days(), caller));
  *response.mutable_token() = ToProto(made.first);
  response.set_secret(made.second);
  return absl::OkStatus();
}

absl::Status ListTokens(Context& context, const Caller& caller,
                        const v1::ListTokensRequest& request, v1::ListTokensResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), kMostRows));
  std::string user = caller.viewer().all ? "" : caller.user;
  if (!request.user().empty()) {
    SAED_ASSIGN_OR_RETURN(user, UserOf(request.user(), "user"));
  }
  const std::string query = "tokens/" + user;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 2));
  const bool first = after.empty();
  SAED_ASSIGN_OR_RETURN(const auto rows, context.gate.people().Tokens(
                                             user, size,
                                             first ? std::numeric_limits<int64_t>::max()
                                                   : std::strtoll(after[0].c_str(), nullptr, 10),
                                             first ? "" : after[1]));
  for (const auto& row : rows) *response.add_tokens() = ToProto(row);
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(
        MakePageToken(query, {std::to_string(rows.back().created_at), rows.back().id}));
  }
  return absl::OkStatus();
}

absl::Status RevokeToken(Context& context, const Caller& caller,
                         const v1::RevokeTokenRequest& request, v1::RevokeTokenResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "tokens", "name"));
  // Others' are there where the caller was an administrator when they were made.
  SAED_ASSIGN_OR_RETURN(const int revoked, context.gate.people().Revoke(
                                               id, context.clock.NowMicros(), request.with_made(),
                                               caller.viewer().all ? "" : caller.user));
  response.set_revoked(revoked);
  return absl::OkStatus();
}

}  // namespace

void AddTokenMethods(Methods& methods) {
  methods.Add(CreateToken);
  methods.Add(ListTokens);
  methods.Add(RevokeToken);
}

}  // namespace saed::rpc

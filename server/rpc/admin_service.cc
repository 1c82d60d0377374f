#include "server/rpc/admin_service.h"

#include <fmt/format.h>
#include <google/protobuf/util/field_mask_util.h>

#include <limits>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/rpc/convert.h"
#include "server/rpc/names.h"
#include "server/rpc/status.h"

namespace saed::rpc {
namespace {

v1::User ToProto(const storage::UserRow& row) {
  v1::User m;
  m.set_name("users/" + row.name);
  m.set_role(row.role == "admin"    ? v1::ROLE_ADMIN
             : row.role == "member" ? v1::ROLE_MEMBER
                                    : v1::ROLE_READER);
  m.set_share(row.share);
  m.set_disabled(row.disabled);
  *m.mutable_create_time() = Timestamp(row.created_at);
  const storage::Quota& q = row.quota;
  auto* quota = m.mutable_quota();
  if (q.threads) quota->set_threads(*q.threads);
  if (q.running_jobs) quota->set_running_jobs(*q.running_jobs);
  if (q.unfinished_jobs) quota->set_unfinished_jobs(*q.unfinished_jobs);
  if (q.bytes) quota->set_stored_bytes(*q.bytes);
  if (q.requests_per_second) quota->set_requests_per_second(*q.requests_per_second);
  return m;
}

v1::Token ToProto(const storage::TokenRow& row) {
  v1::Token m;
  m.set_name("tokens/" + row.id);
  m.set_user("users/" + row.user);
  m.set_note(row.note);
  *m.mutable_create_time() = Timestamp(row.created_at);
  if (row.expires_at) *m.mutable_expire_time() = Timestamp(*row.expires_at);
  if (row.last_used_at) *m.mutable_last_use_time() = Timestamp(*row.last_used_at);
  if (row.revoked_at) *m.mutable_revoke_time() = Timestamp(*row.revoked_at);
  return m;
}

absl::StatusOr<storage::UserRow> FromProto(const v1::User& m) {
  storage::UserRow row;
  SAED_ASSIGN_OR_RETURN(row.name, IdOf(m.name(), "users", "user.name"));
  switch (m.role()) {
    case v1::ROLE_READER:
    case v1::ROLE_MEMBER:
    case v1::ROLE_ADMIN:
      row.role = RoleName(static_cast<Role>(m.role() - v1::ROLE_READER));
      break;
    default:
      return InvalidField("user.role", "is not set; must be READER, MEMBER or ADMIN");
  }
  row.share = m.share() == 0 ? 1 : m.share();
  row.disabled = m.disabled();
  const v1::Quota& q = m.quota();
  if (q.has_threads()) row.quota.threads = q.threads();
  if (q.has_running_jobs()) row.quota.running_jobs = q.running_jobs();
  if (q.has_unfinished_jobs()) row.quota.unfinished_jobs = q.unfinished_jobs();
  if (q.has_stored_bytes()) row.quota.bytes = q.stored_bytes();
  if (q.has_requests_per_second()) row.quota.requests_per_second = q.requests_per_second();
  return row;
}

// The name of the user, or empty for an empty text.
absl::StatusOr<std::string> UserOf(const std::string& name) {
  if (name.empty()) return std::string();
  return IdOf(name, "users", "user");
}

absl::Status Create(Context& context, const v1::CreateUserRequest& request,
                    v1::CreateUserResponse& response) {
  SAED_ASSIGN_OR_RETURN(storage::UserRow row, FromProto(request.user()));
  row.created_at = context.clock.NowMicros();
  SAED_RETURN_IF_ERROR(context.gate.MakeUser(row));
  context.scheduler.SetTerms(row.name, TermsOf(row));
  *response.mutable_user() = ToProto(row);
  return absl::OkStatus();
}

// The fields of a user that the request is to change: those of its mask, or without one those that
// are set.
absl::StatusOr<google::protobuf::FieldMask> MaskOf(const v1::UpdateUserRequest& request) {
  google::protobuf::FieldMask out = request.update_mask();
  for (const std::string& path : out.paths()) {
    if (path == "name" || path.starts_with("create_time") ||
        !google::protobuf::util::FieldMaskUtil::IsValidPath<v1::User>(path)) {
      return InvalidField("update_mask", fmt::format("names '{}'; must name role, share, disabled, "
                                                     "quota or a field of that, as quota.threads",
                                                     ValidUtf8(path)));
    }
  }
  if (!out.paths().empty()) return out;
  const v1::User& user = request.user();
  const v1::Quota& q = user.quota();
  for (const auto& [set, path] : {std::pair(user.role() != v1::ROLE_UNSPECIFIED, "role"),
                                  {user.share() != 0, "share"},
                                  {user.disabled(), "disabled"},
                                  {q.has_threads(), "quota.threads"},
                                  {q.has_running_jobs(), "quota.running_jobs"},
                                  {q.has_unfinished_jobs(), "quota.unfinished_jobs"},
                                  {q.has_stored_bytes(), "quota.stored_bytes"},
                                  {q.has_requests_per_second(), "quota.requests_per_second"}}) {
    if (set) out.add_paths(path);
  }
  if (!out.paths().empty()) return out;
  return InvalidField("update_mask",
                      "is empty and nothing is set; must name what is to change, as disabled or "
                      "quota.threads");
}

absl::Status Update(Context& context, const v1::UpdateUserRequest& request,
                    v1::UpdateUserResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string name, IdOf(request.user().name(), "users", "user.name"));
  SAED_ASSIGN_OR_RETURN(const auto mask, MaskOf(request));
  google::protobuf::util::FieldMaskUtil::MergeOptions whole;
  whole.set_replace_message_fields(true);
  const auto change = [&](storage::UserRow& row) -> absl::Status {
    v1::User user = ToProto(row);
    google::protobuf::util::FieldMaskUtil::MergeMessageTo(request.user(), mask, whole, &user);
    SAED_ASSIGN_OR_RETURN(row, FromProto(user));
    return Gate::CheckTerms(row);
  };
  SAED_ASSIGN_OR_RETURN(const auto row, context.gate.people().UpdateUser(name, change));
  context.scheduler.SetTerms(row.name, TermsOf(row));
  *response.mutable_user() = ToProto(row);
  return absl::OkStatus();
}

absl::Status MakeToken(Context& context, const v1::CreateTokenRequest& request,
                       v1::CreateTokenResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string user, IdOf(request.user(), "users", "user"));
  SAED_ASSIGN_OR_RETURN(
      const auto made,
      context.gate.MakeToken(user, request.note(),
                             request.valid_days() == 0 ? 365 : request.valid_days()));
  *response.mutable_token() = ToProto(made.first);
  response.set_secret(made.second);
  return absl::OkStatus();
}

absl::Status Tokens(Context& context, const v1::ListTokensRequest& request,
                    v1::ListTokensResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string user, UserOf(request.user()));
  SAED_ASSIGN_OR_RETURN(const auto rows, context.gate.people().Tokens(user));
  for (const auto& row : rows) *response.add_tokens() = ToProto(row);
  return absl::OkStatus();
}

absl::Status Audit(Context& context, const v1::ListAuditRecordsRequest& request,
                   v1::ListAuditRecordsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  SAED_ASSIGN_OR_RETURN(const std::string user, UserOf(request.user()));
  const std::string query = "audit/" + user;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  const int64_t before = after.empty() ? std::numeric_limits<int64_t>::max()
                                       : std::strtoll(after[0].c_str(), nullptr, 10);
  SAED_ASSIGN_OR_RETURN(const auto rows, context.gate.people().AuditLog(user, size, before));
  for (const auto& row : rows) {
    auto* m = response.add_records();
    *m->mutable_time() = Timestamp(row.at);
    m->set_user(row.user);
    m->set_method(row.method);
    m->set_resource(row.resource);
    m->set_outcome(row.outcome);
    m->set_peer(row.peer);
  }
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(MakePageToken(query, {std::to_string(rows.back().id)}));
  }
  return absl::OkStatus();
}

absl::Status Backup(Context& context, const v1::CreateBackupRequest& request,
                    v1::CreateBackupResponse& response) {
  if (request.directory().empty() || request.directory()[0] != '/') {
    return InvalidField("directory", fmt::format("is '{}'; must be an absolute path to a folder "
                                                 "that does not exist yet",
                                                 request.directory()));
  }
  SAED_ASSIGN_OR_RETURN(const auto done, context.backup(request.directory()));
  response.set_bytes(done.bytes);
  response.set_objects(done.objects);
  return absl::OkStatus();
}

}  // namespace

grpc::Status AdminService::CreateUser(grpc::ServerContext* server,
                                      const v1::CreateUserRequest* request,
                                      v1::CreateUserResponse* response) {
  const auto caller = context_.gate.Enter(*server, "AdminService.CreateUser", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  return ToGrpc(Create(context_, *request, *response));
}

grpc::Status AdminService::ListUsers(grpc::ServerContext* server,
                                     const v1::ListUsersRequest* request,
                                     v1::ListUsersResponse* response) {
  const auto caller = context_.gate.Enter(*server, "AdminService.ListUsers", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  const auto rows = context_.gate.people().Users();
  if (!rows.ok()) return ToGrpc(rows.status());
  for (const auto& row : *rows) *response->add_users() = ToProto(row);
  return grpc::Status::OK;
}

grpc::Status AdminService::UpdateUser(grpc::ServerContext* server,
                                      const v1::UpdateUserRequest* request,
                                      v1::UpdateUserResponse* response) {
  const auto caller = context_.gate.Enter(*server, "AdminService.UpdateUser", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  return ToGrpc(Update(context_, *request, *response));
}

grpc::Status AdminService::CreateToken(grpc::ServerContext* server,
                                       const v1::CreateTokenRequest* request,
                                       v1::CreateTokenResponse* response) {
  const auto caller = context_.gate.Enter(*server, "AdminService.CreateToken", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  return ToGrpc(MakeToken(context_, *request, *response));
}

grpc::Status AdminService::ListTokens(grpc::ServerContext* server,
                                      const v1::ListTokensRequest* request,
                                      v1::ListTokensResponse* response) {
  const auto caller = context_.gate.Enter(*server, "AdminService.ListTokens", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  return ToGrpc(Tokens(context_, *request, *response));
}

grpc::Status AdminService::RevokeToken(grpc::ServerContext* server,
                                       const v1::RevokeTokenRequest* request,
                                       v1::RevokeTokenResponse* /*response*/) {
  const auto caller = context_.gate.Enter(*server, "AdminService.RevokeToken", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  const auto id = IdOf(request->name(), "tokens", "name");
  if (!id.ok()) return ToGrpc(id.status());
  return ToGrpc(context_.gate.people().Revoke(*id, context_.clock.NowMicros()));
}

grpc::Status AdminService::ListAuditRecords(grpc::ServerContext* server,
                                            const v1::ListAuditRecordsRequest* request,
                                            v1::ListAuditRecordsResponse* response) {
  const auto caller = context_.gate.Enter(*server, "AdminService.ListAuditRecords", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  return ToGrpc(Audit(context_, *request, *response));
}

grpc::Status AdminService::CreateBackup(grpc::ServerContext* server,
                                        const v1::CreateBackupRequest* request,
                                        v1::CreateBackupResponse* response) {
  const auto caller = context_.gate.Enter(*server, "AdminService.CreateBackup", request);
  if (!caller.ok()) return ToGrpc(caller.status());
  return ToGrpc(Backup(context_, *request, *response));
}

}  // namespace saed::rpc

// AdminService: users, what was done, and backups.
#include <fmt/format.h>
#include <google/protobuf/util/field_mask_util.h>

#include <limits>

#include "saed/v1/admin.pb.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

v1::Quota ToProto(const storage::Quota& q) {
  v1::Quota m;
  if (q.threads) m.set_threads(*q.threads);
  if (q.running_jobs) m.set_running_jobs(*q.running_jobs);
  if (q.unfinished_jobs) m.set_unfinished_jobs(*q.unfinished_jobs);
  if (q.bytes) m.set_stored_bytes(*q.bytes);
  if (q.requests_per_second) m.set_requests_per_second(*q.requests_per_second);
  return m;
}

v1::Holdings ToProto(const storage::Holdings& h) {
  v1::Holdings m;
  m.set_threads(h.threads);
  m.set_running_jobs(h.running_jobs);
  m.set_unfinished_jobs(h.unfinished_jobs);
  m.set_recordings(h.recordings);
  m.set_jobs(h.jobs);
  m.set_sweeps(h.sweeps);
  m.set_models(h.models);
  m.set_dictionaries(h.dictionaries);
  return m;
}

v1::User ToProto(const storage::UserRow& row) {
  v1::User m;
  m.set_name("users/" + row.name);
  m.set_role(row.role == "admin"    ? v1::ROLE_ADMIN
             : row.role == "member" ? v1::ROLE_MEMBER
                                    : v1::ROLE_READER);
  m.set_share(row.share);
  m.set_disabled(row.disabled);
  *m.mutable_create_time() = Timestamp(row.created_at);
  *m.mutable_quota() = ToProto(row.quota);
  return m;
}

absl::StatusOr<storage::UserRow> FromProto(const v1::User& m) {
  storage::UserRow row;
  SAED_ASSIGN_OR_RETURN(row.name, UserOf(m.name(), "user.name"));
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

absl::Status CreateUser(Context& context, const Caller&, const v1::CreateUserRequest& request,
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
    // The library takes '' and 'quota.' for all of it.
    if (path.empty() || path.ends_with('.') || path == "name" || path.starts_with("create_time") ||
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

absl::Status UpdateUser(Context& context, const Caller& caller,
                        const v1::UpdateUserRequest& request, v1::UpdateUserResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string name, UserOf(request.user().name(), "user.name"));
  SAED_ASSIGN_OR_RETURN(const auto mask, MaskOf(request));
  google::protobuf::util::FieldMaskUtil::MergeOptions whole;
  whole.set_replace_message_fields(true);
  const auto change = [&](storage::UserRow& row) -> absl::Status {
    v1::User user = ToProto(row);
    google::protobuf::util::FieldMaskUtil::MergeMessageTo(request.user(), mask, whole, &user);
    SAED_ASSIGN_OR_RETURN(row, FromProto(user));
    return Gate::CheckTerms(row);
  };
  SAED_ASSIGN_OR_RETURN(const auto row,
                        context.gate.people().UpdateUser(name, change, caller.user));
  context.scheduler.SetTerms(row.name, TermsOf(row));
  *response.mutable_user() = ToProto(row);
  return absl::OkStatus();
}

absl::Status ListUsers(Context& context, const Caller&, const v1::ListUsersRequest& request,
                       v1::ListUsersResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), kMostRows));
  const std::string query = "users";
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  SAED_ASSIGN_OR_RETURN(const auto rows,
                        context.gate.people().Users(size, after.empty() ? "" : after[0]));
  for (const auto& row : rows) *response.add_users() = ToProto(row);
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(MakePageToken(query, {rows.back().name}));
  }
  return absl::OkStatus();
}

absl::Status GetUser(Context& context, const Caller& caller, const v1::GetUserRequest& request,
                     v1::GetUserResponse& response) {
  std::string name = caller.user;
  if (!request.name().empty()) {
    SAED_ASSIGN_OR_RETURN(name, UserOf(request.name(), "name"));
  } else if (!caller.known()) {
    return absl::FailedPreconditionError(
        "this server asks nobody who they are: everyone who reaches it may do everything");
  }
  SAED_ASSIGN_OR_RETURN(const auto row, context.gate.people().User(name));
  SAED_ASSIGN_OR_RETURN(const auto held, context.gate.people().HeldBy(name));
  SAED_ASSIGN_OR_RETURN(const int64_t bytes, context.gate.access().Bytes(name));
  SAED_ASSIGN_OR_RETURN(const auto known, context.gate.people().Known());
  *response.mutable_user() = ToProto(row);
  storage::Quota limits = context.gate.LimitsOf(row);
  const jobs::UserTerms terms = context.scheduler.TermsOf(name);
  limits.threads = terms.threads;
  limits.running_jobs = terms.running_jobs;
  limits.unfinished_jobs = terms.unfinished_jobs;
  *response.mutable_limits() = ToProto(limits);
  *response.mutable_holdings() = ToProto(held);
  response.mutable_holdings()->set_stored_bytes(bytes);
  const int64_t now = context.clock.NowMicros();
  for (const auto& [id, token] : known->tokens) {
    if (token.row.user != name || !token.row.InForce(now)) continue;
    response.mutable_holdings()->set_tokens(response.holdings().tokens() + 1);
  }
  return absl::OkStatus();
}

absl::Status DeleteUser(Context& context, const Caller& caller,
                        const v1::DeleteUserRequest& request, v1::DeleteUserResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string name, UserOf(request.name(), "name"));
  std::string heir;
  if (!request.reassign_to().empty()) {
    SAED_ASSIGN_OR_RETURN(heir, UserOf(request.reassign_to(), "reassign_to"));
  }
  if (caller.user == name) {
    return absl::FailedPreconditionError(
        fmt::format("you are '{}'; another administrator must delete you", name));
  }
  SAED_ASSIGN_OR_RETURN(const int64_t bytes, context.gate.access().Bytes(name));
  SAED_ASSIGN_OR_RETURN(const auto held, context.gate.people().DeleteUser(
                                             name, heir, context.clock.NowMicros(), caller.user));
  context.scheduler.Left(name, heir);
  *response.mutable_reassigned() = ToProto(held);
  response.mutable_reassigned()->set_stored_bytes(bytes);
  return absl::OkStatus();
}

absl::Status ListAuditRecords(Context& context, const Caller&,
                              const v1::ListAuditRecordsRequest& request,
                              v1::ListAuditRecordsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  std::string user;
  if (!request.user().empty()) {
    SAED_ASSIGN_OR_RETURN(user, UserOf(request.user(), "user"));
  }
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

absl::Status CreateBackup(Context& context, const Caller&, const v1::CreateBackupRequest& request,
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

void AddAdminMethods(Methods& methods) {
  methods.Add(CreateUser);
  methods.Add(ListUsers);
  methods.Add(GetUser);
  methods.Add(DeleteUser);
  methods.Add(UpdateUser);
  methods.Add(ListAuditRecords);
  methods.Add(CreateBackup);
}

}  // namespace saed::rpc

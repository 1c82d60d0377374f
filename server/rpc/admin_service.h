#pragma once

#include "saed/v1/admin.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.AdminService; see its .proto. Thread-safe.
class AdminService final : public v1::AdminService::Service {
 public:
  explicit AdminService(Context& context) : context_(context) {}

  grpc::Status CreateUser(grpc::ServerContext* server, const v1::CreateUserRequest* request,
                          v1::CreateUserResponse* response) override;
  grpc::Status ListUsers(grpc::ServerContext* server, const v1::ListUsersRequest* request,
                         v1::ListUsersResponse* response) override;
  grpc::Status GetUser(grpc::ServerContext* server, const v1::GetUserRequest* request,
                       v1::GetUserResponse* response) override;
  grpc::Status UpdateUser(grpc::ServerContext* server, const v1::UpdateUserRequest* request,
                          v1::UpdateUserResponse* response) override;
  grpc::Status DeleteUser(grpc::ServerContext* server, const v1::DeleteUserRequest* request,
                          v1::DeleteUserResponse* response) override;
  grpc::Status CreateToken(grpc::ServerContext* server, const v1::CreateTokenRequest* request,
                           v1::CreateTokenResponse* response) override;
  grpc::Status ListTokens(grpc::ServerContext* server, const v1::ListTokensRequest* request,
                          v1::ListTokensResponse* response) override;
  grpc::Status RevokeToken(grpc::ServerContext* server, const v1::RevokeTokenRequest* request,
                           v1::RevokeTokenResponse* response) override;
  grpc::Status ListAuditRecords(grpc::ServerContext* server,
                                const v1::ListAuditRecordsRequest* request,
                                v1::ListAuditRecordsResponse* response) override;
  grpc::Status CreateBackup(grpc::ServerContext* server, const v1::CreateBackupRequest* request,
                            v1::CreateBackupResponse* response) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc

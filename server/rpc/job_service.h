#pragma once

#include "saed/v1/jobs.grpc.pb.h"
#include "server/rpc/context.h"

namespace saed::rpc {

// Implements saed.v1.JobService; see its .proto. Thread-safe.
class JobService final : public v1::JobService::Service {
 public:
  explicit JobService(Context& context) : context_(context) {}

  grpc::Status CreateJob(grpc::ServerContext*, const v1::CreateJobRequest* request,
                         v1::CreateJobResponse* response) override;
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::GetJobResponse* response) override;
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                         v1::CancelJobResponse* response) override;
  grpc::Status PauseJob(grpc::ServerContext*, const v1::PauseJobRequest* request,
                        v1::PauseJobResponse* response) override;
  grpc::Status ResumeJob(grpc::ServerContext*, const v1::ResumeJobRequest* request,
                         v1::ResumeJobResponse* response) override;
  grpc::Status RetryJob(grpc::ServerContext*, const v1::RetryJobRequest* request,
                        v1::RetryJobResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* server, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::WatchJobResponse>* stream) override;
  grpc::Status WatchJobs(grpc::ServerContext* server, const v1::WatchJobsRequest* request,
                         grpc::ServerWriter<v1::WatchJobsResponse>* stream) override;
  grpc::Status UpdateJob(grpc::ServerContext*, const v1::UpdateJobRequest* request,
                         v1::UpdateJobResponse* response) override;
  grpc::Status DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest* request,
                         v1::DeleteJobResponse*) override;

 private:
  Context& context_;
};

}  // namespace saed::rpc

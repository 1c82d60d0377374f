// The door of every method: who calls, and may they.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/on_behalf.h"
#include "server/jobs/scheduler.h"
#include "server/jobs/stores.h"
#include "server/rpc/memory_budget.h"
#include "server/rpc/rules.h"
#include "storage/access.h"
#include "storage/people_table.h"

namespace saed::rpc {

struct Caller {
  std::string user;  // empty on a server without tokens
  Role role = Role::kAdmin;
  storage::Quota quota;  // their own
  std::string token;     // the id of that which came with the call
  bool known() const { return !user.empty(); }
  storage::Viewer viewer() const { return {role == Role::kAdmin, user}; }
  // What the call has of the server, until it ends.
  MemoryBudget::Hold memory;
  std::shared_ptr<const void> place;
  std::shared_ptr<const OnBehalf> call;  // for this thread
};

struct GateOptions {
  double requests_per_second = 0;  // of one user; twice as many may come at once; 0: no limit
  int64_t user_bytes = 0;          // stored by one user; 0: no limit
  int64_t memory_bytes = int64_t{1} << 30;  // of all calls together
  int watchers = 256;                       // streams that stay, at once
  int user_calls = 128;                     // of one user at once, streams among them
};

// Thread-safe.
class Gate {
 public:
  Gate(storage::PeopleTable& people, storage::AccessTable& access, const jobs::Clock& clock,
       GateOptions options)
      : people_(people),
        access_(access),
        clock_(clock),
        options_(options),
        memory_(options.memory_bytes) {}

  // Who calls, by the token; from memory. UNAUTHENTICATED where the token is none any more, which
  // long streams ask now and then.
  absl::StatusOr<Caller> Identify(const grpc::ServerContext& server);

  // Before a call's message is read: a place among the calls of its user, until the hold goes; none
  // is counted on a server without tokens. What Enter says where the token is no good, and
  // RESOURCE_EXHAUSTED where the user has too many calls.
  absl::StatusOr<MemoryBudget::Hold> Arrive(const grpc::ServerContext& server,
                                            std::string_view method);
  // Checks the token, the rate, and the method's rule for `request`, which may be null where it
  // comes as a stream, and takes the memory that the request itself has. Display names of things in
  // the request become their ids. UNAUTHENTICATED,
  // RESOURCE_EXHAUSTED, PERMISSION_DENIED, or NOT_FOUND for what the caller may not even know of.
  absl::StatusOr<Caller> Enter(const grpc::ServerContext& server, std::string_view method,
                               const google::protobuf::Message* request);
  // The same for a message that came later in a stream.
  absl::Status Resources(const Caller& caller, std::string_view method,
                         const google::protobuf::Message& message);

  // The call with this context ended so: an act that was let in and then refused is written down as
  // that.
  void Ended(const grpc::ServerContextBase* server, const std::string& code);

  // A new token of a user: its row, and the secret text that clients send. The first must be an
  // administrator's. valid_days: 0 is 365, or as long as it may last: one that `by` makes for
  // themselves lasts no longer than that which they came with, unless they are an administrator.
  absl::StatusOr<std::pair<storage::TokenRow, std::string>> MakeToken(const std::string& user,
                                                                      const std::string& note,
                                                                      int valid_days,
                                                                      const Caller& by = {});
  // What holds for a user: their own quota, else that of everyone; 0: no limit.
  storage::Quota LimitsOf(const storage::UserRow& user) const;
  // Faults of a user's share and quota.
  static absl::Status CheckTerms(const storage::UserRow& user);
  // Makes a user.
  absl::Status MakeUser(const storage::UserRow& user);

  // RESOURCE_EXHAUSTED where what the caller stores and `more` bytes are over the quota.
  absl::Status Room(const Caller& caller, int64_t more);
  // The same for bytes that are about to arrive, which count as stored until the hold goes.
  absl::StatusOr<MemoryBudget::Hold> Arriving(const Caller& caller, int64_t bytes);

  // What is said of a request_id that is taken by `id` of a collection ("jobs", "sweeps"):
  // `conflict`, or NOT_FOUND where that was hidden from the caller since.
  absl::Status TakenBy(const Caller& caller, const std::string& collection, const std::string& id,
                       const absl::Status& conflict);

  // For what a call needs beyond its request.
  MemoryBudget& memory() { return memory_; }
  int watchers() const { return *watchers_; }

  storage::PeopleTable& people() { return people_; }
  storage::AccessTable& access() { return access_; }

 private:
  absl::Status Rate(const Caller& caller);
  // What a user may store, bytes; 0: not limited.
  int64_t MostBytes(Role role, const storage::Quota& quota) const;
  // NOT_FOUND where a name is another's.
  absl::Status OwnName(const Caller& caller, const std::vector<std::string>& parts);
  // Writes down who was turned away before the method's rule was asked, at most so many in a minute
  // that nobody fills the disk with it.
  void NoteRefused(const grpc::ServerContext& server, const std::string& user,
                   std::string_view method, const absl::Status& status);
  // What a field that names a thing of the collection means: with the id where it had a display
  // name, and as it is where it can be none. INVALID_ARGUMENT on `path` where several are called
  // so, NOT_FOUND where nothing is.
  absl::StatusOr<std::string> Resolved(const Caller& caller, const std::string& collection,
                                       const std::string& path, const std::string& value);
  // Puts ids where display names were.
  absl::Status ResolveNames(const Caller& caller, const Rule& rule,
                            google::protobuf::Message& message);
  // For the thread of a call to ask (on_behalf.h), streams for every message: whether the caller
  // waits and, every second, whether their token still is one.
  OnBehalf::Wanted StillIn(const grpc::ServerContext& server, const Caller& caller);
  absl::Status Admit(const Rule& rule, const google::protobuf::Message* request, Caller& caller);
  // Counts who watches all jobs. RESOURCE_EXHAUSTED where the user does so too often.
  absl::Status WatchesJobs(const Rule& rule, Caller& caller);

  storage::PeopleTable& people_;
  storage::AccessTable& access_;
  const jobs::Clock& clock_;
  GateOptions options_;
  MemoryBudget memory_;
  std::shared_ptr<std::atomic<int>> watchers_ = std::make_shared<std::atomic<int>>(0);
  struct Bucket {
    double left = 0, at = 0;
  };
  struct Refusals {
    int64_t minute = 0, written = 0, left_out = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Bucket> buckets_;
  std::map<std::string, int> calls_;                        // of users who have some
  std::map<std::string, int> watching_;                     // all jobs, of users who do
  std::map<std::string, int64_t> arriving_;                 // bytes, of users who upload
  std::map<std::string, Refusals> refusals_;                // by user; of strangers together
  std::map<const grpc::ServerContextBase*, int64_t> acts_;  // let in: their audit records
};

// What the scheduler needs to know of a user.
jobs::UserTerms TermsOf(const storage::UserRow& user);

// "reader", "member", "admin" and back; empty names are refused.
absl::StatusOr<Role> ParseRole(std::string_view name);
std::string_view RoleName(Role role);

}  // namespace saed::rpc

// Which job runs next, and which makes room: the queue's policy, without clocks, stores or threads.
//
// A page for people is QUEUE.md beside this file. In short:
//  1. Urgent jobs come first, oldest first. They may pause others.
//  2. Otherwise it is a user's turn, not a job's: that user comes next who has had the least
//     computing for their share lately. Use is counted in core-seconds and halves with every
//     half-life, as in Slurm's multifactor plugin.
//  3. A user who was passed over for longer than `patience` comes before all others.
//  4. Within a user the priority decides, to which waiting adds one level per `ageing`.
//  5. A job that does not fit lets others pass until its owner was passed over for `overtaking`
//     seconds, then nobody.
//  6. A job that has run for `slice` seconds makes room for a user who is owed more, at a
//     checkpoint.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace saed::jobs {

enum Priority { kLow = -1, kNormal = 0, kHigh = 1, kUrgent = 2 };

// Times are seconds since any moment, the same for all.
struct WaitingJob {
  std::string id, owner;
  int64_t number = 0;  // order of submission
  int priority = kNormal;
  int threads = 1;
  int64_t memory = 0;     // bytes
  double created_at = 0;  // submitted
  double queued_at = 0;   // began to wait: submitted, resumed or put back
};

struct RunningJob {
  std::string id, owner;
  int priority = kNormal;
  int threads = 1;
  int64_t memory = 0;
  double started_at = 0;
  bool stopping = false;  // asked to make room already
};

// Of one user's running jobs; 0: not limited.
struct UserLimits {
  int threads = 0, jobs = 0;
};

struct PolicyOptions {
  int threads = 1;       // of all running jobs together
  int64_t memory = 0;    // bytes; 0: not limited
  UserLimits user = {};  // of everyone but those below
  std::map<std::string, UserLimits> users = {};
  double half_life = 86400;  // of past use, s
  double patience = 7200;    // s
  double ageing = 43200;     // s
  double overtaking = 600;   // s
  double slice = 600;        // s
  double look_ahead = 60;    // a running job counts as if it had run this much longer, s
  double owed = 1.03;        // a slice ends for users who had less by this factor
  double least_owed = 1800;  // and by this many core-seconds per share
};

// Core-seconds of every user, which halve with every half-life. Not thread-safe.
class Usage {
 public:
  explicit Usage(double half_life) : half_life_(half_life) {}
  void Charge(const std::string& user, double core_seconds, double now);
  double Of(const std::string& user, double now) const;
  // A user's part of the machine against the others'; 1 where not set.
  void SetShare(const std::string& user, double share) { share_[user] = share; }
  double Share(const std::string& user) const;
  // When the user's last job was started; -1e18 where none was.
  void Started(const std::string& user, double now) { last_start_[user] = now; }
  double LastStart(const std::string& user) const;
  std::vector<std::string> Users() const;
  void Forget(const std::string& user);

 private:
  struct Sum {
    double core_seconds = 0, at = 0;
  };
  double half_life_;
  std::map<std::string, Sum> used_;
  std::map<std::string, double> share_, last_start_;
};

inline constexpr size_t kExplained = 200;

struct Decision {
  std::vector<std::string> start;  // in this order
  std::vector<std::string> pause;  // at a checkpoint, then back to the queue
  // Waiting jobs that are not started, in the order in which they will be, and why each waits; the
  // first kExplained of them.
  std::vector<std::pair<std::string, std::string>> waiting;
};

// `waiting`: those that could run now. Linear in their number, but for the few that are looked at.
Decision Decide(const std::vector<WaitingJob>& waiting, const std::vector<RunningJob>& running,
                const Usage& usage, const PolicyOptions& options, double now);

}  // namespace saed::jobs

// The whole server in one object: stores, scheduler, RPCs, metrics.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace saed {

struct DaemonOptions {
  std::string data_dir;                           // created where missing; one server at a time
  std::string listen = "127.0.0.1:7070";          // host:port; port 0 takes a free one
  std::string metrics_listen = "127.0.0.1:9464";  // empty: none
  std::string data_root;                          // imports by path are allowed below it
  // This program, which then reads files from outside in a process of its own, as
  // `reader --read-recording DIR` (server/recordings/import_apart.h); empty: this process does.
  std::string reader;
  int threads = 0;           // for jobs; 0: one per core
  int job_threads = 0;       // of a job that leaves it open; 0: a quarter, at least 4
  int64_t memory_bytes = 0;  // for jobs; 0: four fifths of the machine's
  int user_threads = 0;      // of one user's running jobs; 0: not limited
  int user_running_jobs = 0;
  int user_unfinished_jobs = 1000;  // queued and running
  double half_life_hours = 24;      // of what counts as computed lately
  double checkpoint_seconds = 15;
  int64_t max_upload_bytes = int64_t{64} << 30;  // of one file
  int max_calls = 512;            // at once, streams among them; half of them may be watching
  int64_t call_memory_bytes = 0;  // for all calls together; 0: a tenth of the machine's
  bool allow_remote_without_tls = false;
  // PEM files; empty: no TLS. With a client CA, clients must show a certificate that it signed.
  std::string tls_certificate, tls_key, tls_client_ca;
  double stall_seconds = 300;           // a stream whose client does nothing for so long ends
  double keepalive_seconds = 60;        // a client without a sign of life is asked for one
  double idle_seconds = 1800;           // a connection without calls ends
  double user_requests_per_second = 0;  // 0: not limited
  int64_t user_bytes = 0;               // of one user's recordings; 0: not limited
  int keep_progress_days = 30;          // then a job's progress is thinned; 0: never
  int keep_audit_days = 730;            // 0: for ever
};

class Daemon {
 public:
  // Opens the data directory (which is locked), removes what a crash left over, resumes jobs and
  // listens. Errors say which option to change.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const DaemonOptions& options);
  // Drain(0).
  ~Daemon();

  int port() const;
  int metrics_port() const;  // 0: none
  int64_t orphans_removed() const;
  bool wants_tokens() const;

  // Asks the database and the scheduler something; hangs where they hang.
  void CheckAlive() const;

  // Running jobs checkpoint and go back to the queue, streams end with UNAVAILABLE, open calls get
  // `seconds` to end.
  void Drain(double seconds);

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// For the keeper, while no server runs in the directory. FAILED_PRECONDITION where one does.
// Makes an administrator, or a new token of one that is there; returns the token.
absl::StatusOr<std::string> CreateAdministrator(const std::string& data_dir,
                                                const std::string& name);
// What is wrong with the directory; empty: nothing.
absl::StatusOr<std::vector<std::string>> CheckData(const std::string& data_dir);
// Makes the directory from a backup.
absl::Status RestoreData(const std::string& backup, const std::string& data_dir);

// The version that provenance and metrics carry.
const char* CodeVersion();

}  // namespace saed

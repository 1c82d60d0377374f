// Every metric of the server, by Prometheus' naming conventions.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace saed::observability {

// What the server looks like at the moment of a scrape.
struct ServerState {
  struct Count {
    std::string state, kind;
    int64_t jobs = 0;
  };
  std::vector<Count> counts;
  double oldest_age_seconds = 0;  // of the queue; 0 where it is empty
  struct User {
    std::string user;
    int threads = 0, waiting = 0;
    double share = 1;
  };
  std::vector<User> users;
  int threads = 0;                                 // for jobs
  int64_t call_memory = 0, call_memory_limit = 0;  // bytes
  int watchers = 0;                                // open streams of jobs and sweeps
  std::map<std::string, int64_t> stored_bytes;     // by user
  // By user and resource; only what is limited.
  std::map<std::pair<std::string, std::string>, double> quotas;
  double last_backup = 0;                     // s since 1970; 0: never
  std::optional<double> certificate_expires;  // s since 1970; empty: no TLS
  double disk_free = 0, disk_size = 0;        // of the data directory's file system, bytes
  int schema = 0, migrations = 0;             // of the database; stepped over at the last start
};

// Thread-safe.
class Metrics {
 public:
  Metrics(std::string_view version, std::string_view kernel);

  void RpcStarted();
  void RpcEnded(const std::string& method, const std::string& code, double seconds);
  void JobStarted(double seconds_waited);
  void JobPaused();   // to make room for another
  void JobRetried();  // after a fault that may pass
  void Computed(std::string_view user, double core_seconds);
  void JobFinished(std::string_view kind, std::string_view state);
  void Trained(int64_t steps, int64_t windows, double seconds);
  void CheckpointWritten(int64_t bytes, double seconds);
  void Encoded(int64_t windows, double seconds);
  void Transaction(std::string_view kind, double seconds);
  void BytesReceived(int64_t bytes);
  void BackupEnded(bool good);

  // Asked at every scrape; must outlive the metrics.
  void WatchServer(std::function<ServerState()> state);

  // What a scrape endpoint serves.
  std::vector<std::weak_ptr<prometheus::Collectable>> Collectables() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<prometheus::Collectable> process_, server_;
  prometheus::Family<prometheus::Counter>& rpc_total_;
  prometheus::Family<prometheus::Histogram>& rpc_seconds_;
  prometheus::Gauge& rpc_in_flight_;
  prometheus::Family<prometheus::Counter>& jobs_finished_;
  prometheus::Histogram& job_wait_;
  prometheus::Family<prometheus::Counter>& decisions_;
  prometheus::Family<prometheus::Counter>& user_core_seconds_;
  prometheus::Counter& training_steps_;
  prometheus::Counter& training_windows_;
  prometheus::Gauge& training_rate_;
  prometheus::Counter& checkpoint_bytes_;
  prometheus::Histogram& checkpoint_seconds_;
  prometheus::Histogram& encode_seconds_;
  prometheus::Histogram& encode_windows_;
  prometheus::Counter& encoded_total_;
  prometheus::Family<prometheus::Histogram>& transaction_seconds_;
  prometheus::Counter& received_bytes_;
  prometheus::Family<prometheus::Counter>& backups_;
};

}  // namespace saed::observability

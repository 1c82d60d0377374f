#include "server/observability/metrics.h"

#include <prometheus/metric_family.h>

#include <map>

#include "server/observability/process.h"

namespace saed::observability {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Histogram;

Histogram::BucketBoundaries Seconds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

// What is read when someone asks: queue, users, limits, what the keeper looks after.
class StateCollector : public prometheus::Collectable {
 public:
  explicit StateCollector(std::function<ServerState()> state) : state_(std::move(state)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const ServerState state = state_();
    std::map<std::pair<std::string, std::string>, double> counts;
    for (const char* s : {"QUEUED", "PAUSED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"}) {
      for (const char* kind : {"train", "analyse", "trial"}) counts[{s, kind}] = 0;
    }
    double depth = 0;
    for (const auto& c : state.counts) {
      counts[{c.state, c.kind}] += static_cast<double>(c.jobs);
      if (c.state == "QUEUED") depth += static_cast<double>(c.jobs);
    }
    prometheus::MetricFamily jobs{
        "saed_jobs", "Jobs by state and kind.", prometheus::MetricType::Gauge, {}};
    for (const auto& [key, count] : counts) {
      prometheus::ClientMetric metric;
      metric.label = {{"state", key.first}, {"kind", key.second}};
      metric.gauge.value = count;
      jobs.metric.push_back(std::move(metric));
    }
    prometheus::MetricFamily threads{"saed_user_threads",
                                     "Threads of a user's running jobs.",
                                     prometheus::MetricType::Gauge,
                                     {}};
    prometheus::MetricFamily waiting{
        "saed_user_waiting_jobs", "Jobs of a user that wait.", prometheus::MetricType::Gauge, {}};
    prometheus::MetricFamily shares{"saed_user_share",
                                    "A user's part of the machine against the others'.",
                                    prometheus::MetricType::Gauge,
                                    {}};
    double in_use = 0;
    for (const auto& user : state.users) {
      in_use += user.threads;
      threads.metric.push_back(OfUser(user.user, user.threads));
      waiting.metric.push_back(OfUser(user.user, user.waiting));
      shares.metric.push_back(OfUser(user.user, user.share));
    }
    prometheus::MetricFamily stored{"saed_user_stored_bytes",
                                    "Bytes of a user's recordings.",
                                    prometheus::MetricType::Gauge,
                                    {}};
    for (const auto& [user, bytes] : state.stored_bytes) {
      stored.metric.push_back(OfUser(user, static_cast<double>(bytes)));
    }
    prometheus::MetricFamily quotas{"saed_user_quota",
                                    "What a user may have of a resource; absent: not limited.",
                                    prometheus::MetricType::Gauge,
                                    {}};
    for (const auto& [key, most] : state.quotas) {
      quotas.metric.push_back(OfUser(key.first, most));
      quotas.metric.back().label.push_back({"resource", key.second});
    }
    std::vector<prometheus::MetricFamily> out = {
        std::move(jobs),
        std::move(threads),
        std::move(waiting),
        std::move(shares),
        std::move(stored),
        std::move(quotas),
        One("saed_threads", "Threads for jobs.", state.threads),
        One("saed_threads_in_use", "Threads of running jobs.", in_use),
        One("saed_queue_depth", "Jobs waiting.", depth),
        One("saed_queue_oldest_age_seconds", "How long the oldest queued job has waited.",
            state.oldest_age_seconds),
        One("saed_call_memory_bytes", "Memory that calls hold, as they estimate it.",
            static_cast<double>(state.call_memory)),
        One("saed_call_memory_limit_bytes", "Memory that calls may hold together.",
            static_cast<double>(state.call_memory_limit)),
        One("saed_watchers", "Open streams of jobs and sweeps.", state.watchers),
        One("saed_data_free_bytes",
            "Room that the server can use on the data directory's file system.", state.disk_free),
        One("saed_data_size_bytes", "Size of the data directory's file system.", state.disk_size),
        One("saed_last_backup_timestamp_seconds", "When a backup last succeeded; 0: never.",
            state.last_backup),
        One("saed_schema_version", "Version of the database's schema.", state.schema),
        One("saed_schema_migrations", "Versions that the last start stepped over.",
            state.migrations)};
    if (state.certificate_expires) {
      out.push_back(One("saed_certificate_expiry_timestamp_seconds",
                        "When the server's certificate expires.", *state.certificate_expires));
    }
    return out;
  }

 private:
  static prometheus::ClientMetric OfUser(const std::string& user, double value) {
    prometheus::ClientMetric metric;
    metric.label = {{"user", user}};
    metric.gauge.value = value;
    return metric;
  }
  static prometheus::MetricFamily One(const char* name, const char* help, double value) {
    prometheus::ClientMetric metric;
    metric.gauge.value = value;
    return {name, help, prometheus::MetricType::Gauge, {metric}};
  }
  std::function<ServerState()> state_;
};

}  // namespace

Metrics::Metrics(std::string_view version, std::string_view kernel)
    : registry_(std::make_shared<prometheus::Registry>()),
      process_(MakeProcessCollector()),
      rpc_total_(BuildCounter()
                     .Name("saed_rpc_requests_total")
                     .Help("RPCs that ended, by method and canonical code.")
                     .Register(*registry_)),
      rpc_seconds_(BuildHistogram()
                       .Name("saed_rpc_duration_seconds")
                       .Help("Time from an RPC's arrival to its end.")
                       .Register(*registry_)),
      rpc_in_flight_(BuildGauge()
                         .Name("saed_rpc_in_flight")
                         .Help("RPCs being served.")
                         .Register(*registry_)
                         .Add({})),
      jobs_finished_(BuildCounter()
                         .Name("saed_jobs_finished_total")
                         .Help("Jobs that ended, by kind and state.")
                         .Register(*registry_)),
      job_wait_(BuildHistogram()
                    .Name("saed_job_wait_seconds")
                    .Help("Time from a job's entry into the queue to its start.")
                    .Register(*registry_)
                    .Add({}, Histogram::BucketBoundaries{0.1, 1, 10, 60, 300, 900, 3600, 4 * 3600,
                                                         12 * 3600, 24 * 3600})),
      decisions_(BuildCounter()
                     .Name("saed_scheduler_decisions_total")
                     .Help("Jobs started, paused to make room, and put back after a fault.")
                     .Register(*registry_)),
      user_core_seconds_(BuildCounter()
                             .Name("saed_user_core_seconds_total")
                             .Help("Threads times seconds of a user's jobs.")
                             .Register(*registry_)),
      training_steps_(BuildCounter()
                          .Name("saed_training_steps_total")
                          .Help("Training steps done.")
                          .Register(*registry_)
                          .Add({})),
      training_windows_(BuildCounter()
                            .Name("saed_training_windows_total")
                            .Help("Windows trained on.")
                            .Register(*registry_)
                            .Add({})),
      training_rate_(BuildGauge()
                         .Name("saed_training_windows_per_second")
                         .Help("Speed of the job that reported last.")
                         .Register(*registry_)
                         .Add({})),
      checkpoint_bytes_(BuildCounter()
                            .Name("saed_checkpoint_bytes_total")
                            .Help("Bytes of checkpoints written.")
                            .Register(*registry_)
                            .Add({})),
      checkpoint_seconds_(BuildHistogram()
                              .Name("saed_checkpoint_duration_seconds")
                              .Help("Time to write one checkpoint.")
                              .Register(*registry_)
                              .Add({}, Seconds())),
      encode_seconds_(BuildHistogram()
                          .Name("saed_encode_duration_seconds")
                          .Help("Time to encode one request, without the transport.")
                          .Register(*registry_)
                          .Add({}, Seconds())),
      encode_windows_(
          BuildHistogram()
              .Name("saed_encode_batch_windows")
              .Help("Windows per encode request.")
              .Register(*registry_)
              .Add({}, Histogram::BucketBoundaries{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536})),
      encoded_total_(BuildCounter()
                         .Name("saed_encoded_windows_total")
                         .Help("Windows encoded.")
                         .Register(*registry_)
                         .Add({})),
      transaction_seconds_(BuildHistogram()
                               .Name("saed_sqlite_transaction_duration_seconds")
                               .Help("Time of database transactions, by kind.")
                               .Register(*registry_)),
      received_bytes_(BuildCounter()
                          .Name("saed_upload_received_bytes_total")
                          .Help("Bytes of uploads received.")
                          .Register(*registry_)
                          .Add({})),
      backups_(BuildCounter()
                   .Name("saed_backups_total")
                   .Help("Backups, by how they ended.")
                   .Register(*registry_)) {
  for (const char* outcome : {"done", "failed"}) backups_.Add({{"outcome", outcome}});
  BuildGauge()
      .Name("saed_build_info")
      .Help("Always 1; the labels say which saed this is.")
      .Register(*registry_)
      .Add({{"version", std::string(version)}, {"kernel", std::string(kernel)}})
      .Set(1);
  for (const char* decision : {"start", "pause", "retry"}) {
    decisions_.Add({{"decision", decision}});
  }
  for (const char* kind : {"train", "analyse", "trial"}) {
    for (const char* state : {"SUCCEEDED", "FAILED", "CANCELLED"}) {
      jobs_finished_.Add({{"kind", kind}, {"state", state}});
    }
  }
}

void Metrics::RpcStarted() { rpc_in_flight_.Increment(); }

void Metrics::RpcEnded(const std::string& method, const std::string& code, double seconds) {
  rpc_in_flight_.Decrement();
  rpc_total_.Add({{"method", method}, {"code", code}}).Increment();
  rpc_seconds_.Add({{"method", method}}, Seconds()).Observe(seconds);
}

void Metrics::JobStarted(double seconds_waited) {
  job_wait_.Observe(seconds_waited);
  decisions_.Add({{"decision", "start"}}).Increment();
}

void Metrics::JobPaused() { decisions_.Add({{"decision", "pause"}}).Increment(); }
void Metrics::JobRetried() { decisions_.Add({{"decision", "retry"}}).Increment(); }

void Metrics::Computed(std::string_view user, double core_seconds) {
  user_core_seconds_.Add({{"user", std::string(user)}}).Increment(core_seconds);
}

void Metrics::JobFinished(std::string_view kind, std::string_view state) {
  jobs_finished_.Add({{"kind", std::string(kind)}, {"state", std::string(state)}}).Increment();
}

void Metrics::Trained(int64_t steps, int64_t windows, double seconds) {
  training_steps_.Increment(static_cast<double>(steps));
  training_windows_.Increment(static_cast<double>(windows));
  if (seconds > 0) training_rate_.Set(static_cast<double>(windows) / seconds);
}

void Metrics::CheckpointWritten(int64_t bytes, double seconds) {
  checkpoint_bytes_.Increment(static_cast<double>(bytes));
  checkpoint_seconds_.Observe(seconds);
}

void Metrics::Encoded(int64_t windows, double seconds) {
  encode_seconds_.Observe(seconds);
  encode_windows_.Observe(static_cast<double>(windows));
  encoded_total_.Increment(static_cast<double>(windows));
}

void Metrics::Transaction(std::string_view kind, double seconds) {
  transaction_seconds_.Add({{"kind", std::string(kind)}}, Seconds()).Observe(seconds);
}

void Metrics::BytesReceived(int64_t bytes) {
  received_bytes_.Increment(static_cast<double>(bytes));
}

void Metrics::BackupEnded(bool good) {
  backups_.Add({{"outcome", good ? "done" : "failed"}}).Increment();
}

void Metrics::WatchServer(std::function<ServerState()> state) {
  server_ = std::make_shared<StateCollector>(std::move(state));
}

std::vector<std::weak_ptr<prometheus::Collectable>> Metrics::Collectables() const {
  std::vector<std::weak_ptr<prometheus::Collectable>> out = {registry_, process_};
  if (server_) out.push_back(server_);
  return out;
}

}  // namespace saed::observability

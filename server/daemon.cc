#include "server/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "server/base/address.h"
#include "server/base/status_macros.h"
#include "server/housekeeping.h"
#include "server/http/metrics_endpoint.h"
#include "server/recordings/count_file.h"
#include "server/recordings/probe_reader.h"
#include "server/rpc/certificate.h"
#include "server/rpc/server.h"
#include "server/sae/kernels/dispatch.h"
#include "storage/chores_table.h"
#include "storage/database.h"

#ifndef SAED_VERSION
#define SAED_VERSION "unknown"
#endif

namespace saed {
namespace {

class SystemClock : public jobs::Clock {
 public:
  int64_t NowMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  double MonotonicSeconds() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

// Passes what happens to jobs on to the metrics.
class MetricsObserver : public jobs::Observer {
 public:
  explicit MetricsObserver(observability::Metrics& metrics) : metrics_(metrics) {}
  void JobStarted(double seconds_waited) override { metrics_.JobStarted(seconds_waited); }
  void JobPaused() override { metrics_.JobPaused(); }
  void JobRetried() override { metrics_.JobRetried(); }
  void Computed(std::string_view user, double core_seconds) override {
    metrics_.Computed(user, core_seconds);
  }
  void JobFinished(std::string_view kind, std::string_view state) override {
    metrics_.JobFinished(kind, state);
  }
  void Trained(int64_t steps, int64_t windows, double seconds) override {
    metrics_.Trained(steps, windows, seconds);
  }
  void CheckpointWritten(int64_t bytes, double seconds) override {
    metrics_.CheckpointWritten(bytes, seconds);
  }

 private:
  observability::Metrics& metrics_;
};

// Held as long as the server runs, so that no second one uses the directory.
class DirectoryLock {
 public:
  static absl::StatusOr<std::unique_ptr<DirectoryLock>> Take(const std::string& directory) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    std::unique_ptr<DirectoryLock> lock(new DirectoryLock);
    lock->fd_ = ::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (error || lock->fd_ < 0) {
      return absl::UnavailableError(fmt::format(
          "cannot write to the data directory {}; choose another --data-dir", directory));
    }
    if (::flock(lock->fd_, LOCK_EX | LOCK_NB) != 0) {
      return absl::FailedPreconditionError(
          fmt::format("another saed uses the data directory {}; stop it or choose another "
                      "--data-dir",
                      directory));
    }
    Close(directory);
    return lock;
  }
  ~DirectoryLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  DirectoryLock() = default;

  // Private recordings and what tokens are checked by lie there, whoever made the directory.
  static void Close(const std::string& directory) {
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::perms others = fs::perms::group_all | fs::perms::others_all;
    if ((fs::status(directory, error).permissions() & others) == fs::perms::none) return;
    fs::permissions(directory, others, fs::perm_options::remove, error);
    if (error) {
      spdlog::warn(
          "other users of this machine can enter the data directory data_dir={} error=\"{}\"",
          directory, error.message());
    } else {
      spdlog::info("closed the data directory to other users of this machine data_dir={}",
                   directory);
    }
  }

  int fd_ = -1;
};

bool IsLoopback(const std::string& listen) {
  return listen.starts_with("127.") || listen.starts_with("localhost:") ||
         listen.starts_with("[::1]:") || listen.starts_with("unix:");
}

absl::Status CheckOptions(const DaemonOptions& o) {
  if (o.data_dir.empty()) return absl::InvalidArgumentError("--data-dir is missing");
  if (o.threads < 0 || o.threads > 1024) {
    return absl::InvalidArgumentError(
        fmt::format("--threads is {}; must be 0 (one per core) to 1024", o.threads));
  }
  for (const auto& [name, value] : {std::pair("--job-threads", int64_t{o.job_threads}),
                                    {"--memory-bytes", o.memory_bytes},
                                    {"--call-memory-bytes", o.call_memory_bytes},
                                    {"--keep-progress-days", o.keep_progress_days},
                                    {"--keep-audit-days", o.keep_audit_days},
                                    {"--user-threads", o.user_threads},
                                    {"--user-running-jobs", o.user_running_jobs},
                                    {"--user-unfinished-jobs", o.user_unfinished_jobs}}) {
    if (value < 0) {
      return absl::InvalidArgumentError(
          fmt::format("{} is {}; must be 0 (the default) or above", name, value));
    }
  }
  if (o.user_bytes < 0 || !(o.user_requests_per_second >= 0)) {
    return absl::InvalidArgumentError(
        fmt::format("--user-bytes is {} and --user-requests-per-second is {}; must be 0 (no limit) "
                    "or above",
                    o.user_bytes, o.user_requests_per_second));
  }
  if (o.max_calls < 4 || o.max_calls > 100'000) {
    return absl::InvalidArgumentError(
        fmt::format("--max-calls is {}; must be 4 to 100000", o.max_calls));
  }
  if (!(o.stall_seconds > 0)) {
    return absl::InvalidArgumentError(
        fmt::format("--stall-seconds is {}; must be above 0", o.stall_seconds));
  }
  for (const auto& [name, value] : {std::pair("--keepalive-seconds", o.keepalive_seconds),
                                    {"--idle-seconds", o.idle_seconds}}) {
    if (!(value > 0)) {
      return absl::InvalidArgumentError(fmt::format("{} is {}; must be above 0", name, value));
    }
  }
  if (!(o.half_life_hours > 0)) {
    return absl::InvalidArgumentError(
        fmt::format("--half-life-hours is {}; must be above 0", o.half_life_hours));
  }
  if (!(o.checkpoint_seconds > 0)) {
    return absl::InvalidArgumentError(
        fmt::format("--checkpoint-seconds is {}; must be above 0", o.checkpoint_seconds));
  }
  if (o.tls_certificate.empty() != o.tls_key.empty() ||
      (o.tls_certificate.empty() && !o.tls_client_ca.empty())) {
    return absl::InvalidArgumentError(
        "--tls-cert and --tls-key belong together; --tls-client-ca needs both");
  }
  for (const std::string& file : {o.tls_certificate, o.tls_key, o.tls_client_ca}) {
    if (!file.empty() && ::access(file.c_str(), R_OK) != 0) {
      return absl::InvalidArgumentError(fmt::format("cannot read the TLS file {}", file));
    }
  }
  if (absl::Status s = CheckAddress("--listen", o.listen); !s.ok()) return s;
  if (!o.metrics_listen.empty()) {
    if (absl::Status s = CheckAddress("--metrics-listen", o.metrics_listen); !s.ok()) return s;
  }
  if (!IsLoopback(o.listen) && o.tls_certificate.empty() && !o.allow_remote_without_tls) {
    return absl::InvalidArgumentError(
        fmt::format("--listen is {}, which other machines reach, but there is no TLS, so everyone "
                    "on the way reads tokens and data; give --tls-cert and --tls-key, listen on "
                    "127.0.0.1, or accept that with --allow-remote-without-tls",
                    o.listen));
  }
  if (!o.metrics_listen.empty() && !IsLoopback(o.metrics_listen) && !o.allow_remote_without_tls) {
    return absl::InvalidArgumentError(fmt::format(
        "--metrics-listen is {}, which other machines reach, and metrics, which name users and "
        "what they do, are given to whoever asks; listen on 127.0.0.1, or accept that with "
        "--allow-remote-without-tls",
        o.metrics_listen));
  }
  return absl::OkStatus();
}

jobs::SchedulerOptions ToScheduler(const DaemonOptions& o) {
  jobs::SchedulerOptions out;
  out.policy.threads = o.threads;
  out.policy.memory = o.memory_bytes;
  out.policy.user = {o.user_threads, o.user_running_jobs};
  out.policy.half_life = 3600 * o.half_life_hours;
  out.default_threads = std::min(o.job_threads, o.threads);
  out.user_unfinished = o.user_unfinished_jobs;
  out.checkpoint_seconds = o.checkpoint_seconds;
  out.code_version = CodeVersion();
  return out;
}

// Objects that no row names may belong to a newer database than this one: they are kept aside.
absl::StatusOr<int64_t> RemoveOrphans(const jobs::Stores& stores, int64_t now) {
  SAED_ASSIGN_OR_RETURN(const auto recordings, stores.recordings.Digests());
  SAED_ASSIGN_OR_RETURN(const auto checkpoints, stores.jobs.Checkpoints());
  std::set<std::string> named(recordings.begin(), recordings.end());
  named.insert(checkpoints.begin(), checkpoints.end());
  SAED_ASSIGN_OR_RETURN(const auto swept, stores.objects.Sweep(named, now));
  if (swept.set_aside > 0) {
    spdlog::warn("objects that no row of saed.db names are kept aside objects={} days={} where={}",
                 swept.set_aside, storage::ObjectStore::kAsideDays,
                 stores.objects.root() + "/aside");
  }
  if (swept.brought_back > 0) {
    spdlog::info("objects that were set aside are named again objects={}", swept.brought_back);
  }
  return swept.unfinished + swept.set_aside;
}

// Readers may take a quarter of what jobs may, but at least what one needs; those that wait hold a
// thread each.
recordings::ReaderPlaces::Limits PlacesOf(const DaemonOptions& o) {
  recordings::ReaderPlaces::Limits out;
  out.memory_bytes = std::max(int64_t{1} << 30, o.memory_bytes / 4);
  out.readers = std::max(2, o.threads);
  out.waiting = o.max_calls / 4;
  return out;
}

// Looks what the reading process can give up on this machine, and says what it cannot.
std::vector<recordings::Guard> GuardsOf(const std::string& reader,
                                        const storage::ObjectStore& objects) {
  std::vector<recordings::Guard> out;
  if (!reader.empty()) {
    if (const auto directory = objects.NewUploadDirectory(); directory.ok()) {
      const auto guards = recordings::ProbeReader(reader, *directory);
      if (guards.ok()) out = *guards;
      if (!guards.ok()) spdlog::error("reader: {}", std::string(guards.status().message()));
      storage::RemoveTree(*directory);
    }
  }
  if (out.empty()) {
    const char* why = reader.empty() ? "files are read in the server's own process"
                                     : "the reading process could not shut itself in";
    for (const std::string& name : recordings::GuardNames()) out.push_back({name, false, why});
  }
  for (const recordings::Guard& guard : out) {
    if (guard.active) continue;
    spdlog::warn("files from outside are read without the guard {}: {}", guard.name, guard.detail);
  }
  return out;
}

// The chore of which the metrics tell when it was last done.
constexpr const char* kBackup = "backup";

}  // namespace

const char* CodeVersion() { return SAED_VERSION; }

struct Daemon::Parts {
  Parts(std::unique_ptr<DirectoryLock> directory_lock, std::unique_ptr<storage::Database> database,
        storage::ObjectStore object_store, std::unique_ptr<observability::Metrics> metric_set,
        const DaemonOptions& options)
      : lock(std::move(directory_lock)),
        metrics(std::move(metric_set)),
        db(std::move(database)),
        objects(std::move(object_store)),
        recordings(*db),
        jobs(*db),
        models(*db),
        dictionaries(*db),
        annotations(*db),
        sweeps(*db),
        people(*db),
        access(*db),
        chores(*db),
        stores{recordings, jobs, models, dictionaries, annotations, sweeps, objects},
        observer(*metrics),
        library(stores, clock, options.reader, PlacesOf(options)),
        scheduler(stores, clock, observer, ToScheduler(options)),
        runner(stores, clock, scheduler),
        gate(people, access, clock,
             {options.user_requests_per_second, options.user_bytes, options.call_memory_bytes,
              options.max_calls / 2, std::max(2, options.max_calls / 4)}),
        stalls(options.stall_seconds),
        engine(models, options.threads, options.call_memory_bytes),
        context{stores,
                clock,
                library,
                scheduler,
                runner,
                engine,
                *metrics,
                gate,
                stalls,
                [this](const std::string& directory) { return Backup(directory); },
                options.data_root,
                options.max_upload_bytes,
                options.max_calls,
                draining} {}

  absl::StatusOr<storage::BackupSize> Backup(const std::string& directory) {
    const auto done = storage::Backup(*db, objects, directory);
    metrics->BackupEnded(done.ok());
    SAED_RETURN_IF_ERROR(done.status());
    SAED_RETURN_IF_ERROR(chores.Done(kBackup, clock.NowMicros()));
    return done;
  }

  observability::ServerState State();

  std::unique_ptr<DirectoryLock> lock;
  std::unique_ptr<observability::Metrics> metrics;
  std::unique_ptr<storage::Database> db;
  storage::ObjectStore objects;
  storage::RecordingsTable recordings;
  storage::JobsTable jobs;
  storage::ModelsTable models;
  storage::DictionariesTable dictionaries;
  storage::AnnotationsTable annotations;
  storage::SweepsTable sweeps;
  storage::PeopleTable people;
  storage::AccessTable access;
  storage::ChoresTable chores;
  jobs::Stores stores;
  SystemClock clock;
  MetricsObserver observer;
  jobs::Library library;
  jobs::Scheduler scheduler;
  jobs::Sweeps runner;
  rpc::Gate gate;
  rpc::StallGuard stalls;
  inference::Engine engine;
  std::atomic<bool> draining{false};
  rpc::Context context;
  std::unique_ptr<rpc::RpcServer> server;
  std::unique_ptr<http::MetricsEndpoint> metrics_endpoint;
  std::unique_ptr<Housekeeping> housekeeping;
  DaemonOptions options;
  int64_t orphans_removed = 0;
};

observability::ServerState Daemon::Parts::State() {
  observability::ServerState state;
  if (const auto queue = jobs.Statistics(); queue.ok()) {
    for (const auto& c : queue->counts) state.counts.push_back({c.state, c.kind, c.jobs});
    if (queue->oldest_queued_at) {
      state.oldest_age_seconds =
          1e-6 * static_cast<double>(clock.NowMicros() - *queue->oldest_queued_at);
    }
  }
  for (const auto& u : scheduler.Users()) {
    state.users.push_back({u.user, u.threads, u.waiting, u.share});
  }
  state.threads = scheduler.threads();
  state.call_memory = gate.memory().held();
  state.call_memory_limit = gate.memory().bytes();
  state.watchers = gate.watchers();
  state.stored_bytes = access.BytesOfUsers().value_or(state.stored_bytes);
  const auto users = people.Users();
  for (const storage::UserRow& user : users.value_or(std::vector<storage::UserRow>())) {
    const storage::Quota& q = user.quota;
    const DaemonOptions& o = options;
    const auto add = [&](const char* resource, double most) {
      if (most > 0) state.quotas[{user.name, resource}] = most;
    };
    add("threads", static_cast<double>(q.threads.value_or(o.user_threads)));
    add("running_jobs", static_cast<double>(q.running_jobs.value_or(o.user_running_jobs)));
    add("unfinished_jobs", static_cast<double>(q.unfinished_jobs.value_or(o.user_unfinished_jobs)));
    add("stored_bytes", static_cast<double>(q.bytes.value_or(o.user_bytes)));
    add("requests_per_second", q.requests_per_second.value_or(o.user_requests_per_second));
  }
  if (const auto done = chores.LastDone(); done.ok() && done->count(kBackup)) {
    state.last_backup = 1e-6 * static_cast<double>(done->at(kBackup));
  }
  if (!options.tls_certificate.empty()) {
    if (const auto expiry = rpc::CertificateExpiry(options.tls_certificate); expiry.ok()) {
      state.certificate_expires = static_cast<double>(*expiry);
    }
  }
  std::error_code unknown;
  const auto disk = std::filesystem::space(options.data_dir, unknown);
  if (!unknown) {
    state.disk_free = static_cast<double>(disk.available);
    state.disk_size = static_cast<double>(disk.capacity);
  }
  state.schema = storage::kSchemaVersion;
  state.migrations = db->migrations();
  return state;
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() { Drain(0); }

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const DaemonOptions& given) {
  DaemonOptions options = given;
  SAED_RETURN_IF_ERROR(CheckOptions(options));
  if (options.threads == 0) {
    options.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  const int64_t machine = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  if (options.memory_bytes == 0) options.memory_bytes = machine / 5 * 4;
  if (options.call_memory_bytes == 0) options.call_memory_bytes = machine / 10;
  SAED_ASSIGN_OR_RETURN(auto lock, DirectoryLock::Take(options.data_dir));
  // Large counts lie with the data: the system's temporary directory may be memory.
  recordings::CountDirectory() = options.data_dir;
  auto metrics = std::make_unique<observability::Metrics>(CodeVersion(), sae::KernelPathName());
  SAED_ASSIGN_OR_RETURN(
      auto db, storage::Database::Open(options.data_dir + "/saed.db",
                                       [m = metrics.get()](std::string_view kind, double seconds) {
                                         m->Transaction(kind, seconds);
                                       }));
  SAED_ASSIGN_OR_RETURN(auto objects, storage::ObjectStore::Open(options.data_dir + "/objects"));
  auto parts = std::make_unique<Parts>(std::move(lock), std::move(db), std::move(objects),
                                       std::move(metrics), options);
  Parts& p = *parts;
  SAED_ASSIGN_OR_RETURN(p.orphans_removed, RemoveOrphans(p.stores, p.clock.NowMicros()));
  p.options = options;
  p.context.reader_guards = GuardsOf(options.reader, p.objects);
  p.metrics->WatchServer([&p] { return p.State(); });
  SAED_ASSIGN_OR_RETURN(const auto users, p.people.Users());
  for (const storage::UserRow& user : users) {
    p.scheduler.SetTerms(user.name, rpc::TermsOf(user));
  }
  SAED_ASSIGN_OR_RETURN(const bool closed, p.people.AnyToken());
  if (!closed && !IsLoopback(options.listen) && !options.allow_remote_without_tls) {
    return absl::FailedPreconditionError(fmt::format(
        "--listen is {}, which other machines reach, but nobody is asked who they are; make an "
        "administrator with: saed --data-dir {} --create-admin NAME",
        options.listen, options.data_dir));
  }
  SAED_RETURN_IF_ERROR(p.scheduler.Start());
  p.runner.Start();
  p.housekeeping = std::make_unique<Housekeeping>(
      p.stores, p.people, p.clock,
      HousekeepingOptions{options.keep_progress_days, options.keep_audit_days});
  SAED_ASSIGN_OR_RETURN(
      p.server,
      rpc::RpcServer::Listen(options.listen,
                             {options.tls_certificate, options.tls_key, options.tls_client_ca},
                             {.keepalive_seconds = options.keepalive_seconds,
                              .idle_seconds = options.idle_seconds,
                              .handshake_seconds = std::min(20.0, options.keepalive_seconds),
                              .request_seconds = std::min(60.0, options.stall_seconds)},
                             p.context));
  if (!options.metrics_listen.empty()) {
    SAED_ASSIGN_OR_RETURN(p.metrics_endpoint,
                          http::MetricsEndpoint::Listen(options.metrics_listen, *p.metrics));
  }
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

int Daemon::port() const { return parts_->server->port(); }
int Daemon::metrics_port() const {
  return parts_->metrics_endpoint ? parts_->metrics_endpoint->port() : 0;
}
int64_t Daemon::orphans_removed() const { return parts_->orphans_removed; }

bool Daemon::wants_tokens() const { return parts_->people.AnyToken().value_or(true); }

void Daemon::CheckAlive() const {
  (void)parts_->jobs.Statistics();
  (void)parts_->scheduler.Users();
}

void Daemon::Drain(double seconds) {
  if (parts_->draining.exchange(true)) return;
  if (parts_->server) parts_->server->StopServing();
  parts_->scheduler.bell().Ring();
  if (parts_->housekeeping) parts_->housekeeping->Stop();
  parts_->runner.Stop();
  parts_->scheduler.Stop();
  if (parts_->server) parts_->server->Shutdown(seconds);
  parts_->metrics_endpoint.reset();
}

absl::StatusOr<std::string> CreateAdministrator(const std::string& data_dir,
                                                const std::string& name) {
  SAED_ASSIGN_OR_RETURN(const auto lock, DirectoryLock::Take(data_dir));
  SAED_ASSIGN_OR_RETURN(const auto db, storage::Database::Open(data_dir + "/saed.db"));
  storage::PeopleTable people(*db);
  storage::AccessTable access(*db);
  const SystemClock clock;
  rpc::Gate gate(people, access, clock, {});
  const auto known = people.User(name);
  if (absl::IsNotFound(known.status())) {
    SAED_RETURN_IF_ERROR(gate.MakeUser({name, "admin", 1, false, clock.NowMicros(), {}}));
  } else {
    SAED_RETURN_IF_ERROR(known.status());
    if (known->role != "admin" || known->disabled) {
      return absl::FailedPreconditionError(
          fmt::format("there is a user '{}', who is {}; choose another name", name,
                      known->disabled ? "disabled" : "a " + known->role));
    }
  }
  SAED_ASSIGN_OR_RETURN(const auto token, gate.MakeToken(name, "made by saed --create-admin", 365));
  return token.second;
}

absl::StatusOr<std::vector<std::string>> CheckData(const std::string& data_dir) {
  SAED_ASSIGN_OR_RETURN(const auto lock, DirectoryLock::Take(data_dir));
  return storage::CheckDirectory(data_dir);
}

absl::Status RestoreData(const std::string& backup, const std::string& data_dir) {
  return storage::Restore(backup, data_dir);
}

}  // namespace saed

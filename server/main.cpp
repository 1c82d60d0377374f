// saed, the server: flags, config file, start, drain, stop.
#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "server/daemon.h"
#include "server/recordings/import_apart.h"
#include "server/recordings/probe_reader.h"
#include "server/sae/kernels/dispatch.h"

namespace {

constexpr double kDrainSeconds = 10;

// Values of the config file become defaults of the flags, which win. Unknown keys are errors.
bool ReadConfig(const std::string& path, saed::DaemonOptions& o, std::string& error) {
  try {
    const toml::table config = toml::parse_file(path);
    for (const auto& [key, value] : config) {
      const std::string_view k = key.str();
      const auto text = value.value<std::string>();
      const auto number = value.value<double>();
      if (k == "data_dir" && text)
        o.data_dir = *text;
      else if (k == "listen" && text)
        o.listen = *text;
      else if (k == "metrics_listen" && text)
        o.metrics_listen = *text;
      else if (k == "data_root" && text)
        o.data_root = *text;
      else if (k == "threads" && number)
        o.threads = static_cast<int>(*number);
      else if (k == "job_threads" && number)
        o.job_threads = static_cast<int>(*number);
      else if (k == "memory_bytes" && number)
        o.memory_bytes = static_cast<int64_t>(*number);
      else if (k == "user_threads" && number)
        o.user_threads = static_cast<int>(*number);
      else if (k == "user_running_jobs" && number)
        o.user_running_jobs = static_cast<int>(*number);
      else if (k == "user_unfinished_jobs" && number)
        o.user_unfinished_jobs = static_cast<int>(*number);
      else if (k == "half_life_hours" && number)
        o.half_life_hours = *number;
      else if (k == "checkpoint_seconds" && number)
        o.checkpoint_seconds = *number;
      else if (k == "max_upload_bytes" && number)
        o.max_upload_bytes = static_cast<int64_t>(*number);
      else if (k == "max_calls" && number)
        o.max_calls = static_cast<int>(*number);
      else if (k == "call_memory_bytes" && number)
        o.call_memory_bytes = static_cast<int64_t>(*number);
      else if (k == "tls_cert" && text)
        o.tls_certificate = *text;
      else if (k == "tls_key" && text)
        o.tls_key = *text;
      else if (k == "tls_client_ca" && text)
        o.tls_client_ca = *text;
      else if (k == "user_requests_per_second" && number)
        o.user_requests_per_second = *number;
      else if (k == "user_bytes" && number)
        o.user_bytes = static_cast<int64_t>(*number);
      else if (k == "stall_seconds" && number)
        o.stall_seconds = *number;
      else if (k == "keep_progress_days" && number)
        o.keep_progress_days = static_cast<int>(*number);
      else if (k == "keep_audit_days" && number)
        o.keep_audit_days = static_cast<int>(*number);
      else if (k == "allow_remote_without_tls" && value.is_boolean()) {
        o.allow_remote_without_tls = *value.value<bool>();
      } else {
        error = fmt::format(
            "{}: '{}' is not an option or has the wrong type; known are data_dir, "
            "listen, metrics_listen, data_root, threads, job_threads, memory_bytes, user_threads, "
            "user_running_jobs, user_unfinished_jobs, half_life_hours, checkpoint_seconds, "
            "max_upload_bytes, max_calls, call_memory_bytes, stall_seconds, tls_cert, tls_key, "
            "tls_client_ca, "
            "user_requests_per_second, "
            "user_bytes, keep_progress_days, keep_audit_days, allow_remote_without_tls",
            path, k);
        return false;
      }
    }
  } catch (const toml::parse_error& e) {
    error = fmt::format("{}: {} in line {}", path, e.description(), e.source().begin.line);
    return false;
  }
  return true;
}

// Waits for a signal that stops the server. Where systemd wants to hear that the server is alive
// (WatchdogSec), it is told so as long as the server answers.
int WaitForStop(const sigset_t& signals, saed::Daemon& daemon) {
  uint64_t watchdog_micros = 0;
  const bool watched = sd_watchdog_enabled(0, &watchdog_micros) > 0;
  while (true) {
    if (!watched) {
      int signal = 0;
      sigwait(&signals, &signal);
      return signal;
    }
    const uint64_t pause = watchdog_micros / 3;
    const timespec time = {static_cast<time_t>(pause / 1'000'000),
                           static_cast<long>(pause % 1'000'000 * 1000)};
    if (const int signal = sigtimedwait(&signals, nullptr, &time); signal > 0) return signal;
    daemon.CheckAlive();  // does not come back where the server hangs
    sd_notify(0, "WATCHDOG=1");
  }
}

// What a keeper asks for instead of a server: restores, makes an administrator, or checks.
int Keep(const std::string& data_dir, const std::string& administrator, const std::string& backup) {
  const auto failed = [](const absl::Status& status) {
    fmt::print(stderr, "saed: {}\n", std::string(status.message()));
    return 1;
  };
  if (!backup.empty()) {
    if (const auto s = saed::RestoreData(backup, data_dir); !s.ok()) return failed(s);
    fmt::print("restored {} from {}\n", data_dir, backup);
  }
  if (!administrator.empty()) {
    const auto token = saed::CreateAdministrator(data_dir, administrator);
    if (!token.ok()) return failed(token.status());
    fmt::print("{}\n", *token);
    fmt::print(stderr, "Keep this token: it is shown once. Use it as SAED_TOKEN.\n");
    return 0;
  }
  const auto faults = saed::CheckData(data_dir);
  if (!faults.ok()) return failed(faults.status());
  for (const std::string& fault : *faults) fmt::print("{}\n", fault);
  fmt::print("{}: {}\n", data_dir,
             faults->empty() ? "everything is there" : fmt::format("{} faults", faults->size()));
  return faults->empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    std::fputs("saed needs a processor with AVX2 and FMA (any since about 2013)\n", stderr);
    return 1;
  }
  // Large blocks go back to the system when they are freed. By default glibc learns to keep them,
  // once for every thread that an import ever ran on.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);

  saed::DaemonOptions options;
  std::string config, log_level = "info";
  if (argc == 3 && std::string_view(argv[1]) == "--read-recording") {
    return saed::recordings::ReadApart(argv[2]);
  }
  if (argc > 2 && std::string_view(argv[1]) == "--probe-reader") {
    return saed::recordings::Probe({argv + 2, argv + argc});
  }
  options.reader = "/proc/self/exe";  // also once the file has been replaced by an upgrade
  // The config file first, so that flags change what it says.
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::string_view(argv[i]) == "--config") config = argv[i + 1];
  }
  std::string error;
  if (!config.empty() && !ReadConfig(config, options, error)) {
    fmt::print(stderr, "saed: {}\n", error);
    return 2;
  }
  CLI::App app{"saed: trains sparse autoencoders on neural recordings and serves their features"};
  app.set_version_flag("--version", saed::CodeVersion());
  app.add_option("--config", config, "TOML file with these options, - as _");
  app.add_option("--data-dir", options.data_dir, "Where everything is stored")
      ->required(options.data_dir.empty());
  app.add_option("--listen", options.listen, "Address for RPCs")->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen, "Address for Prometheus; '' for none")
      ->capture_default_str();
  app.add_option("--data-root", options.data_root, "Allow imports by path below this folder");
  app.add_option("--threads", options.threads, "Threads for jobs; 0 for one per core")
      ->capture_default_str();
  app.add_option("--job-threads", options.job_threads,
                 "Threads of a job that leaves it open; 0 for a quarter of all, at least 4")
      ->capture_default_str();
  app.add_option("--memory-bytes", options.memory_bytes,
                 "Memory for jobs; 0 for four fifths of the machine's")
      ->capture_default_str();
  app.add_option("--user-threads", options.user_threads,
                 "Threads of one user's running jobs; 0 for no limit")
      ->capture_default_str();
  app.add_option("--user-running-jobs", options.user_running_jobs,
                 "Jobs of one user that run at once; 0 for no limit")
      ->capture_default_str();
  app.add_option("--user-unfinished-jobs", options.user_unfinished_jobs,
                 "Jobs of one user, queued and running; 0 for no limit")
      ->capture_default_str();
  app.add_option("--half-life-hours", options.half_life_hours,
                 "What was computed this long ago counts half in the fair share")
      ->capture_default_str();
  app.add_option("--checkpoint-seconds", options.checkpoint_seconds, "Time between checkpoints")
      ->capture_default_str();
  app.add_option("--max-upload-bytes", options.max_upload_bytes, "Largest uploaded file")
      ->capture_default_str();
  app.add_option("--max-calls", options.max_calls,
                 "Calls and streams at once; more are refused with RESOURCE_EXHAUSTED. Half of "
                 "them may be watching a job or sweep")
      ->capture_default_str();
  app.add_option("--call-memory-bytes", options.call_memory_bytes,
                 "Memory for all calls together; 0 for a tenth of the machine's")
      ->capture_default_str();
  app.add_option("--stall-seconds", options.stall_seconds,
                 "A stream whose client neither sends nor takes anything for so long ends")
      ->capture_default_str();
  app.add_option("--tls-cert", options.tls_certificate,
                 "Certificate chain (PEM); read again when it changes")
      ->group("Security");
  app.add_option("--tls-key", options.tls_key, "Its key (PEM)")->group("Security");
  app.add_option("--tls-client-ca", options.tls_client_ca,
                 "Clients must show a certificate that this one (PEM) signed")
      ->group("Security");
  app.add_option("--user-requests-per-second", options.user_requests_per_second,
                 "Of one user; 0 for no limit")
      ->group("Security");
  app.add_option("--user-bytes", options.user_bytes,
                 "That one user's recordings may take; 0 for no limit")
      ->group("Security");
  app.add_option("--keep-progress-days", options.keep_progress_days,
                 "Then the progress of a job that ended is thinned to 200 records; 0 for never")
      ->capture_default_str()
      ->group("Keeping");
  app.add_option("--keep-audit-days", options.keep_audit_days, "Of the audit log; 0 for ever")
      ->capture_default_str()
      ->group("Keeping");
  std::string administrator, backup;
  bool check = false;
  app.add_option(
         "--create-admin", administrator,
         "Make this administrator, print a token, and end; from then on every call needs one")
      ->group("Keeping");
  app.add_flag("--check", check, "Check the data directory and end")->group("Keeping");
  app.add_option("--restore", backup, "Make the data directory from this backup and end")
      ->group("Keeping");
  app.add_flag("--allow-remote-without-tls", options.allow_remote_without_tls,
               "Listen beyond this machine although anyone may then do anything");
  app.add_option("--log-level", log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  CLI11_PARSE(app, argc, argv);

  if (!administrator.empty() || check || !backup.empty()) {
    return Keep(options.data_dir, administrator, backup);
  }

  spdlog::set_default_logger(spdlog::stderr_color_mt("saed"));
  spdlog::set_pattern("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l msg=\"%v\"");
  spdlog::set_level(spdlog::level::from_str(log_level));

  // Signals are taken by sigwait below; every thread inherits the mask.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  // Slower kernels than were asked for would go unnoticed for months.
  if (const char* wanted = std::getenv("SAED_KERNELS"); wanted != nullptr && *wanted != 0) {
    if (const auto status = saed::sae::SelectKernels(wanted); !status.ok()) {
      fmt::print(stderr, "saed: SAED_KERNELS: {}; unset it to use the best there is\n",
                 std::string(status.message()));
      return 1;
    }
  }
  auto daemon = saed::Daemon::Start(options);
  if (!daemon.ok()) {
    fmt::print(stderr, "saed: {}\n", std::string(daemon.status().message()));
    return 1;
  }
  spdlog::info(
      "ready port={} metrics_port={} data_dir={} orphans_removed={} kernels={} tls={} tokens={}",
      (*daemon)->port(), (*daemon)->metrics_port(), options.data_dir, (*daemon)->orphans_removed(),
      saed::sae::KernelPathName(),
      options.tls_certificate.empty() ? "off"
      : options.tls_client_ca.empty() ? "on"
                                      : "mutual",
      (*daemon)->wants_tokens() ? "on" : "off");
  for (const auto& path : saed::sae::KernelPaths()) {
    if (!path.available) spdlog::info("kernels {} not used: {}", path.name, path.reason);
  }
  // One line for scripts that started the server.
  fmt::print("saed ready port={} metrics_port={}\n", (*daemon)->port(), (*daemon)->metrics_port());
  std::fflush(stdout);
  sd_notify(0, "READY=1");
  const int signal = WaitForStop(signals, **daemon);
  sd_notify(0, "STOPPING=1");
  spdlog::info("stopping signal={}", signal);
  (*daemon)->Drain(kDrainSeconds);
  spdlog::info("stopped");
  return 0;
}

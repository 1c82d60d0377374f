// saed, the server: flags, config file, start, drain, stop.
#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <toml++/toml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "server/daemon.h"
#include "server/recordings/import_apart.h"
#include "server/recordings/probe_reader.h"
#include "server/sae/kernels/dispatch.h"

namespace {

constexpr double kDrainSeconds = 10;

// The keys of the config file are the flags' names, with - as _.
class ConfigFile : public CLI::Config {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& in) const override {
    std::vector<CLI::ConfigItem> items;
    try {
      for (const auto& [key, value] : toml::parse(in)) items.push_back(Item(key, value));
    } catch (const toml::parse_error& e) {
      throw CLI::ConfigError(fmt::format("line {}: {}", e.source().begin.line, e.description()),
                             CLI::ExitCodes::ConfigError);
    }
    return items;
  }
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return ""; }

 private:
  static CLI::ConfigItem Item(std::string_view key, const toml::node& value) {
    CLI::ConfigItem out;
    out.name = key;
    std::replace(out.name.begin(), out.name.end(), '_', '-');
    if (const auto text = value.value<std::string>()) {
      out.inputs = {*text};
    } else if (const auto flag = value.as_boolean()) {
      out.inputs = {flag->get() ? "true" : "false"};
    } else if (const auto whole = value.as_integer()) {
      out.inputs = {std::to_string(whole->get())};
    } else if (const auto number = value.as_floating_point()) {
      out.inputs = {fmt::format("{}", number->get())};
    } else {
      throw CLI::ConfigError(fmt::format("line {}: '{}' must be a text, a number, true or false",
                                         value.source().begin.line, key),
                             CLI::ExitCodes::ConfigError);
    }
    return out;
  }
};

// What is wrong with flags or the config file, in their words; the exit code.
int Refuse(const CLI::App& app, const CLI::ParseError& error, const std::string& config) {
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ConfigError)) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::string_view wrong = error.what();
  constexpr std::string_view kUnknown = "INI was not able to parse ";
  const bool unknown = wrong.starts_with(kUnknown);
  if (unknown) wrong.remove_prefix(kUnknown.size());
  fmt::print(
      stderr,
      "saed: {}: {}{}; every flag of saed --help may stand there, without its dashes and with "
      "- as _\n",
      config, wrong, unknown ? " is no option" : "");
  return 2;
}

// A message as the value of a logfmt key: what it quotes itself stays inside it.
class Escaped : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) {
      if (c == '"' || c == '\\') out.push_back('\\');
      if (c == '\n') {
        out.push_back('\\');
        out.push_back('n');
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Escaped>();
  }
};

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
  std::string log_level = "info";
  if (argc == 3 && std::string_view(argv[1]) == "--read-recording") {
    return saed::recordings::ReadApart(argv[2]);
  }
  if (argc > 2 && std::string_view(argv[1]) == "--probe-reader") {
    return saed::recordings::Probe({argv + 2, argv + argc});
  }
  options.reader = "/proc/self/exe";  // also once the file has been replaced by an upgrade
  CLI::App app{"saed: trains sparse autoencoders on neural recordings and serves their features"};
  app.set_version_flag("--version", saed::CodeVersion());
  app.config_formatter(std::make_shared<ConfigFile>());
  app.allow_config_extras(CLI::config_extras_mode::error);
  const auto* config = app.set_config("--config", "", "TOML file with these options, - as _");
  app.add_option("--data-dir", options.data_dir, "Where everything is stored")->required();
  app.add_option("--listen", options.listen, "Address for RPCs")->capture_default_str();
  app.add_option("--metrics-listen", options.metrics_listen,
                 "Address for Prometheus; '' for none; one that other machines reach needs "
                 "--allow-remote-without-tls")
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
                 "them may be watching a job or sweep, and a quarter be one user's")
      ->capture_default_str();
  app.add_option("--call-memory-bytes", options.call_memory_bytes,
                 "Memory for all calls together; 0 for a tenth of the machine's")
      ->capture_default_str();
  app.add_option("--stall-seconds", options.stall_seconds,
                 "A stream whose client neither sends nor takes anything for so long ends")
      ->capture_default_str();
  app.add_option("--keepalive-seconds", options.keepalive_seconds,
                 "A client that shows no sign of life for so long is asked for one, and given up "
                 "where it gives none")
      ->capture_default_str();
  app.add_option(
         "--idle-seconds", options.idle_seconds,
         "A connection without calls for so long ends; clients make a new one by themselves")
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return Refuse(app, e, config->count() > 0 ? config->as<std::string>() : "--config");
  }

  if (!administrator.empty() || check || !backup.empty()) {
    return Keep(options.data_dir, administrator, backup);
  }

  spdlog::set_default_logger(spdlog::stderr_color_mt("saed"));
  auto lines = std::make_unique<spdlog::pattern_formatter>();
  lines->add_flag<Escaped>('*').set_pattern("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l msg=\"%*\"");
  spdlog::set_formatter(std::move(lines));
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

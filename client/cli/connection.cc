#include "client/cli/connection.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

namespace saed::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kPatience(10);
constexpr std::chrono::milliseconds kFirstPause(200), kLongestPause(5000);

// Of a server that speaks TLS, or that is asked to.
std::string WhyNoTls(const Session& session, std::string_view message) {
  const auto says = [&](std::string_view words) {
    return message.find(words) != std::string_view::npos;
  };
  const std::string& at = session.server;
  if (says("wrong version number")) {
    return fmt::format("the server at {} speaks no TLS; leave out --tls-ca (SAED_TLS_CA)", at);
  }
  if (says("certificate verify failed")) {
    return fmt::format(
        "the server at {} shows a certificate that {} did not sign; --tls-ca must be the "
        "certificate of the authority that did",
        at, session.ca);
  }
  if (says("Peer name") || says("Hostname Verification")) {
    return fmt::format(
        "the certificate of the server at {} is of another name; --server must be the name that "
        "stands in it",
        at);
  }
  if (says("empty address list") && !session.ca.empty()) {
    return fmt::format("{} has no certificate that can be read (PEM); see --tls-ca{}", session.ca,
                       session.certificate.empty() ? "" : ", --tls-cert and --tls-key");
  }
  if (!says("Socket closed")) return "";
  if (session.ca.empty()) {
    return fmt::format(
        "what answers at {} ends the connection; a server with TLS needs --tls-ca FILE "
        "(SAED_TLS_CA)",
        at);
  }
  return fmt::format("the server at {} ends the connection{}", at,
                     session.certificate.empty()
                         ? "; it may want --tls-cert and --tls-key"
                         : "; it may not take the certificate of --tls-cert");
}

}  // namespace

std::string WhyUnreachable(const Session& session, const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable) return "";
  const std::string message(status.message());
  const auto says = [&](std::string_view words) {
    return message.find(words) != std::string_view::npos;
  };
  if (says("DNS resolution failed")) {
    return fmt::format("no machine is known by the name of {}; see --server or SAED_SERVER",
                       session.server);
  }
  if (!says("failed to connect") && !says("empty address list")) {
    if (!says("Socket closed") && !says("recvmsg") && !says("GOAWAY")) return "";
    return fmt::format(
        "the server at {} went away before it had answered; is it being restarted? Try again, jobs "
        "that were queued go on",
        session.server);
  }
  if (std::string why = WhyNoTls(session, message); !why.empty()) return why;
  return fmt::format(
      "no saed server answers at {}\nStart one with: saed --data-dir DIR\nOr name another with "
      "--server or the environment variable SAED_SERVER.",
      session.server);
}

absl::Status Follow(ProgressLine& line, const bool& heard,
                    const std::function<grpc::Status()>& once) {
  Clock::time_point last = Clock::now();
  std::chrono::milliseconds pause = kFirstPause;
  for (bool ever = false;;) {
    const grpc::Status status = once();
    ever = ever || heard;
    if (heard) {
      last = Clock::now();
      pause = kFirstPause;
    }
    // A server that stops cancels what still watches; nobody here does.
    const bool gone = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                      status.error_code() == grpc::StatusCode::CANCELLED;
    if (!gone || !ever || Clock::now() - last > kPatience) return client::FromGrpc(status);
    line.Show(0, "the server is gone; waiting for it");
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

namespace {

std::string goes_on;  // what the handler writes, made before it may run

void SayGoesOn(int) {
  constexpr int kInterrupted = 128 + SIGINT;  // as a shell says it
  (void)!write(STDERR_FILENO, goes_on.data(), goes_on.size());
  _exit(kInterrupted);
}

}  // namespace

GoesOn::GoesOn(const std::string& name) {
  const std::string group = name.substr(0, name.find('/'));
  goes_on = fmt::format(
      "\n{0} goes on; follow it again with saectl {1} watch {0}, end it with saectl {1} cancel "
      "{0}\n",
      name, group);
  std::signal(SIGINT, SayGoesOn);
}

GoesOn::~GoesOn() { std::signal(SIGINT, SIG_DFL); }

}  // namespace saed::cli

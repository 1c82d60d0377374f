#include <fmt/format.h>

#include <filesystem>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/cli/recording_folder.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

namespace fs = std::filesystem;

// An empty folder, made where there is none.
absl::Status Prepare(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    return absl::InvalidArgumentError(fmt::format(
        "--to is '{}', which is there and not empty; name a new folder", folder.string()));
  }
  fs::create_directories(folder, error);
  if (!error) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format("cannot make the folder {}", folder.string()));
}

absl::Status Download(Session& session, const std::string& name, const std::string& to) {
  grpc::ClientContext context;
  v1::GetRecordingRequest get;
  get.set_name(FullName("recordings", name));
  v1::GetRecordingResponse got;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().GetRecording(&context, get, &got)));
  const v1::Recording& r = got.recording();
  const fs::path folder = to.empty() ? fs::path(r.name()).filename() : fs::path(to);
  SAED_RETURN_IF_ERROR(Prepare(folder));
  SAED_RETURN_IF_ERROR(WriteRecording(session, r, folder));
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  fmt::print("{} is in {}\n\nTo import it again:\n  saectl recordings import {}\n", r.name(),
             folder.string(), Quoted(folder.string()));
  return absl::OkStatus();
}

}  // namespace

void AddDownloadCommand(CLI::App& group, Session& session) {
  auto* c = group.add_subcommand("download",
                                 "Write a recording as a folder that import takes back: spikes or "
                                 "counts as .npy, units, tables and series as CSV");
  struct Flags {
    std::string recording, to;
  };
  auto f = std::make_shared<Flags>();
  c->add_option("recording", f->recording, "Its name or id")->required();
  c->add_option("--to", f->to, "A new folder; default: the id, here");
  Run(c, session, [&session, f] { return Download(session, f->recording, f->to); });
}

}  // namespace saed::cli

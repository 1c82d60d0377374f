#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <filesystem>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPhyFiles[] = {"spike_times.npy",   "spike_clusters.npy",
                                     "cluster_group.tsv", "cluster_KSLabel.tsv",
                                     "cluster_info.tsv",  "params.py"};

struct ImportFlags {
  std::string path, format, name, server_path;
  double sampling_rate = 0, bin_width = 0;
  std::vector<std::string> intervals, series;
};

// "table=file.csv" → a file in that role.
absl::StatusOr<client::UploadFile> Named(const std::string& text, const char* flag,
                                         v1::FileHeader::Role role) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    return absl::InvalidArgumentError(fmt::format(
        "{} is '{}'; must be NAME=FILE.csv, e.g. {} trials=trials.csv", flag, text, flag));
  }
  return client::UploadFile{role, text.substr(0, at), text.substr(at + 1)};
}

std::string FormatOf(const ImportFlags& flags) {
  std::string format = flags.format;
  const std::string path = flags.path.empty() ? flags.server_path : flags.path;
  if (format.empty()) {
    format = fs::is_directory(path)                 ? "phy"
             : fs::path(path).extension() == ".npy" ? "counts"
             : fs::path(path).extension() == ".nwb" ? "nwb"
             : fs::path(path).extension().empty()   ? "phy"
                                                    : "nwb";
  }
  return format;
}

void Print(const v1::Recording& r) {
  fmt::print(
      "{}\n  name       {}\n  source     {}\n  duration   {:.3f} s\n  units      {}\n  "
      "spikes     {}\n  stored     {}\n  digest     {}\n",
      r.name(), r.display_name(), r.source(), r.duration(), r.unit_count(), r.spike_count(),
      Bytes(static_cast<double>(r.stored_bytes())), r.digest());
  if (r.electrode_count() > 0) fmt::print("  electrodes {}\n", r.electrode_count());
  for (const auto& t : r.interval_tables()) fmt::print("  intervals  {}\n", t);
  for (const auto& s : r.series()) {
    fmt::print("  series     {} ({} samples x {}{}{})\n", s.name(), s.samples(), s.channels_size(),
               s.unit().empty() ? "" : ", ", s.unit());
  }
  for (const auto& w : r.warnings()) fmt::print("  warning    {}\n", w);
}

absl::Status Import(Session& session, const ImportFlags& flags) {
  v1::ImportHeader header;
  header.set_format_name(FormatOf(flags));
  header.set_display_name(
      !flags.name.empty()
          ? flags.name
          : fs::path(flags.path.empty() ? flags.server_path : flags.path).stem().string());
  header.set_sampling_rate(flags.sampling_rate);
  header.set_bin_width(flags.bin_width);
  header.set_server_path(flags.server_path);
  std::vector<client::UploadFile> files;
  if (flags.path.empty() == flags.server_path.empty()) {
    return absl::InvalidArgumentError("give either a path to upload or --server-path");
  }
  if (fs::is_directory(flags.path)) {
    for (const char* name : kPhyFiles) {
      const fs::path file = fs::path(flags.path) / name;
      if (fs::exists(file)) files.push_back({v1::FileHeader::ROLE_MAIN, name, file});
    }
  } else if (!flags.path.empty()) {
    files.push_back({v1::FileHeader::ROLE_MAIN, fs::path(flags.path).filename(), flags.path});
  }
  for (const auto& text : flags.intervals) {
    SAED_ASSIGN_OR_RETURN(auto file, Named(text, "--intervals", v1::FileHeader::ROLE_INTERVALS));
    files.push_back(std::move(file));
  }
  for (const auto& text : flags.series) {
    SAED_ASSIGN_OR_RETURN(auto file, Named(text, "--series", v1::FileHeader::ROLE_SERIES));
    files.push_back(std::move(file));
  }
  ProgressLine line;
  auto response = session.client->Import(header, files, [&](int64_t sent, int64_t total) {
    line.Show(total > 0 ? static_cast<double>(sent) / static_cast<double>(total) : 1,
              fmt::format("uploaded {} of {}", Bytes(static_cast<double>(sent)),
                          Bytes(static_cast<double>(total))));
  });
  line.End();
  SAED_RETURN_IF_ERROR(response.status());
  if (session.json) {
    fmt::print("{}", Json(*response));
    return absl::OkStatus();
  }
  if (!response->created()) fmt::print("already there:\n");
  Print(response->recording());
  // Counts that came binned can only be added up.
  const double recorded = response->recording().bin_width();
  fmt::print("\nNext: saectl train {} --bin {} --features 96 --k 12\n",
             response->recording().name(), recorded > 0 ? recorded : 0.02);
  return absl::OkStatus();
}

absl::Status List(Session& session) {
  v1::ListRecordingsRequest request;
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListRecordingsResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->recordings().ListRecordings(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& r : all.recordings()) {
    rows.push_back({r.name(), r.display_name(), r.source(), std::to_string(r.unit_count()),
                    std::to_string(r.spike_count()), Seconds(r.duration()),
                    google::protobuf::util::TimeUtil::ToString(r.create_time()).substr(0, 19)});
  }
  fmt::print("{}", Table({"RECORDING", "NAME", "SOURCE", "UNITS", "SPIKES", "DURATION", "CREATED"},
                         rows, TerminalWidth(), {3, 4, 5}));
  return absl::OkStatus();
}

absl::Status Show(Session& session, const std::string& name) {
  grpc::ClientContext context, tables_context;
  v1::GetRecordingRequest request;
  request.set_name(FullName("recordings", name));
  v1::GetRecordingResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().GetRecording(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response));
    return absl::OkStatus();
  }
  Print(response.recording());
  v1::ListIntervalTablesRequest tables_request;
  tables_request.set_parent(request.name());
  v1::ListIntervalTablesResponse tables;
  SAED_RETURN_IF_ERROR(client::FromGrpc(
      session.client->recordings().ListIntervalTables(&tables_context, tables_request, &tables)));
  std::vector<std::vector<std::string>> rows;
  for (const auto& t : tables.interval_tables()) {
    for (const auto& c : t.columns()) {
      std::string values;
      for (const auto& v : c.values()) values += (values.empty() ? "" : ", ") + v;
      rows.push_back({t.name(), std::to_string(t.row_count()), c.name(), c.kind(),
                      std::to_string(c.distinct_count()), values});
    }
  }
  if (!rows.empty()) {
    fmt::print("\n{}", Table({"TABLE", "ROWS", "COLUMN", "KIND", "DISTINCT", "VALUES"}, rows,
                             std::min(TerminalWidth(), 160), {1, 4}));
  }
  return absl::OkStatus();
}

absl::Status Units(Session& session, const std::string& name) {
  v1::ListUnitsRequest request;
  request.set_parent(FullName("recordings", name));
  request.set_page_size(1000);
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListUnitsResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->recordings().ListUnits(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& u : all.units()) {
    rows.push_back({std::to_string(u.id()), u.label(), u.region(),
                    u.has_depth() ? fmt::format("{:.0f}", u.depth()) : "",
                    std::to_string(u.spike_count()), fmt::format("{:.2f}", u.mean_rate())});
  }
  fmt::print("{}", Table({"UNIT", "LABEL", "REGION", "DEPTH", "SPIKES", "HZ"}, rows,
                         TerminalWidth(), {0, 3, 4, 5}));
  return absl::OkStatus();
}

absl::Status Simulate(Session& session, const std::string& kind, const std::string& level,
                      uint64_t seed, const std::string& name) {
  grpc::ClientContext context;
  v1::SimulateRecordingRequest request;
  if (kind == "rat") {
    request.mutable_rat();
  } else {
    request.mutable_planted()->set_level(level);
    request.mutable_planted()->set_seed(seed);
  }
  request.set_display_name(!name.empty()   ? name
                           : kind == "rat" ? "simulated rat"
                                           : fmt::format("planted {} {}", level, seed));
  v1::SimulateRecordingResponse response;
  SAED_RETURN_IF_ERROR(client::FromGrpc(
      session.client->recordings().SimulateRecording(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response));
  } else {
    Print(response.recording());
  }
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const std::string& name) {
  grpc::ClientContext context;
  v1::DeleteRecordingRequest request;
  request.set_name(FullName("recordings", name));
  v1::DeleteRecordingResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().DeleteRecording(&context, request, &response)));
  if (!session.json) fmt::print("deleted {}\n", request.name());
  return absl::OkStatus();
}

}  // namespace

void AddRecordingCommands(CLI::App& app, Session& session) {
  auto* group = app.add_subcommand("recordings", "Spike recordings: import, list, show, simulate");
  group->require_subcommand(1);

  auto* import =
      group->add_subcommand("import", "Upload an NWB file, a Kilosort/Phy folder or .npy arrays");
  auto flags = std::make_shared<ImportFlags>();
  import->add_option("path", flags->path, "File or folder to upload");
  import->add_option("--server-path", flags->server_path,
                     "Import this path below the server's data root instead");
  import->add_option("--format", flags->format, "Default: by the path")
      ->check(CLI::IsMember({"nwb", "phy", "spikes", "counts"}));
  import->add_option("--name", flags->name, "Name for people");
  import->add_option("--sampling-rate", flags->sampling_rate,
                     "Hz, for spike times in samples without params.py");
  import->add_option("--bin", flags->bin_width, "s, of the bins of a count matrix");
  import->add_option("--intervals", flags->intervals, "Interval table: NAME=FILE.csv");
  import->add_option("--series", flags->series, "Behavioural series: NAME=FILE.csv");
  Run(import, session, [&session, flags] { return Import(session, *flags); });

  Run(group->add_subcommand("list", "All recordings, newest first"), session,
      [&session] { return List(session); });

  const auto named = [&](const char* command, const char* help, auto fn) {
    auto* sub = group->add_subcommand(command, help);
    auto name = std::make_shared<std::string>();
    sub->add_option("recording", *name, "Its name or id")->required();
    Run(sub, session, [&session, name, fn] { return fn(session, *name); });
  };
  named("show", "One recording with its interval tables", Show);
  named("units", "The units of a recording", Units);
  named("delete", "Delete a recording that nothing uses", Delete);

  auto* simulate = group->add_subcommand("simulate", "Make a recording with known structure");
  struct Flags {
    std::string kind = "planted", level = "easy", name;
    uint64_t seed = 0;
  };
  auto s = std::make_shared<Flags>();
  simulate->add_option("kind", s->kind, "planted or rat")
      ->check(CLI::IsMember({"planted", "rat"}))
      ->capture_default_str();
  simulate->add_option("--level", s->level, "Of planted features")
      ->check(CLI::IsMember({"easy", "mid", "hard", "low_rate"}))
      ->capture_default_str();
  simulate->add_option("--seed", s->seed, "Of planted features")->capture_default_str();
  simulate->add_option("--name", s->name, "Name for people");
  Run(simulate, session,
      [&session, s] { return Simulate(session, s->kind, s->level, s->seed, s->name); });
}

}  // namespace saed::cli

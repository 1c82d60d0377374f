#include <fmt/format.h>

#include <set>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/cli/show_recording.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

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
                    std::to_string(r.spike_count()), Seconds(r.duration()), Utc(r.create_time())});
  }
  fmt::print(
      "{}", Listing("recordings", false,
                    {"RECORDING", "NAME", "SOURCE", "UNITS", "SPIKES", "DURATION", "CREATED"}, rows,
                    {3, 4, 5}));
  return absl::OkStatus();
}

absl::Status Show(Session& session, const std::string& name) {
  grpc::ClientContext context;
  v1::GetRecordingRequest request;
  request.set_name(FullName("recordings", name));
  v1::GetRecordingResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().GetRecording(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response));
    return absl::OkStatus();
  }
  PrintRecording(response.recording());
  v1::ListIntervalTablesRequest tables_request;
  tables_request.set_parent(request.name());
  tables_request.set_page_size(1000);
  SAED_ASSIGN_OR_RETURN(const auto tables,
                        AllPages<v1::ListIntervalTablesResponse>(
                            tables_request, [&](auto* tables_context, const auto& r, auto* out) {
                              return session.client->recordings().ListIntervalTables(tables_context,
                                                                                     r, out);
                            }));
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
  PrintFirstCommand(response.recording());
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
  // The further columns come last, where narrow terminals have no room.
  std::set<std::string> further;
  for (const auto& u : all.units()) {
    for (const auto& [column, value] : u.columns()) further.insert(column);
  }
  std::vector<std::string> titles = {"UNIT", "SPIKES", "HZ", "LABEL", "REGION", "DEPTH"};
  titles.insert(titles.end(), further.begin(), further.end());
  std::vector<std::vector<std::string>> rows;
  for (const auto& u : all.units()) {
    auto& row = rows.emplace_back(
        std::vector<std::string>{std::to_string(u.id()), std::to_string(u.spike_count()),
                                 fmt::format("{:.2f}", u.mean_rate()), u.label(), u.region(),
                                 u.has_depth() ? fmt::format("{:.0f}", u.depth()) : ""});
    for (const std::string& column : further) {
      const auto it = u.columns().find(column);
      row.push_back(it == u.columns().end() ? "" : it->second);
    }
  }
  fmt::print("{}", Listing("units", false, titles, rows, {0, 1, 2, 5}));
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
    PrintRecording(response.recording());
    PrintFirstCommand(response.recording());
  }
  return absl::OkStatus();
}

absl::Status Rename(Session& session, const std::string& name, const std::string& display_name) {
  grpc::ClientContext context;
  v1::UpdateRecordingRequest request;
  request.set_name(FullName("recordings", name));
  request.set_display_name(display_name);
  request.mutable_update_mask()->add_paths("display_name");
  v1::UpdateRecordingResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().UpdateRecording(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response));
  } else {
    fmt::print("{} is called {}\n", response.recording().name(),
               response.recording().display_name());
  }
  return absl::OkStatus();
}

absl::Status SetPrivate(Session& session, const std::string& name, bool is_private) {
  grpc::ClientContext context;
  v1::UpdateRecordingRequest request;
  request.set_name(FullName("recordings", name));
  request.set_private_(is_private);
  request.mutable_update_mask()->add_paths("private");
  v1::UpdateRecordingResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().UpdateRecording(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response));
  } else {
    fmt::print("{} is {}, with all that was made from it\n", response.recording().name(),
               response.recording().private_() ? "private" : "shared with everyone here");
  }
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const std::string& name) {
  v1::DeleteRecordingRequest request;
  request.set_name(FullName("recordings", name));
  return Erase<v1::DeleteRecordingResponse>(session, request, [&](auto... a) {
    return session.client->recordings().DeleteRecording(a...);
  });
}

}  // namespace

void AddRecordingCommands(CLI::App& app, Session& session) {
  auto* group = app.add_subcommand("recordings", "Spike recordings: import, list, show, simulate");
  group->require_subcommand(1);

  AddImportCommand(*group, session);
  AddFormatsCommand(*group, session);
  AddDownloadCommand(*group, session);
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
  named("share", "Let everyone here see a recording and what is made from it",
        [](Session& s, const std::string& name) { return SetPrivate(s, name, false); });
  named("hide", "Let only its owner see a recording and what is made from it",
        [](Session& s, const std::string& name) { return SetPrivate(s, name, true); });
  named("delete", "Delete a recording that nothing uses", Delete);

  auto* rename = group->add_subcommand("rename", "Give a recording another name for people");
  auto names = std::make_shared<std::pair<std::string, std::string>>();
  rename->add_option("recording", names->first, "Its name or id")->required();
  rename->add_option("name", names->second, "The new name")->required();
  Run(rename, session, [&session, names] { return Rename(session, names->first, names->second); });

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

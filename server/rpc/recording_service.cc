// RecordingService: what was recorded, and how it comes and goes.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "saed/v1/recordings.pb.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/jobs/files_at.h"
#include "server/recordings/beside.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/simulate.h"
#include "server/rpc/convert.h"
#include "server/rpc/download.h"
#include "server/rpc/import_header.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"
#include "server/rpc/upload.h"

namespace saed::rpc {
namespace {

absl::StatusOr<jobs::FilesFound> FilesBelow(const std::string& root, const std::string& path,
                                            const std::string& format) {
  if (!root.empty()) return jobs::FilesAt(root, path, format);
  return WithReason(absl::PermissionDeniedError(
                        "server_path: this server was started without --data-root, so files must "
                        "be uploaded"),
                    "NO_DATA_ROOT");
}

// Of a page of units.
constexpr size_t kPageBytes = 900'000;

absl::Status Receive(const Caller& caller, grpc::ServerContext& server,
                     grpc::ServerReader<v1::ImportRecordingRequest>& stream, Context& context,
                     v1::ImportRecordingResponse& response) {
  std::optional<StallGuard::Stream> moving(std::in_place, context.stalls, server);
  v1::ImportRecordingRequest message;
  if (!stream.Read(&message) || !message.has_header()) {
    return InvalidField("header", "is missing; the first message must be the header");
  }
  const v1::ImportHeader header = message.header();
  SAED_ASSIGN_OR_RETURN(recordings::ImportSpec spec, ImportSpecOf(header));
  SAED_RETURN_IF_ERROR(context.gate.Room(caller, 0));
  Upload upload(context.stores.objects, context.max_upload_bytes,
                [&](int64_t bytes) { return context.gate.Arriving(caller, bytes); });
  while (stream.Read(&message)) {
    moving->Moved();
    if (context.draining) return absl::UnavailableError("the server is stopping; try again");
    if (message.has_file()) {
      SAED_RETURN_IF_ERROR(upload.Begin(message.file()));
    } else if (message.part_case() == v1::ImportRecordingRequest::kChunk) {
      context.metrics.BytesReceived(static_cast<int64_t>(message.chunk().size()));
      SAED_RETURN_IF_ERROR(upload.Append(message.chunk()));
    } else if (message.part_case() == v1::ImportRecordingRequest::kSha256) {
      SAED_RETURN_IF_ERROR(upload.Digest(message.sha256()));
    } else {
      return InvalidField("part",
                          "is a second header or empty; send file headers, chunks and digests");
    }
  }
  moving.reset();
  SAED_RETURN_IF_ERROR(upload.End());
  std::vector<recordings::ImportFile> files = upload.files();
  if (!header.server_path().empty()) {
    SAED_ASSIGN_OR_RETURN(jobs::FilesFound there,
                          FilesBelow(context.data_root, header.server_path(), spec.format));
    files.insert(files.end(), there.files.begin(), there.files.end());
    spec.left_out = std::move(there.left_out);
  }
  bool created = false;
  SAED_ASSIGN_OR_RETURN(const auto row,
                        context.library.Import(
                            spec, files,
                            {header.display_name(), caller.user, header.private_(),
                             [&](int64_t bytes) { return context.gate.Room(caller, bytes); },
                             context.gate.memory().most(),
                             [&](int64_t bytes) { return context.gate.memory().Take(bytes); }},
                            [&] { return context.draining || server.IsCancelled(); }, created));
  *response.mutable_recording() = ToProto(row);
  response.set_created(created);
  return absl::OkStatus();
}

// Changes what the mask names, and without one the fields that are set.
absl::Status Change(storage::AccessTable& access, const std::string& id,
                    const v1::UpdateRecordingRequest& request) {
  const bool masked = !request.update_mask().paths().empty();
  bool rename = !masked && !request.display_name().empty(), share = !masked && request.private_();
  if (!masked && !rename && !share) {
    return InvalidField("update_mask",
                        "is empty and nothing is set; must name private, to share the recording, "
                        "or display_name");
  }
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "display_name") {
      rename = true;
    } else if (path == "private") {
      share = true;
    } else {
      return InvalidField("update_mask", fmt::format("names '{}'; must name display_name, private "
                                                     "or both",
                                                     ValidUtf8(path)));
    }
  }
  if (rename) {
    SAED_RETURN_IF_ERROR(CheckDisplayName(request.display_name(), "display_name"));
    SAED_RETURN_IF_ERROR(access.SetName(id, request.display_name()));
  }
  return share ? access.SetPrivate(id, request.private_()) : absl::OkStatus();
}

absl::StatusOr<recordings::PlantedSpec> PlantedOf(const v1::PlantedSimulation& m) {
  SAED_ASSIGN_OR_RETURN(auto spec,
                        recordings::PlantedLevel(m.level().empty() ? "easy" : m.level()));
  spec.seed = m.seed();
  if (m.units() != 0) spec.units = m.units();
  if (m.features() != 0) spec.features = m.features();
  if (m.bins() != 0) spec.bins = m.bins();
  SAED_RETURN_IF_ERROR(recordings::Validate(spec));
  return spec;
}

absl::Status ImportRecording(Context& context, const Caller& caller, grpc::ServerContext& server,
                             grpc::ServerReader<v1::ImportRecordingRequest>& stream,
                             v1::ImportRecordingResponse& response) {
  return InWordsOfTheHeader(Receive(caller, server, stream, context, response));
}

absl::Status SimulateRecording(Context& context, const Caller& caller,
                               const v1::SimulateRecordingRequest& request,
                               v1::SimulateRecordingResponse& response) {
  if (!request.display_name().empty()) {
    SAED_RETURN_IF_ERROR(CheckDisplayName(request.display_name(), "display_name"));
  }
  recordings::Imported made;
  MemoryBudget::Hold memory;
  if (request.has_rat()) {
    made.recording = recordings::SimulateRat();
  } else if (request.has_planted()) {
    SAED_ASSIGN_OR_RETURN(const auto spec, PlantedOf(request.planted()));
    // About a spike in four bins, and the true amplitudes.
    SAED_ASSIGN_OR_RETURN(
        memory, context.gate.memory().Take(spec.bins * (4 * spec.units + 8 * spec.features)));
    made.recording = recordings::SimulatePlanted(spec);
  } else {
    return InvalidField("kind", "is not set; must be rat or planted");
  }
  bool created = false;
  SAED_ASSIGN_OR_RETURN(
      const auto row,
      context.library.Add(made,
                          {request.display_name(), caller.user, request.private_(),
                           [&](int64_t bytes) { return context.gate.Room(caller, bytes); }},
                          created));
  *response.mutable_recording() = ToProto(row);
  response.set_created(created);
  return absl::OkStatus();
}

absl::Status GetRecording(Context& context, const Caller&, const v1::GetRecordingRequest& request,
                          v1::GetRecordingResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "recordings", "name"));
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.recordings.Get(id));
  *response.mutable_recording() = ToProto(row);
  return absl::OkStatus();
}

absl::Status ListRecordings(Context& context, const Caller& caller,
                            const v1::ListRecordingsRequest& request,
                            v1::ListRecordingsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const auto size, PageSize(request.page_size()));
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), "recordings", 2));
  int64_t created_at = 0;
  std::string id;
  if (!after.empty()) {
    created_at = std::strtoll(after[0].c_str(), nullptr, 10);
    id = after[1];
  }
  // A few at a time: one may have much to tell, and a page has few bytes.
  constexpr int kAtOnce = 16;
  bool more = true;
  for (size_t bytes = 0; more && bytes < kPageBytes && response.recordings_size() < size;) {
    const int wanted = std::min(kAtOnce, size - response.recordings_size());
    SAED_ASSIGN_OR_RETURN(const auto rows,
                          context.stores.recordings.List(wanted, created_at, id, caller.viewer()));
    more = static_cast<int>(rows.size()) == wanted;
    for (const auto& row : rows) {
      auto recording = ToProto(row);
      bytes += recording.ByteSizeLong();
      if (bytes > kPageBytes && response.recordings_size() > 0) {
        more = true;
        break;
      }
      *response.add_recordings() = std::move(recording);
      created_at = row.created_at;
      id = row.id;
    }
  }
  if (more) {
    response.set_next_page_token(MakePageToken("recordings", {std::to_string(created_at), id}));
  }
  return absl::OkStatus();
}

absl::Status DeleteRecording(Context& context, const Caller& caller,
                             const v1::DeleteRecordingRequest& request,
                             v1::DeleteRecordingResponse&) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "recordings", "name"));
  return context.library.Delete(id, caller.viewer());
}

absl::Status UpdateRecording(Context& context, const Caller&,
                             const v1::UpdateRecordingRequest& request,
                             v1::UpdateRecordingResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "recordings", "name"));
  SAED_RETURN_IF_ERROR(Change(context.gate.access(), id, request));
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.recordings.Get(id));
  *response.mutable_recording() = ToProto(row);
  return absl::OkStatus();
}

// Of a unit, over the time in which it was observed, Hz.
double MeanRate(const storage::RecordingRow& recording, const nlohmann::json& summary,
                int64_t position, const storage::UnitRow& unit) {
  const auto rates = summary.find("mean_rates");
  const auto at = static_cast<size_t>(position);
  if (rates != summary.end() && at < rates->size()) {
    return (*rates)[at].is_number() ? (*rates)[at].get<double>() : 0;
  }
  return recording.duration > 0 ? static_cast<double>(unit.spike_count) / recording.duration : 0;
}

// Ids of the units that were; none where an older server imported it.
std::set<int64_t> NeverObserved(const nlohmann::json& summary) {
  std::set<int64_t> out;
  const auto ids = summary.find("never_observed");
  if (ids == summary.end()) return out;
  for (const auto& id : *ids) out.insert(id.get<int64_t>());
  return out;
}

absl::Status ListUnits(Context& context, const Caller&, const v1::ListUnitsRequest& request,
                       v1::ListUnitsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.parent(), "recordings", "parent"));
  SAED_ASSIGN_OR_RETURN(const auto size, PageSize(request.page_size()));
  const std::string query = "units/" + id;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  SAED_ASSIGN_OR_RETURN(const auto recording, context.stores.recordings.Get(id));
  const int64_t position = after.empty() ? -1 : std::strtoll(after[0].c_str(), nullptr, 10);
  SAED_ASSIGN_OR_RETURN(const auto rows,
                        context.stores.recordings.Units(id, size, position, kPageBytes));
  const auto summary = nlohmann::json::parse(recording.summary, nullptr, false);
  const std::set<int64_t> never = NeverObserved(summary);
  int64_t sent = 0;
  for (size_t bytes = 0; sent < static_cast<int64_t>(rows.size()); ++sent) {
    const storage::UnitRow& row = rows[static_cast<size_t>(sent)];
    v1::Unit unit = ToProto(row, MeanRate(recording, summary, position + 1 + sent, row));
    unit.set_never_observed(never.contains(row.id));
    bytes += unit.ByteSizeLong();
    if (bytes > kPageBytes && sent > 0) break;
    *response.add_units() = std::move(unit);
  }
  if (position + 1 + sent < recording.unit_count) {
    response.set_next_page_token(MakePageToken(query, {std::to_string(position + sent)}));
  }
  return absl::OkStatus();
}

v1::IntervalTable TableOf(const nlohmann::json& t) {
  v1::IntervalTable table;
  table.set_name(t.value("name", ""));
  table.set_row_count(t.value("rows", int64_t{0}));
  for (const auto& c : t.value("columns", nlohmann::json::array())) {
    auto* column = table.add_columns();
    column->set_name(c.value("name", ""));
    column->set_kind(c.value("kind", ""));
    column->set_distinct_count(c.value("distinct", int64_t{0}));
    for (const auto& v : c.value("values", nlohmann::json::array())) {
      column->add_values(v.get<std::string>());
    }
  }
  return table;
}

absl::Status ListIntervalTables(Context& context, const Caller&,
                                const v1::ListIntervalTablesRequest& request,
                                v1::ListIntervalTablesResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.parent(), "recordings", "parent"));
  // Who knows no pages gets all.
  const bool paged = request.page_size() != 0 || !request.page_token().empty();
  SAED_ASSIGN_OR_RETURN(int size, PageSize(request.page_size()));
  if (request.page_size() == 0) size = std::numeric_limits<int>::max();
  const std::string query = "interval_tables/" + id;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.recordings.Get(id));
  const auto summary = nlohmann::json::parse(row.summary, nullptr, false);
  if (!summary.is_object()) return absl::DataLossError("the summary is damaged");
  const auto tables = summary.value("tables", nlohmann::json::array());
  size_t at = after.empty() ? 0 : std::strtoull(after[0].c_str(), nullptr, 10);
  for (size_t bytes = 0; at < tables.size() && response.interval_tables_size() < size; ++at) {
    v1::IntervalTable table = TableOf(tables[at]);
    bytes += table.ByteSizeLong();
    if (paged && bytes > kPageBytes && response.interval_tables_size() > 0) break;
    *response.add_interval_tables() = std::move(table);
  }
  if (at < tables.size()) {
    response.set_next_page_token(MakePageToken(query, {std::to_string(at)}));
  }
  return absl::OkStatus();
}

constexpr int kMostSketches = 100'000;

void Tell(const recordings::Reader& reader, v1::FormatInfo& out) {
  out.set_name(reader.name);
  out.set_title(reader.title);
  out.set_needs(reader.needs);
  for (const auto& pattern : recordings::PatternsOf(reader)) out.add_files(pattern);
  for (const auto& option : reader.options) {
    auto* told = out.add_options();
    told->set_name(option.name);
    told->set_help(option.help);
    told->set_example(option.example);
  }
}

absl::Status ListFormats(Context&, const Caller&, const v1::ListFormatsRequest&,
                         v1::ListFormatsResponse& response) {
  for (const recordings::Reader* reader : recordings::Readers()) {
    Tell(*reader, *response.add_formats());
  }
  return absl::OkStatus();
}

absl::Status DetectFormat(Context&, const Caller&, const v1::DetectFormatRequest& request,
                          v1::DetectFormatResponse& response) {
  constexpr size_t kLongestName = 1000;
  if (request.files_size() > kMostSketches) {
    return InvalidField("files", fmt::format("holds {} files; at most {} are looked at",
                                             request.files_size(), kMostSketches));
  }
  std::vector<recordings::FileSketch> sketches;
  for (const auto& file : request.files()) {
    if (file.name().empty()) {
      return InvalidField("files.name", "is empty; must be the file's path in its folder");
    }
    if (file.name().size() > kLongestName || file.head().size() > recordings::kSketchBytes ||
        file.tail().size() > recordings::kSketchBytes) {
      return InvalidField(
          "files", fmt::format("holds '{}' with a name of {} bytes, a head of {} and a tail of {}; "
                               "must be at most {}, {} and {}",
                               ValidUtf8(file.name().substr(0, 100)), file.name().size(),
                               file.head().size(), file.tail().size(), kLongestName,
                               recordings::kSketchBytes, recordings::kSketchBytes));
    }
    sketches.push_back({file.name(), file.size(), file.head(), file.tail()});
  }
  std::vector<std::string> names;
  for (const auto& sketch : sketches) names.push_back(sketch.name);
  std::sort(names.begin(), names.end());
  recordings::TakeBeside(sketches);
  SAED_ASSIGN_OR_RETURN(const auto reader,
                        recordings::RecogniseReader(recordings::FileSet(std::move(sketches))));
  Tell(*reader, *response.mutable_format());
  const std::vector<std::string> patterns = recordings::PatternsOf(*reader);
  for (const std::string& name : names) {
    const bool wanted = std::any_of(
        patterns.begin(), patterns.end(),
        [&](const std::string& pattern) { return recordings::MatchesPattern(name, pattern); });
    if (wanted) response.add_files(name);
  }
  return absl::OkStatus();
}

absl::Status DownloadRecording(Context& context, const Caller&, grpc::ServerContext& server,
                               const v1::DownloadRecordingRequest& request,
                               grpc::ServerWriter<v1::DownloadRecordingResponse>& stream) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "recordings", "name"));
  return SendRecording(context, id, request, server, stream);
}

}  // namespace

void AddRecordingMethods(Methods& methods) {
  methods.Add(ImportRecording);
  methods.Add(SimulateRecording);
  methods.Add(GetRecording);
  methods.Add(ListRecordings);
  methods.Add(DeleteRecording);
  methods.Add(UpdateRecording);
  methods.Add(ListUnits);
  methods.Add(ListIntervalTables);
  methods.Add(ListFormats);
  methods.Add(DetectFormat);
  methods.Add(DownloadRecording);
}

}  // namespace saed::rpc

#include "server/jobs/library.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "server/base/faults.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/import_apart.h"
#include "server/recordings/store_format.h"
#include "server/recordings/table_filter.h"

namespace saed::jobs {
namespace {

using nlohmann::json;
using recordings::Column;

constexpr size_t kShownValues = 50;
constexpr size_t kCountedValues = 100'000;

json Describe(const Column& column) {
  const auto values = recordings::DistinctValues(column, kCountedValues);
  const char* kinds[] = {"number", "text", "list"};
  return {{"name", column.name},
          {"kind", kinds[column.values.index()]},
          {"distinct", values.size()},
          {"values", std::vector<std::string>(values.begin(),
                                              values.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                   values.size(), kShownValues)))}};
}

json Names(const recordings::Table& table) {
  json out = json::array();
  for (const Column& c : table.columns) out.push_back(c.name);
  return out;
}

// The further columns of one unit, as text.
json UnitColumns(const recordings::Table& table, size_t row) {
  json out = json::object();
  for (const Column& c : table.columns) {
    if (const auto* numbers = std::get_if<recordings::Numbers>(&c.values)) {
      out[c.name] = NumberText((*numbers)[row]);
    } else if (const auto* texts = std::get_if<recordings::Texts>(&c.values)) {
      out[c.name] = (*texts)[row];
    } else {
      out[c.name] =
          fmt::format("{}", fmt::join(std::get<recordings::TextLists>(c.values)[row], ","));
    }
  }
  return out;
}

json Summary(const recordings::Imported& imported) {
  const recordings::Recording& r = imported.recording;
  json tables = json::array(), series = json::array();
  for (const auto& t : r.intervals) {
    json columns = json::array();
    for (const Column& c : t.table.columns) columns.push_back(Describe(c));
    tables.push_back({{"name", t.table.name}, {"rows", t.rows()}, {"columns", columns}});
  }
  for (const auto& s : r.series) {
    series.push_back({{"name", s.name},
                      {"unit", s.unit},
                      {"samples", s.timestamps.size()},
                      {"channels", s.channels}});
  }
  return {{"sampling_rate", r.sampling_rate},
          {"bin_width", r.counts.bin_width},
          {"tables", tables},
          {"series", series},
          {"electrodes", r.electrodes.columns.empty() ? 0 : r.electrodes.columns[0].rows()},
          {"electrode_columns", Names(r.electrodes)},
          {"unit_columns", Names(r.unit_columns)},
          {"warnings", imported.warnings}};
}

}  // namespace

absl::StatusOr<storage::RecordingRow> Library::Import(
    const recordings::ImportSpec& spec, const std::vector<recordings::ImportFile>& files,
    const Keeping& keeping, const std::function<bool()>& stop, bool& created) {
  if (reader_.empty()) {
    SAED_ASSIGN_OR_RETURN(const recordings::Imported imported, recordings::Import(spec, files));
    return Add(imported, keeping, created);
  }
  SAED_ASSIGN_OR_RETURN(const std::string directory, stores_.objects.NewUploadDirectory());
  const auto imported = recordings::ImportApart(reader_, directory, spec, files, stop);
  const auto row = [&]() -> absl::StatusOr<storage::RecordingRow> {
    SAED_RETURN_IF_ERROR(imported.status());
    SAED_ASSIGN_OR_RETURN(const std::string digest, storage::DigestOf(imported->stored));
    const auto bytes = static_cast<int64_t>(std::filesystem::file_size(imported->stored));
    return Keep(
        *imported, bytes, digest, keeping,
        [&] { return stores_.objects.Adopt(imported->stored, digest); }, created);
  }();
  storage::RemoveTree(directory);
  return row;
}

absl::StatusOr<storage::RecordingRow> Library::Add(const recordings::Imported& imported,
                                                   const Keeping& keeping, bool& created) {
  const std::string bytes = recordings::Serialise(imported.recording);
  return Keep(
      imported, static_cast<int64_t>(bytes.size()), Sha256Hex(bytes), keeping,
      [&] { return stores_.objects.Put(bytes).status(); }, created);
}

absl::StatusOr<storage::RecordingRow> Library::Keep(const recordings::Imported& imported,
                                                    int64_t bytes, const std::string& digest,
                                                    const Keeping& keeping,
                                                    const std::function<absl::Status()>& store,
                                                    bool& created) {
  if (keeping.room) SAED_RETURN_IF_ERROR(keeping.room(bytes));
  const recordings::Recording& r = imported.recording;
  const std::vector<double> spikes = recordings::SpikeCounts(r, 0, INFINITY);
  const std::lock_guard lock(mutex_);
  SAED_RETURN_IF_ERROR(store());
  storage::RecordingRow row;
  row.digest = digest;
  row.id = row.digest.substr(0, 16);
  row.name = keeping.display_name.empty() ? row.id : keeping.display_name;
  row.owner = keeping.owner;
  row.is_private = keeping.is_private;
  row.source = r.source;
  row.created_at = clock_.NowMicros();
  row.duration = r.duration;
  row.unit_count = static_cast<int64_t>(r.units.size());
  row.bytes = bytes;
  row.summary = Summary(imported).dump();
  std::vector<storage::UnitRow> units;
  for (size_t i = 0; i < r.units.size(); ++i) {
    const auto& u = r.units[i];
    units.push_back({u.id, u.label, u.region,
                     std::isnan(u.depth) ? std::nullopt : std::optional<double>(u.depth),
                     std::llround(spikes[i]), UnitColumns(r.unit_columns, i).dump()});
    row.spike_count += units.back().spike_count;
  }
  return stores_.recordings.Insert(row, units, created);
}

absl::Status Library::Delete(const std::string& id) {
  const std::lock_guard lock(mutex_);
  SAED_ASSIGN_OR_RETURN(const std::string digest, stores_.recordings.Delete(id));
  stores_.objects.Remove(digest);
  return absl::OkStatus();
}

}  // namespace saed::jobs

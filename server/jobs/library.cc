#include "server/jobs/library.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "server/base/faults.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/jobs/first_command.h"
#include "server/recordings/bound_texts.h"
#include "server/recordings/import_apart.h"
#include "server/recordings/observed.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/store_format.h"
#include "server/recordings/table_filter.h"
#include "server/recordings/whole_count.h"

namespace saed::jobs {
namespace {

using nlohmann::json;
using recordings::Column;

constexpr size_t kShownValues = 50;
constexpr size_t kMostValues = size_t{1} << 20;  // bytes of all that are shown
constexpr size_t kCountedValues = 100'000;

// `room`: bytes that are left for values, which every list of recordings tells.
json Describe(const Column& column, size_t& room) {
  const auto values = recordings::DistinctValues(column, kCountedValues);
  const char* kinds[] = {"number", "text", "list"};
  json shown = json::array();
  for (const std::string& value : values) {
    if (shown.size() == kShownValues || value.size() > room) break;
    room -= value.size();
    shown.push_back(recordings::CutText(value, recordings::kLongestText));
  }
  return {{"name", column.name},
          {"kind", kinds[column.values.index()]},
          {"distinct", values.size()},
          {"values", shown}};
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
      const double value = (*numbers)[row];
      out[c.name] = std::isnan(value) ? "" : NumberText(value);
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
  size_t room = kMostValues;
  for (const auto& t : r.intervals) {
    json columns = json::array();
    for (const Column& c : t.table.columns) columns.push_back(Describe(c, room));
    tables.push_back({{"name", t.table.name}, {"rows", t.rows()}, {"columns", columns}});
  }
  for (const auto& s : r.series) {
    series.push_back({{"name", s.name},
                      {"unit", s.unit},
                      {"samples", s.timestamps.size()},
                      {"channels", s.channels}});
  }
  // Where some time was not observed the rates of the units, in order, Hz.
  json rates = json::array(), never = json::array();
  std::vector<int> all(r.units.size());
  std::iota(all.begin(), all.end(), 0);
  if (recordings::HasGaps(r, all)) {
    for (const auto& count : recordings::ObservedCounts(r, 0, INFINITY)) {
      rates.push_back(count.rate());
    }
    for (const auto& unit : r.units) {
      if (recordings::NeverObserved(r, unit)) never.push_back(unit.id);
    }
  }
  return {{"observed", r.observed.value_or(recordings::Spans{})},
          {"observed_duration", recordings::Length(recordings::ObservedSpans(r))},
          {"mean_rates", rates},
          {"never_observed", never},
          {"sampling_rate", r.sampling_rate},
          {"bin_width", r.counts.bin_width},
          {"tables", tables},
          {"series", series},
          {"electrodes", r.electrodes.columns.empty() ? 0 : r.electrodes.columns[0].rows()},
          {"electrode_columns", Names(r.electrodes)},
          {"unit_columns", Names(r.unit_columns)},
          {"warnings", imported.warnings}};
}

// Made of nothing but what its owner knows, so that it does not tell whether others have the same
// content.
std::string RecordingId(const std::string& digest, const std::string& owner) {
  return (owner.empty() ? digest : Sha256Hex(digest + " " + owner)).substr(0, 16);
}

// Texts with how many units have each, the most frequent first.
json Frequencies(const recordings::Recording& r, std::string recordings::Unit::*text) {
  std::map<std::string, int64_t> counts;
  for (const auto& unit : r.units) {
    if (!(unit.*text).empty()) ++counts[unit.*text];
  }
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  if (sorted.size() > kShownValues) sorted.resize(kShownValues);
  json out = json::array();
  for (const auto& [name, count] : sorted) out.push_back({{"name", name}, {"count", count}});
  return out;
}

// Samples a second, on average.
double Rate(const recordings::Series& series) {
  const recordings::Numbers& t = series.timestamps;
  return t.size() > 1 && t.back() > t.front()
             ? static_cast<double>(t.size() - 1) / (t.back() - t.front())
             : 0;
}

// What the summary says of the units, the series' rates, and the first command.
void DescribeUse(const recordings::Recording& r, json& summary) {
  summary["labels"] = Frequencies(r, &recordings::Unit::label);
  summary["regions"] = Frequencies(r, &recordings::Unit::region);
  for (size_t i = 0; i < r.series.size(); ++i) summary["series"][i]["rate"] = Rate(r.series[i]);
  const FirstCommand first = FirstCommandFor(r);
  summary["first_command"] = {{"flags", first.flags}, {"reasons", first.reasons}};
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
  const auto imported = recordings::ImportApart(
      reader_, directory, spec, files, {&places_, keeping.memory_bytes, keeping.memory}, stop);
  const auto row = [&]() -> absl::StatusOr<storage::RecordingRow> {
    SAED_RETURN_IF_ERROR(imported.status());
    const auto& [digest, bytes] = imported->checked;
    return Keep(
        *imported, bytes, digest, keeping,
        [&, path = imported->stored, sha256 = digest] {
          return stores_.objects.Adopt(path, sha256);
        },
        created);
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
  json summary = Summary(imported);
  DescribeUse(r, summary);
  const std::lock_guard lock(mutex_);
  SAED_RETURN_IF_ERROR(store());
  storage::RecordingRow row;
  row.digest = digest;
  row.id = RecordingId(row.digest, keeping.owner);
  row.name = keeping.display_name.empty() ? row.id : keeping.display_name;
  row.owner = keeping.owner;
  row.is_private = keeping.is_private;
  row.source = r.source;
  row.created_at = clock_.NowMicros();
  row.duration = r.duration;
  row.unit_count = static_cast<int64_t>(r.units.size());
  row.bytes = bytes;
  row.summary = summary.dump(-1, ' ', false, json::error_handler_t::replace);
  row.spike_count =
      recordings::WholeCount(std::accumulate(spikes.begin(), spikes.end(), double{0}));
  std::vector<storage::UnitRow> units;
  for (size_t i = 0; i < r.units.size(); ++i) {
    const auto& u = r.units[i];
    units.push_back({u.id, u.label, u.region,
                     std::isnan(u.depth) ? std::nullopt : std::optional<double>(u.depth),
                     recordings::WholeCount(spikes[i]), UnitColumns(r.unit_columns, i).dump()});
  }
  SAED_ASSIGN_OR_RETURN(storage::RecordingRow kept, stores_.recordings.Insert(row, units, created));
  if (created) return kept;
  // What this import left out is said in its answer, though the row keeps what the first one said.
  json known = json::parse(kept.summary, nullptr, false);
  if (known.is_object()) {
    known["warnings"] = imported.warnings;
    kept.summary = known.dump();
  }
  return kept;
}

absl::Status Library::Delete(const std::string& id, const storage::Viewer& viewer) {
  const std::lock_guard lock(mutex_);
  SAED_ASSIGN_OR_RETURN(const std::string digest, stores_.recordings.Delete(id, viewer));
  if (!digest.empty()) stores_.objects.Remove(digest);
  return absl::OkStatus();
}

}  // namespace saed::jobs

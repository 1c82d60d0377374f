#include "server/recordings/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/csv.h"

namespace saed::recordings {
namespace {

absl::Status CheckSpikes(const Unit& unit) {
  const std::string field = fmt::format("units[id={}].spike_times", unit.id);
  double previous = 0;
  for (size_t i = 0; i < unit.spike_times.size(); ++i) {
    const double t = unit.spike_times[i];
    if (!std::isfinite(t) || t < 0) {
      return InvalidField(field, fmt::format("spike {} is at {} s; must be a finite time, not "
                                             "before the recording's start",
                                             i, t));
    }
    if (t < previous) {
      return InvalidField(field, fmt::format("spike {} at {} s comes after one at {} s; must be "
                                             "ascending",
                                             i, t, previous));
    }
    previous = t;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return absl::NotFoundError(fmt::format("cannot open {}", path));
  std::string bytes(static_cast<size_t>(in.tellg()), '\0');
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) return absl::UnavailableError(fmt::format("cannot read {}", path));
  return bytes;
}

absl::Status Finish(Recording& recording) {
  if (recording.units.empty()) return InvalidField("units", "has no unit; must have at least one");
  if (static_cast<int64_t>(recording.units.size()) > kMaxUnits) {
    return InvalidField("units", fmt::format("has {} units; at most {} are allowed",
                                             recording.units.size(), kMaxUnits));
  }
  std::set<int64_t> ids;
  double duration = 0;
  for (const Unit& unit : recording.units) {
    if (!ids.insert(unit.id).second) {
      return InvalidField("units", fmt::format("has the id {} twice", unit.id));
    }
    SAED_RETURN_IF_ERROR(CheckSpikes(unit));
    if (!unit.spike_times.empty()) duration = std::max(duration, unit.spike_times.back());
  }
  std::set<std::string> names;
  for (const IntervalTable& t : recording.intervals) {
    if (!names.insert(t.table.name).second) {
      return InvalidField("intervals", fmt::format("has the table '{}' twice", t.table.name));
    }
    for (double stop : t.stop) duration = std::max(duration, stop);
  }
  for (const Series& s : recording.series) {
    if (!s.timestamps.empty()) duration = std::max(duration, s.timestamps.back());
  }
  if (recording.counts.present()) {
    duration = recording.counts.bin_width * static_cast<double>(recording.counts.bins);
  }
  // A spike, stop or sample exactly at the end still belongs to the recording.
  recording.duration = recording.counts.present() ? duration : std::nextafter(duration, 1e300);
  return absl::OkStatus();
}

absl::StatusOr<Imported> Import(const ImportSpec& spec, const std::vector<ImportFile>& files) {
  const auto main = [&](auto reader) -> absl::StatusOr<Imported> {
    if (spec.format != Format::kNwb) return reader();
    for (const ImportFile& f : files) {
      if (f.role == Role::kMain) return ReadNwb(f.path);
    }
    return InvalidField("files", "holds no NWB file");
  };
  SAED_ASSIGN_OR_RETURN(Imported imported, main([&] {
                          return spec.format == Format::kCountsNpy ? ReadCountArray(spec, files)
                                                                   : ReadSpikeArrays(spec, files);
                        }));
  for (const ImportFile& f : files) {
    if (f.role == Role::kMain) continue;
    SAED_ASSIGN_OR_RETURN(std::string bytes, ReadFile(f.path));
    if (f.role == Role::kIntervals) {
      SAED_ASSIGN_OR_RETURN(IntervalTable table, ParseIntervalsCsv(f.name, bytes));
      imported.recording.intervals.push_back(std::move(table));
    } else {
      SAED_ASSIGN_OR_RETURN(Series series, ParseSeriesCsv(f.name, bytes));
      imported.recording.series.push_back(std::move(series));
    }
  }
  SAED_RETURN_IF_ERROR(Finish(imported.recording));
  return imported;
}

}  // namespace saed::recordings

#include "server/recordings/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

absl::Status Broken(const std::string& part, const std::string& what) {
  return absl::InternalError(
      fmt::format("the reading process left a recording whose {} {}", part, what));
}

absl::Status CheckText(const std::string& part, const std::string& text) {
  if (ValidUtf8(text) == text) return absl::OkStatus();
  return Broken(part, "is not valid text");
}

absl::Status CheckTexts(const std::string& part, const Texts& texts) {
  for (const std::string& text : texts) SAED_RETURN_IF_ERROR(CheckText(part, text));
  return absl::OkStatus();
}

absl::Status CheckTable(const std::string& part, const Table& table, size_t rows) {
  SAED_RETURN_IF_ERROR(CheckText(part + " name", table.name));
  for (const Column& column : table.columns) {
    SAED_RETURN_IF_ERROR(CheckText(part + " column name", column.name));
    if (column.rows() != rows) {
      return Broken(part, fmt::format("has a column of {} rows, not {}", column.rows(), rows));
    }
    if (const auto* texts = std::get_if<Texts>(&column.values)) {
      SAED_RETURN_IF_ERROR(CheckTexts(part + " column", *texts));
    } else if (const auto* lists = std::get_if<TextLists>(&column.values)) {
      for (const Texts& list : *lists) SAED_RETURN_IF_ERROR(CheckTexts(part + " column", list));
    }
  }
  return absl::OkStatus();
}

// Finite and never backward.
bool Ascending(std::span<const double> times) {
  return std::all_of(times.begin(), times.end(), [](double t) { return std::isfinite(t); }) &&
         std::is_sorted(times.begin(), times.end());
}

absl::Status CheckSpans(const std::string& part, const Observed& observed) {
  if (!observed) return absl::OkStatus();
  double previous = 0;
  for (const auto& [start, stop] : *observed) {
    if (!std::isfinite(start) || !std::isfinite(stop) || start < previous || !(stop > start)) {
      return Broken(part, "is not a list of ascending stretches");
    }
    previous = stop;
  }
  return absl::OkStatus();
}

absl::Status CheckUnits(const Recording& r) {
  if (r.units.empty() || static_cast<int64_t>(r.units.size()) > kMaxUnits) {
    return Broken("units", fmt::format("are {}", r.units.size()));
  }
  std::set<int64_t> ids;
  int64_t spikes = 0;
  size_t looked_at = 0;  // bytes that may be resident
  for (const Unit& unit : r.units) {
    const std::string part = fmt::format("units[id={}]", unit.id);
    if (!ids.insert(unit.id).second) return Broken(part, "comes twice");
    SAED_RETURN_IF_ERROR(CheckText(part + " label", unit.label));
    SAED_RETURN_IF_ERROR(CheckText(part + " region", unit.region));
    if (!Ascending(unit.spike_times) ||
        (!unit.spike_times.empty() &&
         (unit.spike_times.front() < 0 || unit.spike_times.back() > r.duration))) {
      return Broken(part, "has spike times that are not ascending within the recording");
    }
    if (r.counts.present() && !unit.spike_times.empty()) {
      return Broken(part, "has spike times beside counts");
    }
    spikes += static_cast<int64_t>(unit.spike_times.size());
    if ((looked_at += unit.spike_times.size() * sizeof(double)) > kSpikesInMemory) {
      unit.spike_times.Release();
      looked_at = 0;
    }
    SAED_RETURN_IF_ERROR(CheckSpans(part + " observed time", unit.observed));
  }
  if (spikes > kMaxSpikes) return Broken("units", fmt::format("have {} spikes", spikes));
  return CheckTable("units", r.unit_columns, r.units.size());
}

absl::Status CheckCounts(const Recording& r) {
  const CountMatrix& c = r.counts;
  const size_t held = c.file ? c.file->size() : c.bytes.size();
  if (c.bin_width == 0) {
    return held == 0 && c.bins == 0 ? absl::OkStatus() : Broken("counts", "have no bin width");
  }
  if (!std::isfinite(c.bin_width) || c.bin_width < 0) return Broken("bin width", "is impossible");
  if (c.dtype != DType::kU8 && c.dtype != DType::kU16 && c.dtype != DType::kF32) {
    return Broken("counts", "have no type");
  }
  const auto units = static_cast<int64_t>(r.units.size());
  if (c.bins < 0 || c.bins > kMaxStoredElements / units ||
      held != static_cast<size_t>(c.bins * units) * SizeOf(c.dtype)) {
    return Broken("counts", fmt::format("are {} bytes for {} bins", held, c.bins));
  }
  if (r.duration != c.bin_width * static_cast<double>(c.bins)) {
    return Broken("duration",
                  fmt::format("is {} s for {} bins of {} s", r.duration, c.bins, c.bin_width));
  }
  return absl::OkStatus();
}

absl::Status CheckSeries(const Series& s) {
  SAED_RETURN_IF_ERROR(CheckText("series name", s.name));
  SAED_RETURN_IF_ERROR(CheckText("series unit", s.unit));
  SAED_RETURN_IF_ERROR(CheckTexts("series channel", s.channels));
  const std::string part = "series '" + s.name + "'";
  if (!Ascending(s.timestamps)) return Broken(part, "goes back in time");
  if (s.channels.empty() || s.values.size() != s.timestamps.size() * s.channels.size()) {
    return Broken(part, "has not as many values as samples and channels");
  }
  return absl::OkStatus();
}

absl::Status CheckIntervals(const IntervalTable& t) {
  SAED_RETURN_IF_ERROR(CheckText("table name", t.table.name));
  const std::string part = "table '" + t.table.name + "'";
  if (t.stop.size() != t.start.size()) return Broken(part, "has not as many stops as starts");
  for (size_t i = 0; i < t.rows(); ++i) {
    if (!std::isfinite(t.start[i]) || !std::isfinite(t.stop[i]) || t.stop[i] < t.start[i]) {
      return Broken(part, fmt::format("has the impossible row {}", i));
    }
  }
  return CheckTable(part, t.table, t.rows());
}

}  // namespace

absl::Status Validate(const Recording& r) {
  SAED_RETURN_IF_ERROR(CheckText("source", r.source));
  if (!std::isfinite(r.duration) || r.duration < 0) return Broken("duration", "is impossible");
  if (!std::isfinite(r.sampling_rate) || r.sampling_rate < 0) {
    return Broken("sampling rate", "is impossible");
  }
  SAED_RETURN_IF_ERROR(CheckUnits(r));
  SAED_RETURN_IF_ERROR(CheckCounts(r));
  SAED_RETURN_IF_ERROR(CheckSpans("observed time", r.observed));
  const auto& electrodes = r.electrodes.columns;
  SAED_RETURN_IF_ERROR(
      CheckTable("electrodes", r.electrodes, electrodes.empty() ? 0 : electrodes[0].rows()));
  std::set<std::string> names;
  for (const IntervalTable& t : r.intervals) {
    SAED_RETURN_IF_ERROR(CheckIntervals(t));
    if (!names.insert(t.table.name).second) return Broken(t.table.name, "comes twice");
  }
  for (const Series& s : r.series) SAED_RETURN_IF_ERROR(CheckSeries(s));
  return absl::OkStatus();
}

}  // namespace saed::recordings

#include "server/recordings/readers/nwb_series.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/nwb_table.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxSeriesValues = 20'000'000;
constexpr int64_t kMaxChannels = 64;

// Names of the columns of [samples], [samples, n] or [samples, m, n].
absl::StatusOr<Texts> ChannelsOf(const std::string& path, const ArrayInfo& info) {
  const auto& shape = info.shape;
  if (shape.empty() || shape.size() > 3) {
    return InvalidField(path,
                        fmt::format("has {} dimensions; one to three are read", shape.size()));
  }
  // Each size is checked before it is multiplied, as any number may stand in a file.
  int64_t channels = 1;
  bool fits = shape[0] <= kMaxSeriesValues;
  for (size_t d = 1; d < shape.size(); ++d) {
    fits = fits && shape[d] >= 1 && shape[d] <= kMaxChannels;
    if (fits) channels *= shape[d];
  }
  if (!fits || channels > kMaxChannels || shape[0] * channels > kMaxSeriesValues) {
    return InvalidField(path, fmt::format("is [{}]; at most {} channels and {} values are read",
                                          fmt::join(shape, ", "), kMaxChannels, kMaxSeriesValues));
  }
  Texts out;
  for (int64_t c = 0; c < channels; ++c) {
    out.push_back(shape.size() == 3 ? fmt::format("{},{}", c / shape[2], c % shape[2])
                                    : std::to_string(c));
  }
  return out;
}

absl::StatusOr<Numbers> ReadTimes(const Hierarchy& file, const std::string& path, int64_t samples) {
  if (file.Exists(path + "/timestamps")) {
    SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path + "/timestamps"));
    if (FlatSize(info) != samples) {
      return InvalidField(path + "/timestamps",
                          fmt::format("has {} values; data has {} samples", info.size(), samples));
    }
    return file.ReadNumbers(path + "/timestamps");
  }
  const std::string start_path = path + "/starting_time";
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(start_path));
  if (FlatSize(info) != 1) return InvalidField(start_path, "must be one time");
  SAED_ASSIGN_OR_RETURN(const Numbers start, file.ReadNumbers(start_path));
  const double rate = file.NumberAttribute(start_path, "rate", 0);
  if (!std::isfinite(start[0]) || !(rate > 0) || !std::isfinite(rate)) {
    return InvalidField(start_path, fmt::format("is {} with the rate {}; must be a finite time and "
                                                "a rate above 0 (Hz)",
                                                start[0], rate));
  }
  Numbers out;
  out.reserve(static_cast<size_t>(samples));
  for (int64_t i = 0; i < samples; ++i) out.push_back(start[0] + static_cast<double>(i) / rate);
  return out;
}

// Keeps the samples whose times go forward from 0. INVALID_ARGUMENT where most do not.
absl::Status DropBadSamples(const std::string& path, Series& series, Notes& notes) {
  const size_t channels = series.channels.size(), samples = series.timestamps.size();
  size_t kept = 0;
  double latest = 0;
  Tally bad, early;
  for (size_t i = 0; i < samples; ++i) {
    const double t = series.timestamps[i];
    const auto where = [&] { return fmt::format("sample {} at {} s", i, t); };
    if (std::isfinite(t) && t < 0) {
      early.Add(where);
    } else if (!std::isfinite(t) || t < latest) {
      bad.Add(where);
    } else {
      latest = t;
      series.timestamps[kept] = t;
      std::copy_n(series.values.begin() + static_cast<ptrdiff_t>(i * channels), channels,
                  series.values.begin() + static_cast<ptrdiff_t>(kept * channels));
      ++kept;
    }
  }
  const auto dropped = static_cast<size_t>(bad.count() + early.count());
  if (samples > 0 && 2 * dropped > samples) {
    return InvalidField(path,
                        fmt::format("{} of {} samples have times that are missing, go back or "
                                    "lie before 0; most must go forward",
                                    dropped, samples));
  }
  series.timestamps.resize(kept);
  series.values.resize(kept * channels);
  bad.Mend(notes, path, "samples", "whose times go back or are missing dropped");
  early.Mend(notes, path, "samples", "before the recording dropped");
  return absl::OkStatus();
}

absl::StatusOr<Series> ReadSeries(const Hierarchy& file, const std::string& path, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path + "/data"));
  Series out;
  SAED_ASSIGN_OR_RETURN(out.channels, ChannelsOf(path + "/data", info));
  SAED_ASSIGN_OR_RETURN(out.timestamps, ReadTimes(file, path, info.shape[0]));
  SAED_ASSIGN_OR_RETURN(out.values, file.ReadNumbers(path + "/data"));
  const double conversion = file.NumberAttribute(path + "/data", "conversion", 1);
  const double offset = file.NumberAttribute(path + "/data", "offset", 0);
  if (conversion != 1 || offset != 0) {
    for (double& v : out.values) v = v * conversion + offset;
  }
  const Texts unit = file.TextAttribute(path + "/data", "unit");
  if (!unit.empty()) out.unit = unit[0];
  SAED_RETURN_IF_ERROR(DropBadSamples(path, out, notes));
  return out;
}

}  // namespace

void AddNwbSeries(const Hierarchy& file, const NwbNode& node, Recording& out, Notes& notes) {
  const std::string path = ValidUtf8(node.path);
  auto series = ReadSeries(file, node.path, notes);
  if (!series.ok()) {
    notes.Mended(path, "left out: " + FaultText(series.status(), node.path));
    return;
  }
  series->name = BaseName(path);
  for (const Series& other : out.series) {
    if (other.name != series->name) continue;
    if (other.timestamps == series->timestamps && other.values == series->values) {
      notes.Said(path, "left out: the same samples as those of the series of that name before it");
      return;
    }
    series->name = path;
  }
  out.series.push_back(*std::move(series));
}

}  // namespace saed::recordings

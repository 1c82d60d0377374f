#include "server/recordings/readers/nwb_series.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/clean.h"
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

absl::StatusOr<Series> ReadSeries(const Hierarchy& file, const std::string& path, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path + "/data"));
  Series out;
  SAED_ASSIGN_OR_RETURN(out.channels, ChannelsOf(path + "/data", info));
  SAED_ASSIGN_OR_RETURN(out.timestamps, ReadTimes(file, path, info.shape[0]));
  SAED_ASSIGN_OR_RETURN(out.values, file.ReadNumbers(path + "/data"));
  SayRounded(file, path + "/data", info, out.values, notes);
  const double conversion = file.NumberAttribute(path + "/data", "conversion", 1);
  const double offset = file.NumberAttribute(path + "/data", "offset", 0);
  if (conversion != 1 || offset != 0) {
    for (double& v : out.values) v = v * conversion + offset;
  }
  const Texts unit = file.TextAttribute(path + "/data", "unit");
  if (!unit.empty()) out.unit = unit[0];
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
  if (!CleanSamples(path, *series, notes)) return;
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

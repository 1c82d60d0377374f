#include "server/recordings/readers/spike_arrays.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxArrayBytes = int64_t{1} << 35;

absl::StatusOr<NpyArray> ReadArray(const FileSet& files, std::string_view name) {
  if (!files.Has(name)) {
    return InvalidField("files", fmt::format("holds no {}; a spike sorting needs spike_times.npy "
                                             "and spike_clusters.npy",
                                             name));
  }
  SAED_ASSIGN_OR_RETURN(std::string bytes, files.Read(name, kMaxArrayBytes));
  return ParseNpy(name, std::move(bytes));
}

// [n] or [n, 1].
absl::Status CheckVector(std::string_view name, const NpyArray& a) {
  const bool vector = a.shape.size() == 1 || (a.shape.size() == 2 && a.shape[1] == 1);
  if (!vector || a.size() > kMaxSpikes) {
    return InvalidField(name, fmt::format("has {} dimensions and {} items; must be [n] or [n, 1] "
                                          "with n at most {}",
                                          a.shape.size(), a.size(), kMaxSpikes));
  }
  return absl::OkStatus();
}

// `sample_rate = 30000.` in params.py, read as text; the file is never run.
std::optional<double> SampleRateOf(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    std::string_view line = Trim(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
    if (!line.starts_with("sample_rate")) continue;
    line = Trim(line.substr(std::strlen("sample_rate")));
    if (!line.starts_with('=')) continue;
    return std::strtod(std::string(Trim(line.substr(1))).c_str(), nullptr);
  }
  return std::nullopt;
}

absl::StatusOr<double> SamplingRate(const ImportOptions& options, const FileSet& files) {
  double rate = options.sampling_rate;
  std::string from = "sampling_rate";
  if (rate == 0) {
    if (files.Has("params.py")) {
      SAED_ASSIGN_OR_RETURN(std::string text, files.Read("params.py", kMaxTextBytes));
      rate = SampleRateOf(text).value_or(0);
      from = "params.py";
    }
  }
  if (rate == 0) {
    return InvalidField("sampling_rate",
                        "is not given and there is no params.py with sample_rate; spike_times.npy "
                        "holds sample numbers, so give the rate in Hz, e.g. 30000");
  }
  if (!std::isfinite(rate) || rate <= 0 || rate > 1e9) {
    return InvalidField(from,
                        fmt::format("gives a sampling rate of {} Hz; must be in (0, 1e9]", rate));
  }
  return rate;
}

}  // namespace

bool HasSpikeArrays(const FileSet& files) {
  return files.Has("spike_times.npy") && files.Has("spike_clusters.npy");
}

absl::StatusOr<Recording> ReadSpikeArrays(const ImportOptions& options, const FileSet& files) {
  SAED_ASSIGN_OR_RETURN(NpyArray times, ReadArray(files, "spike_times.npy"));
  SAED_ASSIGN_OR_RETURN(NpyArray clusters, ReadArray(files, "spike_clusters.npy"));
  SAED_RETURN_IF_ERROR(CheckVector("spike_times.npy", times));
  SAED_RETURN_IF_ERROR(CheckVector("spike_clusters.npy", clusters));
  if (times.size() != clusters.size()) {
    return InvalidField("spike_clusters.npy",
                        fmt::format("has {} items but spike_times.npy has {}; must be as many",
                                    clusters.size(), times.size()));
  }
  SAED_ASSIGN_OR_RETURN(const auto ids, ToIntegers("spike_clusters.npy", clusters));

  Recording out;
  std::vector<double> seconds;
  if (times.integer()) {
    SAED_ASSIGN_OR_RETURN(const double rate, SamplingRate(options, files));
    SAED_ASSIGN_OR_RETURN(const auto samples, ToIntegers("spike_times.npy", times));
    out.sampling_rate = rate;
    seconds.reserve(samples.size());
    for (int64_t s : samples) seconds.push_back(static_cast<double>(s) / rate);
  } else {
    seconds = ToDoubles(times);
  }
  std::map<int64_t, size_t> index;
  for (int64_t id : ids) index.emplace(id, 0);
  if (static_cast<int64_t>(index.size()) > kMaxUnits) {
    return InvalidField("spike_clusters.npy", fmt::format("holds {} clusters; at most {} are "
                                                          "allowed",
                                                          index.size(), kMaxUnits));
  }
  for (auto& [id, at] : index) {
    at = out.units.size();
    out.units.emplace_back().id = id;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    out.units[index[ids[i]]].spike_times.push_back(seconds[i]);
  }
  return out;
}

}  // namespace saed::recordings

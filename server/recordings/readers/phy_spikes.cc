#include "server/recordings/readers/phy_spikes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/npy_rows.h"
#include "server/recordings/readers/sample_rate.h"

namespace saed::recordings {
namespace {

constexpr int64_t kSmallIds = int64_t{1} << 20;
constexpr double kWeek = 7 * 86400.0;  // s; no recording is longer, most samples come later
constexpr int64_t kManyWhole = 100;    // as many times in seconds are not all whole
constexpr double kMostWhole = 0x1p53;  // from here on numbers read as doubles run into each other

std::vector<int64_t> IdsOf(const Recording& recording) {
  std::vector<int64_t> out;
  for (const Unit& unit : recording.units) out.push_back(unit.id);
  return out;
}

// What the times of a file of floats look like.
struct TimeLook {
  int64_t finite = 0;
  double least = std::numeric_limits<double>::infinity(), most = -least;
  bool whole = true;
};

TimeLook LookAt(const NpyRows& times) {
  TimeLook out;
  times.ForEachPiece([&](int64_t, std::span<const double> values) {
    for (const double t : values) {
      if (!std::isfinite(t)) continue;
      ++out.finite;
      out.least = std::min(out.least, t);
      out.most = std::max(out.most, t);
      out.whole = out.whole && t == std::floor(t);
    }
  });
  return out;
}

absl::StatusOr<bool> InSamples(const NpyRows& times, const TimeLook& look,
                               const ImportOptions& options, Notes& notes) {
  if (const std::string unit = options.Get("time_unit"); !unit.empty()) {
    if (unit == "samples" || unit == "seconds") return unit == "samples";
    return InvalidField("options.time_unit",
                        fmt::format("is '{}'; must be samples or seconds", ValidUtf8(unit)));
  }
  if (times.integer()) return true;
  if (look.whole && (look.most > kWeek || look.finite >= kManyWhole)) {
    notes.Said(times.name(),
               "holds floating-point numbers that are all whole; they are taken as "
               "samples");
    return true;
  }
  if (!look.whole && look.most <= kWeek) {
    notes.Said(times.name(),
               "holds floating-point numbers that are not whole; they are taken as "
               "seconds");
    return false;
  }
  return InvalidField("options.time_unit",
                      fmt::format("is not given, and the {} times in {}, from {} to {}, could be "
                                  "samples or seconds; must be samples or seconds",
                                  times.size(), times.name(), look.least, look.most));
}

// The ids of all clusters, ascending, with how many spikes each has.
absl::Status CountClusters(const NpyRows& clusters, std::vector<int64_t>& ids,
                           std::vector<int64_t>& counts) {
  std::vector<int64_t> small;  // by id, as long as the largest of them wants
  std::map<int64_t, int64_t> large;
  absl::Status status;
  clusters.ForEachPiece([&](int64_t first, std::span<const double> values) {
    for (size_t i = 0; i < values.size() && status.ok(); ++i) {
      const double id = values[i];
      if (std::isnan(id) || id < 0) continue;
      if (id >= kMostWhole || static_cast<double>(static_cast<int64_t>(id)) != id) {
        status = InvalidField(clusters.name(),
                              fmt::format("holds {} for spike {}; must be whole numbers below 2^53",
                                          id, first + static_cast<int64_t>(i) + 1));
      } else if (id < kSmallIds) {
        const auto place = static_cast<size_t>(id);
        if (place >= small.size()) small.resize(2 * place + 1);
        ++small[place];
      } else if (static_cast<int64_t>(large.size()) <= kMaxUnits) {
        ++large[static_cast<int64_t>(id)];
      }
    }
  });
  if (!status.ok()) return status;
  for (size_t id = 0; id < small.size(); ++id) {
    if (small[id] == 0) continue;
    ids.push_back(static_cast<int64_t>(id));
    counts.push_back(small[id]);
  }
  for (const auto& [id, count] : large) {
    ids.push_back(id);
    counts.push_back(count);
  }
  if (static_cast<int64_t>(ids.size()) <= kMaxUnits) return absl::OkStatus();
  return InvalidField(clusters.name(), fmt::format("holds {} clusters or more; at most {} are "
                                                   "allowed",
                                                   ids.size(), kMaxUnits));
}

struct SpikeFiles {
  NpyRows times, clusters;
};

absl::StatusOr<SpikeFiles> OpenSpikes(const FileSet& files, const std::string& folder,
                                      Notes& notes) {
  SpikeFiles out;
  SAED_ASSIGN_OR_RETURN(out.times, NpyRows::OpenVector(files, folder + "spike_times.npy"));
  SAED_ASSIGN_OR_RETURN(out.clusters, NpyRows::OpenVector(files, ClusterFile(files, folder)));
  if (out.times.size() != out.clusters.size()) {
    return InvalidField(out.clusters.name(),
                        fmt::format("has {} items but {} has {}; must be as many",
                                    out.clusters.size(), out.times.name(), out.times.size()));
  }
  if (!files.Has(folder + "spike_clusters.npy")) {
    notes.Said(out.clusters.name(), "gives the clusters, as there is no spike_clusters.npy");
  }
  return out;
}

}  // namespace

std::string ClusterFile(const FileSet& files, const std::string& folder) {
  const std::string clusters = folder + "spike_clusters.npy";
  const std::string templates = folder + "spike_templates.npy";
  return !files.Has(clusters) && files.Has(templates) ? templates : clusters;
}

ClusterPlaces::ClusterPlaces(std::vector<int64_t> ids) : ids_(std::move(ids)) {
  for (size_t n = 0; n < ids_.size() && ids_[n] < kSmallIds; ++n) {
    places_.resize(static_cast<size_t>(ids_[n]), -1);
    places_.push_back(static_cast<int32_t>(n));
  }
}

ClusterPlaces::ClusterPlaces(const Recording& recording) : ClusterPlaces(IdsOf(recording)) {}

int64_t ClusterPlaces::OfLarge(double cluster) const {
  if (!(cluster >= 0) || cluster >= kMostWhole) return -1;
  const auto id = static_cast<int64_t>(cluster);
  const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
  return at != ids_.end() && *at == id ? at - ids_.begin() : -1;
}

absl::StatusOr<Recording> ReadPhySpikes(const FileSet& files, const std::string& folder,
                                        const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const SpikeFiles spikes, OpenSpikes(files, folder, notes));
  const TimeLook look = spikes.times.integer() ? TimeLook() : LookAt(spikes.times);
  SAED_ASSIGN_OR_RETURN(const bool samples, InSamples(spikes.times, look, options, notes));
  double rate = 1;  // times in a second
  Recording out;
  if (samples) {
    SAED_ASSIGN_OR_RETURN(rate, FindSampleRate(options, files, folder + "params.py", notes));
    if (look.whole) out.sampling_rate = rate;
  }
  std::vector<int64_t> ids, counts;
  SAED_RETURN_IF_ERROR(CountClusters(spikes.clusters, ids, counts));
  const ClusterPlaces places(ids);
  SAED_ASSIGN_OR_RETURN(SpikeBuffer buffer, SpikeBuffer::Make(counts));
  Tally none, outside;
  std::vector<double> clusters;
  spikes.times.ForEachPiece([&](int64_t first, std::span<const double> values) {
    clusters.resize(values.size());
    spikes.clusters.Read(first, clusters);
    for (size_t i = 0; i < values.size(); ++i) {
      const double t = values[i];
      const int64_t unit = places.Of(clusters[i]);
      const auto where = [&](const char* what, double value) {
        return fmt::format("spike {} {} {}", first + static_cast<int64_t>(i) + 1, what, value);
      };
      if (unit < 0) {
        none.Add([&] { return where("of cluster", clusters[i]); });
      } else if (!(t >= 0) || !std::isfinite(t) || (samples && t >= kMostWhole)) {
        outside.Add([&] { return where(samples ? "at sample" : "at second", t); });
      } else {
        buffer.Add(static_cast<size_t>(unit), t / rate);
      }
    }
    spikes.clusters.Release();
  });
  none.Mend(notes, spikes.clusters.name(), "spikes", "of no cluster dropped");
  outside.Mend(notes, spikes.times.name(), "spikes", "outside the recording dropped");
  SAED_ASSIGN_OR_RETURN(auto trains, buffer.Take());
  for (size_t n = 0; n < ids.size(); ++n) {
    Unit& unit = out.units.emplace_back();
    unit.id = ids[n];
    unit.spike_times = std::move(trains[n]);
  }
  return out;
}

}  // namespace saed::recordings

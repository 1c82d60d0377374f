#include "server/recordings/readers/spike_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/spike_train.h"

namespace saed::recordings {
namespace {

constexpr int64_t kSmallIds = int64_t{1} << 20;
constexpr int64_t kAtOnce = int64_t{1} << 16;  // spikes, which stay in the cache

bool Small(int64_t id) { return id >= 0 && id < kSmallIds; }

// Hands all spikes to `use(units, times)`, a piece at a time.
template <class Use>
absl::Status EachPiece(const SpikePairs& spikes, const Use& use) {
  std::vector<int64_t> units(static_cast<size_t>(std::min(spikes.size, kAtOnce)));
  Numbers times(units.size());
  for (int64_t at = 0; at < spikes.size; at += kAtOnce) {
    const auto n = static_cast<size_t>(std::min(kAtOnce, spikes.size - at));
    SAED_RETURN_IF_ERROR(spikes.units(at, {units.data(), n}));
    SAED_RETURN_IF_ERROR(spikes.times(at, {times.data(), n}));
    SAED_RETURN_IF_ERROR(
        use(std::span<const int64_t>(units.data(), n), std::span<const double>(times.data(), n)));
  }
  return absl::OkStatus();
}

// Spikes of each unit, or of those that are known; most ids are small and count in an array.
class UnitCounts {
 public:
  explicit UnitCounts(const std::vector<int64_t>& known)
      : all_(known.empty()), small_(kSmallIds, all_ ? 0 : kUnknown) {
    for (const int64_t id : known) (Small(id) ? small_[static_cast<size_t>(id)] : large_[id]) = 0;
  }

  // False where it is none of the known.
  bool Count(int64_t id) {
    if (Small(id)) {
      int64_t& count = small_[static_cast<size_t>(id)];
      if (count == kUnknown) return false;
      if (count++ == 0) ++units_;
      return true;
    }
    const auto at = all_ ? large_.emplace(id, 0).first : large_.find(id);
    if (at == large_.end()) return false;
    if (at->second++ == 0) ++units_;
    return true;
  }
  // That have spikes.
  int64_t units() const { return units_; }
  // All, by ascending id.
  std::map<int64_t, int64_t> Take() && {
    for (size_t id = 0; id < small_.size(); ++id) {
      if (small_[id] > 0 || (!all_ && small_[id] == 0)) {
        large_[static_cast<int64_t>(id)] = small_[id];
      }
    }
    return std::move(large_);
  }

 private:
  static constexpr int64_t kUnknown = -1;

  bool all_;
  std::vector<int64_t> small_;
  std::map<int64_t, int64_t> large_;  // and negative ones
  int64_t units_ = 0;
};

// From ids to places in ascending order of ids.
class Places {
 public:
  void Add(int64_t id, size_t place) {
    if (!Small(id)) {
      large_[id] = place;
      return;
    }
    if (small_.size() <= static_cast<size_t>(id)) small_.resize(static_cast<size_t>(id) + 1, kNone);
    small_[static_cast<size_t>(id)] = place;
  }
  // kNone for what is none of them.
  size_t Of(int64_t id) const {
    if (Small(id)) {
      return static_cast<size_t>(id) < small_.size() ? small_[static_cast<size_t>(id)] : kNone;
    }
    const auto at = large_.find(id);
    return at == large_.end() ? kNone : at->second;
  }

  static constexpr size_t kNone = SIZE_MAX;

 private:
  std::vector<size_t> small_;
  std::unordered_map<int64_t, size_t> large_;
};

absl::StatusOr<std::map<int64_t, int64_t>> Count(const SpikePairs& spikes,
                                                 const std::vector<int64_t>& known, Grouped& saw) {
  UnitCounts counts(known);
  SAED_RETURN_IF_ERROR(EachPiece(
      spikes, [&](std::span<const int64_t> units, std::span<const double> times) -> absl::Status {
        for (const double t : times) saw.whole = saw.whole && t == std::floor(t);
        for (const int64_t unit : units) {
          if (!counts.Count(unit)) ++saw.strange;
        }
        if (counts.units() <= kMaxUnits) return absl::OkStatus();
        return InvalidField(
            spikes.units_name,
            fmt::format("holds more than {} units; are these the times?", kMaxUnits));
      }));
  return std::move(counts).Take();
}

}  // namespace

void TakeTimes(const ArrayFile& array, SpikePairs& out) {
  out.times_name = array.name();
  out.size = array.size();
  out.times = [array](int64_t first, std::span<double> to) {
    array.ReadDoubles(first, to);
    array.Release();
    return absl::OkStatus();
  };
}

void TakeUnits(const ArrayFile& array, SpikePairs& out) {
  out.units_name = array.name();
  out.units = [array](int64_t first, std::span<int64_t> to) {
    auto status = array.ReadIntegers(first, to);
    array.Release();
    return status;
  };
}

absl::Status CheckPair(const ArrayFile& times, const ArrayFile& units) {
  SAED_RETURN_IF_ERROR(CheckVector(times, kMaxSpikes));
  SAED_RETURN_IF_ERROR(CheckVector(units, kMaxSpikes));
  if (times.size() == units.size()) return absl::OkStatus();
  return InvalidField(units.name(), fmt::format("has {} items but {} has {}; must be as many",
                                                units.size(), times.name(), times.size()));
}

absl::StatusOr<Grouped> GroupSpikes(const SpikePairs& spikes, double divisor,
                                    const std::vector<int64_t>& known, Recording& out) {
  Grouped saw;
  SAED_ASSIGN_OR_RETURN(const auto counts, Count(spikes, known, saw));
  Places places;
  std::vector<int64_t> sizes;
  for (const auto& [id, count] : counts) {
    places.Add(id, out.units.size());
    out.units.emplace_back().id = id;
    sizes.push_back(count);
  }
  SAED_ASSIGN_OR_RETURN(SpikeBuffer buffer, SpikeBuffer::Make(sizes));
  SAED_RETURN_IF_ERROR(
      EachPiece(spikes, [&](std::span<const int64_t> units, std::span<const double> times) {
        for (size_t i = 0; i < units.size(); ++i) {
          const size_t unit = places.Of(units[i]);
          if (unit != Places::kNone) buffer.Add(unit, times[i] / divisor);
        }
        return absl::OkStatus();
      }));
  SAED_ASSIGN_OR_RETURN(std::vector<SpikeTrain> trains, buffer.Take());
  for (size_t n = 0; n < trains.size(); ++n) out.units[n].spike_times = std::move(trains[n]);
  return saw;
}

}  // namespace saed::recordings

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

// Hands all spikes to `use(units, times)`, a piece at a time.
template <class Use>
absl::Status EachPiece(const SpikePairs& spikes, const Use& use) {
  std::vector<int64_t> units(static_cast<size_t>(std::min(spikes.size, kPiece)));
  Numbers times(units.size());
  for (int64_t at = 0; at < spikes.size; at += kPiece) {
    const auto n = static_cast<size_t>(std::min(kPiece, spikes.size - at));
    SAED_RETURN_IF_ERROR(spikes.units(at, {units.data(), n}));
    SAED_RETURN_IF_ERROR(spikes.times(at, {times.data(), n}));
    SAED_RETURN_IF_ERROR(
        use(std::span<const int64_t>(units.data(), n), std::span<const double>(times.data(), n)));
  }
  return absl::OkStatus();
}

// Spikes of each unit.
absl::StatusOr<std::map<int64_t, int64_t>> Count(const SpikePairs& spikes,
                                                 const std::vector<int64_t>& known, Grouped& saw) {
  std::map<int64_t, int64_t> counts;
  for (const int64_t id : known) counts[id] = 0;
  SAED_RETURN_IF_ERROR(EachPiece(
      spikes, [&](std::span<const int64_t> units, std::span<const double> times) -> absl::Status {
        for (const double t : times) saw.whole = saw.whole && t == std::floor(t);
        for (const int64_t unit : units) {
          const auto at = known.empty() ? counts.emplace(unit, 0).first : counts.find(unit);
          if (at == counts.end()) {
            ++saw.strange;
          } else {
            ++at->second;
          }
          if (static_cast<int64_t>(counts.size()) > kMaxUnits) {
            return InvalidField(
                spikes.units_name,
                fmt::format("holds more than {} units; are these the times?", kMaxUnits));
          }
        }
        return absl::OkStatus();
      }));
  return counts;
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
  std::unordered_map<int64_t, size_t> index;
  std::vector<int64_t> sizes;
  for (const auto& [id, count] : counts) {
    index.emplace(id, out.units.size());
    out.units.emplace_back().id = id;
    sizes.push_back(count);
  }
  SAED_ASSIGN_OR_RETURN(SpikeBuffer buffer, SpikeBuffer::Make(sizes));
  SAED_RETURN_IF_ERROR(
      EachPiece(spikes, [&](std::span<const int64_t> units, std::span<const double> times) {
        for (size_t i = 0; i < units.size(); ++i) {
          const auto unit = index.find(units[i]);
          if (unit != index.end()) buffer.Add(unit->second, times[i] / divisor);
        }
        return absl::OkStatus();
      }));
  std::vector<SpikeTrain> trains = buffer.Take();
  for (size_t n = 0; n < trains.size(); ++n) out.units[n].spike_times = std::move(trains[n]);
  return saw;
}

}  // namespace saed::recordings

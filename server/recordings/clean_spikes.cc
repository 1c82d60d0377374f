#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "server/base/status_macros.h"
#include "server/recordings/clean.h"
#include "server/recordings/mend_in_place.h"
#include "server/recordings/train_faults.h"
#include "server/recordings/train_reader.h"

namespace saed::recordings {
namespace {

constexpr double kManyDuplicates = 0.01;  // of all spikes

std::string_view Plural(int64_t n) { return n == 1 ? "" : "s"; }

// Like faults in the trains of several units.
struct TrainTally {
  int64_t spikes = 0, units = 0;
  std::string first;

  template <class Where>
  void Add(int64_t count, const Where& where) {
    if (count == 0) return;
    if (units++ == 0) first = where();
    spikes += count;
  }
  std::string Line(std::string_view what) const {
    return fmt::format("{} spike{} in {} unit{} {}, the first is {}", spikes, Plural(spikes), units,
                       Plural(units), what, first);
  }
};

// Reads the spikes only where what was seen of them before does not tell.
TrainFaults FaultsOf(const SpikeTrain& times, double end, TrainReader& reader) {
  if (IsGood(times, end)) return FaultsOfGood(times);
  FaultFinder finder(end);
  reader.Each(times, [&](size_t first, std::span<const double> t) { finder.See(first, t); });
  return finder.found();
}

// Calls use(times) for piece after piece of the spikes that belong to the recording.
template <class Use>
void EachBelonging(const SpikeTrain& train, double end, TrainReader& reader, const Use& use) {
  Numbers piece;
  reader.Each(train, [&](size_t, std::span<const double> times) {
    piece.clear();
    std::copy_if(times.begin(), times.end(), std::back_inserter(piece),
                 [&](double t) { return Belongs(t, end); });
    use(std::span<const double>(piece));
  });
}

// All trains, those with faults mended, in a new file.
absl::Status MendInFile(const std::vector<TrainFaults>& faults, double end, Recording& r) {
  std::vector<int64_t> counts;
  for (size_t n = 0; n < r.units.size(); ++n) {
    counts.push_back(static_cast<int64_t>(r.units[n].spike_times.size()) - faults[n].dropped);
  }
  SAED_ASSIGN_OR_RETURN(SpikeBuffer mended, SpikeBuffer::Make(counts));
  TrainReader reader;
  for (size_t n = 0; n < r.units.size(); ++n) {
    EachBelonging(r.units[n].spike_times, end, reader,
                  [&](std::span<const double> times) { mended.Add(n, times); });
    if (faults[n].unsorted > 0) mended.Sort(n);
  }
  SAED_ASSIGN_OR_RETURN(std::vector<SpikeTrain> trains, mended.Take());
  for (size_t n = 0; n < trains.size(); ++n) r.units[n].spike_times = std::move(trains[n]);
  return absl::OkStatus();
}

absl::Status Mend(const std::vector<TrainFaults>& faults, double end, Recording& r) {
  for (size_t n = 0; n < r.units.size(); ++n) {
    SpikeTrain& train = r.units[n].spike_times;
    if (faults[n].dropped == 0 && faults[n].unsorted == 0) continue;
    if (train.in_file()) return MendInFile(faults, end, r);
    Numbers mended;
    mended.reserve(train.size() - static_cast<size_t>(faults[n].dropped));
    TrainReader reader;
    EachBelonging(train, end, reader, [&](std::span<const double> times) {
      mended.insert(mended.end(), times.begin(), times.end());
    });
    if (faults[n].unsorted > 0) SortTimes(mended);
    train = std::move(mended);
  }
  return absl::OkStatus();
}

std::string WhyNot(double time, double end) {
  if (!std::isfinite(time)) return fmt::format("{}, which is no time", time);
  if (time < 0) return fmt::format("{} s, before the recording's start", time);
  return fmt::format("{} s, past the recording's end at {} s", time, end);
}

}  // namespace

absl::Status CleanSpikes(double end, Recording& r, Notes& notes) {
  TrainTally dropped, unsorted, twice;
  int64_t all = 0;
  for (const Unit& unit : r.units) all += static_cast<int64_t>(unit.spike_times.size());
  std::optional<MendInPlace> in_place;
  if (auto file = MendInPlace::FileOf(r))
    in_place.emplace(std::move(file), static_cast<size_t>(all), end);
  TrainReader reader;
  std::vector<TrainFaults> found;
  for (Unit& unit : r.units) {
    SpikeTrain& times = unit.spike_times;
    TrainFaults faults;
    if (in_place) {
      SAED_ASSIGN_OR_RETURN(faults, in_place->Mend(times));
    } else {
      faults = FaultsOf(times, end, reader);
    }
    const auto where = [&](int64_t at, const std::string& what) {
      return fmt::format("spike {} of unit {} at {}", at + 1, unit.id, what);
    };
    const auto seconds = [](double time) { return fmt::format("{} s", time); };
    dropped.Add(faults.dropped,
                [&] { return where(faults.first_dropped, WhyNot(faults.dropped_time, end)); });
    unsorted.Add(faults.unsorted,
                 [&] { return where(faults.first_unsorted, seconds(faults.unsorted_time)); });
    twice.Add(faults.twice, [&] {
      return where(faults.first_twice,
                   seconds(faults.twice_time ? *faults.twice_time : times[faults.first_twice]));
    });
    found.push_back(faults);
  }
  if (in_place) {
    in_place->End();
  } else {
    SAED_RETURN_IF_ERROR(Mend(found, end, r));
  }
  if (dropped.spikes > 0) notes.Mended("spike_times", dropped.Line("dropped"));
  if (unsorted.spikes > 0) notes.Mended("spike_times", unsorted.Line("out of order and sorted"));
  if (static_cast<double>(twice.spikes) > kManyDuplicates * static_cast<double>(all)) {
    notes.Said("spike_times", twice.Line(fmt::format("at the time of another of the same unit, "
                                                     "{:.1f} % of all, and kept",
                                                     100.0 * static_cast<double>(twice.spikes) /
                                                         static_cast<double>(all))));
  }
  return absl::OkStatus();
}

}  // namespace saed::recordings

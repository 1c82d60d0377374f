#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "server/base/status_macros.h"
#include "server/recordings/clean.h"
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

// What one look over a train finds.
struct TrainFaults {
  int64_t dropped = 0, unsorted = 0, twice = 0;
  int64_t first_dropped = -1, first_unsorted = -1, first_twice = -1;
  // Of the first of each, s; the last is only set where the train was read.
  double dropped_time = 0, unsorted_time = 0;
  std::optional<double> twice_time;
  bool late = false;  // finite times past the end are among the dropped
};

bool Belongs(double time, double end) { return time >= 0 && time <= end && std::isfinite(time); }

// Looks at a train, a piece at a time.
class FaultFinder {
 public:
  explicit FaultFinder(double end) : end_(end) {}

  // The next spikes, of which the first is number `first` of the train.
  void See(size_t first, std::span<const double> times) {
    const double last = std::min(end_, std::numeric_limits<double>::max());
    double latest = latest_;
    for (size_t i = 0; i < times.size(); ++i) {
      const double t = times[i];
      if (t > latest && t <= last && t >= 0) {  // as nearly all
        latest = t;
        continue;
      }
      const auto at = static_cast<int64_t>(first + i);
      if (!Belongs(t, end_)) {
        Drop(at, t);
      } else if (t < latest) {
        if (found_.unsorted++ == 0)
          std::tie(found_.first_unsorted, found_.unsorted_time) = std::tuple(at, t);
      } else {
        if (t == latest && found_.twice++ == 0) {
          std::tie(found_.first_twice, found_.twice_time) = std::tuple(at, t);
        }
        latest = t;
      }
    }
    latest_ = latest;
  }
  const TrainFaults& found() const { return found_; }

 private:
  void Drop(int64_t at, double t) {
    if (found_.dropped++ == 0)
      std::tie(found_.first_dropped, found_.dropped_time) = std::tuple(at, t);
    found_.late = found_.late || (t > end_ && std::isfinite(t));
  }

  double end_, latest_ = -1;
  TrainFaults found_;
};

// Whether what was seen of a train before tells that nothing in it has to be mended.
bool IsGood(const SpikeTrain& times, double end) {
  const TrainLook* look = times.look();
  return look != nullptr && look->good && look->last <= end;
}

TrainFaults FaultsOfGood(const SpikeTrain& times) {
  TrainFaults out;
  out.twice = times.look()->twice;
  out.first_twice = times.look()->first_twice;
  return out;
}

// Reads the spikes only where what was seen of them before does not tell.
TrainFaults FaultsOf(const SpikeTrain& times, double end, TrainReader& reader) {
  if (IsGood(times, end)) return FaultsOfGood(times);
  FaultFinder finder(end);
  reader.Each(times, [&](size_t first, std::span<const double> t) { finder.See(first, t); });
  return finder.found();
}

// Mends trains where they lie in a file, one after another, each read and written once at most.
// What is left of them moves up, so that nothing lies between them.
class InPlace {
 public:
  // The file in which all trains lie in their order and of which nobody else holds a part; null
  // where there is none.
  static std::shared_ptr<SpikeFile> FileOf(const Recording& r) {
    std::shared_ptr<SpikeFile> file;
    size_t next = 0;
    long holders = 1;  // this one
    for (const Unit& unit : r.units) {
      const SpikeTrain& train = unit.spike_times;
      if (train.gathered() == nullptr && train.empty()) continue;
      if (file == nullptr) file = train.gathered();
      const size_t first = train.offset() / sizeof(double);
      if (file == nullptr || train.gathered() != file || first < next) return nullptr;
      next = first + train.size();
      ++holders;
    }
    return file != nullptr && file.use_count() == holders ? file : nullptr;
  }

  // `spikes`: of all trains.
  InPlace(std::shared_ptr<SpikeFile> file, size_t spikes, double end)
      : file_(std::move(file)), end_(end) {
    if (spikes != file_->taken()) file_->activity().Forget();  // trains were left out
  }

  absl::StatusOr<TrainFaults> Mend(SpikeTrain& train) {
    if (train.gathered() == nullptr) return TrainFaults();  // has no spikes
    const size_t to = next_;
    const bool good = IsGood(train, end_);
    if (good && train.offset() == to * sizeof(double)) {
      next_ += train.size();
      return FaultsOfGood(train);
    }
    TrainLook look;
    FaultFinder finder(end_);
    SAED_RETURN_IF_ERROR(Move(train, good ? nullptr : &finder, look));
    if (finder.found().late) file_->activity().Forget();
    if (finder.found().unsorted > 0) {
      SAED_RETURN_IF_ERROR(SortInFile(*file_, to, next_ - to, look));
    }
    const TrainFaults faults = good ? FaultsOfGood(train) : finder.found();
    train = SpikeTrain(file_, to, next_ - to, good ? *train.look() : look);
    return faults;
  }

  // After the last.
  void End() { file_->Shrink(next_); }

 private:
  // What belongs to the recording moves up; `finder` looks at it, null where nothing is wrong.
  absl::Status Move(const SpikeTrain& train, FaultFinder* finder, TrainLook& look) {
    const size_t from = train.offset() / sizeof(double);
    absl::Status status;
    reader_.Each(train, [&](size_t first, std::span<const double> times) {
      if (!status.ok()) return;
      const size_t place = from + first;
      if (finder != nullptr) {
        const int64_t before = finder->found().dropped;
        finder->See(first, times);
        if (finder->found().dropped > before) times = Belonging(times);
        look.See(times);
        if (look.good) file_->activity().Add(times);
      }
      if (next_ != place || times.data() == kept_.data()) status = file_->Write(next_, times);
      next_ += times.size();
    });
    return status;
  }

  std::span<const double> Belonging(std::span<const double> times) {
    kept_.clear();
    std::copy_if(times.begin(), times.end(), std::back_inserter(kept_),
                 [&](double t) { return Belongs(t, end_); });
    return kept_;
  }

  std::shared_ptr<SpikeFile> file_;
  double end_;
  size_t next_ = 0;  // spikes that were mended
  TrainReader reader_;
  Numbers kept_;
};

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
  std::optional<InPlace> in_place;
  if (auto file = InPlace::FileOf(r))
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

#include "server/recordings/mend_in_place.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

constexpr size_t kWhole = size_t{1} << 20;  // spikes of a train that is mended in memory

size_t FirstOf(const SpikeTrain& train) { return train.offset() / sizeof(double); }

}  // namespace

std::shared_ptr<SpikeFile> MendInPlace::FileOf(const Recording& r) {
  std::shared_ptr<SpikeFile> file;
  size_t next = 0;
  long holders = 1;  // this one
  for (const Unit& unit : r.units) {
    const SpikeTrain& train = unit.spike_times;
    if (train.gathered() == nullptr && train.empty()) continue;
    if (file == nullptr) file = train.gathered();
    if (file == nullptr || train.gathered() != file || FirstOf(train) < next) return nullptr;
    next = FirstOf(train) + train.size();
    ++holders;
  }
  return file != nullptr && file.use_count() == holders ? file : nullptr;
}

MendInPlace::MendInPlace(std::shared_ptr<SpikeFile> file, size_t spikes, double end)
    : file_(std::move(file)), end_(end) {
  if (spikes != file_->taken()) file_->activity().Forget();  // trains were left out
}

absl::StatusOr<TrainFaults> MendInPlace::Mend(SpikeTrain& train) {
  if (train.gathered() == nullptr) return TrainFaults();  // has no spikes
  const size_t to = next_;
  if (IsGood(train, end_)) {
    const TrainLook look = *train.look();
    if (FirstOf(train) == to) {
      next_ += train.size();
    } else {
      SAED_RETURN_IF_ERROR(Move(train));
      train = SpikeTrain(file_, to, next_ - to, look);
    }
    return FaultsOfGood(train);
  }
  TrainLook look;
  FaultFinder finder(end_);
  SAED_RETURN_IF_ERROR(train.size() <= kWhole ? MendWhole(train, finder, look)
                                              : MendPieces(train, finder, look));
  if (finder.found().late) file_->activity().Forget();
  train = SpikeTrain(file_, to, next_ - to, look);
  return finder.found();
}

absl::Status MendInPlace::Move(const SpikeTrain& train) {
  absl::Status status;
  reader_.Each(train, [&](size_t, std::span<const double> times) {
    if (status.ok()) status = file_->Write(next_, times);
    next_ += times.size();
  });
  return status;
}

absl::Status MendInPlace::MendWhole(const SpikeTrain& train, FaultFinder& finder, TrainLook& look) {
  kept_.resize(train.size());
  SAED_RETURN_IF_ERROR(file_->Read(FirstOf(train), kept_));
  finder.See(0, kept_);
  const TrainFaults& found = finder.found();
  if (found.dropped > 0) std::erase_if(kept_, [&](double t) { return !Belongs(t, end_); });
  if (found.unsorted > 0) SortTimes(kept_);
  look.See(kept_);
  file_->activity().Add(kept_);
  if (next_ != FirstOf(train) || found.dropped > 0 || found.unsorted > 0) {
    SAED_RETURN_IF_ERROR(file_->Write(next_, kept_));
  }
  next_ += kept_.size();
  return absl::OkStatus();
}

absl::Status MendInPlace::MendPieces(const SpikeTrain& train, FaultFinder& finder,
                                     TrainLook& look) {
  const size_t to = next_;
  absl::Status status;
  reader_.Each(train, [&](size_t first, std::span<const double> times) {
    if (!status.ok()) return;
    finder.See(first, times);
    kept_.clear();
    std::copy_if(times.begin(), times.end(), std::back_inserter(kept_),
                 [&](double t) { return Belongs(t, end_); });
    look.See(kept_);
    if (look.good) file_->activity().Add(kept_);
    status = file_->Write(next_, kept_);
    next_ += kept_.size();
  });
  if (!status.ok() || finder.found().unsorted == 0) return status;
  return SortInFile(*file_, to, next_ - to, look);
}

}  // namespace saed::recordings

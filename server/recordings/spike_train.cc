#include "server/recordings/spike_train.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/base/faults.h"
#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

constexpr size_t kHeldBack = size_t{32} << 20;  // bytes, of all units
// Spikes of a unit; no power of two, or those of all units would fall into few sets of the cache.
constexpr size_t kMostHeld = 8168, kLeastHeld = 16;
constexpr size_t kSortedInMemory = size_t{4} << 20;  // spikes
constexpr size_t kAtOnce = size_t{1} << 17;          // spikes

}  // namespace

bool operator==(const SpikeTrain& a, const SpikeTrain& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void TrainLook::See(std::span<const double> times) {
  if (seen == 0 && !times.empty()) first = times.front();
  double latest = last;
  for (size_t i = 0; i < times.size() && good; ++i) {
    const double t = times[i];
    if (t > latest) {  // as nearly all
      latest = t;
    } else if (t == latest) {
      if (twice++ == 0) first_twice = seen + static_cast<int64_t>(i);
    } else {
      good = false;
    }
  }
  last = latest;
  seen += static_cast<int64_t>(times.size());
  good = good && (seen == 0 || first >= 0) && std::isfinite(last);
}

absl::StatusOr<SpikeBuffer> SpikeBuffer::Make(const std::vector<int64_t>& counts) {
  SpikeBuffer out;
  size_t all = 0;
  for (int64_t n : counts) {
    out.first_.push_back(all);
    all += static_cast<size_t>(n);
    out.end_.push_back(all);
  }
  out.next_ = out.first_;
  const size_t units = counts.size();
  out.room_ =
      std::clamp(kHeldBack / sizeof(double) / std::max<size_t>(units, 1), kLeastHeld, kMostHeld);
  out.room_ = std::min(out.room_, std::max<size_t>(all, 1));
  out.pool_.resize(units * out.room_);
  out.held_.resize(units);
  if (all * sizeof(double) <= kSpikesInMemory) {
    out.times_.resize(units);
    for (size_t n = 0; n < units; ++n) out.times_[n].reserve(static_cast<size_t>(counts[n]));
    return out;
  }
  out.looks_.resize(units);
  SAED_ASSIGN_OR_RETURN(out.file_, SpikeFile::Create(all));
  return out;
}

bool SpikeBuffer::Failed(const absl::Status& status) {
  status_.Update(status);
  return !status_.ok();
}

void SpikeBuffer::Put(size_t unit, std::span<const double> times) {
  if (times.empty() || !status_.ok()) return;
  if (times.size() > end_[unit] - next_[unit]) {
    Failed(InvalidField("file", "changed while it was read; import it when it is finished"));
    return;
  }
  if (!file_) {
    times_[unit].insert(times_[unit].end(), times.begin(), times.end());
  } else if (!Failed(file_->Write(next_[unit], times))) {
    looks_[unit].See(times);
  }
  next_[unit] += times.size();
  if (file_ && looks_[unit].good) file_->activity().Add(times);
}

void SpikeBuffer::Flush(size_t unit) {
  Put(unit, {pool_.data() + unit * room_, held_[unit]});
  held_[unit] = 0;
}

void SpikeBuffer::Add(size_t unit, std::span<const double> times) {
  Flush(unit);
  Put(unit, times);
}

void SpikeBuffer::Sort(size_t unit) {
  Flush(unit);
  if (!status_.ok()) return;
  if (!file_) return SortTimes(times_[unit]);
  Failed(SortInFile(*file_, first_[unit], next_[unit] - first_[unit], looks_[unit]));
}

absl::StatusOr<std::vector<SpikeTrain>> SpikeBuffer::Take() {
  for (size_t n = 0; n < held_.size(); ++n) Flush(n);
  SAED_RETURN_IF_ERROR(status_);
  std::vector<SpikeTrain> out;
  for (auto& times : times_) out.emplace_back(std::move(times));
  size_t taken = 0;
  for (size_t n = 0; file_ && n < first_.size(); ++n) {
    const size_t size = next_[n] - first_[n];
    out.emplace_back(file_, first_[n], size, looks_[n]);
    taken += size;
  }
  if (file_) file_->Took(taken);
  return out;
}

void SortTimes(std::span<double> times) {
  // What is in order stays; the others, and those before them that were too late, are sorted and
  // merged in.
  std::vector<double> strays;
  size_t kept = 0;
  double latest = -std::numeric_limits<double>::infinity();  // of those kept
  const size_t most = times.size() / 8;
  for (size_t i = 0; i < times.size(); ++i) {
    const double t = times[i];
    if (t >= latest) {
      times[kept++] = latest = t;
      continue;
    }
    if (kept > 1 && t >= times[kept - 2]) {
      strays.push_back(latest);
      times[kept - 1] = latest = t;
    } else {
      strays.push_back(t);
    }
    if (strays.size() > most) {
      std::copy(strays.begin(), strays.end(), times.begin() + static_cast<std::ptrdiff_t>(kept));
      std::sort(times.begin(), times.end());
      return;
    }
  }
  std::sort(strays.begin(), strays.end());
  for (size_t to = times.size(); !strays.empty();) {
    if (kept > 0 && times[kept - 1] > strays.back()) {
      times[--to] = times[--kept];
    } else {
      times[--to] = strays.back();
      strays.pop_back();
    }
  }
}

absl::Status SortInFile(SpikeFile& file, size_t first, size_t size, TrainLook& look) {
  look = TrainLook();
  const auto see = [&](std::span<const double> times) {
    look.See(times);
    if (look.good) file.activity().Add(times);
  };
  if (size <= kSortedInMemory) {
    std::vector<double> times(size);
    SAED_RETURN_IF_ERROR(file.Read(first, times));
    SortTimes(times);
    see(times);
    return file.Write(first, times);
  }
  SortTimes(file.Mapped(first, size));
  for (size_t at = 0; at < size; at += kAtOnce) {
    see(file.Mapped(first + at, std::min(kAtOnce, size - at)));
  }
  file.map()->Release();
  return absl::OkStatus();
}

}  // namespace saed::recordings

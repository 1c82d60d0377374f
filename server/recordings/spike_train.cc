#include "server/recordings/spike_train.h"

#include <algorithm>
#include <numeric>

#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

// Spikes after which written pages are given back.
constexpr size_t kWritten = size_t{4} << 20;

}  // namespace

bool operator==(const SpikeTrain& a, const SpikeTrain& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

absl::StatusOr<SpikeBuffer> SpikeBuffer::Make(const std::vector<int64_t>& counts) {
  SpikeBuffer out;
  size_t all = 0;
  for (int64_t n : counts) {
    out.first_.push_back(all);
    all += static_cast<size_t>(n);
  }
  if (all * sizeof(double) <= kSpikesInMemory) {
    out.times_.resize(counts.size());
    for (size_t n = 0; n < counts.size(); ++n) {
      out.times_[n].reserve(static_cast<size_t>(counts[n]));
    }
    return out;
  }
  SAED_ASSIGN_OR_RETURN(out.file_, CountFile::Create(CountDirectory(), all * sizeof(double)));
  out.next_ = out.first_;
  return out;
}

void SpikeBuffer::Add(size_t unit, double time) {
  if (!file_) {
    times_[unit].push_back(time);
    return;
  }
  reinterpret_cast<double*>(file_->data())[next_[unit]++] = time;
  if (++added_ % kWritten == 0) file_->Release();
}

std::vector<SpikeTrain> SpikeBuffer::Take() {
  std::vector<SpikeTrain> out;
  for (auto& times : times_) out.emplace_back(std::move(times));
  for (size_t n = 0; file_ && n < first_.size(); ++n) {
    out.emplace_back(file_, first_[n] * sizeof(double), next_[n] - first_[n]);
  }
  if (file_) file_->Release();
  return out;
}

}  // namespace saed::recordings

// Reading trains from their start to their end, wherever they lie.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "server/recordings/spike_train.h"

namespace saed::recordings {

// In bounded memory: what was gathered in a file is read into a buffer, as mapped pages would count
// as the process's, and pages of other files are given back. Not thread-safe.
class TrainReader {
 public:
  // Calls use(first, times) for piece after piece.
  template <class Use>
  void Each(const SpikeTrain& train, const Use& use) {
    for (size_t first = 0; first < train.size(); first += kPiece) {
      use(first, Piece(train, first, std::min(kPiece, train.size() - first)));
    }
  }

 private:
  static constexpr size_t kPiece = size_t{1} << 16;     // spikes; they stay in the cache
  static constexpr size_t kReleased = size_t{4} << 20;  // spikes, mapped

  std::span<const double> Piece(const SpikeTrain& train, size_t first, size_t size) {
    if (train.gathered()) {
      buffer_.resize(kPiece);
      const std::span<double> out(buffer_.data(), size);
      if (train.gathered()->Read(train.offset() / sizeof(double) + first, out).ok()) return out;
    } else if ((mapped_ += size) > kReleased) {
      train.Release();
      mapped_ = 0;
    }
    return {train.data() + first, size};
  }

  std::vector<double> buffer_;
  size_t mapped_ = 0;
};

}  // namespace saed::recordings

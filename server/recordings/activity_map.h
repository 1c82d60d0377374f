// At which times a recording has spikes at all, coarsely: enough to know, without reading them
// again, that it is nowhere silent for long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace saed::recordings {

// Not thread-safe while spikes are added.
class ActivityMap {
 public:
  // Ascending times, none before 0.
  void Add(std::span<const double> times);
  // From here on nothing is known: there are spikes that were not added.
  void Forget() { known_ = false; }

  // Whether it is known that no stretch of [0, end) longer than `least`, s, is without a spike.
  bool NeverSilent(double end, double least) const;

 private:
  static constexpr size_t kCells = size_t{1} << 20;

  void CoverUntil(double time);

  std::vector<uint8_t> cells_;   // 1 where there is a spike
  double width_ = 1.0 / kCells;  // of a cell, s; a power of two, doubled when times go beyond
  bool known_ = true;
};

}  // namespace saed::recordings

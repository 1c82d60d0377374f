// Windows of S consecutive bins, read from a count matrix [bins, units] where it lies.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "server/base/counts.h"

namespace saed::sae {

// x' = (x − offset) / scale, per unit; empty vectors mean x' = x.
struct Normaliser {
  std::vector<float> offset, scale;
  bool identity() const { return offset.empty(); }
};

// Writes the window that starts at bin `start` into out[0, S·units), normalised.
// The caller guarantees 0 ≤ start and start + S ≤ bins. Thread-safe.
template <class T>
void ReadWindow(const CountView& counts, const Normaliser& normaliser, int64_t start, int S,
                T* out);

// Start bins of windows; all of the same length S.
using Starts = std::span<const int64_t>;

// The mean of each normalised input over the windows, [S·units]. The same bits for any number of
// threads.
std::vector<double> MeanTarget(const CountView& counts, const Normaliser& normaliser, Starts starts,
                               int S);

// The point with the least sum of distances to (at most 8192 evenly spread) windows, by Weiszfeld's
// iteration from the mean; the same bits for any number of threads.
std::vector<double> GeometricMedian(const CountView& counts, const Normaliser& normaliser,
                                    Starts starts, int S);

}  // namespace saed::sae

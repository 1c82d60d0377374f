// Whether a reconstruction keeps the rhythm of the activity (sae.md, section 6).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/sae/model.h"

namespace saed::sae {

// Power spectral density by Welch's method, one segment: periodic Hann window, mean removed,
// one-sided, density scaling; x in units u at `rate` Hz gives u²/Hz, [n/2 + 1] from 0 Hz. n ≥ 4.
std::vector<double> SegmentPower(const std::vector<double>& x, double rate);

struct Spectra {
  int64_t segments = 0;
  int segment_bins = 0;
  double bin_width = 0;                // s; frequencies are i/(segment_bins·bin_width)
  std::vector<double> target, output;  // mean over units, [segment_bins/2 + 1]
  // [units] Σ|P̂ − P| ÷ ΣP; empty for a constant unit.
  std::vector<std::optional<double>> relative_error;
};

inline constexpr double kSegmentSeconds = 2;
inline constexpr int64_t kMostSegments = 2000;

// Spectra of every unit's target and reconstruction at lag 0 (the last bin of each window), in
// normalised units, over segments of kSegmentSeconds that overlap by half, inside runs of windows
// one bin apart; of more than kMostSegments those evenly spaced. No segments where no run is long
// enough. Works in the caller's TBB arena, the same for any number of threads.
absl::StatusOr<Spectra> SpectralFidelity(const Encoder& encoder, const CountView& counts,
                                         const CountView& target, Starts starts, double bin_width,
                                         const std::function<bool()>& keep_going);

}  // namespace saed::sae

// Recordings whose hidden structure is known, to test whether a dictionary finds it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// NLDisco's simulated rat: 600 s at 100 Hz on a track of 1 m, four place cells (units 1-4) and 96
// units of constant rate. Ground truth: series `position` (m) and `velocity` (m/s); intervals
// `place_fields` (column cell: 1-4), the stretches inside a cell's field (mean ± 2 widths).
Recording SimulateRat();

// The rat's spikes as one byte per (unit, sample), row-major [100, 60000]; 1 where a spike is.
std::vector<uint8_t> RatSpikeMatrix();

struct PlantedSpec {
  int units = 100;            // N
  int features = 40;          // G
  double probability = 0.05;  // stationary probability that a feature is on
  int units_per_feature = 8;  // m
  double base_rate = 0.05;    // spikes per bin
  double gain_low = 0.5, gain_high = 1.5;
  double mean_stay = 5;  // mean length of an on-period, bins
  int64_t bins = 60000;
  double bin_width = 0.02;  // s
  uint64_t seed = 0;
};

// "easy", "mid", "hard" or "low_rate".
absl::StatusOr<PlantedSpec> PlantedLevel(std::string_view level);

absl::Status Validate(const PlantedSpec& spec);

// Features with known patterns over units, switched on and off by Markov chains; counts are Poisson
// with rate base·u_n + Σ_g amplitude_g·P[g, n]. Ground truth: intervals `planted` (column feature:
// "f00", …), the on-periods; unit columns f00, …: the patterns; series `amplitude`.
// `spec` must have passed Validate.
Recording SimulatePlanted(const PlantedSpec& spec);

}  // namespace saed::recordings

// Spikes that come as two arrays of one length: when each was, and whose.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Read a piece at a time, twice.
struct SpikePairs {
  std::string times_name, units_name;  // in messages
  int64_t size = 0;
  std::function<absl::Status(int64_t first, std::span<double> out)> times;
  std::function<absl::Status(int64_t first, std::span<int64_t> out)> units;
};

void TakeTimes(const ArrayFile& array, SpikePairs& out);
void TakeUnits(const ArrayFile& array, SpikePairs& out);

// INVALID_ARGUMENT where they are no vectors of one length.
absl::Status CheckPair(const ArrayFile& times, const ArrayFile& units);

// What GroupSpikes saw.
struct Grouped {
  bool whole = true;    // every time is a whole number
  int64_t strange = 0;  // spikes of no known unit, which were left out
};

// Adds the units by ascending id, with their spikes in the order of the arrays, each time divided
// by `divisor`. `known`: the units there are, with spikes or without; empty: those that have some.
// INVALID_ARGUMENT where there are too many.
absl::StatusOr<Grouped> GroupSpikes(const SpikePairs& spikes, double divisor,
                                    const std::vector<int64_t>& known, Recording& out);

}  // namespace saed::recordings

// What a training leaves to the server, chosen by what its view has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/sae/spec.h"

namespace saed::jobs {

// Steps count, not epochs: a small recording's epoch is a step or two, and after twenty of them
// nothing was learned.
inline constexpr int64_t kFewestSteps = 1000, kFewestEpochs = 20;
inline constexpr int64_t kManyWindows = 50'000;  // from which batches are large

// 256, or 1024 from kManyWindows training windows on.
int BatchFor(int64_t windows);
// The fewest that make kFewestSteps steps, at least kFewestEpochs.
int EpochsFor(int64_t windows, int batch_size);

// Fills in batch_size and epochs where they are 0. Returns a line for each choice: what was chosen
// and why.
std::vector<std::string> Choose(int64_t windows, sae::FitSpec& fit);

}  // namespace saed::jobs

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

// F: 48 for up to kUsualUnits units and kUsualWindows training windows. It doubles for every
// further factor of four in units or of ten in windows, at most to 384; never over four times the
// units or one for kWindowsPerFeature windows, but at least 16. Small dictionaries have features
// that stand for conditions; large ones split them, and where few windows train they learn these
// windows by heart: held out, far more latents are active.
inline constexpr int kUsualFeatures = 48, kMostFeatures = 384, kFewestFeatures = 16;
inline constexpr int64_t kUsualUnits = 300, kUsualWindows = 100'000, kWindowsPerFeature = 12;
int FeaturesFor(int64_t units, int64_t windows);
// √(4F/3): 8 of 48, 16 of 192.
int ActiveFor(int features);
// Why F and k are what they are.
std::string SizeReason(int64_t units, int64_t windows);

// Fills in batch_size and epochs where they are 0, and features and k where the model has no level
// or has one without them. Returns a line for each choice: what was chosen and why.
std::vector<std::string> Choose(int64_t units, int64_t windows, sae::FitSpec& fit);

}  // namespace saed::jobs

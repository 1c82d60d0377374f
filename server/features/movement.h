// Speed and direction of movement, from a series of positions.
//
// The channels on the bins of a view (OnBins) are smoothed by a Gaussian of kMovementSmoothing, cut
// at four standard deviations, within each run of bins that have a position; beyond a run's ends
// its last value goes on. (Of bins below 2.5 ms every second, third, … one is weighed.) The
// velocity is the central difference, at a run's ends the difference of the last two. Runs end at
// gaps and at borders of the view's segments. NaN where there is no position, and in runs of one
// bin.
#pragma once

#include <vector>

#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

inline constexpr double kMovementSmoothing = 0.25;  // s, standard deviation
inline constexpr size_t kMostDimensions = 3;
// There is no direction while the speed is below this fraction of its 95th percentile: what stands
// still points anywhere.
inline constexpr double kStill = 0.1;

// Whether a series says where something is: one to kMostDimensions channels, and its name, the
// names of its channels (x; x and y; x, y and z) or, of more than one, its unit (m, cm, mm, px …)
// says so, while none of them says that it is something else.
bool IsPosition(const recordings::Series& series);

// [bins] The velocity's length, in the series' unit per second.
std::vector<double> Speed(const recordings::Series& series, const recordings::ViewData& view);

// [bins] Of two channels the velocity's angle in (−π, π], 0 along the first channel and π/2 along
// the second; of one channel 1 where it grows and −1 where it falls. NaN where it stands still. Of
// more channels there is none: all NaN.
std::vector<double> Direction(const recordings::Series& series, const recordings::ViewData& view);

}  // namespace saed::features

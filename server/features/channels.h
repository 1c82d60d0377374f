// The channels of a recording's series, by name and on the bins of a view.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

// A series' channel on the bins of a view: the mean of the samples in a bin; between samples, where
// the next ones on both sides are at most five median sampling intervals (or two bins) apart,
// linear interpolation at the bin's centre; NaN elsewhere. Samples that are NaN count as missing.
std::vector<double> OnBins(const recordings::Series& series, size_t channel,
                           const recordings::ViewData& view);

// The series and channel that "series.channel", or "series" with one channel, names; {nullptr, 0}
// where there is none.
std::pair<const recordings::Series*, size_t> FindChannel(const recordings::Recording& recording,
                                                         std::string_view name);

// Names of all channels, as the language spells them.
std::vector<std::string> ChannelNames(const recordings::Recording& recording);

}  // namespace saed::features

// Labels that mean nothing, made of those of conditions: what negative controls are scored with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "server/features/labels.h"
#include "server/features/sides.h"
#include "server/recordings/view.h"

namespace saed::features {

// Labels that are dealt anew for a family's negative control.
inline constexpr int kControlLabels = 8;

// kControlLabels rows of labels over the windows of both sides, evenly from `members` (not empty)
// of `labels`: each rearranged (see NullLabels) over the trials of both sides together in time, as
// a context is one of training and of held-out trials. Row i is of the random stream `first` + i.
LabelRows DealtLabels(const recordings::ViewData& view, const Sides& sides, const LabelRows& labels,
                      const std::vector<size_t>& members, uint64_t first);

}  // namespace saed::features

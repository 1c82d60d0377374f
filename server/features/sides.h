// The two sides of a view's split and what holds on them, as a dictionary looks at them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/conditions.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"

namespace saed::features {

struct Sides {
  std::vector<int64_t> starts;  // training windows that are scored, then held-out ones
  int64_t train = 0;
  bool in_sample = false;  // the held-out side is the training side

  static Sides Of(const recordings::ViewData& view);
  int64_t windows() const { return static_cast<int64_t>(starts.size()); }
  int64_t test() const { return in_sample ? train : windows() - train; }
  std::vector<int64_t> TrainStarts() const;
  std::vector<int64_t> TestStarts() const;
};

using LabelRows = std::vector<std::vector<uint8_t>>;  // [condition][window]

// Of the last bins of the windows `starts`. Adds to `warnings` which conditions hang on series with
// gaps there.
absl::StatusOr<LabelRows> Labels(const recordings::Recording& recording,
                                 const recordings::ViewData& view,
                                 const std::vector<Condition>& conditions,
                                 const std::vector<int64_t>& starts,
                                 std::vector<std::string>& warnings);

// First windows of the stretches of one block of the split, by last bins; then their number. A
// window whose last bin lies across two blocks belongs to the stretch before it.
std::vector<int64_t> SplitBlocks(const recordings::ViewData& view,
                                 const std::vector<int64_t>& starts);

}  // namespace saed::features

// The two sides of a view's split, as a dictionary looks at them.
#pragma once

#include <cstdint>
#include <vector>

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

// First windows of the stretches of one block of the split, by last bins; then their number. A
// window whose last bin lies across two blocks belongs to the stretch before it.
std::vector<int64_t> SplitBlocks(const recordings::ViewData& view,
                                 const std::vector<int64_t>& starts);

}  // namespace saed::features

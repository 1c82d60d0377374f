#include "server/features/sides.h"

namespace saed::features {

Sides Sides::Of(const recordings::ViewData& view) {
  Sides out;
  out.starts = view.scored_train();
  out.train = static_cast<int64_t>(out.starts.size());
  out.in_sample = !view.train.empty() && view.test == view.train;
  if (!out.in_sample) out.starts.insert(out.starts.end(), view.test.begin(), view.test.end());
  return out;
}

std::vector<int64_t> Sides::TrainStarts() const { return {starts.begin(), starts.begin() + train}; }

std::vector<int64_t> Sides::TestStarts() const {
  return in_sample ? starts : std::vector<int64_t>(starts.begin() + train, starts.end());
}

std::vector<int64_t> SplitBlocks(const recordings::ViewData& view,
                                 const std::vector<int64_t>& starts) {
  std::vector<int64_t> out = {0};
  int32_t last = -1;
  for (size_t w = 0; w < starts.size() && !view.blocks.empty(); ++w) {
    const int32_t block = view.blocks[starts[w] + view.window - 1];
    if (block < 0 || block == last) continue;
    if (last >= 0) out.push_back(static_cast<int64_t>(w));
    last = block;
  }
  out.push_back(static_cast<int64_t>(starts.size()));
  return out;
}

}  // namespace saed::features

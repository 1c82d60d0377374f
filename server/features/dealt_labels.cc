#include "server/features/dealt_labels.h"

#include <algorithm>
#include <numeric>

#include "server/features/null_labels.h"

namespace saed::features {

LabelRows DealtLabels(const recordings::ViewData& view, const Sides& sides, const LabelRows& labels,
                      const std::vector<size_t>& members, uint64_t first) {
  const int64_t windows = sides.windows();
  std::vector<int64_t> order(windows), starts;  // in time
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return sides.starts[a] < sides.starts[b]; });
  for (const int64_t w : order) starts.push_back(sides.starts[w]);
  LabelRows in_time;
  for (int i = 0; i < kControlLabels; ++i) {
    const auto& label = labels[members[i * members.size() / kControlLabels]];
    auto& row = in_time.emplace_back();
    for (const int64_t w : order) row.push_back(label[w]);
  }
  const NullLabels null(in_time, windows, SplitBlocks(view, starts));
  LabelRows out;
  for (int i = 0; i < kControlLabels; ++i) {
    const auto dealt = null.Rearranged(i, first + i);
    auto& row = out.emplace_back(windows);
    for (int64_t w = 0; w < windows; ++w) row[order[w]] = dealt[w];
  }
  return out;
}

}  // namespace saed::features

#include "server/features/sides.h"

#include <fmt/format.h>

#include "server/base/status_macros.h"
#include "server/features/expression.h"

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

absl::StatusOr<LabelRows> Labels(const recordings::Recording& recording,
                                 const recordings::ViewData& view,
                                 const std::vector<Condition>& conditions,
                                 const std::vector<int64_t>& starts,
                                 std::vector<std::string>& warnings) {
  LabelRows labels(conditions.size());
  for (size_t c = 0; c < conditions.size(); ++c) {
    SAED_ASSIGN_OR_RETURN(const BinLabels bins,
                          Evaluate(conditions[c].expression, recording, view));
    labels[c].resize(starts.size());
    int64_t unknown = 0;
    for (size_t w = 0; w < starts.size(); ++w) {
      const int64_t bin = starts[w] + view.window - 1;
      labels[c][w] = bins.holds[bin];
      unknown += !bins.known.empty() && !bins.known[bin];
    }
    if (unknown > 0) {
      warnings.push_back(
          fmt::format("condition '{}': the series has no samples in {} of {} "
                      "windows, which count as not holding; a mask or a time range "
                      "would leave them out",
                      conditions[c].name, unknown, starts.size()));
    }
  }
  return labels;
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

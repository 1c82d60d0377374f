#include "server/features/events.h"

#include <algorithm>

namespace saed::features {

Events::Events(const LabelRows& labels, const std::vector<int64_t>& starts,
               const std::vector<int64_t>& blocks)
    : first_(labels.size()), without_(labels.size(), 0) {
  const auto windows = std::ssize(starts);
  std::vector<uint8_t> begins(windows, 0);
  for (const int64_t b : blocks) {
    if (b < windows) begins[b] = 1;
  }
  int64_t stride = INT64_MAX;
  for (int64_t w = 1; w < windows; ++w) stride = std::min(stride, starts[w] - starts[w - 1]);
  for (int64_t w = 1; w < windows; ++w) begins[w] |= starts[w] - starts[w - 1] > stride;
  for (size_t c = 0; c < labels.size(); ++c) {
    const auto& label = labels[c];
    for (int64_t w = 0; w < windows; ++w) {
      if (label[w] == kOutside || (w > 0 && !begins[w] && label[w - 1] == label[w])) continue;
      if (label[w] == kHolds) {
        first_[c].push_back(static_cast<int32_t>(w));
      } else {
        ++without_[c];
      }
    }
  }
}

std::vector<int64_t> Events::ActiveIn(const Activations& activations,
                                      const WindowConditions& conditions) const {
  std::vector<int64_t> out(first_.size(), 0);
  std::vector<size_t> begun(first_.size(), 0), counted(first_.size(), 0);
  for (const auto& part : conditions.parts) {
    for (const auto& [w, value] : activations) {
      const int32_t place = part.of.scope.Place(w);
      if (place < 0) continue;
      for (int64_t at = part.begin[place]; at < part.begin[place + 1]; ++at) {
        const int32_t c = part.condition[at];
        while (begun[c] < first_[c].size() && first_[c][begun[c]] <= w) ++begun[c];
        out[c] += begun[c] != counted[c];
        counted[c] = begun[c];
      }
    }
  }
  return out;
}

}  // namespace saed::features

// Events of labels: the stretches of windows in which one holds, cut where trials or blocks of time
// begin and where windows are missing. Windows of one event are alike, so support counts events.
#pragma once

#include <cstdint>
#include <vector>

#include "server/features/association.h"
#include "server/features/labels.h"

namespace saed::features {

class Events {
 public:
  // labels[c][w] of the windows that begin at `starts`, ascending; `blocks` as from TimeBlocks.
  Events(const LabelRows& labels, const std::vector<int64_t>& starts,
         const std::vector<int64_t>& blocks);

  // Stretches in which label c holds, and those in which it holds not.
  int64_t holding(size_t c) const { return std::ssize(first_[c]); }
  int64_t without(size_t c) const { return without_[c]; }
  // Of each label the events in which a latent is active. `conditions`: of the same labels.
  std::vector<int64_t> ActiveIn(const Activations& activations,
                                const WindowConditions& conditions) const;

 private:
  std::vector<std::vector<int32_t>> first_;  // windows of each label, ascending
  std::vector<int64_t> without_;
};

}  // namespace saed::features

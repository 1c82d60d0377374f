// All features of a dictionary against all continuous variables.
#pragma once

#include <cstdint>
#include <vector>

#include "server/features/dictionary.h"

namespace saed::features {

// The variables of one view, prepared on both sides of its split.
class VariableTable {
 public:
  // `starts`: training windows, then held-out ones; in_sample: the training windows are the
  // held-out ones. `blocks`: of the held-out windows, see VariableSide.
  VariableTable(const std::vector<Variable>& variables, const recordings::Recording& recording,
                const recordings::ViewData& view, const std::vector<int64_t>& starts, int64_t train,
                bool in_sample, const std::vector<int64_t>& blocks);

  size_t size() const { return summaries_.size(); }
  const std::vector<VariableSummary>& summaries() const { return summaries_; }

  // Every variable for one feature, without q. p-values only where it is active in kMinimumSupport
  // training windows. Thread-safe.
  std::vector<VariableScores> Score(const Activations& train, const Activations& test,
                                    uint64_t stream) const;

 private:
  std::vector<VariableSummary> summaries_;
  std::vector<VariableSide> train_, test_;
};

}  // namespace saed::features

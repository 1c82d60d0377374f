// All features of a dictionary against all continuous variables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/features/association.h"
#include "server/features/variable_side.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"
#include "server/sae/evidence.h"

namespace saed::features {

struct VariableSummary {
  std::string name;
  bool circular = false;
  std::vector<double> edges;                             // of the tuning bins
  std::vector<int64_t> train_occupancy, test_occupancy;  // windows
  int64_t train_windows = 0, test_windows = 0;           // with a value
  // The single unit with the highest training |Spearman|.
  std::optional<int64_t> best_unit;
  std::optional<double> best_unit_train, best_unit_test;
};

// How one feature goes with one variable, judged by its code or by the kind of evidence with the
// highest |Spearman| on training windows.
struct VariableScores {
  std::optional<sae::EvidenceKind> kind;  // none: by the code
  std::optional<double> train_spearman, test_spearman;
  std::optional<double> code_train_spearman, code_test_spearman;
  std::optional<double> train_information, test_information;  // bits
  std::optional<double> p, q;                                 // of the held-out Spearman
  std::vector<float> train_tuning, test_tuning;               // [kTuningBins]
  std::vector<float> quartiles;  // of a graded score on training windows with a value
};

// The variables of one view, prepared on both sides of its split. Thread-safe after construction.
class VariableTable {
 public:
  // `starts`: training windows, then held-out ones; in_sample: the training windows are the
  // held-out ones. `blocks`: of the held-out windows, see VariableSide.
  VariableTable(const std::vector<Variable>& variables, const recordings::Recording& recording,
                const recordings::ViewData& view, const std::vector<int64_t>& starts, int64_t train,
                bool in_sample, const std::vector<int64_t>& blocks);

  size_t size() const { return summaries_.size(); }
  const std::vector<VariableSummary>& summaries() const { return summaries_; }

  // Every variable for one feature, judged by its code, without p and q.
  std::vector<VariableScores> ByCode(const Activations& train, const Activations& test) const;

  // Where a kind of evidence of training windows (an entry for each) has a higher |Spearman| than
  // what judges the feature so far, it takes its place; the first among equals stays.
  struct Evidence {
    sae::EvidenceKind kind;
    const Ordered* train;
  };
  void Judge(const std::vector<Evidence>& kinds, std::vector<VariableScores>& out) const;

  // Held-out scores, and p, of the variables that this kind judges (none: the code), from held-out
  // windows, also in order. No p where the held-out side is the training side, on which the kind
  // was chosen. `features`: of the dictionary, for the number of draws.
  void Certify(std::optional<sae::EvidenceKind> kind, const Activations& test,
               const Ordered& ordered, uint64_t stream, int64_t features,
               std::vector<VariableScores>& out) const;

 private:
  // Of a score, for each variable of `sides`; those with values in the same windows share.
  template <class Score, class Made>
  class Ranks;
  using CodeRanks = Ranks<Activations, RankedCode>;
  using GradedRanks = Ranks<Graded, Ranked>;
  void JudgeOne(size_t v, const std::vector<Evidence>& kinds, const std::vector<Ranked>& ranked,
                VariableScores& out) const;

  std::vector<VariableSummary> summaries_;
  std::vector<VariableSide> train_, test_;
  std::vector<size_t> train_like_, test_like_;  // the first variable with the same windows
  bool in_sample_;
};

}  // namespace saed::features

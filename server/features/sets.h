// Small sets of columns (scores of latents, or counts of units) that stand together for a
// condition: chosen step by step on training windows, with a weight for each member.
//
// A set's score in a window is Σ weight·(value − mean)/sd over its members. The weights are those
// of Fisher's linear discriminant (Fisher 1936): (W + kSetRidge·I)⁻¹·d, where d is the difference
// of the members' means, in units of their sd, between windows where the condition holds and
// others, and W the mean of their covariances within the two, so that a rare condition counts as
// much as the rest. A step takes the column that does best with those taken so far: of the
// kSetContenders whose discriminant separates best (dᵀ(W + ridge)⁻¹d), the one whose score has the
// highest AUROC.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "server/features/association.h"

namespace saed::features {

inline constexpr size_t kMostMembers = 5;
inline constexpr size_t kSetContenders = 24;
inline constexpr double kSetRidge = 0.03;
// The smallest set is taken whose validated AUROC is this close to the best of any size.
inline constexpr double kSetMargin = 0.005;
inline constexpr int kSetFolds = 4;

// Candidates over the rows of a search, standardised.
class SetColumns {
 public:
  struct About {
    int32_t group = 0;  // of the columns of one group a set has at most one
    double mean = 0, sd = 0;
  };

  explicit SetColumns(int64_t rows) : rows_(rows) {}

  // A column with a value for every row, 0 where there is none. One that does not vary never
  // becomes a member.
  void Add(int32_t group, const Activations& values);

  int64_t rows() const { return rows_; }
  size_t size() const { return about_.size(); }
  const About& about(size_t column) const { return about_[column]; }
  // (value − mean)/sd of each row.
  std::span<const float> Column(size_t column) const {
    return {values_.data() + column * rows_, static_cast<size_t>(rows_)};
  }

 private:
  int64_t rows_;
  std::vector<About> about_;
  std::vector<float> values_;  // [columns, rows]
};

// How a set grew.
struct Growth {
  std::vector<int32_t> columns;              // in the order in which they were taken
  std::vector<std::vector<double>> weights;  // weights[n]: of the first n + 1 of them
};

// From the rows where used[row] is 1, labelled label[row], none of them outside. Empty where one
// class has no row or no column varies.
Growth GrowSet(const SetColumns& columns, const std::vector<uint8_t>& label,
               const std::vector<uint8_t>& used, size_t most = kMostMembers);

// Of the set of the first weights.size() columns, in every row; summed in double precision.
std::vector<float> SetScores(const SetColumns& columns, const std::vector<int32_t>& members,
                             const std::vector<double>& weights);

// AUROC of finite scores in the rows where used[row] is 1; ties count half. Empty where one class
// has none.
std::optional<double> AurocWhere(const std::vector<float>& scores,
                                 const std::vector<uint8_t>& label,
                                 const std::vector<uint8_t>& used);

struct ChosenSet {
  Growth growth;  // from all rows
  // Per size, of growth's sets on the rows that chose them; and the mean over folds of sets that
  // were chosen on the other folds.
  std::vector<std::optional<double>> train, validated;
  size_t size = 0;  // see kSetMargin; 0 where there is no set
};

// `fold` [rows], in [0, kSetFolds): rows of one stretch of time belong to one fold, because
// neighbours are alike and a set that was fitted to one knows the other. Where no fold has both
// classes, the size is 1. Rows outside are left out.
ChosenSet ChooseSet(const SetColumns& columns, const std::vector<uint8_t>& label,
                    const std::vector<uint8_t>& fold);
// The same for each of several labels, side by side, so that columns are read once for all of them.
// Works in the caller's TBB arena; the same for any number of threads.
std::vector<ChosenSet> ChooseSets(const SetColumns& columns,
                                  const std::vector<std::vector<uint8_t>>& labels,
                                  const std::vector<uint8_t>& fold);

}  // namespace saed::features

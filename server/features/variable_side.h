// How scores of features go with one continuous variable on one side of a split: what a feature
// does along a position, a speed, a contrast (sae.md, section 7).
//
// A score is sparse (a code, zero but in active windows: Activations) or graded (evidence, a value
// in every window: Ranked).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/features/association.h"
#include "server/features/variables.h"

namespace saed::features {

inline constexpr int kTuningBins = 20;
inline constexpr int kVariableShifts = 1000;
// Where pairs times windows are more than kManyShifted, and of graded scores.
inline constexpr int kFewerVariableShifts = 200;
inline constexpr int64_t kManyShifted = 50'000'000;
inline constexpr int kLevels = 4;  // of a score, for mutual information

// A graded score of every window of a side, with its windows in ascending order.
struct Graded {
  std::vector<float> value;    // [windows]
  std::vector<int32_t> order;  // by value, then by window

  // `every`: an entry for each window.
  explicit Graded(const Ordered& every);
};

// The part of a graded score that lies in windows in which a variable has a value.
struct Ranked {
  std::vector<float> value;       // of those windows, in time order
  std::vector<double> deviation;  // average rank less the mean
  double square = 0;              // Σ deviation²
  std::vector<float> quartiles;   // three; empty where there are fewer than kLevels windows
};

// The part of a code that lies in those windows.
struct RankedCode {
  Activations known;              // by place among them, ascending
  std::vector<double> deviation;  // rank of each, ties averaged, less that of the silent windows
  double total = 0, square = 0;   // Σ deviation; Σ (rank − mean)² of all windows

  // Σ deviation times what the part of a variable has there.
  double SumWith(const std::vector<double>& part) const;
};

// One side of a split, prepared for any number of features: windows with a value, in time order.
class VariableSide {
 public:
  // `variable`: its values in the side's windows; NaN: none. `edges`: of the tuning curve,
  // kTuningBins + 1 or none. `blocks`: first windows of blocks whose values may change places (as
  // SplitBlocks), then the number of windows; fewer than kBlocksToDeal + 1 entries: windows are
  // shifted instead.
  VariableSide(const Variable& variable, const std::vector<double>& edges,
               const std::vector<int64_t>& blocks);

  int64_t windows() const { return windows_; }
  const std::vector<int64_t>& occupancy() const { return occupancy_; }  // [kTuningBins]
  // Whether the same windows have a value, so that one Ranked or RankedCode serves
  // both.
  bool SameWindows(const VariableSide& other) const { return known_ == other.known_; }

  Ranked Rank(const Graded& scores) const;
  RankedCode Rank(const Activations& code) const;

  // Spearman's rank correlation of score and value, ties averaged. Of a circular variable the
  // circular-linear correlation of the score's ranks and the angle (Mardia 1976), from 0 to 1: the
  // multiple correlation with its cosine and sine. Empty where one of them is constant.
  std::optional<double> Spearman(const RankedCode& code) const;
  std::optional<double> Spearman(const Ranked& score) const;

  // Of the correlation, two-sided: the values are moved against the score by `draws` random shifts,
  // or their blocks dealt out anew and turned; (1 + those with a correlation as large) ÷
  // (1 + all), stopped early as NullLabels.
  std::optional<double> PValue(const RankedCode& code, uint64_t stream,
                               int draws = kVariableShifts) const;
  std::optional<double> PValue(const Ranked& score, uint64_t stream,
                               int draws = kVariableShifts) const;

  // Mutual information in bits between the score's level and the tuning bin, less its bias (Miller
  // 1955); may be slightly negative. Levels of a code: none, or which third as `limits` cut them
  // (ActivationLevels); of a graded score which quarter (quartiles of training windows). Empty
  // without edges or, of a graded score, without quartiles.
  std::optional<double> Information(const RankedCode& code, const std::vector<float>& limits) const;
  std::optional<double> Information(const Ranked& score, const std::vector<float>& quartiles) const;

  // [kTuningBins] mean score over windows; NaN where there are none.
  std::vector<float> Tuning(const RankedCode& code) const;
  std::vector<float> Tuning(const Ranked& score) const;

 private:
  class Rearranged;

  // Correlation of sums of deviation times part.
  std::optional<double> Correlation(const std::vector<double>& sums, double square) const;
  template <class Sums>
  std::optional<double> Exceeding(double seen, uint64_t stream, int draws, const Sums& sums) const;

  int64_t windows_ = 0;         // with a value
  std::vector<int64_t> known_;  // position of each window among those with a value, or −1
  bool circular_ = false;
  // What a score's ranks go with, each of mean 0 over those windows: the value's rank; of a
  // circular one orthonormal combinations of cosine and sine.
  std::vector<std::vector<double>> parts_;
  double part_square_ = 0;  // Σ part²
  // Twice the part, whole numbers, where there is one of so few windows that they fit; else none.
  std::vector<int16_t> doubled_;
  std::vector<int32_t> bin_;  // tuning bin of windows with a value
  std::vector<int64_t> occupancy_;
  std::vector<int64_t> blocks_;  // in positions among windows with a value
};

// kTuningBins + 1 edges of equal width between the 0.5th and the 99.5th percentile; empty where
// those are equal or nothing is known. Values outside count in the outer bins. Of a circular
// variable from −π to π.
std::vector<double> TuningEdges(const Variable& variable);

// Two limits that cut the positive activations into thirds; empty where there are fewer than three.
std::vector<float> ActivationLevels(const Activations& activations);

// Mutual information in bits of a table of counts [levels, bins], less its bias (Miller 1955).
double TableInformation(const std::vector<double>& table, int levels);

}  // namespace saed::features

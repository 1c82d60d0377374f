// Maps of features over positions in a plane: how long something was where, what a feature did
// there, and how much that says of where it is.
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

inline constexpr int kMostPlaceBins = 20;   // along each axis
inline constexpr int kFewestPlaceBins = 4;  // where there are fewer windows than that needs: none
inline constexpr double kWindowsPerPlace = 25;  // training windows a bin, on average
inline constexpr int64_t kLeastInPlace = 5;     // windows; bins with fewer are left out
inline constexpr size_t kMaxPlaces = 4;         // series

// The bins of one series: two channels that are a position (IsPosition), x and y.
struct PlaceSummary {
  std::string series;
  std::vector<double> x_edges,
      y_edges;  // of equal width, between training percentiles 0.5 and 99.5
  // [y bins, x bins] windows; values outside the edges count in the outer bins.
  std::vector<int64_t> train_occupancy, test_occupancy;
};

// One feature on one map, judged by its code or by the kind of evidence with the most information
// on training windows.
struct PlaceScores {
  std::optional<sae::EvidenceKind> kind;  // none: by the code
  // Mutual information in bits of the score's level and the bin, less its bias (see VariableSide).
  // That the kind with the most was chosen makes it too high on training windows.
  std::optional<double> train_information, test_information;
  // Of the code, Σ p_i·(λ_i/λ)·log₂(λ_i/λ) in bits per unit of activation (Skaggs, McNaughton,
  // Gothard & Markus 1993): p_i fraction of the windows in bin i, λ_i its mean activation there, λ
  // its mean over bins that are not left out. Never below 0, and too high where windows are few:
  // of n windows in B bins by about (B − 1)·c²/(2·n·ln 2), c being sd ÷ mean of the activation,
  // more where neighbouring windows are alike. Empty where it is silent.
  std::optional<double> code_train_spatial, code_test_spatial;
  // [y bins, x bins] mean of what judges it; NaN in bins that are left out.
  std::vector<float> train_map, test_map;
  std::vector<float> quartiles;  // of a graded score on training windows
};

// The maps of one view, prepared on both sides of its split. Thread-safe after construction.
class PlaceMaps {
 public:
  // As VariableTable.
  PlaceMaps(const recordings::Recording& recording, const recordings::ViewData& view,
            const std::vector<int64_t>& starts, int64_t train, bool in_sample);

  size_t size() const { return summaries_.size(); }
  const std::vector<PlaceSummary>& summaries() const { return summaries_; }

  // Every map of one feature, judged by its code.
  std::vector<PlaceScores> ByCode(const Activations& train, const Activations& test) const;
  // Where evidence of training windows has more information, it takes the place of what judges.
  void Judge(sae::EvidenceKind kind, const Activations& train, std::vector<PlaceScores>& out) const;
  // Held-out scores of the maps that this kind judges.
  void Certify(sae::EvidenceKind kind, const Activations& test,
               std::vector<PlaceScores>& out) const;

 private:
  struct Side {
    std::vector<int32_t> bin;  // of each window; -1: no position, or left out
    std::vector<int64_t> occupancy;
    int64_t windows = 0;  // in bins
  };
  // Scores of every window, zeros too.
  static std::vector<float> Map(const Side& side, const Activations& scores);
  static std::optional<double> Spatial(const Side& side, const Activations& code);
  static std::optional<double> Information(const Side& side, const Activations& scores,
                                           const std::vector<float>& limits, bool graded);
  static std::vector<float> Quartiles(const Side& side, const Activations& every);

  std::vector<PlaceSummary> summaries_;
  std::vector<Side> train_, test_;
};

}  // namespace saed::features

// AUROCs of drawn blocks of windows: what a bootstrap needs again and again.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cstdint>
#include <vector>

#include "server/features/association.h"

namespace saed::features {

inline constexpr int kDrawsAtOnce = 8;

// One latent's values, and the blocks [blocks[b], blocks[b + 1]) of windows that are drawn as a
// whole. Windows outside count on neither side.
class DrawnAurocs {
 public:
  // Either by how many pairs the positives of each block win against the negatives of each, which
  // costs blocks² a draw, or along the order of the values, which costs windows. All numbers are
  // whole or halves, so that both give the same bits.
  enum class By { kPairs, kOrder, kCheaper };

  DrawnAurocs(const Ordered& values, const std::vector<uint8_t>& label,
              const std::vector<int64_t>& blocks, By by = By::kCheaper);

  // Adds the AUROCs of the first `draws` of kDrawsAtOnce whose weights are [blocks, kDrawsAtOnce];
  // none of a draw that lacks one of the classes.
  void Add(const uint8_t* weight, int draws, std::vector<double>& out) const;

 private:
  // A window in the order of values.
  struct Drawn {
    int32_t block;
    uint8_t positive;
    uint8_t ends_tie;  // whether the next window has another value
  };
  using Draws = Eigen::Array<double, kDrawsAtOnce, 1>;
  using Weights = Eigen::Matrix<double, kDrawsAtOnce, Eigen::Dynamic>;

  void CountPairs();
  Draws WonInOrder(const Weights& weights) const;

  // By class (kHoldsNot, kHolds), windows of each block of which the condition asks, and those that
  // are inactive.
  std::array<Eigen::VectorXd, 2> all_, inactive_;
  std::vector<Drawn> order_;
  // Pairs that positives of the row's block win against negatives of the column's, ties half; empty
  // where draws go along the order.
  Eigen::MatrixXd pairs_;
};

}  // namespace saed::features

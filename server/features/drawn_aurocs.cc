#include "server/features/drawn_aurocs.h"

namespace saed::features {

DrawnAurocs::DrawnAurocs(const Ordered& values, const std::vector<uint8_t>& label,
                         const std::vector<int64_t>& blocks, By by) {
  constexpr int64_t kCheap = 4;  // blocks² a window that cost as much
  const auto count = std::ssize(blocks) - 1;
  for (auto* of : {&all_, &inactive_}) of->fill(Eigen::VectorXd::Zero(count));
  std::vector<int32_t> block_of(label.size());
  for (int64_t b = 0; b < count; ++b) {
    for (int64_t w = blocks[b]; w < blocks[b + 1]; ++w) {
      block_of[w] = static_cast<int32_t>(b);
      if (label[w] != kOutside) all_[label[w] == kHolds][b] += 1;
    }
  }
  inactive_ = all_;
  const Activations& sorted = values.entries();
  order_.reserve(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto& [w, value] = sorted[i];
    if (label[w] != kOutside) {
      order_.push_back({block_of[w], label[w], 0});
      inactive_[label[w]][block_of[w]] -= 1;
    }
    // Whichever of equals is the last that counts.
    const bool ends = i + 1 == sorted.size() || sorted[i + 1].second != value;
    if (ends && !order_.empty()) order_.back().ends_tie = 1;
  }
  const bool cheaper = count * count <= kCheap * std::ssize(order_);
  if (by == By::kPairs || (by == By::kCheaper && cheaper)) CountPairs();
}

void DrawnAurocs::CountPairs() {
  const auto count = all_[0].size();
  pairs_ = inactive_[1] * inactive_[0].transpose() / 2;
  Eigen::VectorXd below = inactive_[0];
  // Row by row in memory while it is filled.
  Eigen::MatrixXd won = Eigen::MatrixXd::Zero(count, count);
  for (size_t begin = 0, end = 0; begin < order_.size(); begin = end) {
    while (order_[end++].ends_tie == 0) continue;
    const auto raise = [&] {
      for (size_t i = begin; i < end; ++i) below[order_[i].block] += order_[i].positive ? 0 : 0.5;
    };
    raise();
    for (size_t i = begin; i < end; ++i) {
      if (order_[i].positive) won.col(order_[i].block) += below;
    }
    raise();
  }
  pairs_ += won.transpose();
}

// Pairs won by positives, ties half, from the inactive windows upwards.
DrawnAurocs::Draws DrawnAurocs::WonInOrder(const Weights& weights) const {
  Draws below = (weights * inactive_[0]).array();
  Draws won = (weights * inactive_[1]).array() * below / 2;
  std::array<Draws, 2> tie = {Draws::Zero(), Draws::Zero()};
  for (const Drawn& d : order_) {
    tie[d.positive] += weights.col(d.block).array();
    if (!d.ends_tie) continue;
    won += tie[1] * (below + tie[0] / 2);
    below += tie[0];
    tie[0].setZero();
    tie[1].setZero();
  }
  return won;
}

void DrawnAurocs::Add(const uint8_t* weight, int draws, std::vector<double>& out) const {
  const auto count = all_[0].size();
  using Stored = Eigen::Matrix<uint8_t, kDrawsAtOnce, Eigen::Dynamic>;
  const Weights weights = Eigen::Map<const Stored>(weight, kDrawsAtOnce, count).cast<double>();
  const Draws won = pairs_.size() > 0
                        ? Draws((weights * pairs_).cwiseProduct(weights).rowwise().sum().array())
                        : WonInOrder(weights);
  const Draws negative = (weights * all_[0]).array(), positive = (weights * all_[1]).array();
  for (int i = 0; i < draws; ++i) {
    if (negative[i] != 0 && positive[i] != 0) out.push_back(won[i] / (positive[i] * negative[i]));
  }
}

}  // namespace saed::features

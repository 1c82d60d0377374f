#include "server/features/components.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "server/sae/random.h"

namespace saed::features {
namespace {

using Eigen::MatrixXd;
using Eigen::MatrixXf;
using Eigen::VectorXd;
using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr uint64_t kStartSeed = 0x494341;
constexpr double kSmallestVariance = 1e-5;

// Standardised columns, and the directions in which they vary most.
struct Principal {
  RowMatrix standardised;  // [rows, columns]
  VectorXd inverse;        // 1/σ of each column, 0 where it does not vary
  MatrixXd directions;     // [columns, components], orthonormal
  VectorXd variances;      // [components], falling
};

RowMatrix Standardise(const CountRows& counts, VectorXd& inverse) {
  RowMatrix x = Eigen::Map<const RowMatrix>(counts.values.data(), counts.rows, counts.columns);
  inverse = VectorXd::Zero(counts.columns);
  for (int j = 0; j < counts.columns; ++j) {
    const VectorXd column = x.col(j).cast<double>();
    const double mean = column.mean();
    const double sd = std::sqrt((column.array() - mean).square().mean());
    if (sd > 1e-6 * std::abs(mean)) inverse[j] = 1 / sd;
    x.col(j) = ((column.array() - mean) * inverse[j]).cast<float>();
  }
  return x;
}

Principal Decompose(const CountRows& counts, int most) {
  Principal out;
  if (counts.rows == 0 || counts.columns == 0 || most < 1) return out;
  out.standardised = Standardise(counts, out.inverse);
  const MatrixXf covariance =
      out.standardised.transpose() * out.standardised / static_cast<float>(counts.rows);
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(covariance.cast<double>());
  const VectorXd& values = solver.eigenvalues();  // ascending
  const double least = kSmallestVariance * values[values.size() - 1];
  int kept = 0;
  while (kept < std::min(most, counts.columns) && values[values.size() - 1 - kept] > least) ++kept;
  out.directions = solver.eigenvectors().rightCols(kept).rowwise().reverse();
  out.variances = values.tail(kept).reverse();
  return out;
}

// Rows of `combinations` [components, directions] of the directions, in raw columns.
ComponentWeights InRawColumns(const MatrixXd& combinations, const Principal& principal) {
  const MatrixXd weights =
      combinations * principal.directions.transpose() * principal.inverse.asDiagonal();
  ComponentWeights out(weights.rows());
  for (Eigen::Index k = 0; k < weights.rows(); ++k) {
    for (Eigen::Index j = 0; j < weights.cols(); ++j) out[k].push_back(weights(k, j));
  }
  return out;
}

// (W·Wᵀ)^(−1/2)·W.
MatrixXd Decorrelated(const MatrixXd& w) {
  return Eigen::SelfAdjointEigenSolver<MatrixXd>(w * w.transpose()).operatorInverseSqrt() * w;
}

// Of whitened rows [rows, directions]: rotations [components, directions].
MatrixXd Rotate(const MatrixXf& whitened) {
  const Eigen::Index n = whitened.cols();
  const auto rows = static_cast<float>(whitened.rows());
  const sae::CounterRandom random(kStartSeed, 0);
  MatrixXd w(n, n);
  for (Eigen::Index i = 0; i < n * n; ++i) w(i / n, i % n) = random.Normal(i);
  w = Decorrelated(w);
  for (int step = 0; step < kIcaIterations; ++step) {
    const MatrixXf g = (whitened * w.transpose().cast<float>()).array().tanh();
    const Eigen::VectorXf slope =
        1 - g.array().square().colwise().sum().transpose() / rows;  // mean of g'
    const MatrixXf pull = g.transpose() * whitened / rows;
    const MatrixXd next = Decorrelated(pull.cast<double>() - slope.cast<double>().asDiagonal() * w);
    const double moved = (1 - next.cwiseProduct(w).rowwise().sum().array().abs()).abs().maxCoeff();
    w = next;
    if (moved < kIcaTolerance) break;
  }
  return w;
}

}  // namespace

ComponentWeights PrincipalComponents(const CountRows& counts, int most) {
  const Principal principal = Decompose(counts, most);
  const auto kept = principal.variances.size();
  if (kept == 0) return {};
  return InRawColumns(MatrixXd::Identity(kept, kept), principal);
}

ComponentWeights IndependentComponents(const CountRows& counts, int most) {
  const Principal principal = Decompose(counts, most);
  if (principal.variances.size() == 0) return {};
  const MatrixXd whitening =
      principal.directions * principal.variances.cwiseSqrt().cwiseInverse().asDiagonal();
  const MatrixXf whitened = principal.standardised * whitening.cast<float>();
  const MatrixXd scale = principal.variances.cwiseSqrt().cwiseInverse().asDiagonal();
  return InRawColumns(Rotate(whitened) * scale, principal);
}

}  // namespace saed::features

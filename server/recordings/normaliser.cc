#include "server/recordings/normaliser.h"

#include <algorithm>
#include <cmath>

#include "server/recordings/binning.h"

namespace saed::recordings {

void FitNormaliser(NormaliserKind kind, ViewData& data) {
  if (kind == NormaliserKind::kNone) return;
  const auto units = static_cast<int64_t>(data.units.size());
  const CountView counts = data.counts();
  data.offset.assign(units, 0);
  data.scale.assign(units, 1);
  // Row by row, as the counts may be in a file; in two passes, so that no digits cancel.
  std::vector<double> mean(units), squares(units), least(units, INFINITY), most(units, -INFINITY);
  int64_t rows = 0;
  const auto each_training_row = [&](const auto& use) {
    for (int64_t i = 0; i < data.bins; ++i) {
      if (data.sides[i] == Side::kTrain) use(i * units);
    }
    data.Release();
  };
  each_training_row([&](int64_t at) {
    for (int64_t n = 0; n < units; ++n) {
      const double v = ValueAt(counts, at + n);
      mean[n] += v;
      least[n] = std::min(least[n], v);
      most[n] = std::max(most[n], v);
    }
    ++rows;
  });
  for (double& m : mean) m /= static_cast<double>(rows);
  const bool zscore = kind == NormaliserKind::kZscore;
  if (zscore) {
    each_training_row([&](int64_t at) {
      for (int64_t n = 0; n < units; ++n)
        squares[n] += std::pow(ValueAt(counts, at + n) - mean[n], 2);
    });
  }
  for (int64_t n = 0; n < units; ++n) {
    const double sd = std::sqrt(squares[n] / static_cast<double>(rows));
    const double scale = zscore ? sd : most[n] - least[n];
    data.offset[n] = static_cast<float>(zscore ? mean[n] : least[n]);
    data.scale[n] = scale > 0 ? static_cast<float>(scale) : 1.0f;
  }
}

}  // namespace saed::recordings

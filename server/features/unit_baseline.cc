#include "server/features/unit_baseline.h"

#include "server/sae/parallel.h"

namespace saed::features {
namespace {

// Spikes of one unit before every bin, [bins + 1].
std::vector<double> SpikesBefore(const CountView& counts, int unit) {
  std::vector<double> out(counts.bins + 1, 0);
  for (int64_t t = 0; t < counts.bins; ++t) {
    const int64_t at = t * counts.units + unit;
    double count = 0;
    switch (counts.dtype) {
      case DType::kU8:
        count = static_cast<const uint8_t*>(counts.data)[at];
        break;
      case DType::kU16:
        count = static_cast<const uint16_t*>(counts.data)[at];
        break;
      case DType::kF32:
        count = static_cast<const float*>(counts.data)[at];
        break;
    }
    out[t + 1] = out[t] + count;
  }
  return out;
}

Activations CountsOf(const std::vector<double>& before, const std::vector<int64_t>& starts,
                     int window) {
  Activations out;
  for (size_t w = 0; w < starts.size(); ++w) {
    const double count = before[starts[w] + window] - before[starts[w]];
    if (count > 0) out.emplace_back(static_cast<int64_t>(w), static_cast<float>(count));
  }
  return out;
}

}  // namespace

Activations UnitCounts(const recordings::ViewData& view, int unit,
                       const std::vector<int64_t>& starts) {
  return CountsOf(SpikesBefore(view.counts(), unit), starts, view.window);
}

std::vector<std::optional<UnitScore>> BestUnits(const recordings::ViewData& view,
                                                const std::vector<int64_t>& train_starts,
                                                const WindowConditions& train,
                                                const std::vector<int64_t>& test_starts,
                                                const WindowConditions& test) {
  const CountView counts = view.counts();
  std::vector<std::vector<Scores>> on_train(counts.units), on_test(counts.units);
  sae::ForBlocks(counts.units, 1, [&](int64_t, int64_t unit, int64_t) {
    const auto before = SpikesBefore(counts, static_cast<int>(unit));
    on_train[unit] = Score(CountsOf(before, train_starts, view.window), train);
    on_test[unit] = Score(CountsOf(before, test_starts, view.window), test);
  });
  std::vector<std::optional<UnitScore>> out(train.positive.size());
  for (size_t c = 0; c < out.size(); ++c) {
    for (int unit = 0; unit < counts.units; ++unit) {
      const auto auroc = on_train[unit][c].auroc;
      if (auroc && (!out[c] || *auroc > out[c]->train_auroc)) {
        out[c] = UnitScore{unit, *auroc, on_test[unit][c].auroc};
      }
    }
  }
  return out;
}

}  // namespace saed::features

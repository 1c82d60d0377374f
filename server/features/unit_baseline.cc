#include "server/features/unit_baseline.h"

#include <algorithm>

#include "server/recordings/binning.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

// Counts that are held while units are scored.
constexpr int64_t kHeldCounts = int64_t{1} << 26;
constexpr int64_t kBinsAtOnce = 1024;  // whose rows stay in cache while units are picked from them

template <class T>
void CopyColumns(const CountView& counts, int first, int last, std::vector<float>& out) {
  const auto* data = static_cast<const T*>(counts.data);
  sae::ForBlocks(counts.bins, kBinsAtOnce, [&](int64_t, int64_t begin, int64_t end) {
    for (int unit = first; unit < last; ++unit) {
      float* column = out.data() + (unit - first) * counts.bins;
      for (int64_t t = begin; t < end; ++t) {
        column[t] = static_cast<float>(data[t * counts.units + unit]);
      }
    }
  });
}

// Counts of the units [first, last), [last - first, bins].
std::vector<float> Columns(const CountView& counts, int first, int last) {
  std::vector<float> out((last - first) * counts.bins);
  switch (counts.dtype) {
    case DType::kU8:
      CopyColumns<uint8_t>(counts, first, last, out);
      break;
    case DType::kU16:
      CopyColumns<uint16_t>(counts, first, last, out);
      break;
    case DType::kF32:
      CopyColumns<float>(counts, first, last, out);
      break;
  }
  return out;
}

}  // namespace

UnitCounts::UnitCounts(const float* counts, int64_t bins, int window)
    : before_(bins + 1), window_(window) {
  for (int64_t t = 0; t < bins; ++t) {
    before_[t + 1] = before_[t] + static_cast<double>(counts[t]);
  }
}

Activations UnitCounts::In(const std::vector<int64_t>& starts) const {
  Activations out;
  for (size_t w = 0; w < starts.size(); ++w) {
    const double count = before_[starts[w] + window_] - before_[starts[w]];
    if (count > 0) out.emplace_back(static_cast<int64_t>(w), static_cast<float>(count));
  }
  return out;
}

void ForEachUnit(const recordings::ViewData& view,
                 const std::function<void(int, const UnitCounts&)>& use) {
  const CountView counts = view.counts();
  const auto group = static_cast<int>(
      std::clamp<int64_t>(kHeldCounts / std::max<int64_t>(1, counts.bins), 1, counts.units));
  for (int first = 0; first < counts.units; first += group) {
    const int last = std::min(counts.units, first + group);
    const auto columns = Columns(counts, first, last);
    sae::ForBlocks(last - first, 1, [&](int64_t, int64_t i, int64_t) {
      use(first + static_cast<int>(i),
          {columns.data() + i * counts.bins, counts.bins, view.window});
    });
  }
}

std::vector<Activations> CountsOf(const recordings::ViewData& view, const std::vector<int>& units,
                                  const std::vector<int64_t>& starts) {
  const CountView counts = view.counts();
  std::vector<Activations> out(units.size(), Activations(starts.size()));
  sae::ForBlocks(static_cast<int64_t>(starts.size()), kBinsAtOnce,
                 [&](int64_t, int64_t begin, int64_t end) {
                   for (int64_t w = begin; w < end; ++w) {
                     for (size_t i = 0; i < units.size(); ++i) {
                       double count = 0;
                       for (int64_t t = starts[w]; t < starts[w] + view.window; ++t) {
                         count += recordings::ValueAt(counts, t * counts.units + units[i]);
                       }
                       out[i][w] = {static_cast<int32_t>(w), static_cast<float>(count)};
                     }
                   }
                 });
  return out;
}

std::vector<std::optional<UnitScore>> BestUnits(const recordings::ViewData& view,
                                                const std::vector<int64_t>& train_starts,
                                                const WindowConditions& train,
                                                const std::vector<int64_t>& test_starts,
                                                const WindowConditions& test) {
  const int units = view.counts().units;
  std::vector<std::vector<std::optional<double>>> on_train(units), on_test(units);
  ForEachUnit(view, [&](int unit, const UnitCounts& counts) {
    on_train[unit] = Aurocs(counts.In(train_starts), train);
    on_test[unit] = Aurocs(counts.In(test_starts), test);
  });
  std::vector<std::optional<UnitScore>> out(train.positive.size());
  for (size_t c = 0; c < out.size(); ++c) {
    for (int unit = 0; unit < units; ++unit) {
      if (!on_train[unit][c]) continue;
      const bool falls = *on_train[unit][c] < 0.5;
      const double auroc = falls ? 1 - *on_train[unit][c] : *on_train[unit][c];
      if (out[c] && auroc <= out[c]->train_auroc) continue;
      std::optional<double> held_out = on_test[unit][c];
      if (falls && held_out) held_out = 1 - *held_out;
      out[c] = UnitScore{unit, falls, auroc, held_out};
    }
  }
  return out;
}

}  // namespace saed::features

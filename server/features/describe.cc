#include "server/features/describe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/random.h"
#include "server/sae/windows.h"

namespace saed::features {
namespace {

constexpr size_t kTopUnits = 10;
constexpr size_t kTopExemplars = 10, kOtherExemplars = 5;
constexpr uint64_t kExemplarStream = 77;

void TraceBack(const sae::Model& model, const recordings::Recording& recording,
               const recordings::ViewData& view, const std::vector<int64_t>& starts,
               const Activations& active, Feature& out) {
  const int inputs = model.inputs();
  std::vector<double> sum(inputs, 0);
  std::vector<float> x(inputs);
  for (const auto& [w, value] : active) {
    sae::ReadWindow(view.counts(), model.normaliser, starts[w], model.S, x.data());
    for (int i = 0; i < inputs; ++i) sum[i] += static_cast<double>(x[i]);
  }
  if (model.spec.subtract_bias) {
    for (int i = 0; i < inputs; ++i) {
      sum[i] -= static_cast<double>(active.size()) * model.parameters.decoder_bias[i];
    }
  }
  const float* row = model.parameters.encoder_row(out.latent);
  out.trace_map.assign(inputs, 0);
  std::vector<double> drive(model.units, 0);
  for (int i = 0; i < inputs && !active.empty(); ++i) {
    const double v = static_cast<double>(row[i]) * sum[i] / static_cast<double>(active.size());
    out.trace_map[i] = static_cast<float>(v);
    drive[i % model.units] += v;
  }
  double total = 0;
  for (double d : drive) total += std::abs(d);
  std::vector<int> order(model.units);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return drive[a] > drive[b]; });
  for (size_t i = 0; i < order.size() && i < kTopUnits && total > 0; ++i) {
    out.top_units.push_back(
        {recording.units[view.units[order[i]]].id, drive[order[i]], drive[order[i]] / total});
  }
}

// Windows with the largest activation, around the median, and at random; never two that overlap.
void ChooseExemplars(const recordings::ViewData& view, const std::vector<int64_t>& starts,
                     const Activations& active, Feature& out) {
  Activations sorted = active;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<int64_t> taken;
  const auto add = [&](const std::pair<int64_t, float>& entry, Exemplar::Kind kind) {
    const int64_t start = starts[entry.first];
    for (int64_t t : taken) {
      if (std::abs(t - start) < view.window) return false;
    }
    taken.push_back(start);
    out.exemplars.push_back({kind, view.bin_start(start), entry.second});
    return true;
  };
  size_t found = 0;
  for (size_t i = 0; i < sorted.size() && found < kTopExemplars; ++i) {
    found += add(sorted[i], Exemplar::Kind::kTop);
  }
  found = 0;
  for (size_t i = sorted.size() / 2; i < sorted.size() && found < kOtherExemplars; ++i) {
    found += add(sorted[i], Exemplar::Kind::kMiddle);
  }
  const sae::CounterRandom random(static_cast<uint64_t>(out.latent), kExemplarStream);
  found = 0;
  for (uint64_t draw = 0; draw < 20 && found < kOtherExemplars && !sorted.empty(); ++draw) {
    found += add(sorted[random.Below(draw, sorted.size())], Exemplar::Kind::kRandom);
  }
}

void Summarise(const Activations& active, int64_t windows, Feature& out) {
  double sum = 0;
  for (const auto& [w, value] : active) {
    sum += static_cast<double>(value);
    out.max_activation = std::max(out.max_activation, static_cast<double>(value));
  }
  out.active_windows = static_cast<int64_t>(active.size());
  if (windows > 0) out.density = static_cast<double>(active.size()) / static_cast<double>(windows);
  if (!active.empty()) out.mean_activation = sum / static_cast<double>(active.size());
}

}  // namespace

void Describe(const sae::Model& model, const recordings::Recording& recording,
              const recordings::ViewData& view, const std::vector<int64_t>& starts,
              const Activations& active, Feature& out) {
  Summarise(active, static_cast<int64_t>(starts.size()), out);
  TraceBack(model, recording, view, starts, active, out);
  ChooseExemplars(view, starts, active, out);
}

}  // namespace saed::features

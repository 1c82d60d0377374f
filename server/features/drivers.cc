#include "server/features/drivers.h"

#include <algorithm>

#include "server/sae/windows.h"

namespace saed::features {

Contrasts::Contrasts(const sae::Model& model, const CountView& counts,
                     const std::vector<int64_t>& starts, const WindowConditions& conditions)
    : model_(model), difference_(conditions.positive.size()) {
  const auto windows = static_cast<int64_t>(starts.size());
  const int64_t used = std::min(windows, kMost);
  const int inputs = model.inputs();
  std::vector<double> all(inputs, 0);
  std::vector<std::vector<double>> held(difference_.size());
  std::vector<int64_t> number(difference_.size(), 0);
  std::vector<float> x(inputs);
  for (int64_t i = 0; i < used; ++i) {
    const int64_t w = i * windows / used;
    sae::ReadWindow(counts, model.normaliser, starts[w], model.S, x.data());
    for (int n = 0; n < inputs; ++n) all[n] += static_cast<double>(x[n]);
    for (int64_t at = conditions.begin[w]; at < conditions.begin[w + 1]; ++at) {
      const int32_t c = conditions.condition[at];
      held[c].resize(inputs, 0);
      for (int n = 0; n < inputs; ++n) held[c][n] += static_cast<double>(x[n]);
      ++number[c];
    }
  }
  for (size_t c = 0; c < held.size(); ++c) {
    if (number[c] == 0 || number[c] == used) continue;
    const auto inside = static_cast<double>(number[c]);
    const auto outside = static_cast<double>(used - number[c]);
    difference_[c].resize(inputs);
    for (int n = 0; n < inputs; ++n) {
      difference_[c][n] = static_cast<float>(held[c][n] / inside - (all[n] - held[c][n]) / outside);
    }
  }
}

std::vector<double> Contrasts::Drives(int32_t latent, size_t c, const Judged& judged) const {
  if (difference_[c].empty() || model_.paired()) return {};
  std::vector<float> weights;
  if (!judged.kind) {
    const float* row = model_.parameters.encoder_row(latent);
    weights.assign(row, row + model_.inputs());
  } else {
    const auto kind = sae::NeedsCodes(*judged.kind) ? sae::EvidenceKind::kMarginal : *judged.kind;
    if (!sae::HasEvidence(model_, kind).ok()) return {};
    weights = sae::FilterWeights(model_, kind, {latent});
  }
  std::vector<double> out(model_.units, 0);
  for (int i = 0; i < model_.inputs(); ++i) {
    const double part = static_cast<double>(weights[i]) * static_cast<double>(difference_[c][i]);
    out[i % model_.units] += judged.falls ? -part : part;
  }
  return out;
}

}  // namespace saed::features

#include "server/features/drivers.h"

#include <algorithm>

#include "server/sae/windows.h"

namespace saed::features {
namespace {

struct Sum {
  std::vector<double> total;  // [S·N]
  int64_t windows = 0;
};

}  // namespace

Contrasts::Contrasts(const sae::Model& model, const CountView& counts,
                     const std::vector<int64_t>& starts, const WindowConditions& conditions)
    : model_(model), difference_(conditions.positive.size()) {
  const auto windows = static_cast<int64_t>(starts.size());
  const int64_t used = std::min(windows, kMost);
  const int inputs = model.inputs();
  const auto add = [&](const std::vector<float>& x, Sum& sum) {
    sum.total.resize(inputs, 0);
    for (int n = 0; n < inputs; ++n) sum.total[n] += static_cast<double>(x[n]);
    ++sum.windows;
  };
  std::vector<Sum> asked(conditions.parts.size()), held(difference_.size());
  std::vector<float> x(inputs);
  for (int64_t i = 0; i < used; ++i) {
    const int64_t w = i * windows / used;
    sae::ReadWindow(counts, model.normaliser, starts[w], model.S, x.data());
    for (size_t p = 0; p < asked.size(); ++p) {
      const auto& part = conditions.parts[p];
      const int32_t place = part.of.scope.Place(w);
      if (place < 0) continue;
      add(x, asked[p]);
      for (int64_t at = part.begin[place]; at < part.begin[place + 1]; ++at) {
        add(x, held[part.condition[at]]);
      }
    }
  }
  for (size_t p = 0; p < asked.size(); ++p) {
    for (const size_t c : conditions.parts[p].of.conditions) {
      const Sum &all = asked[p], &inside = held[c];
      if (inside.windows == 0 || inside.windows == all.windows) continue;
      const auto in = static_cast<double>(inside.windows);
      const auto out = static_cast<double>(all.windows - inside.windows);
      difference_[c].resize(inputs);
      for (int n = 0; n < inputs; ++n) {
        difference_[c][n] =
            static_cast<float>(inside.total[n] / in - (all.total[n] - inside.total[n]) / out);
      }
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

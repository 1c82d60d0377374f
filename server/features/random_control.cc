#include "server/features/random_control.h"

#include <cmath>
#include <map>
#include <numeric>

#include "server/base/status_macros.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr uint64_t kSeed = 0x52414e44;

// The model with rows that know nothing of the data: Gaussian, of unit norm.
sae::Model WithRandomRows(const sae::Model& model) {
  sae::Model out = model;
  const auto outputs = static_cast<int64_t>(model.outputs());
  float* rows = out.parameters.decoder.data();
  for (int64_t j = 0; j < model.spec.features(); ++j) {
    const sae::CounterRandom random(kSeed, static_cast<uint64_t>(j));
    double square = 0;
    for (int64_t i = 0; i < outputs; ++i) {
      const double value = random.Normal(i);
      rows[j * outputs + i] = static_cast<float>(value);
      square += value * value;
    }
    const auto norm = static_cast<float>(std::sqrt(square));
    for (int64_t i = 0; i < outputs; ++i) rows[j * outputs + i] /= norm;
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<Judged>> RandomControl(const sae::Model& model, const CountView& target,
                                                  const std::vector<int64_t>& train_starts,
                                                  const WindowConditions& train,
                                                  const std::vector<int64_t>& test_starts,
                                                  const WindowConditions& test, int64_t held,
                                                  const Progress& progress) {
  const size_t conditions = train.positive.size();
  std::vector<Judged> out(conditions);
  const sae::Model random = WithRandomRows(model);
  const sae::Encoder encoder(random);
  const EvidenceColumns columns(encoder, target, target);
  std::vector<sae::EvidenceKind> kinds = columns.Kinds();
  std::erase_if(kinds, sae::NeedsCodes);
  std::vector<int32_t> latents(model.spec.features());
  std::iota(latents.begin(), latents.end(), 0);
  std::vector<std::vector<Judged>> judged(latents.size(), std::vector<Judged>(conditions));
  SAED_RETURN_IF_ERROR(
      JudgeByEvidence(columns, kinds, latents, train_starts, train, held, progress, judged));
  std::vector<int32_t> best(conditions, 0);
  for (size_t c = 0; c < conditions; ++c) {
    for (const int32_t j : latents) {
      const auto& auroc = judged[j][c].train_auroc;
      if (!auroc || (out[c].train_auroc && *auroc <= *out[c].train_auroc)) continue;
      out[c] = judged[j][c];
      best[c] = j;
    }
  }
  for (const sae::EvidenceKind kind : kinds) {
    std::map<int32_t, std::vector<size_t>> chosen;  // conditions of each latent
    for (size_t c = 0; c < conditions; ++c) {
      if (out[c].kind == kind) chosen[best[c]].push_back(c);
    }
    std::vector<int32_t> some;
    for (const auto& [latent, of] : chosen) some.push_back(latent);
    SAED_RETURN_IF_ERROR(
        ForColumns(columns, kind, some, test_starts, held, progress,
                   [&](const std::vector<int32_t>& group, const std::vector<Activations>& values) {
                     sae::ForBlocks(std::ssize(group), 1, [&](int64_t, int64_t i, int64_t) {
                       const auto aurocs = Aurocs(values[i], test);
                       for (const size_t c : chosen.at(group[i])) {
                         if (aurocs[c])
                           out[c].test_auroc = out[c].falls ? 1 - *aurocs[c] : *aurocs[c];
                       }
                     });
                   }));
  }
  return out;
}

}  // namespace saed::features

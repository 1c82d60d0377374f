#include "server/features/chosen.h"

#include <algorithm>
#include <numeric>

#include "server/base/status_macros.h"
#include "server/features/association.h"
#include "server/features/expression.h"
#include "server/features/judge.h"

namespace saed::features {
namespace {

WindowConditions OnWindows(const BinLabels& bins, const recordings::ViewData& view,
                           const std::vector<int64_t>& starts) {
  std::vector<WindowLabel> label(starts.size());
  for (size_t w = 0; w < starts.size(); ++w) label[w] = bins.At(starts[w] + view.window - 1);
  return ByWindow({label}, static_cast<int64_t>(starts.size()));
}

}  // namespace

absl::StatusOr<std::optional<double>> ChosenAuroc(
    const sae::Encoder& encoder, const recordings::Recording& recording,
    const recordings::ViewData& view, const CountView& target, const Condition& condition,
    const std::vector<int64_t>& train, const std::vector<int64_t>& validation,
    const Progress& progress) {
  SAED_ASSIGN_OR_RETURN(const BinLabels bins, Evaluate(condition.expression, recording, view));
  const WindowConditions train_labels = OnWindows(bins, view, train);
  const WindowConditions validation_labels = OnWindows(bins, view, validation);
  SAED_ASSIGN_OR_RETURN(const auto codes, Activate(encoder, view, train, progress));
  std::vector<std::vector<Judged>> judged(codes.size());
  std::vector<int32_t> latents(codes.size());
  std::iota(latents.begin(), latents.end(), 0);
  for (const int32_t j : latents) JudgeByCode(Score(codes[j], train_labels), judged[j]);
  const EvidenceColumns columns(encoder, view.counts(), target);
  SAED_RETURN_IF_ERROR(JudgeByEvidence(columns, columns.Kinds(), latents, train, train_labels,
                                       kHeldActivations, progress, judged));
  const auto best = std::max_element(latents.begin(), latents.end(), [&](int32_t a, int32_t b) {
    return judged[a][0].train_auroc < judged[b][0].train_auroc;
  });
  if (best == latents.end() || !judged[*best][0].train_auroc) return std::optional<double>();
  const Judged& choice = judged[*best][0];
  std::vector<bool> wanted(codes.size());
  wanted[*best] = true;
  std::vector<Activations> values;
  if (choice.kind) {
    SAED_ASSIGN_OR_RETURN(values, columns.Of(*choice.kind, {*best}, validation, progress));
  } else {
    SAED_ASSIGN_OR_RETURN(values, Activate(encoder, view, validation, progress, wanted));
    values = {std::move(values[*best])};
  }
  const auto auroc = Aurocs(values[0], validation_labels)[0];
  return auroc && choice.falls ? std::optional(1 - *auroc) : auroc;
}

}  // namespace saed::features

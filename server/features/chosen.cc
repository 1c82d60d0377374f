#include "server/features/chosen.h"

#include "server/base/status_macros.h"
#include "server/features/association.h"
#include "server/features/expression.h"

namespace saed::features {
namespace {

WindowConditions OnWindows(const BinLabels& bins, const recordings::ViewData& view,
                           const std::vector<int64_t>& starts) {
  std::vector<uint8_t> label(starts.size());
  for (size_t w = 0; w < starts.size(); ++w) label[w] = bins.holds[starts[w] + view.window - 1];
  return ByWindow({label}, static_cast<int64_t>(starts.size()));
}

}  // namespace

absl::StatusOr<std::optional<double>> ChosenAuroc(
    const sae::Encoder& encoder, const recordings::Recording& recording,
    const recordings::ViewData& view, const Condition& condition, const std::vector<int64_t>& train,
    const std::vector<int64_t>& validation, const Progress& progress) {
  SAED_ASSIGN_OR_RETURN(const BinLabels bins, Evaluate(condition.expression, recording, view));
  SAED_ASSIGN_OR_RETURN(const auto on_train, Activate(encoder, view, train, progress));
  SAED_ASSIGN_OR_RETURN(const auto on_validation, Activate(encoder, view, validation, progress));
  const WindowConditions train_labels = OnWindows(bins, view, train);
  const WindowConditions validation_labels = OnWindows(bins, view, validation);
  std::optional<double> best, out;
  for (size_t j = 0; j < on_train.size(); ++j) {
    const auto chosen = Score(on_train[j], train_labels)[0].auroc;
    if (!chosen || (best && *chosen <= *best)) continue;
    best = chosen;
    out = Score(on_validation[j], validation_labels)[0].auroc;
  }
  return out;
}

}  // namespace saed::features

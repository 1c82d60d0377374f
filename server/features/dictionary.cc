#include "server/features/dictionary.h"

#include <algorithm>

#include "server/base/status_macros.h"
#include "server/features/stages.h"

namespace saed::features {

absl::StatusOr<Dictionary> BuildDictionary(
    const sae::Encoder& encoder, const recordings::Recording& recording,
    const recordings::ViewData& view, const std::optional<CountView>& target,
    const std::vector<Condition>& user_conditions, const ConditionColumns& columns,
    const Progress& progress, int64_t held, const Precedent* precedent) {
  // Where a stage does not know how far it is, what was said before holds.
  double furthest = 0;
  const Progress steady = [&](double fraction) {
    furthest = std::max(furthest, fraction);
    return progress(furthest);
  };
  Draft d(
      Given{encoder, recording, view, target, user_conditions, columns, steady, held, precedent});
  SAED_RETURN_IF_ERROR(LabelWindows(d));
  Warn(d);
  ScoreUnits(d);
  SAED_RETURN_IF_ERROR(DescribeFeatures(d));
  SAED_RETURN_IF_ERROR(JudgeFeatures(d));
  ChooseBest(d);
  TraceBack(d);
  SAED_RETURN_IF_ERROR(Certify(d));
  SAED_RETURN_IF_ERROR(ScoreRandomRows(d));
  SumUpControls(d);
  SAED_RETURN_IF_ERROR(CompareWithUnits(d));
  SAED_RETURN_IF_ERROR(CompareWithPlainMethods(d));
  SAED_RETURN_IF_ERROR(AddReconstruction(d));
  return std::move(d.out);
}

}  // namespace saed::features

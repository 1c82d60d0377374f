#include "server/jobs/model_view.h"

#include "server/base/status_macros.h"
#include "server/inference/model_record.h"
#include "server/jobs/spec.h"
#include "server/jobs/submit.h"

namespace saed::jobs {

absl::StatusOr<recordings::ViewData> ViewFor(const Stores& stores, const storage::ModelRow& row,
                                             const sae::Model& model,
                                             const recordings::Recording& recording,
                                             const std::string& recording_id) {
  SAED_ASSIGN_OR_RETURN(const TrainSpec trained, ParseTrainSpec(row.spec));
  if (row.recording_id == recording_id) return InputOf(stores, trained, recording);
  return recordings::BuildAnalysisView(recording, trained.view, inference::UnitIds(row),
                                       model.normaliser.offset, model.normaliser.scale);
}

}  // namespace saed::jobs

// The view of a recording through a trained model.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/jobs/stores.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"
#include "server/sae/model.h"
#include "storage/models_table.h"

namespace saed::jobs {

// The recording that the model was trained on keeps its split; any other is held out as a whole.
absl::StatusOr<recordings::ViewData> ViewFor(const Stores& stores, const storage::ModelRow& row,
                                             const sae::Model& model,
                                             const recordings::Recording& recording,
                                             const std::string& recording_id);

}  // namespace saed::jobs

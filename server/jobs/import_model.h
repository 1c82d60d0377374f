// Models that were trained elsewhere.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/inference/interchange.h"
#include "server/jobs/stores.h"
#include "server/recordings/view.h"

namespace saed::jobs {

struct ModelImport {
  std::string recording_id, name, owner;
  recordings::DataView view;
  bool sae_lens = false;
  inference::ModelFiles files;
};

struct ImportedModel {
  storage::ModelRow row;
  std::vector<std::string> warnings;  // what the files hold that was not read
};

// Checks the files against the view, evaluates the model on its held-out windows and stores it.
// INVALID_ARGUMENT names the field or file. Blocks on the disk; works in the caller's TBB arena,
// and ends with the call that it is for (on_behalf.h).
absl::StatusOr<ImportedModel> ImportModel(const Stores& stores, const Clock& clock,
                                          const ModelImport& spec, const std::string& code_version);

}  // namespace saed::jobs

// A dictionary as one HTML page, without network access.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/inference/engine.h"
#include "server/jobs/stores.h"

namespace saed::report {

// The page: model, training curves, densities, reconstruction by unit, spectra, conditions, a table
// of all features, and `most` of them in full: those with labels first, then by the held-out AUROC
// of their best condition. With those labels, tags and notes that the viewer may see. NOT_FOUND
// where there is no such dictionary. Thread-safe.
absl::StatusOr<std::string> Render(const jobs::Stores& stores, inference::Engine& engine,
                                   const std::string& dictionary_id, int most,
                                   const storage::Viewer& viewer = {});

}  // namespace saed::report

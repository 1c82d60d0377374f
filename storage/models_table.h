// Trained models and their tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/access.h"
#include "storage/attempt.h"
#include "storage/database.h"

namespace saed::storage {

struct TensorRow {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> data;
};

struct ModelRow {
  std::string id, recording_id, name;
  int64_t created_at = 0;  // µs since 1970
  int features = 0, window = 0, units = 0;
  std::string digest;                        // SHA-256 of the tensors
  std::string spec, evaluation, provenance;  // JSON
};

// Thread-safe.
class ModelsTable {
 public:
  explicit ModelsTable(Database& db) : db_(db) {}

  // Adds the model with all its tensors in one transaction; a model that is there already stays.
  // What an attempt made is fenced (attempt.h), and called as its job is by now. It belongs to the
  // job's owner, or to `owner` where no job has its id.
  absl::Status Insert(const ModelRow& row, const std::vector<TensorRow>& tensors,
                      const std::optional<Attempt>& attempt = std::nullopt,
                      const std::string& owner = "");
  absl::StatusOr<ModelRow> Get(const std::string& id);
  absl::StatusOr<std::vector<TensorRow>> Tensors(const std::string& id);
  // Newest first, after the row (after_created_at, after_id) where that id is not empty; of one
  // recording where `recording_id` is not empty.
  absl::StatusOr<std::vector<ModelRow>> List(const std::string& recording_id, int limit,
                                             int64_t after_created_at, const std::string& after_id,
                                             const Viewer& viewer = {});
  absl::Status SetName(const std::string& id, const std::string& display_name);
  // FAILED_PRECONDITION while a job that has not ended uses it, and where others than the viewer
  // own dictionaries of it. With its dictionaries, which nobody sees any more from the beginning
  // on. Where the server dies in between, the model is left without them.
  absl::Status Delete(const std::string& id, const Viewer& viewer = {});

 private:
  Database& db_;
};

}  // namespace saed::storage

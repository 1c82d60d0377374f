// What people say about features: labels, tags and notes, with author and time. They belong to a
// model's latent, so that they outlive every dictionary of it, and nothing is ever overwritten.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/database.h"

namespace saed::storage {

struct AnnotationRow {
  int64_t id = 0;
  std::string model_id;
  int latent = 0;
  std::string kind;  // "label", "tag" or "note"
  std::string text, author;
  int64_t created_at = 0;             // µs since 1970
  std::optional<int64_t> deleted_at;  // a label is deleted by the next one
  std::string deleted_by;
};

// Thread-safe.
class AnnotationsTable {
 public:
  explicit AnnotationsTable(Database& db) : db_(db) {}

  // Adds one and returns it with its id. A label replaces the feature's label; a tag that the
  // feature has already is returned as it is. NOT_FOUND where the model has no such latent.
  absl::StatusOr<AnnotationRow> Add(AnnotationRow row);
  // Marks it as deleted. NOT_FOUND where it is not there or was deleted before.
  absl::Status Delete(const std::string& model_id, int latent, int64_t id, const std::string& by,
                      int64_t now);
  // Of a feature, oldest first; deleted ones too where asked.
  absl::StatusOr<std::vector<AnnotationRow>> List(const std::string& model_id, int latent,
                                                  bool deleted);

 private:
  Database& db_;
};

}  // namespace saed::storage

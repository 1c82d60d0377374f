// What people say about features: labels, tags and notes, with author and time. They belong to a
// model's latent, so that they outlive every dictionary of it, and nothing is ever overwritten.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/access.h"
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
  std::string recording_id;  // of the dictionary through which it was written; empty: not known
};

// What people call a feature.
struct FeatureNames {
  std::string label;              // empty: none
  std::vector<std::string> tags;  // alphabetical
};

// Thread-safe.
class AnnotationsTable {
 public:
  explicit AnnotationsTable(Database& db) : db_(db) {}

  // Adds one and returns it with its id. A label replaces the feature's label; a tag that the
  // feature has already is returned as it is; what the viewer may not see is left alone, and a
  // label through a dictionary on a private recording replaces only such. NOT_FOUND where the model
  // has no such latent.
  absl::StatusOr<AnnotationRow> Add(AnnotationRow row, const Viewer& viewer = {});
  // Marks it as deleted. NOT_FOUND where it is not there for the viewer or was deleted before,
  // PERMISSION_DENIED where it is another's.
  absl::Status Delete(const std::string& model_id, int latent, int64_t id, const std::string& by,
                      int64_t now, const Viewer& viewer = {});
  // Of a feature, oldest first, those with an id above `after`; deleted ones too where asked.
  absl::StatusOr<std::vector<AnnotationRow>> List(const std::string& model_id, int latent,
                                                  bool deleted, const Viewer& viewer = {},
                                                  int limit = -1, int64_t after = 0);

  // Of a feature, the last label and all tags in force.
  absl::StatusOr<FeatureNames> Names(const std::string& model_id, int latent,
                                     const Viewer& viewer = {});

 private:
  Database& db_;
};

}  // namespace saed::storage

// Rows of the recordings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/access.h"
#include "storage/database.h"

namespace saed::storage {

struct UnitRow {
  int64_t id = 0;
  std::string label, region;
  std::optional<double> depth;  // µm
  int64_t spike_count = 0;
  std::string columns = "{}";  // JSON: further columns, as text
};

struct RecordingRow {
  std::string id, digest, name, source;
  int64_t created_at = 0;  // µs since 1970
  double duration = 0;     // s
  int64_t unit_count = 0, spike_count = 0, bytes = 0;
  std::string summary;  // JSON
  std::string owner;    // user; empty on a server without users
  bool is_private = false;
};

// Thread-safe.
class RecordingsTable {
 public:
  explicit RecordingsTable(Database& db) : db_(db) {}

  // Adds the recording with its units, or returns the row that has this digest already: the
  // owner's, or for one that is to be shared another's that is. `created` says which.
  // ALREADY_EXISTS for a private one that the owner shares. Where the owner left it is their
  // heir's, and UNAUTHENTICATED where the heir has the content already and either is private.
  absl::StatusOr<RecordingRow> Insert(const RecordingRow& row, const std::vector<UnitRow>& units,
                                      bool& created);
  absl::StatusOr<RecordingRow> Get(const std::string& id);
  // Newest first; starts after the row (after_created_at, after_id) where that id is not empty.
  absl::StatusOr<std::vector<RecordingRow>> List(int limit, int64_t after_created_at,
                                                 const std::string& after_id,
                                                 const Viewer& viewer = {});
  // In order, from behind the position `after`; fewer than there are where their columns come to
  // `most_bytes` before, but at least one.
  absl::StatusOr<std::vector<UnitRow>> Units(const std::string& id, int limit, int64_t after,
                                             size_t most_bytes = SIZE_MAX);
  // FAILED_PRECONDITION where jobs, sweeps, models or dictionaries were made from it, with how many
  // of them the viewer may see. Returns the digest, whose object the caller removes; empty where
  // another recording has the same content.
  absl::StatusOr<std::string> Delete(const std::string& id, const Viewer& viewer = {});
  absl::StatusOr<std::vector<std::string>> Digests();

 private:
  Database& db_;
};

}  // namespace saed::storage

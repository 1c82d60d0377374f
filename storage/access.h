// Who owns what, and who may see it. A recording is private or shared with the lab; jobs, sweeps,
// models and dictionaries are as private as the recording they come from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/database.h"

namespace saed::storage {

// For whom something is listed.
struct Viewer {
  bool all = true;   // administrators, and everyone on a server without users
  std::string user;  // otherwise
};

// " AND column IN (…)" with the recordings that the viewer may see; empty where that is all.
std::string Visible(const Viewer& viewer, const std::string& column);

// What is said of an id that a collection lacks, and of one that the caller may not see.
absl::Status NoSuch(const std::string& collection, const std::string& id);

struct Access {
  std::string owner;  // of the thing itself
  bool recording_private = false;
  std::string recording_owner;
};

// Thread-safe.
class AccessTable {
 public:
  explicit AccessTable(Database& db) : db_(db) {}

  // `collection`: recordings, jobs, sweeps, models or dictionaries. NOT_FOUND where it has no such
  // id.
  absl::StatusOr<Access> Of(const std::string& collection, const std::string& id);
  // Of something that has no owner yet.
  absl::Status SetOwner(const std::string& collection, const std::string& id,
                        const std::string& owner);
  absl::Status SetPrivate(const std::string& recording_id, bool is_private);
  absl::Status SetName(const std::string& recording_id, const std::string& display_name);
  // Ids of the recordings that the viewer may see and calls so: the one with this id, else those
  // with this display name, newest first, at most 20.
  absl::StatusOr<std::vector<std::string>> RecordingsCalled(const std::string& text,
                                                            const Viewer& viewer);
  // Bytes of the user's recordings, models and, about, dictionaries.
  absl::StatusOr<int64_t> Bytes(const std::string& owner);
  // Of every user who has some.
  absl::StatusOr<std::map<std::string, int64_t>> BytesOfUsers();

 private:
  Database& db_;
};

}  // namespace saed::storage

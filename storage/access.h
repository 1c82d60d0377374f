// Who owns what, and who may see it. A recording is private or shared with the lab; a job, sweep,
// model or dictionary is as private as the most private recording it was made from: its input, the
// paired population, what its model was made from, and what that was analysed on. The table
// `made_from` has them, kept by triggers (schema.cc), and whatever lists, looks up, counts or
// compares for a caller goes through Visible().
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

// " AND …": that the thing of the collection with the id in `column` is one that the viewer may
// see; empty where that is all.
std::string Visible(const Viewer& viewer, const std::string& collection, const std::string& column);
// The same of a row of `annotations` of a model that the viewer may see: what was said through a
// dictionary on a private recording is as private as that, but for its author.
std::string VisibleAnnotation(const Viewer& viewer);

// Whether things of the collection have owners: recordings, jobs, sweeps, models, dictionaries.
bool HasOwners(const std::string& collection);

// What is said of an id that a collection lacks, and of one that the caller may not see.
absl::Status NoSuch(const std::string& collection, const std::string& id);

// Thread-safe.
class AccessTable {
 public:
  explicit AccessTable(Database& db) : db_(db) {}

  // `collection`: recordings, jobs, sweeps, models or dictionaries. NOT_FOUND where it has no such
  // id that the viewer may see.
  absl::StatusOr<std::string> OwnerOf(const std::string& collection, const std::string& id,
                                      const Viewer& viewer);
  // Whether the user owns the thing of this id, also where they may see it no more, or it is a
  // dictionary that is being removed or is not whole yet.
  absl::StatusOr<bool> Owns(const std::string& collection, const std::string& id,
                            const std::string& user);
  absl::Status SetPrivate(const std::string& recording_id, bool is_private);
  absl::Status SetName(const std::string& recording_id, const std::string& display_name);
  // Ids of the things of a collection (as OwnerOf) that the viewer may see and calls so: the one
  // with this id, else those with this display name, newest first, at most 20. A dictionary is
  // called as the job that built it or, where none is, as its model.
  absl::StatusOr<std::vector<std::string>> Called(const std::string& collection,
                                                  const std::string& text, const Viewer& viewer);
  // Bytes of the user's recordings, models and, about, dictionaries.
  absl::StatusOr<int64_t> Bytes(const std::string& owner);
  // Of every user who has some.
  absl::StatusOr<std::map<std::string, int64_t>> BytesOfUsers();

 private:
  Database& db_;
};

}  // namespace saed::storage

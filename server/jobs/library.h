// The recordings of the server: read, stored once, described, removed.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/stores.h"
#include "server/recordings/import.h"
#include "server/recordings/reader_places.h"

namespace saed::jobs {

// How a recording is to be kept.
struct Keeping {
  std::string display_name, owner;
  bool is_private = false;
  std::function<absl::Status(int64_t bytes)> room;  // asked before anything is stored; may be empty
  // Of what an import may take in memory (recordings::Admission).
  int64_t memory_bytes = std::numeric_limits<int64_t>::max();
  std::function<absl::StatusOr<std::shared_ptr<const void>>(int64_t bytes)> memory = {};
};

// Thread-safe.
class Library {
 public:
  // `reader`: the program that reads files from outside (import_apart.h); empty: this process does.
  // `places`: how many such programs read at once.
  Library(Stores stores, const Clock& clock, std::string reader = "",
          const recordings::ReaderPlaces::Limits& places = {})
      : stores_(stores), clock_(clock), reader_(std::move(reader)), places_(places) {}

  // Reads the files and stores the recording, or finds the one of the same content (`created`
  // false). The object is on disk before the row is there. A reader that is asked to `stop` gives
  // CANCELLED.
  absl::StatusOr<storage::RecordingRow> Import(const recordings::ImportSpec& spec,
                                               const std::vector<recordings::ImportFile>& files,
                                               const Keeping& keeping,
                                               const std::function<bool()>& stop, bool& created);
  absl::StatusOr<storage::RecordingRow> Add(const recordings::Imported& imported,
                                            const Keeping& keeping, bool& created);
  absl::Status Delete(const std::string& id, const storage::Viewer& viewer = {});

 private:
  // The row of a recording of so many bytes, once `store` has put them on the disk.
  absl::StatusOr<storage::RecordingRow> Keep(const recordings::Imported& imported, int64_t bytes,
                                             const std::string& digest, const Keeping& keeping,
                                             const std::function<absl::Status()>& store,
                                             bool& created);

  Stores stores_;
  const Clock& clock_;
  std::string reader_;
  recordings::ReaderPlaces places_;
  // Held from an object's storing to its row's, and from a row's removal to its object's, so that
  // an import never relies on an object that is being removed.
  std::mutex mutex_;
};

}  // namespace saed::jobs

// Large immutable objects as files named by their SHA-256, beside the database.
//
// An object is written to a temporary name, flushed to disk and renamed, and its directory is
// flushed, before any row names it. A file that no row names is an orphan of a crash, or belongs
// to a newer database than the one that was opened: start-up sets it aside and keeps it for days.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace saed::storage {

// Thread-safe.
class ObjectStore {
 public:
  // `root` is created where missing.
  static absl::StatusOr<ObjectStore> Open(const std::string& root);

  // Stores bytes and returns their SHA-256. Storing the same bytes again is free.
  absl::StatusOr<std::string> Put(std::string_view bytes) const;
  // Stores a file of an upload directory, whose SHA-256 (DigestOf) is known, by moving it.
  absl::Status Adopt(const std::string& path, const std::string& digest) const;
  // The object's bytes, checked against the digest: DATA_LOSS where they differ.
  absl::StatusOr<std::string> Get(const std::string& digest) const;
  // Where it is, for those who map it; checked as by Get. It is never written to.
  absl::StatusOr<std::string> File(const std::string& digest) const;
  // Removes an object that no row names any more; a missing one is fine. What the disk does not let
  // go is kept in mind for RemoveLeft and, once the server ended, for Sweep.
  void Remove(const std::string& digest) const;
  // Removes what Remove could not, but for objects that were stored again since; how many went.
  // Where some still stay, the error says how many and why one of them does.
  absl::StatusOr<int64_t> RemoveLeft() const;

  struct Swept {
    int64_t unfinished = 0;  // uploads and temporary files, removed
    int64_t set_aside = 0;   // objects that are not in `named`
    int64_t brought_back = 0;
    int64_t emptied =
        0;  // sweeps that set things aside kAsideDays ago or earlier, removed for good
  };
  static constexpr int kAsideDays = 30;
  // Moves every object that is not in `named` to `aside/SECONDS/`, named for the time of the sweep,
  // and those that are named and were set aside back. `now`: µs since 1970. Call only while nothing
  // is being stored.
  absl::StatusOr<Swept> Sweep(const std::set<std::string>& named, int64_t now) const;

  const std::string& root() const { return root_; }

  // A fresh empty directory for an upload in progress; the caller removes it.
  absl::StatusOr<std::string> NewUploadDirectory() const;

 private:
  // Objects that should be gone. Shared by copies of the store.
  struct Left {
    std::mutex mutex;
    std::set<std::string> digests;
  };

  explicit ObjectStore(std::string root) : root_(std::move(root)) {}
  // The object is wanted again. Before it is looked for, so that it is either found and stays, or
  // is not found.
  void Keep(const std::string& digest) const;
  std::string PathOf(const std::string& digest) const;
  std::string Aside() const { return root_ + "/aside"; }
  absl::Status BringBack(const std::set<std::string>& named, Swept& swept) const;
  absl::Status SetAside(const std::set<std::string>& named, int64_t now, Swept& swept) const;
  absl::Status EmptyAside(int64_t now, Swept& swept) const;
  // A finished file to its place.
  absl::Status MoveIn(const std::string& temporary, const std::string& digest) const;

  std::string root_;
  std::shared_ptr<Left> left_ = std::make_shared<Left>();
};

// SHA-256 of a file, read piece by piece.
absl::StatusOr<std::string> DigestOf(const std::string& path);

// A new random identifier of 16 lower-case hexadecimal digits.
std::string NewId();

// Removes a directory and all below it; errors are ignored.
void RemoveTree(const std::string& path);

}  // namespace saed::storage

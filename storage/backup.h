// A consistent copy of a data directory, its way back, and whether everything is there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/database.h"
#include "storage/objects.h"

namespace saed::storage {

struct BackupSize {
  int64_t bytes = 0, objects = 0;
};

// Copies the database as it is at one moment, while it is written to, and every object that it
// names, into `directory`, which must not exist. Objects are linked where the file system can,
// else copied. A checkpoint that a job replaced meanwhile is left out: the job goes on from the
// start there. Nothing is left behind where it fails.
absl::StatusOr<BackupSize> Backup(Database& db, const ObjectStore& objects,
                                  const std::string& directory);

// Makes `data_directory`, which must be missing or empty, from a backup. The backup is checked
// first and stays as it is.
absl::Status Restore(const std::string& backup, const std::string& data_directory);

// What is wrong with a data directory that no server uses: SQLite's own integrity, references
// between tables, every object's digest, objects that nothing names. Empty: nothing. Nothing is
// changed.
absl::StatusOr<std::vector<std::string>> CheckDirectory(const std::string& directory);

}  // namespace saed::storage

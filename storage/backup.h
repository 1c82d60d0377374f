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
// names, into `directory`, which must not exist nor lie in the data directory: FAILED_PRECONDITION.
// It has a name of its own until all of it is on the disk, and overwrites nothing. Objects are
// linked where the file system can, else copied. A checkpoint that a job replaced meanwhile is left
// out: the job goes on from the start there. Nothing is left behind where it fails.
absl::StatusOr<BackupSize> Backup(Database& db, const ObjectStore& objects,
                                  const std::string& directory);

// Makes `data_directory`, which must be missing or empty and not within the backup, from a
// backup. The backup is checked first and stays as it is. All of it is on the disk when this
// returns; before that there is no saed.db.
absl::Status Restore(const std::string& backup, const std::string& data_directory);

// What is wrong with a data directory that no server uses: SQLite's own integrity, references
// between tables, every object's digest, objects that nothing names. Empty: nothing. Nothing is
// changed.
absl::StatusOr<std::vector<std::string>> CheckDirectory(const std::string& directory);

}  // namespace saed::storage

// Reading rows of the jobs table, for the files that write it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/jobs_table.h"

namespace saed::storage {

// The columns of AllJobs, and the same without the spec, which is long and not needed to choose.
std::string JobColumns();
std::string ShortJobColumns();
std::vector<JobRow> AllJobs(SQLite::Statement& statement);

// The job; NOT_FOUND where there is none.
absl::StatusOr<JobRow> FindJob(SQLite::Database& db, const std::string& id);
// RESOURCE_EXHAUSTED where the owner has as many jobs QUEUED or RUNNING; 0: not limited.
absl::Status HasPlace(SQLite::Database& db, const std::string& owner, int64_t most_unfinished);

}  // namespace saed::storage

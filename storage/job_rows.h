// Reading rows of the jobs table, for the files that write it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "storage/jobs_table.h"

namespace saed::storage {

// The job; NOT_FOUND where there is none.
absl::StatusOr<JobRow> FindJob(SQLite::Database& db, const std::string& id);

}  // namespace saed::storage

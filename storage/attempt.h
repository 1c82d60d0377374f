// Which attempt at a job writes. A job is RUNNING for one attempt at a time; whatever an attempt
// writes is fenced: the transaction that writes it looks first whether the attempt is still the
// job's, and changes nothing where it is not.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "storage/database.h"

namespace saed::storage {

struct Attempt {
  std::string job;  // id
  int number = 0;   // as JobRow::attempt
};

// In a transaction: OK where the job is RUNNING and this is its attempt. FAILED_PRECONDITION, for
// which IsGivenUp holds, where the attempt is over: it ended, was put back or began anew.
absl::Status Fence(SQLite::Database& db, const Attempt& attempt);
// The same for what the attempt made (a model, a dictionary, a trial's value): CANCELLED, too,
// where the job is to be cancelled. A cancelled job makes nothing.
absl::Status FenceResult(SQLite::Database& db, const Attempt& attempt);

// Whether a write was refused since its attempt is over. The attempt has nothing left to do.
bool IsGivenUp(const absl::Status& status);

}  // namespace saed::storage

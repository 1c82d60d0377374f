// Proof that the reader is shut in: a process confined as it is tries what it must not be able to.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/sandbox.h"

namespace saed::recordings {

// The guards that a reader has on this machine, by running `program --probe-reader directory`,
// which must end in Probe(). `directory` is empty and the caller's. A guard that is active has
// also been seen to hold.
absl::StatusOr<std::vector<Guard>> ProbeReader(const std::string& program,
                                               const std::string& directory);

// What that program does with the rest of its arguments: DIR [ATTEMPT [GUARD,…]]. Without an
// attempt it leaves what guards there are for ProbeReader(). With one, it shuts itself in, without
// the guards named, and tries: 0 where it got through, 3 where it was refused, 2 where there is no
// such attempt; some guards end it by a signal. The attempt "list" prints all with the guards that
// stop each.
int Probe(const std::vector<std::string>& arguments);

}  // namespace saed::recordings

// The stored form of a recording: one little-endian binary record, versioned, whose SHA-256 names
// the recording. The same content gives the same bytes, whatever file it came from.
//
// Layout: magic, then the members of Recording in the order of Head() in the source file, then the
// counts. Texts and arrays carry a 64-bit length; columns carry a tag: 0 numbers, 1 texts, 2 lists.
// The magic is "SAEDREC1", or "SAEDREC2" where observed times are there: then the units carry
// numbers of spikes, and the times of all units come last, at a multiple of 8 bytes. Where the
// spikes are so many that they stay in the file when it is read, the magic is "SAEDREC3", behind it
// stands at which byte the members begin, the spikes lie from kSpikesAt on, and the members, as in
// the second form, come last: so a reader gathers spikes where they will be stored. (Files of the
// second form with as many spikes are read too.)
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

inline constexpr std::string_view kFirstMagic = "SAEDREC1", kSecondMagic = "SAEDREC2",
                                  kThirdMagic = "SAEDREC3";

std::string Serialise(const Recording& recording);
// The same into a new file, without a copy in memory. RESOURCE_EXHAUSTED where the disk is full.
absl::Status SerialiseTo(const std::string& path, const Recording& recording);

// Completes the file in which the spikes were gathered, where they lie as they are to be stored and
// the file is one of those of PutSpikesInto() (spike_file.h); false where not.
absl::StatusOr<bool> CompleteInPlace(const Recording& recording);

// DATA_LOSS where the bytes are not a whole record.
absl::StatusOr<Recording> Parse(std::string_view bytes);
// The same of a file, whose counts or spikes stay there and are mapped where they are large.
absl::StatusOr<Recording> ParseFile(const std::string& path);

}  // namespace saed::recordings

// The formats that saed reads.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/reader.h"

// A line for each, in the order in which they are told and, among equally sure ones, taken.
#define SAED_FORMATS(X) \
  X(nwb)                \
  X(nwb_zarr)           \
  X(spikeinterface)     \
  X(alf)                \
  X(phy)                \
  X(open_ephys)         \
  X(spikes)             \
  X(pynapple)           \
  X(suite2p)            \
  X(cellexplorer)       \
  X(matlab)             \
  X(traces)             \
  X(counts)             \
  X(saed)

namespace saed::recordings {

namespace formats {
#define SAED_DECLARE(name) const Reader& name();
SAED_FORMATS(SAED_DECLARE)
#undef SAED_DECLARE
}  // namespace formats

const std::vector<const Reader*>& Readers();

// INVALID_ARGUMENT on "format" with the names of all formats where there is none of this name.
absl::StatusOr<const Reader*> FindReader(std::string_view name);

// The format of the files: the one that is sure, else the only one that may be. INVALID_ARGUMENT on
// "format" with what was seen and what each format would need where there is none, or with the
// choices where there are several, or where one that is only sure alone is not.
absl::StatusOr<const Reader*> RecogniseReader(const FileSet& files);

}  // namespace saed::recordings

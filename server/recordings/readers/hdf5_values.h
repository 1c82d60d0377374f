// Values of HDF5 data sets and attributes in memory, whatever their stored type.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Most texts of one array, and most bytes of them all.
inline constexpr int64_t kMaxTexts = int64_t{1} << 25;
inline constexpr int64_t kMaxTextsBytes = int64_t{1} << 29;

// Kind and type in words; the shape is the caller's.
ArrayInfo DescribeType(hid_t type);

// Names of an enumeration's members by their values; of FALSE and TRUE alone it is a boolean.
std::map<int64_t, std::string> MembersOf(hid_t type);
bool IsBoolean(hid_t type);

// How values get to memory: (memory type, transfer list, buffer).
using ReadFn = std::function<herr_t(hid_t, hid_t, void*)>;

// `n` texts of fixed or variable length, as their bytes are. INVALID_ARGUMENT on `path` where they
// are too many or too long, or the file is damaged.
absl::Status ReadTexts(const std::string& path, hid_t type, int64_t n, const ReadFn& read,
                       Texts& out);
// The same of an attribute, which takes no transfer list.
absl::Status ReadAttributeTexts(const std::string& path, hid_t attribute, hid_t type, hid_t space,
                                int64_t n, Texts& out);

}  // namespace saed::recordings

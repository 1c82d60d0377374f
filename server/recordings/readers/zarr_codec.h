// From the bytes of a chunk of a Zarr array to its elements.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/zarr_array.h"

namespace saed::recordings {

// `array.refusal` is empty in all of these. The elements are those of the whole chunk, in the order
// in which they lie in it. INVALID_ARGUMENT on `part` where the bytes are not such a chunk, and
// where they would become larger than it.
absl::StatusOr<std::vector<double>> DecodeNumbers(const std::string& part, const ZarrArray& array,
                                                  std::string bytes);
// Booleans and whole numbers.
absl::StatusOr<std::vector<int64_t>> DecodeIntegers(const std::string& part, const ZarrArray& array,
                                                    std::string bytes);
absl::StatusOr<std::vector<uint64_t>> DecodeUnsigned(const std::string& part,
                                                     const ZarrArray& array, std::string bytes);
// References become the path of what they refer to, with a leading slash.
absl::StatusOr<std::vector<std::string>> DecodeTexts(const std::string& part,
                                                     const ZarrArray& array, std::string bytes);

// The path that hdmf-zarr's {"path": ..., "source": "."} refers to, with a leading slash.
// INVALID_ARGUMENT on `part` where it leads to another store.
absl::StatusOr<std::string> ZarrReferencePath(const std::string& part,
                                              const nlohmann::json& reference);

}  // namespace saed::recordings

// What a `.zarray` of Zarr v2 says: shape, chunks, type and how the chunks are written.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/hierarchy.h"

namespace saed::recordings {

struct ZarrArray {
  enum class Compressor { kNone, kBlosc, kZlib, kZstd };  // kZlib: gzip too
  enum class Objects { kNone, kJson, kLengths };          // how elements of type |O are written

  std::vector<int64_t> shape, chunks;  // as many
  ArrayInfo::Kind kind = ArrayInfo::Kind::kOther;
  std::string type;       // in words
  char code = 'V';        // NumPy's: b, i, u, f, S, U, O; V for what is not read
  int64_t item_size = 0;  // bytes; 0 for |O
  bool big_endian = false;
  bool fortran = false;  // the order within a chunk
  char separator = '.';  // between the numbers in a chunk's name
  Compressor compressor = Compressor::kNone;
  Objects objects = Objects::kNone;
  // Of elements whose chunk is not there.
  double fill = 0;
  std::string fill_text;
  // Why the values cannot be read although the array can be described; empty where they can.
  std::string refusal;

  int64_t elements() const;
  int64_t chunk_elements() const;
  int64_t chunk_count() const;
};

// The most bytes of one chunk, decompressed.
inline constexpr int64_t kMaxChunkBytes = int64_t{1} << 30;

// `zarr_dtype` is the attribute of this name, null where there is none. INVALID_ARGUMENT on `path`
// where the description makes no sense.
absl::StatusOr<ZarrArray> ParseZarrArray(const std::string& path, const nlohmann::json& zarray,
                                         const nlohmann::json& zarr_dtype);

// The member, or null.
const nlohmann::json& JsonMember(const nlohmann::json& object, const char* name);

}  // namespace saed::recordings

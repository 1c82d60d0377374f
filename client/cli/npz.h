// NumPy's .npz: a zip of .npy files, not compressed.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace saed::cli {

// Writes entries one after another; each at most 4 GB, as all together.
class NpzWriter {
 public:
  explicit NpzWriter(const std::string& path) : out_(path, std::ios::binary) {}
  bool ok() const { return static_cast<bool>(out_); }

  // Little-endian, C order; `descr` is NumPy's: "<f8", "<f4", "<i4".
  void Add(const std::string& name, const std::string& descr, int64_t elements, const void* data,
           size_t bytes);
  // The directory of entries; RESOURCE_EXHAUSTED where something could not be written or is too
  // large.
  absl::Status Finish();

 private:
  struct Entry {
    std::string name;
    uint32_t crc;
    uint64_t size, offset;
  };
  void Put(uint64_t value, int bytes);

  std::ofstream out_;
  std::vector<Entry> entries_;
  uint64_t at_ = 0;
};

}  // namespace saed::cli

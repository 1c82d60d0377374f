// Writes .npz files for tests.
#pragma once

#include <zip.h>

#include <string>
#include <utility>
#include <vector>

namespace saed::test_tools {

// Members {name, bytes}, deflated or stored. False where it could not be written.
inline bool WriteNpz(const std::string& path,
                     const std::vector<std::pair<std::string, std::string>>& members,
                     bool deflated = true) {
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  if (zip == nullptr) return false;
  for (const auto& [name, bytes] : members) {
    zip_source_t* source = zip_source_buffer(zip, bytes.data(), bytes.size(), 0);
    const auto index = zip_file_add(zip, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) return false;
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index),
                             deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  return zip_close(zip) == 0;
}

}  // namespace saed::test_tools

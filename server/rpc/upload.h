// Receives the files of an import into a directory of its own.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "saed/v1/recordings.pb.h"
#include "server/base/sha256.h"
#include "server/recordings/import.h"
#include "storage/objects.h"

namespace saed::rpc {

// Not thread-safe. The directory goes away with the object.
class Upload {
 public:
  // Asked before each file's bytes come; what it gives is kept as long as the files.
  using Room = std::function<absl::StatusOr<std::shared_ptr<const void>>(int64_t bytes)>;

  Upload(const storage::ObjectStore& objects, int64_t max_file_bytes, Room room)
      : objects_(objects), max_file_bytes_(max_file_bytes), room_(std::move(room)) {}
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  absl::Status Begin(const v1::FileHeader& header);
  // Ends with its call (on_behalf.h).
  absl::Status Append(const std::string& chunk);
  // Of the file whose chunks are all there, where its header did not say it.
  absl::Status Digest(const std::string& sha256);
  // After the last message: the last file must be whole.
  absl::Status End();

  const std::vector<recordings::ImportFile>& files() const { return files_; }
  // Of all files that were announced.
  int64_t bytes() const { return bytes_; }

 private:
  // Formats that are folders (Zarr) have a file for every piece of an array.
  static constexpr size_t kMaxFiles = 20'000;

  absl::Status CloseFile();

  const storage::ObjectStore& objects_;
  int64_t max_file_bytes_;
  Room room_;
  std::vector<std::shared_ptr<const void>> holds_;
  std::string directory_;
  std::vector<recordings::ImportFile> files_;
  std::set<std::pair<recordings::Role, std::string>> named_;
  v1::FileHeader header_;
  std::ofstream out_;
  std::unique_ptr<Sha256> digest_;
  int64_t received_ = 0, bytes_ = 0;
};

}  // namespace saed::rpc

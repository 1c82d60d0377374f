// Count matrices that may be larger than memory: a file without a name, mapped into the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace saed::recordings {

// The pages come from the page cache and go back to it: Release() gives up what is resident, and
// the next access brings it in again. A watch that looks a hundred times a second releases every
// file when more than ResidentFiles() are resident; between two looks a fast reader may pass that.
// Not thread-safe while it is written, then read by any thread.
class CountFile {
 public:
  // A new zero-filled file of `bytes` below `directory` (empty: the system's temporary directory);
  // it has no name any more when this returns, so a crash leaves nothing behind.
  // RESOURCE_EXHAUSTED where there is no room.
  static absl::StatusOr<std::shared_ptr<CountFile>> Create(const std::string& directory,
                                                           size_t bytes);
  // An existing file of counts, read only, from `offset` on. It must not be cut while it is mapped.
  static absl::StatusOr<std::shared_ptr<CountFile>> Open(const std::string& path, size_t offset);
  // The first `bytes` of a file that is open for reading and writing and stays the caller's.
  static absl::StatusOr<std::shared_ptr<CountFile>> Map(int file, size_t bytes, size_t offset);

  ~CountFile();
  CountFile(const CountFile&) = delete;
  CountFile& operator=(const CountFile&) = delete;

  uint8_t* data() { return data_ + offset_; }
  const uint8_t* data() const { return data_ + offset_; }
  size_t size() const { return size_ - offset_; }

  // Lets go of the resident pages of the whole mapping. Thread-safe.
  void Release() const;
  // From now on nothing is read ahead, which would fill memory with what nobody asked for.
  // Thread-safe.
  void ReadAtRandom() const;

 private:
  CountFile(uint8_t* data, size_t size, size_t offset);

  uint8_t* data_;
  size_t size_, offset_;
};

// Bytes of mapped files that the process may hold resident, its program and libraries among them:
// kResidentFiles, or what a process sets before it has threads.
inline constexpr size_t kResidentFiles = size_t{512} << 20;
size_t& ResidentFiles();

// What the watch does, at once, for those who read at random: every touch may make resident what
// lies together in the page cache, 2 MB on current systems. Takes microseconds. Thread-safe.
void ReleaseWhatIsTooMuch();

// Count matrices above this many bytes live in a file.
inline constexpr size_t kCountsInMemory = size_t{256} << 20;

// Where Create puts files unless told otherwise; set once at start-up, before any view is built.
std::string& CountDirectory();

}  // namespace saed::recordings

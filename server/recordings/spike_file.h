// Where the spikes of a large recording are gathered: a file that is laid out as the recording will
// be stored (store_format.h), so that they are written once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/activity_map.h"
#include "server/recordings/count_file.h"

namespace saed::recordings {

// Where the spikes begin in a file of them, bytes.
inline constexpr size_t kSpikesAt = 4096;

// From now on Create() makes no files but takes one of these, which are empty, open for reading and
// writing, and nobody else's: their owner finds in one what was completed, the others empty. None:
// no longer. Not thread-safe.
void PutSpikesInto(std::vector<int> descriptors);

// Not thread-safe while it is written.
class SpikeFile {
 public:
  // Room for so many spikes. RESOURCE_EXHAUSTED where there is none.
  static absl::StatusOr<std::shared_ptr<SpikeFile>> Create(size_t spikes);
  ~SpikeFile();
  SpikeFile(const SpikeFile&) = delete;
  SpikeFile& operator=(const SpikeFile&) = delete;

  // Numbers of spikes count from the first of all.
  absl::Status Write(size_t first, std::span<const double> times);
  absl::Status Read(size_t first, std::span<double> times) const;
  // What is in the file now, mapped, to be read or written there.
  std::span<double> Mapped(size_t first, size_t count);
  const std::shared_ptr<CountFile>& map() const { return map_; }
  size_t spikes() const { return spikes_; }
  // It holds no more than its first so many from now on.
  void Shrink(size_t spikes) { spikes_ = spikes; }
  // Of how many of them trains were made, by who wrote them.
  void Took(size_t spikes) { taken_ = spikes; }
  size_t taken() const { return taken_; }
  // Of all spikes of trains that are good (TrainLook), by those who write them.
  ActivityMap& activity() { return activity_; }
  const ActivityMap& activity() const { return activity_; }

  // Whether its file is one of PutSpikesInto()'s, and so can outlive it.
  bool keeps() const { return lent_; }
  // Writes what comes before and behind the spikes, where it ends; the file then stays as it is.
  absl::Status Complete(std::string_view before, std::string_view behind);

 private:
  SpikeFile(int file, bool lent, size_t spikes) noexcept
      : file_(file), lent_(lent), spikes_(spikes) {}

  int file_;
  bool lent_, complete_ = false;
  size_t spikes_, taken_ = 0;
  std::shared_ptr<CountFile> map_;
  ActivityMap activity_;
};

}  // namespace saed::recordings

// Mending spikes in the file in which they were gathered.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "server/recordings/recording.h"
#include "server/recordings/train_faults.h"
#include "server/recordings/train_reader.h"

namespace saed::recordings {

// Takes the trains of a recording one after another, each of which is read and written once (the
// unsorted among the largest twice), and moves what is left of them up, so that nothing lies
// between them. Not thread-safe.
class MendInPlace {
 public:
  // The file in which all trains lie in their order and of which nobody else holds a part; null
  // where there is none.
  static std::shared_ptr<SpikeFile> FileOf(const Recording& r);

  // `spikes`: of all trains. `end`: of the recording, s; infinity where it is not known.
  MendInPlace(std::shared_ptr<SpikeFile> file, size_t spikes, double end);

  // Drops what does not belong to the recording and sorts the rest.
  absl::StatusOr<TrainFaults> Mend(SpikeTrain& train);
  // After the last.
  void End() { file_->Shrink(next_); }

 private:
  absl::Status Move(const SpikeTrain& train);
  absl::Status MendWhole(const SpikeTrain& train, FaultFinder& finder, TrainLook& look);
  absl::Status MendPieces(const SpikeTrain& train, FaultFinder& finder, TrainLook& look);

  std::shared_ptr<SpikeFile> file_;
  double end_;
  size_t next_ = 0;  // spikes in the trains so far
  TrainReader reader_;
  Numbers kept_;
};

}  // namespace saed::recordings

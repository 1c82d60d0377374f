// How a recording becomes a matrix: bins, units, windows, split and normaliser.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/counts.h"
#include "server/recordings/count_file.h"
#include "server/recordings/recording.h"
#include "server/recordings/split_spec.h"

namespace saed::recordings {

enum class NormaliserKind { kNone, kZscore, kMinmax };

struct DataView {
  double bin_width = 0.02;                // s
  std::vector<std::string> unit_labels;   // empty: any
  std::vector<int64_t> unit_ids;          // empty: any
  std::vector<std::string> unit_regions;  // empty: any
  double minimum_rate = 0;                // Hz over the time range
  double start_time = 0;                  // s
  double stop_time = 0;                   // s; 0: the recording's end
  std::string mask_table;                 // only bins inside these intervals; empty: all bins
  std::string mask_filter;
  std::string segments;  // an interval table: windows lie inside one of its rows; empty: anywhere
  int window = 1;        // S, bins
  int stride = 1;        // bins between window starts
  NormaliserKind normaliser = NormaliserKind::kNone;
  Split split;
};

inline constexpr int kMaxWindow = 1000;

// Which bins a window may use.
enum class Side : uint8_t { kNone, kTrain, kTest };

struct ViewData {
  double start_time = 0, bin_width = 0;  // bin i is [start + i·w, start + (i+1)·w)
  std::vector<int> units;                // indices into Recording::units, in its order
  std::vector<int64_t> unit_ids;         // their ids
  int64_t bins = 0;
  DType dtype = DType::kU8;
  // Counts [bins, units] row-major, in memory or, above kCountsInMemory, in a file.
  std::vector<uint8_t> bytes;
  std::shared_ptr<const CountFile> file;
  size_t file_offset = 0;            // of the first bin in it, bytes
  std::vector<Side> sides;           // [bins]
  std::vector<int64_t> train, test;  // first bins of windows, ascending
  // For a split by trials: the training windows whose bins are all inside trials. See
  // scored_train().
  std::optional<std::vector<int64_t>> scored;
  int64_t embargo = 0;  // bins beside held-out ones that train nothing
  // For a split by trials each is a block; for one by a column rows of its table with one value,
  // one after another, are. Of each bin the block's number, ascending in time, -1 for none. Empty
  // for other splits.
  std::vector<int32_t> blocks;  // [bins]
  int window = 1;
  // Of each bin the number of the segment it is wholly inside, -1 for none; empty without segments.
  std::vector<int32_t> segments;
  std::vector<float> offset, scale;  // normaliser per unit; empty for none
  bool negative_target = false;      // some normalised training or test value is below 0

  CountView counts() const {
    return {file ? file->data() + file_offset : bytes.data(), dtype, bins,
            static_cast<int>(units.size())};
  }
  // Lets go of resident pages of a file; they come back when they are read.
  void Release() const {
    if (file) file->Release();
  }
  // Training windows by which features are chosen and judged: time between trials trains, but is no
  // easy opposite of a condition.
  const std::vector<int64_t>& scored_train() const { return scored ? *scored : train; }
  double bin_start(int64_t bin) const { return start_time + static_cast<double>(bin) * bin_width; }
};

// Faults that show without the recording.
absl::Status Validate(const DataView& view);

// Bins the recording and finds the windows. Bins that the chosen units were not wholly observed in
// are in no window and no share of a split; nor are those outside `also`, where it is given, which
// is when a paired target was observed. All faults at once, each on its field below "view".
absl::StatusOr<ViewData> BuildView(const Recording& recording, const DataView& view,
                                   const Spans* also = nullptr);

// When all units that the view chooses were observed: what BuildView of a paired input needs.
absl::StatusOr<Spans> TargetObserved(const Recording& recording, const DataView& view);

// The paired population that a model of `input` predicts: counts of the units that `view` chooses
// of `recording`, on the bins of `input`, with their own normaliser fitted on its training bins.
// Faults are on fields of `view`.
absl::StatusOr<ViewData> BuildTarget(const Recording& recording, const DataView& view,
                                     const ViewData& input);

// The view of another recording for a trained model: same bins and windows, all observed windows in
// `test`,
// the given normaliser; units are matched by id. NOT_FOUND-like faults name missing units.
absl::StatusOr<ViewData> BuildAnalysisView(const Recording& recording, const DataView& view,
                                           const std::vector<int64_t>& unit_ids,
                                           const std::vector<float>& offset,
                                           const std::vector<float>& scale);

}  // namespace saed::recordings

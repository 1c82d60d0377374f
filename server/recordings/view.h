// How a recording becomes a matrix: bins, units, windows, split and normaliser.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/counts.h"
#include "server/recordings/count_file.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

enum class NormaliserKind { kNone, kZscore, kMinmax };

enum class SplitKind {
  kChronological,  // the first fraction of the valid bins trains
  kColumn,         // by the values of an interval table's column
  kInSample,       // every bin trains; "held-out" scores are then those of the training bins
};

struct Split {
  SplitKind kind = SplitKind::kChronological;
  double train_fraction = 0.8;
  std::string table, column;
  // Values, or for numeric columns also inclusive ranges such as "0-22".
  std::vector<std::string> train_values, test_values;
};

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
  int window = 1;  // S, bins
  int stride = 1;  // bins between window starts
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
  // For a split by a column: rows of its table with one value, one after another, are a block; of
  // each bin the block's number, ascending in time, -1 for none. Empty for other splits.
  std::vector<int32_t> blocks;  // [bins]
  int window = 1;
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

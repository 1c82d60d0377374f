#include "server/recordings/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/binning.h"
#include "server/recordings/normaliser.h"
#include "server/recordings/observed.h"
#include "server/recordings/split.h"
#include "server/recordings/time_split.h"
#include "server/recordings/trial_split.h"

namespace saed::recordings {
namespace {

// Window starts: each run of bins of one side and segment, strided from its first bin.
void FindWindows(int stride, ViewData& data, int64_t& longest_run) {
  longest_run = 0;
  for (int64_t i = 0; i < data.bins;) {
    const Side side = data.sides[i];
    const int64_t begin = i;
    const auto same = [&](int64_t bin) {
      return data.sides[bin] == side &&
             (data.segments.empty() || data.segments[bin] == data.segments[begin]);
    };
    while (i < data.bins && same(i)) ++i;
    if (side == Side::kNone) continue;
    longest_run = std::max(longest_run, i - begin);
    auto& starts = side == Side::kTrain ? data.train : data.test;
    for (int64_t s = begin; s + data.window <= i; s += stride) starts.push_back(s);
  }
}

bool AnyNegative(const ViewData& data) {
  const auto units = static_cast<int64_t>(data.units.size());
  if (data.offset.empty() && data.dtype != DType::kF32) return false;
  const CountView counts = data.counts();
  for (int64_t i = 0; i < data.bins; ++i) {
    if (data.sides[i] == Side::kNone) continue;
    for (int64_t n = 0; n < units; ++n) {
      const double offset = data.offset.empty() ? 0 : static_cast<double>(data.offset[n]);
      if (ValueAt(counts, i * units + n) < offset) return true;
    }
  }
  return false;
}

// The field that leaves no held-out bins, or no training bins.
std::string FieldOf(const Split& split, bool held_out) {
  switch (split.kind) {
    case SplitKind::kColumn:
      return held_out ? "split.test_values" : "split.train_values";
    case SplitKind::kTrials:
      return held_out ? "split.trials.held_out" : "split.trials.embargo";
    case SplitKind::kTime:
      return held_out ? "split.time.held_out" : "split.time.embargo";
    default:
      return "split.train_fraction";
  }
}

}  // namespace

absl::Status Validate(const DataView& view) {
  Faults faults;
  if (!std::isfinite(view.bin_width) || view.bin_width <= 0) {
    faults.Add("bin_width", fmt::format("is {} s; must be above 0, e.g. 0.02", view.bin_width));
  }
  if (!std::isfinite(view.minimum_rate) || view.minimum_rate < 0) {
    faults.Add("minimum_rate", fmt::format("is {} Hz; must be 0 or more", view.minimum_rate));
  }
  if (!std::isfinite(view.start_time) || view.start_time < 0) {
    faults.Add("start_time", fmt::format("is {} s; must be 0 or more", view.start_time));
  }
  if (!std::isfinite(view.stop_time) ||
      (view.stop_time != 0 && view.stop_time <= view.start_time)) {
    faults.Add("stop_time", fmt::format("is {} s; must be after start_time ({} s), or 0 for the "
                                        "recording's end",
                                        view.stop_time, view.start_time));
  }
  if (view.window < 1 || view.window > kMaxWindow) {
    faults.Add("window", fmt::format("is {} bins; must be 1 to {}", view.window, kMaxWindow));
  }
  if (view.stride < 1 || view.stride > 1'000'000) {
    faults.Add("stride", fmt::format("is {} bins; must be 1 to 1000000", view.stride));
  }
  if (view.mask_table.empty() && !view.mask_filter.empty()) {
    faults.Add("mask.table", "is empty but a mask filter is given; name an interval table");
  }
  const Split& split = view.split;
  if (split.kind == SplitKind::kChronological &&
      !(split.train_fraction > 0 && split.train_fraction < 1)) {
    faults.Add("split.train_fraction",
               fmt::format("is {}; must be between 0 and 1, so that both sides have rows",
                           split.train_fraction));
  }
  if (split.kind == SplitKind::kTrials) faults.Merge(Validate(split.trials));
  if (split.kind == SplitKind::kTime) faults.Merge(Validate(split.time));
  if (split.kind == SplitKind::kColumn) {
    if (split.train_values.empty())
      faults.Add("split.train_values",
                 "is empty; give the values "
                 "that train, e.g. 0-22");
    if (split.test_values.empty())
      faults.Add("split.test_values",
                 "is empty; give the values that "
                 "are held out, e.g. 23-45");
  }
  return faults.ToStatus();
}

absl::StatusOr<ViewData> BuildView(const Recording& r, const DataView& view, const Spans* also) {
  SAED_RETURN_IF_ERROR(Validate(view));
  ViewData data;
  data.window = view.window;
  SAED_RETURN_IF_ERROR(MakeCounts(r, view, data));
  SAED_RETURN_IF_ERROR(AssignSides(r, view, data, also));
  const auto has = [&](Side side) {
    return std::find(data.sides.begin(), data.sides.end(), side) != data.sides.end();
  };
  const bool in_sample = view.split.kind == SplitKind::kInSample;
  if (!has(Side::kTrain) || (!has(Side::kTest) && !in_sample)) {
    const char* side = has(Side::kTrain) ? "test" : "train";
    return InvalidField(FieldOf(view.split, has(Side::kTrain)),
                        fmt::format("leaves no bin of {} bins on the {} side", data.bins, side));
  }
  int64_t longest = 0;
  FindWindows(view.stride, data, longest);
  if (longest < view.window) {
    return InvalidField("window", fmt::format("is {} bins; the longest run of valid bins on one "
                                              "side of the split has {}",
                                              view.window, longest));
  }
  if (in_sample) data.test = data.train;
  if (data.train.empty() || data.test.empty()) {
    return InvalidField(FieldOf(view.split, !data.train.empty()),
                        fmt::format("leaves {} training and {} held-out windows; each side needs "
                                    "at least one",
                                    data.train.size(), data.test.size()));
  }
  if (view.split.kind == SplitKind::kTrials) {
    data.scored.emplace();
    FindScored(data);
    if (data.scored->empty()) {
      return InvalidField("split.trials.embargo",
                          fmt::format("leaves no training window of {} bins inside trials; give a "
                                      "shorter embargo or hold out fewer trials",
                                      view.window));
    }
  }
  FitNormaliser(view.normaliser, data);
  data.negative_target = AnyNegative(data);
  if (data.file) data.file->ReadAtRandom();  // as windows are drawn
  return data;
}

absl::StatusOr<Spans> TargetObserved(const Recording& r, const DataView& view) {
  SAED_RETURN_IF_ERROR(Validate(view));
  SAED_ASSIGN_OR_RETURN(const std::vector<int> units, ChosenUnits(r, view));
  return ObservedTogether(r, units);
}

absl::StatusOr<ViewData> BuildTarget(const Recording& r, const DataView& view,
                                     const ViewData& input) {
  SAED_RETURN_IF_ERROR(Validate(view));
  ViewData data;
  data.window = input.window;
  SAED_RETURN_IF_ERROR(MakeCounts(r, view, data));
  if (data.bins != input.bins) {
    return InvalidField("recording",
                        fmt::format("has {} bins of {} s in this time range, the input has {}; "
                                    "choose start_time and stop_time that both cover",
                                    data.bins, view.bin_width, input.bins));
  }
  data.sides = input.sides;
  data.train = input.train;
  data.test = input.test;
  data.scored = input.scored;
  data.blocks = input.blocks;
  FitNormaliser(view.normaliser, data);
  data.negative_target = AnyNegative(data);
  return data;
}

absl::StatusOr<ViewData> BuildAnalysisView(const Recording& r, const DataView& view,
                                           const std::vector<int64_t>& unit_ids,
                                           const std::vector<float>& offset,
                                           const std::vector<float>& scale) {
  DataView all = view;
  all.unit_labels.clear();
  all.unit_regions.clear();
  all.unit_ids = unit_ids;
  all.minimum_rate = 0;
  all.mask_table.clear();
  all.mask_filter.clear();
  if (r.FindIntervals(all.segments) == nullptr) all.segments.clear();
  all.start_time = all.stop_time = 0;
  ViewData data;
  data.window = view.window;
  SAED_RETURN_IF_ERROR(MakeCounts(r, all, data));
  // The model's inputs are in its own order of units.
  for (size_t i = 0; i < data.units.size(); ++i) {
    if (r.units[data.units[i]].id != unit_ids[i]) {
      return InvalidField("unit_ids", "come in another order in this recording");
    }
  }
  SAED_RETURN_IF_ERROR(AssignAll(r, all, data));
  int64_t longest = 0;
  FindWindows(view.stride, data, longest);
  if (data.test.empty()) {
    return InvalidField("window",
                        fmt::format("is {} bins; the recording has {}, of which {} in a row were "
                                    "observed",
                                    view.window, data.bins, longest));
  }
  data.offset = offset;
  data.scale = scale;
  return data;
}

}  // namespace saed::recordings

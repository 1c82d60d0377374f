#include "server/jobs/choose_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <variant>
#include <vector>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/jobs/trial_table.h"
#include "server/recordings/table_bins.h"

namespace saed::jobs {
namespace {

using recordings::Column;
using recordings::IntervalTable;
using recordings::Side;
using recordings::SplitKind;
using recordings::ViewData;

constexpr size_t kMostValues = 20;   // of a column that says what a trial is
constexpr size_t kFewestTrials = 4;  // with a value, that should be on both sides

// What a split is refused for, and no other split could mend.
bool OfTheSplit(const absl::Status& status) {
  const auto faults = FaultsOf(status);
  return !faults.empty() && std::all_of(faults.begin(), faults.end(), [](const FieldFault& fault) {
    return fault.field.starts_with("split.") || fault.field == "window";
  });
}

// Of the table's rows the side of the bins inside; kNone for those without.
std::vector<Side> SidesOf(const IntervalTable& table, const ViewData& data) {
  // The first bin from each on that is on a side.
  std::vector<int64_t> next(data.bins + 1, data.bins);
  for (int64_t i = data.bins; i-- > 0;) next[i] = data.sides[i] == Side::kNone ? next[i + 1] : i;
  std::vector<Side> out;
  for (size_t row = 0; row < table.rows(); ++row) {
    const auto [first, end] = BinsBetween(data, table.start[row], table.stop[row]);
    out.push_back(first < end && next[first] < end ? data.sides[next[first]] : Side::kNone);
  }
  return out;
}

// A number or text of the row; empty where it is missing, and for lists.
std::string ValueOf(const Column& column, size_t row) {
  if (const auto* numbers = std::get_if<recordings::Numbers>(&column.values)) {
    return std::isnan((*numbers)[row]) ? "" : NumberText((*numbers)[row]);
  }
  const auto* texts = std::get_if<recordings::Texts>(&column.values);
  return texts != nullptr ? (*texts)[row] : "";
}

// The first column of few values of which one lies on one side of the split as a whole.
const Column* Separated(const IntervalTable& table, const ViewData& data) {
  const std::vector<Side> sides = SidesOf(table, data);
  for (const Column& column : table.table.columns) {
    std::map<std::string, std::pair<size_t, size_t>> values;  // rows that train, that are held out
    for (size_t row = 0; row < table.rows() && values.size() <= kMostValues; ++row) {
      const std::string value = ValueOf(column, row);
      if (value.empty() || sides[row] == Side::kNone) continue;
      auto& [train, test] = values[value];
      ++(sides[row] == Side::kTrain ? train : test);
    }
    if (values.size() < 2 || values.size() > kMostValues) continue;
    for (const auto& [value, rows] : values) {
      const auto& [train, test] = rows;
      if (train + test >= kFewestTrials && (train == 0 || test == 0)) return &column;
    }
  }
  return nullptr;
}

std::string TrialsInWords(const recordings::TrialSplit& split, const ViewData& data) {
  std::set<int32_t> train, test;
  for (const int64_t start : data.scored_train())
    train.insert(data.blocks[start + data.window - 1]);
  for (const int64_t start : data.test) test.insert(data.blocks[start + data.window - 1]);
  return fmt::format(
      "split: {} rows of {} are held out and {} train, evenly spaced in time{}; {}; {:.3g} s "
      "beside "
      "what is held out are left out",
      test.size(), split.table, train.size(),
      split.stratify.empty()
          ? ""
          : fmt::format(" and in each value of {}, which they would separate", split.stratify),
      split.outside == recordings::Outside::kTrains
          ? "the time around them trains, too, and is not scored"
          : "units hardly spike around them, so that time is left out",
      static_cast<double>(data.embargo) * data.bin_width);
}

}  // namespace

absl::StatusOr<ViewData> ChooseSplit(const recordings::Recording& recording,
                                     recordings::DataView& view,
                                     absl::FunctionRef<absl::StatusOr<ViewData>()> build,
                                     absl::FunctionRef<absl::Status(const ViewData&)> suits,
                                     std::string& why) {
  why.clear();
  if (view.split.kind != SplitKind::kLeftOut) return build();
  const double window = view.bin_width * view.window;
  const TrialTable trials =
      FindTrialTable(recording, view.bin_width, std::max(window, 2 * view.bin_width));
  std::string no_trials = trials.why_none;
  if (trials.table != nullptr) {
    view.split = {};
    view.split.kind = SplitKind::kTrials;
    view.split.trials.table = trials.table->table.name;
    if (SilentOutside(recording, *trials.table)) {
      view.split.trials.outside = recordings::Outside::kLeftOut;
    }
    auto data = build();
    const Column* apart = data.ok() ? Separated(*trials.table, *data) : nullptr;
    if (apart != nullptr) {
      view.split.trials.stratify = apart->name;
      data = build();
    }
    const absl::Status status = data.ok() ? suits(*data) : data.status();
    if (status.ok()) why = TrialsInWords(view.split.trials, *data);
    if (status.ok() || (!data.ok() && !OfTheSplit(status))) return data;
    const auto faults = FaultsOf(status);
    no_trials = fmt::format("'{}' cannot be split by ({})", trials.table->table.name,
                            faults.empty() ? std::string(status.message())
                                           : faults[0].field + " " + faults[0].description);
  }
  view.split = {};
  view.split.kind = SplitKind::kTime;
  auto data = build();
  if (data.ok()) {
    why = fmt::format(
        "split: the last fifth of each of {} stretches of time is held out, as {}; {:.3g} s beside "
        "it are left out",
        recordings::kStretches, no_trials, static_cast<double>(data->embargo) * data->bin_width);
  }
  if (data.ok() || !OfTheSplit(data.status())) return data;
  view.split = {};
  data = build();
  if (data.ok()) why = "split: the first 80 % of the time train, which is too short for more";
  return data;
}

std::string SilenceThatTrains(const recordings::Recording& recording,
                              const recordings::DataView& view) {
  const auto& split = view.split;
  if (split.kind != SplitKind::kTrials || !view.mask_table.empty() ||
      split.trials.outside == recordings::Outside::kLeftOut) {
    return "";
  }
  const IntervalTable* table = recording.FindIntervals(split.trials.table);
  if (table == nullptr || !SilentOutside(recording, *table)) return "";
  return fmt::format(
      "units hardly spike outside the rows of {}, and that time trains, too: much of the model is "
      "of "
      "silence then. Leave it out (outside: left out), or with a mask of {}",
      table->table.name, table->table.name);
}

}  // namespace saed::jobs

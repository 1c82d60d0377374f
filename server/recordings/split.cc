#include "server/recordings/split.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <queue>
#include <set>
#include <string_view>
#include <unordered_set>
#include <variant>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/normaliser.h"
#include "server/recordings/observed.h"
#include "server/recordings/table_bins.h"
#include "server/recordings/table_filter.h"
#include "server/recordings/time_split.h"
#include "server/recordings/trial_split.h"
#include "server/recordings/value_range.h"

namespace saed::recordings {
namespace {

// At most so many ranges, each of which is held against every row.
constexpr size_t kMostRanges = 1000;

absl::StatusOr<std::vector<uint8_t>> RowsInRanges(const Numbers& numbers, const Column& column,
                                                  const std::vector<std::string>& values,
                                                  std::string_view field) {
  std::vector<double> alone;
  std::vector<ValueRange> ranges;
  for (const std::string& value : values) {
    const auto range = ValueRange::Parse(value);
    if (!range.ok()) {
      return InvalidField(field, fmt::format("holds {} (the column '{}' is numeric)",
                                             std::string(range.status().message()), column.name));
    }
    if (range->alone()) {
      alone.push_back(range->number());
    } else {
      ranges.push_back(*range);
    }
  }
  if (ranges.size() > kMostRanges) {
    return InvalidField(field, fmt::format("holds {} ranges; at most {} are taken, and any number "
                                           "of single values",
                                           ranges.size(), kMostRanges));
  }
  std::sort(alone.begin(), alone.end());
  std::vector<uint8_t> rows;
  for (const double number : numbers) {
    // NaN, of a missing cell, is in no order.
    rows.push_back(
        (!std::isnan(number) && std::binary_search(alone.begin(), alone.end(), number)) ||
        std::any_of(ranges.begin(), ranges.end(),
                    [&](const ValueRange& range) { return range.Has(number); }));
  }
  return rows;
}

absl::StatusOr<std::vector<uint8_t>> RowsWithValues(const Column& column,
                                                    const std::vector<std::string>& values,
                                                    std::string_view field) {
  if (const auto* numbers = std::get_if<Numbers>(&column.values)) {
    return RowsInRanges(*numbers, column, values, field);
  }
  const std::unordered_set<std::string_view> wanted(values.begin(), values.end());
  const auto has = [&](const std::string& text) { return wanted.contains(text); };
  std::vector<uint8_t> rows;
  if (const auto* texts = std::get_if<Texts>(&column.values)) {
    for (const std::string& text : *texts) rows.push_back(has(text));
  } else {
    for (const auto& list : std::get<TextLists>(column.values)) {
      rows.push_back(std::any_of(list.begin(), list.end(), has));
    }
  }
  return rows;
}

// The values of the text columns that a filter speaks of: " outcome has 'hit', 'miss'".
std::string ValuesIn(const IntervalTable& table, const std::string& filter) {
  constexpr size_t kShown = 8;
  std::string out;
  for (const Column& column : table.table.columns) {
    const auto* texts = std::get_if<Texts>(&column.values);
    if (texts == nullptr || filter.find(column.name) == filter.npos) continue;
    std::set<std::string> values;
    for (const std::string& text : *texts) {
      if (values.size() <= kShown) values.insert(text);
    }
    const bool more = values.size() > kShown;
    if (more) values.erase(std::prev(values.end()));
    out +=
        fmt::format("; {} has '{}'{}", column.name, fmt::join(values, "', '"), more ? ", …" : "");
  }
  return out;
}

// Why no bin is in the mask.
absl::Status EmptyMask(const IntervalTable& table, const DataView& view,
                       const std::vector<uint8_t>& rows, double bin_width) {
  const auto chosen = std::count(rows.begin(), rows.end(), uint8_t{1});
  if (chosen == 0 && !view.mask_filter.empty()) {
    return InvalidField("mask.filter",
                        fmt::format("is '{}', which no row of '{}' matches{}", view.mask_filter,
                                    view.mask_table, ValuesIn(table, view.mask_filter)));
  }
  return InvalidField("mask.table",
                      fmt::format("is '{}', in whose {} chosen rows no whole bin of {} s lies",
                                  view.mask_table, chosen, bin_width));
}

// Which bins are inside the mask.
absl::StatusOr<std::vector<uint8_t>> MaskedBins(const Recording& r, const DataView& view,
                                                const ViewData& data) {
  if (view.mask_table.empty()) return std::vector<uint8_t>(data.bins, 1);
  SAED_ASSIGN_OR_RETURN(const IntervalTable* table, FindTable(r, view.mask_table, "mask.table"));
  const auto rows = MatchRows(table->table, view.mask_filter);
  if (!rows.ok()) {
    Faults faults;
    faults.Merge(rows.status(), "mask");
    return faults.ToStatus();
  }
  auto bins = BinsInside(data, RowsOf(*table, *rows));
  if (std::find(bins.begin(), bins.end(), uint8_t{1}) == bins.end()) {
    return EmptyMask(*table, view, *rows, data.bin_width);
  }
  return bins;
}

// Nothing of the view was observed: why, and what could be chosen instead.
absl::Status NeverObserved(const Recording& r, const ViewData& data, const Spans& together,
                           int lost, const Spans* also) {
  if (lost >= 0) {
    const std::vector<int> before(data.units.begin(), data.units.begin() + lost);
    return InvalidField(
        "unit_ids",
        fmt::format("and the other unit filters choose units that were never observed together: "
                    "unit {} was observed at {}, those before it at {}; choose units that share "
                    "observed time by unit_ids, unit_labels or unit_regions",
                    data.unit_ids[lost], InWords(ObservedSpans(r, r.units[data.units[lost]])),
                    InWords(ObservedTogether(r, before))));
  }
  return InvalidField(
      "start_time",
      fmt::format("{} s and bins of {} s leave no bin that was wholly observed; the chosen units "
                  "were observed at {}{}; choose start_time, stop_time and bin_width by these",
                  data.start_time, data.bin_width, InWords(together),
                  also == nullptr ? "" : " and the target's at " + InWords(*also)));
}

// Takes out of `valid` the bins that were not wholly observed, in the chosen units and in `also`.
absl::Status LeaveOutUnobserved(const Recording& r, const ViewData& data, const Spans* also,
                                std::vector<uint8_t>& valid) {
  if (!HasGaps(r, data.units) && also == nullptr) return absl::OkStatus();
  int lost = -1;
  const Spans together = ObservedTogether(r, data.units, &lost);
  const auto observed = BinsInside(data, also == nullptr ? together : Intersect(together, *also));
  if (std::find(observed.begin(), observed.end(), uint8_t{1}) == observed.end()) {
    return NeverObserved(r, data, together, lost, also);
  }
  for (int64_t i = 0; i < data.bins; ++i) valid[i] &= observed[i];
  return absl::OkStatus();
}

// Numbers the rows of the view's segments and takes out of `valid` the bins outside. Where rows
// overlap the later one has the bins.
absl::Status NumberSegments(const Recording& r, const DataView& view, ViewData& data,
                            std::vector<uint8_t>& valid) {
  if (view.segments.empty()) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(const IntervalTable* table, FindTable(r, view.segments, "segments"));
  data.segments.assign(data.bins, -1);
  std::priority_queue<std::pair<int32_t, int64_t>> open;  // number and end of rows, latest first
  int64_t at = 0;
  const auto fill_to = [&](int64_t to) {
    while (at < to && !open.empty()) {
      const auto [number, end] = open.top();
      for (const int64_t until = std::min(end, to); at < until; ++at) data.segments[at] = number;
      if (end <= at) open.pop();
    }
    at = std::max(at, to);
  };
  int32_t number = 0;
  for (const size_t row : InTime(*table)) {
    const auto [first, end] = BinsBetween(data, table->start[row], table->stop[row]);
    fill_to(first);
    open.emplace(number++, end);
  }
  fill_to(data.bins);
  for (int64_t i = 0; i < data.bins; ++i) valid[i] &= data.segments[i] >= 0;
  if (std::find(valid.begin(), valid.end(), uint8_t{1}) != valid.end()) return absl::OkStatus();
  return InvalidField("segments",
                      fmt::format("is '{}', of whose rows none has a bin of {} s that is observed "
                                  "and in the mask",
                                  view.segments, data.bin_width));
}

// A missing number is the same as another one.
bool SameValue(const Column& column, size_t a, size_t b) {
  if (const auto* numbers = std::get_if<Numbers>(&column.values)) {
    if (std::isnan((*numbers)[a]) && std::isnan((*numbers)[b])) return true;
  }
  return std::visit([&](const auto& values) { return values[a] == values[b]; }, column.values);
}

// Rows in time that have the same value are a block.
void NumberBlocks(const IntervalTable& table, const Column& column, ViewData& data) {
  data.blocks.assign(data.bins, -1);
  const std::vector<size_t> order = InTime(table);
  int32_t block = 0;
  for (size_t i = 0; i < order.size(); ++block) {
    const double start = table.start[order[i]];
    const size_t first = order[i];
    double stop = start;
    for (; i < order.size() && SameValue(column, first, order[i]); ++i) {
      stop = std::max(stop, table.stop[order[i]]);
    }
    const auto [first_bin, end] = BinsBetween(data, start, stop);
    std::fill(data.blocks.begin() + first_bin, data.blocks.begin() + end, block);
  }
}

absl::Status SplitByColumn(const Recording& r, const Split& split,
                           const std::vector<uint8_t>& valid, ViewData& data) {
  SAED_ASSIGN_OR_RETURN(const IntervalTable* table, FindTable(r, split.table, "split.table"));
  SAED_ASSIGN_OR_RETURN(const Column* column, FindColumn(*table, split.column, "split.column"));
  SAED_ASSIGN_OR_RETURN(const auto train,
                        RowsWithValues(*column, split.train_values, "split.train_values"));
  SAED_ASSIGN_OR_RETURN(const auto test,
                        RowsWithValues(*column, split.test_values, "split.test_values"));
  for (size_t i = 0; i < train.size(); ++i) {
    if (train[i] && test[i]) {
      return InvalidField("split.test_values", fmt::format("and train_values both hold row {} of "
                                                           "'{}'; a row may be on one side only",
                                                           i, split.table));
    }
  }
  const auto train_bins = BinsInside(data, RowsOf(*table, train));
  const auto test_bins = BinsInside(data, RowsOf(*table, test));
  for (int64_t i = 0; i < data.bins; ++i) {
    if (!valid[i] || (train_bins[i] && test_bins[i])) continue;
    data.sides[i] = train_bins[i] ? Side::kTrain : test_bins[i] ? Side::kTest : Side::kNone;
  }
  NumberBlocks(*table, *column, data);
  return absl::OkStatus();
}

absl::Status SplitBins(const Recording& r, const Split& split, const std::vector<uint8_t>& valid,
                       ViewData& data) {
  data.sides.assign(data.bins, Side::kNone);
  if (split.kind == SplitKind::kColumn) return SplitByColumn(r, split, valid, data);
  if (split.kind == SplitKind::kTrials) return SplitByTrials(r, split.trials, valid, data);
  if (split.kind == SplitKind::kTime) return SplitByTime(split.time, valid, data);
  const int64_t usable = std::count(valid.begin(), valid.end(), uint8_t{1});
  const auto train =
      split.kind == SplitKind::kInSample
          ? usable
          : static_cast<int64_t>(std::floor(static_cast<double>(usable) * split.train_fraction));
  int64_t seen = 0;
  for (int64_t i = 0; i < data.bins; ++i) {
    if (valid[i]) data.sides[i] = seen++ < train ? Side::kTrain : Side::kTest;
  }
  return absl::OkStatus();
}

// Every so-manyth of the stretches of training windows, or of the trials.
std::vector<int64_t> ValidationWindows(int64_t every, const ViewData& data) {
  constexpr int64_t kValidationStretches = 50;
  std::vector<int64_t> out;
  const auto n = static_cast<int64_t>(data.train.size());
  if (!data.scored) {
    for (int64_t i = 0; i < n; ++i) {
      if (i * kValidationStretches / n % every == every - 1) out.push_back(data.train[i]);
    }
    return out;
  }
  int32_t last = -1;
  int64_t trials = 0;
  for (const int64_t start : *data.scored) {
    const int32_t trial = data.blocks[start + data.window - 1];
    trials += trial != last;
    last = trial;
    if (trials % every == 0) out.push_back(start);
  }
  return out;
}

}  // namespace

absl::Status AssignSides(const Recording& r, const DataView& view, ViewData& data,
                         const Spans* also) {
  Faults faults;
  auto valid = MaskedBins(r, view, data);
  if (!valid.ok()) {
    faults.Merge(valid.status());
    valid = std::vector<uint8_t>(data.bins, 1);
  }
  faults.Merge(LeaveOutUnobserved(r, data, also, *valid));
  faults.Merge(NumberSegments(r, view, data, *valid));
  faults.Merge(SplitBins(r, view.split, *valid, data));
  return faults.ToStatus();
}

absl::Status AssignAll(const Recording& r, const DataView& view, ViewData& data) {
  std::vector<uint8_t> valid(data.bins, 1);
  SAED_RETURN_IF_ERROR(LeaveOutUnobserved(r, data, nullptr, valid));
  SAED_RETURN_IF_ERROR(NumberSegments(r, view, data, valid));
  data.sides.assign(data.bins, Side::kNone);
  for (int64_t i = 0; i < data.bins; ++i) {
    if (valid[i]) data.sides[i] = Side::kTest;
  }
  return absl::OkStatus();
}

void FindScored(ViewData& data) {
  if (!data.scored) return;
  data.scored->clear();
  int64_t inside = 0, bin = 0;  // bins of trials in a row before `bin`
  for (const int64_t start : data.train) {
    for (; bin < start + data.window; ++bin) inside = data.blocks[bin] < 0 ? 0 : inside + 1;
    if (inside >= data.window) data.scored->push_back(start);
  }
}

absl::StatusOr<std::vector<int64_t>> TakeValidation(double fraction, NormaliserKind normaliser,
                                                    ViewData& data) {
  if (!(fraction > 0 && fraction <= 0.5)) {
    return InvalidField("validation_fraction",
                        fmt::format("is {}; must be above 0 and at most 0.5", fraction));
  }
  const int64_t every = std::llround(1 / fraction);
  const auto n = static_cast<int64_t>(data.train.size());
  const std::vector<int64_t> validation = ValidationWindows(every, data);
  std::vector<int64_t> train;
  std::set_difference(data.train.begin(), data.train.end(), validation.begin(), validation.end(),
                      std::back_inserter(train));
  const int64_t reach = data.window + data.embargo;
  std::erase_if(train, [&](int64_t start) {
    const auto next = std::lower_bound(validation.begin(), validation.end(), start);
    return (next != validation.end() && *next - start < reach) ||
           (next != validation.begin() && start - *(next - 1) < reach);
  });
  data.train = std::move(train);
  FindScored(data);
  if (data.scored_train().empty() || validation.empty()) {
    return InvalidField("validation_fraction",
                        fmt::format("is {}, which leaves {} of {} training windows to train and {} "
                                    "to validate; use a longer recording or a shorter window",
                                    fraction, data.scored_train().size(), n, validation.size()));
  }
  for (const int64_t start : validation) {
    std::fill_n(data.sides.begin() + start, data.window, Side::kNone);
  }
  FitNormaliser(normaliser, data);
  return validation;
}

}  // namespace saed::recordings

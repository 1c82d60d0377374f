#include "server/recordings/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <variant>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/binning.h"
#include "server/recordings/observed.h"
#include "server/recordings/table_filter.h"

namespace saed::recordings {
namespace {

Spans RowsOf(const IntervalTable& table, const std::vector<uint8_t>& rows) {
  Spans out;
  for (size_t i = 0; i < table.rows(); ++i) {
    if (rows[i]) out.emplace_back(table.start[i], table.stop[i]);
  }
  return Merge(std::move(out));
}

std::string TableNames(const Recording& r) {
  std::string out;
  for (const auto& t : r.intervals) out += (out.empty() ? "" : ", ") + t.table.name;
  return out.empty() ? "none" : out;
}

absl::StatusOr<const IntervalTable*> FindTable(const Recording& r, const std::string& name,
                                               std::string_view field) {
  if (const IntervalTable* t = r.FindIntervals(name)) return t;
  return InvalidField(
      field, fmt::format("is '{}'; the recording's interval tables are: {}", name, TableNames(r)));
}

// Calls fn for the bins that lie wholly inside [start, stop).
template <class Fn>
void ForBinsInside(const ViewData& view, double start, double stop, const Fn& fn) {
  const double first = std::ceil((start - kTimeTolerance - view.start_time) / view.bin_width);
  for (auto bin = static_cast<int64_t>(std::clamp(first, 0.0, static_cast<double>(view.bins)));
       bin < view.bins && view.bin_start(bin + 1) <= stop + kTimeTolerance; ++bin) {
    fn(bin);
  }
}

// The bins that lie wholly inside one of the spans.
std::vector<uint8_t> BinsInside(const ViewData& view, const Spans& spans) {
  std::vector<uint8_t> inside(view.bins, 0);
  for (const auto& [start, stop] : spans) {
    ForBinsInside(view, start, stop, [&](int64_t bin) { inside[bin] = 1; });
  }
  return inside;
}

// One value or, for numbers, an inclusive range "low-high".
absl::StatusOr<std::pair<double, double>> NumberRange(const std::string& text) {
  char* end = nullptr;
  const double low = std::strtod(text.c_str(), &end);
  if (end != text.c_str() && *end == '\0') return std::pair(low, low);
  if (end != text.c_str() && *end == '-') {
    const char* second = end + 1;
    const double high = std::strtod(second, &end);
    if (end != second && *end == '\0' && high >= low) return std::pair(low, high);
  }
  return absl::InvalidArgumentError(
      fmt::format("'{}' is neither a number nor a range such as 0-22", text));
}

absl::StatusOr<std::vector<uint8_t>> RowsWithValues(const IntervalTable& table,
                                                    const Column& column,
                                                    const std::vector<std::string>& values,
                                                    std::string_view field) {
  std::vector<uint8_t> rows(table.rows(), 0);
  for (const std::string& value : values) {
    if (const auto* numbers = std::get_if<Numbers>(&column.values)) {
      const auto range = NumberRange(value);
      if (!range.ok()) {
        return InvalidField(field, fmt::format("holds {} (the column '{}' is numeric)",
                                               std::string(range.status().message()), column.name));
      }
      for (size_t i = 0; i < rows.size(); ++i) {
        rows[i] |= (*numbers)[i] >= range->first && (*numbers)[i] <= range->second;
      }
    } else if (const auto* texts = std::get_if<Texts>(&column.values)) {
      for (size_t i = 0; i < rows.size(); ++i) rows[i] |= (*texts)[i] == value;
    } else {
      const auto& lists = std::get<TextLists>(column.values);
      for (size_t i = 0; i < rows.size(); ++i) {
        rows[i] |= std::find(lists[i].begin(), lists[i].end(), value) != lists[i].end();
      }
    }
  }
  return rows;
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
  return BinsInside(data, RowsOf(*table, *rows));
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
  std::vector<size_t> order(table.rows());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return table.start[a] < table.start[b]; });
  int32_t block = 0;
  for (size_t i = 0; i < order.size(); ++block) {
    const double start = table.start[order[i]];
    const size_t first = order[i];
    double stop = start;
    for (; i < order.size() && SameValue(column, first, order[i]); ++i) {
      stop = std::max(stop, table.stop[order[i]]);
    }
    ForBinsInside(data, start, stop, [&](int64_t bin) { data.blocks[bin] = block; });
  }
}

absl::Status SplitByColumn(const Recording& r, const Split& split,
                           const std::vector<uint8_t>& valid, ViewData& data) {
  SAED_ASSIGN_OR_RETURN(const IntervalTable* table, FindTable(r, split.table, "split.table"));
  const Column* column = table->table.Find(split.column);
  if (column == nullptr) {
    std::string names;
    for (const Column& c : table->table.columns) names += (names.empty() ? "" : ", ") + c.name;
    return InvalidField("split.column", fmt::format("is '{}'; the table '{}' has {}", split.column,
                                                    split.table, names));
  }
  SAED_ASSIGN_OR_RETURN(const auto train,
                        RowsWithValues(*table, *column, split.train_values, "split.train_values"));
  SAED_ASSIGN_OR_RETURN(const auto test,
                        RowsWithValues(*table, *column, split.test_values, "split.test_values"));
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
  faults.Merge(SplitBins(r, view.split, *valid, data));
  return faults.ToStatus();
}

absl::Status AssignAll(const Recording& r, ViewData& data) {
  std::vector<uint8_t> valid(data.bins, 1);
  SAED_RETURN_IF_ERROR(LeaveOutUnobserved(r, data, nullptr, valid));
  data.sides.assign(data.bins, Side::kNone);
  for (int64_t i = 0; i < data.bins; ++i) {
    if (valid[i]) data.sides[i] = Side::kTest;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> TakeValidation(double fraction, ViewData& data) {
  if (!(fraction > 0 && fraction <= 0.5)) {
    return InvalidField("validation_fraction",
                        fmt::format("is {}; must be above 0 and at most 0.5", fraction));
  }
  constexpr int64_t kStretches = 50;
  const int64_t every = std::llround(1 / fraction);
  const auto n = static_cast<int64_t>(data.train.size());
  std::vector<int64_t> validation, train;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t stretch = i * kStretches / n;
    (stretch % every == every - 1 ? validation : train).push_back(data.train[i]);
  }
  std::erase_if(train, [&](int64_t start) {
    const auto next = std::lower_bound(validation.begin(), validation.end(), start);
    return (next != validation.end() && *next - start < data.window) ||
           (next != validation.begin() && start - *(next - 1) < data.window);
  });
  if (train.empty() || validation.empty()) {
    return InvalidField("validation_fraction",
                        fmt::format("is {}, which leaves {} of {} training windows to train and {} "
                                    "to validate; use a longer recording or a shorter window",
                                    fraction, train.size(), n, validation.size()));
  }
  data.train = std::move(train);
  return validation;
}

}  // namespace saed::recordings

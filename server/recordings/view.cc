#include "server/recordings/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/table_filter.h"

namespace saed::recordings {
namespace {

// Half-open [start, stop) intervals, sorted, touching ones merged.
using Spans = std::vector<std::pair<double, double>>;

constexpr double kTimeTolerance = 1e-9;  // s

Spans Merge(Spans spans) {
  std::sort(spans.begin(), spans.end());
  Spans out;
  for (const auto& [start, stop] : spans) {
    if (!out.empty() && start <= out.back().second + kTimeTolerance) {
      out.back().second = std::max(out.back().second, stop);
    } else {
      out.emplace_back(start, stop);
    }
  }
  return out;
}

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

// The bins that lie wholly inside one of the spans.
std::vector<uint8_t> BinsInside(const ViewData& view, const Spans& spans) {
  std::vector<uint8_t> inside(view.bins, 0);
  for (const auto& [start, stop] : spans) {
    auto bin = static_cast<int64_t>(
        std::ceil((start - kTimeTolerance - view.start_time) / view.bin_width));
    for (bin = std::max<int64_t>(bin, 0);
         bin < view.bins && view.bin_start(bin + 1) <= stop + kTimeTolerance; ++bin) {
      inside[bin] = 1;
    }
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

void SelectUnits(const Recording& r, const DataView& view, double start, double stop, ViewData& out,
                 Faults& faults) {
  const std::set<std::string> labels(view.unit_labels.begin(), view.unit_labels.end());
  const std::set<int64_t> ids(view.unit_ids.begin(), view.unit_ids.end());
  std::set<int64_t> known;
  std::set<std::string> known_labels;
  for (size_t i = 0; i < r.units.size(); ++i) {
    const Unit& unit = r.units[i];
    known.insert(unit.id);
    known_labels.insert(unit.label);
    if (!labels.empty() && !labels.count(unit.label)) continue;
    if (!ids.empty() && !ids.count(unit.id)) continue;
    if (view.minimum_rate > 0 && !r.counts.present()) {
      const auto first = std::lower_bound(unit.spike_times.begin(), unit.spike_times.end(), start);
      const auto last = std::lower_bound(first, unit.spike_times.end(), stop);
      if (static_cast<double>(last - first) < view.minimum_rate * (stop - start)) continue;
    }
    out.units.push_back(static_cast<int>(i));
  }
  for (int64_t id : ids) {
    if (!known.count(id))
      faults.Add("unit_ids", fmt::format("names the unit {}, which the "
                                         "recording does not have",
                                         id));
  }
  if (out.units.empty()) {
    std::string have;
    for (const auto& l : known_labels) have += (have.empty() ? "'" : ", '") + l + "'";
    faults.Add("unit_labels",
               fmt::format("and the other unit filters leave none of the recording's {} units; "
                           "its labels are: {}",
                           r.units.size(), have));
  }
}

// Bin of a time by the edges start + i·w. A time within a nanosecond of an edge is on it: decimal
// times that a file rounded must not fall into the bin before.
int64_t BinOf(const ViewData& view, double t) {
  t += kTimeTolerance;
  auto bin = static_cast<int64_t>(std::floor((t - view.start_time) / view.bin_width));
  while (t < view.bin_start(bin)) --bin;
  while (t >= view.bin_start(bin + 1)) ++bin;
  return bin;
}

// Counts spikes; exact integer arithmetic where times, start and width are whole samples.
absl::Status BinSpikes(const Recording& r, ViewData& out) {
  const double rate = r.sampling_rate;
  const double width = out.bin_width * rate, first = out.start_time * rate;
  const bool exact = rate > 0 && std::abs(width - std::round(width)) < 1e-6 &&
                     std::abs(first - std::round(first)) < 1e-6 && std::round(width) >= 1;
  const auto width_samples = static_cast<int64_t>(std::llround(exact ? width : 1));
  const auto first_sample = static_cast<int64_t>(std::llround(exact ? first : 0));
  const size_t units = out.units.size();
  std::vector<uint16_t> wide(static_cast<size_t>(out.bins) * units, 0);
  uint16_t most = 0;
  for (size_t n = 0; n < units; ++n) {
    for (double t : r.units[out.units[n]].spike_times) {
      if (t < out.start_time) continue;
      const int64_t bin =
          exact ? (std::llround(t * rate) - first_sample) / width_samples : BinOf(out, t);
      if (bin >= out.bins) break;
      uint16_t& count = wide[static_cast<size_t>(bin) * units + n];
      if (count == 65535) {
        return InvalidField("bin_width",
                            fmt::format("is {} s, which puts more than 65535 spikes of "
                                        "unit {} into one bin; use narrower bins",
                                        out.bin_width, r.units[out.units[n]].id));
      }
      most = std::max(most, ++count);
    }
  }
  if (most <= 255) {
    out.dtype = DType::kU8;
    out.bytes.assign(wide.begin(), wide.end());
  } else {
    out.dtype = DType::kU16;
    out.bytes.resize(wide.size() * 2);
    std::memcpy(out.bytes.data(), wide.data(), out.bytes.size());
  }
  return absl::OkStatus();
}

double ValueAt(const CountView& view, int64_t i) {
  switch (view.dtype) {
    case DType::kU8:
      return static_cast<const uint8_t*>(view.data)[i];
    case DType::kU16:
      return static_cast<const uint16_t*>(view.data)[i];
    case DType::kF32:
      return static_cast<double>(static_cast<const float*>(view.data)[i]);
  }
  return 0;
}

// Adds up the bins of a recorded count matrix into the view's bins.
absl::Status Rebin(const Recording& r, int64_t factor, ViewData& out) {
  const CountView in{r.counts.bytes.data(), r.counts.dtype, r.counts.bins,
                     static_cast<int>(r.units.size())};
  const auto skip = static_cast<int64_t>(std::llround(out.start_time / r.counts.bin_width));
  const size_t units = out.units.size();
  std::vector<float> sums(static_cast<size_t>(out.bins) * units, 0);
  float most = 0;
  bool whole = r.counts.dtype != DType::kF32;
  for (int64_t bin = 0; bin < out.bins * factor; ++bin) {
    for (size_t n = 0; n < units; ++n) {
      float& sum = sums[static_cast<size_t>(bin / factor) * units + n];
      sum += static_cast<float>(ValueAt(in, (skip + bin) * in.units + out.units[n]));
      most = std::max(most, sum);
    }
  }
  out.dtype = !whole || most > 65535 ? DType::kF32 : most > 255 ? DType::kU16 : DType::kU8;
  const auto fill = [&]<class T>(T) {
    out.bytes.resize(sums.size() * sizeof(T));
    for (size_t i = 0; i < sums.size(); ++i) {
      const T v = static_cast<T>(sums[i]);
      std::memcpy(out.bytes.data() + i * sizeof(T), &v, sizeof(T));
    }
  };
  if (out.dtype == DType::kU8) fill(uint8_t{});
  if (out.dtype == DType::kU16) fill(uint16_t{});
  if (out.dtype == DType::kF32) fill(float{});
  return absl::OkStatus();
}

// Sets the grid of bins and fills the counts.
absl::Status MakeCounts(const Recording& r, const DataView& view, ViewData& out) {
  Faults faults;
  out.start_time = view.start_time;
  out.bin_width = view.bin_width;
  const double stop = view.stop_time > 0 ? std::min(view.stop_time, r.duration) : r.duration;
  if (view.start_time >= r.duration) {
    faults.Add("start_time",
               fmt::format("is {} s; the recording lasts {} s", view.start_time, r.duration));
    return faults.ToStatus();
  }
  SelectUnits(r, view, view.start_time, stop, out, faults);
  const double span = stop - view.start_time;
  out.bins = static_cast<int64_t>(std::floor(span / view.bin_width + kTimeTolerance));
  if (out.bins < 1) {
    faults.Add("bin_width", fmt::format("is {} s; the recording's time range lasts only {} s",
                                        view.bin_width, span));
  }
  const auto units = static_cast<int64_t>(std::max<size_t>(1, out.units.size()));
  if (out.bins > kMaxCountElements / units) {
    faults.Add("bin_width",
               fmt::format("is {} s, which makes {} bins x {} units; at most {} counts "
                           "are allowed",
                           view.bin_width, out.bins, units, kMaxCountElements));
  }
  const double factor = r.counts.present() ? view.bin_width / r.counts.bin_width : 1;
  if (r.counts.present() &&
      (std::abs(factor - std::round(factor)) > 1e-6 || std::round(factor) < 1)) {
    faults.Add("bin_width", fmt::format("is {} s; must be a whole multiple of the recorded bins of "
                                        "{} s",
                                        view.bin_width, r.counts.bin_width));
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  if (!r.counts.present()) return BinSpikes(r, out);
  return Rebin(r, std::llround(factor), out);
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

// Window starts: each run of bins of one side, strided from its first bin.
void FindWindows(int stride, ViewData& data, int64_t& longest_run) {
  longest_run = 0;
  for (int64_t i = 0; i < data.bins;) {
    const Side side = data.sides[i];
    const int64_t begin = i;
    while (i < data.bins && data.sides[i] == side) ++i;
    if (side == Side::kNone) continue;
    longest_run = std::max(longest_run, i - begin);
    auto& starts = side == Side::kTrain ? data.train : data.test;
    for (int64_t s = begin; s + data.window <= i; s += stride) starts.push_back(s);
  }
}

void FitNormaliser(NormaliserKind kind, ViewData& data) {
  if (kind == NormaliserKind::kNone) return;
  const auto units = static_cast<int64_t>(data.units.size());
  const CountView counts = data.counts();
  data.offset.assign(units, 0);
  data.scale.assign(units, 1);
  for (int64_t n = 0; n < units; ++n) {
    double sum = 0, least = INFINITY, most = -INFINITY;
    int64_t rows = 0;
    for (int64_t i = 0; i < data.bins; ++i) {
      if (data.sides[i] != Side::kTrain) continue;
      const double v = ValueAt(counts, i * units + n);
      sum += v;
      least = std::min(least, v);
      most = std::max(most, v);
      ++rows;
    }
    const double mean = sum / static_cast<double>(rows);
    double squares = 0;
    for (int64_t i = 0; i < data.bins; ++i) {
      if (data.sides[i] != Side::kTrain) continue;
      squares += std::pow(ValueAt(counts, i * units + n) - mean, 2);
    }
    const double sd = std::sqrt(squares / static_cast<double>(rows));
    const bool zscore = kind == NormaliserKind::kZscore;
    const double scale = zscore ? sd : most - least;
    data.offset[n] = static_cast<float>(zscore ? mean : least);
    data.scale[n] = scale > 0 ? static_cast<float>(scale) : 1.0f;
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

absl::StatusOr<ViewData> BuildView(const Recording& r, const DataView& view) {
  SAED_RETURN_IF_ERROR(Validate(view));
  ViewData data;
  data.window = view.window;
  SAED_RETURN_IF_ERROR(MakeCounts(r, view, data));
  Faults faults;
  auto valid = MaskedBins(r, view, data);
  if (!valid.ok()) {
    faults.Merge(valid.status());
    valid = std::vector<uint8_t>(data.bins, 1);
  }
  faults.Merge(SplitBins(r, view.split, *valid, data));
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  const auto has = [&](Side side) {
    return std::find(data.sides.begin(), data.sides.end(), side) != data.sides.end();
  };
  const bool in_sample = view.split.kind == SplitKind::kInSample;
  if (!has(Side::kTrain) || (!has(Side::kTest) && !in_sample)) {
    const char* side = has(Side::kTrain) ? "test" : "train";
    return InvalidField(view.split.kind == SplitKind::kColumn ? fmt::format("split.{}_values", side)
                                                              : "split.train_fraction",
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
    return InvalidField(
        view.split.kind == SplitKind::kColumn
            ? (data.train.empty() ? "split.train_values" : "split.test_values")
            : "split.train_fraction",
        fmt::format("leaves {} training and {} held-out windows; each side needs at "
                    "least one",
                    data.train.size(), data.test.size()));
  }
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
  all.unit_ids = unit_ids;
  all.minimum_rate = 0;
  all.mask_table.clear();
  all.mask_filter.clear();
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
  data.sides.assign(data.bins, Side::kTest);
  int64_t longest = 0;
  FindWindows(view.stride, data, longest);
  if (data.test.empty()) {
    return InvalidField("window",
                        fmt::format("is {} bins; the recording has {}", view.window, data.bins));
  }
  data.offset = offset;
  data.scale = scale;
  return data;
}

}  // namespace saed::recordings

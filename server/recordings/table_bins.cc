#include "server/recordings/table_bins.h"

#include <fmt/format.h>

#include <numeric>

#include "server/base/faults.h"
#include "server/recordings/observed.h"

namespace saed::recordings {
namespace {

// A bin's number, within those there are.
int64_t Bounded(const ViewData& view, double bin) {
  return static_cast<int64_t>(std::clamp(bin, 0.0, static_cast<double>(view.bins)));
}

}  // namespace

absl::StatusOr<const IntervalTable*> FindTable(const Recording& r, const std::string& name,
                                               std::string_view field) {
  if (const IntervalTable* t = r.FindIntervals(name)) return t;
  std::string names;
  for (const auto& t : r.intervals) names += (names.empty() ? "" : ", ") + t.table.name;
  return InvalidField(field, fmt::format("is '{}'; the recording's interval tables are: {}", name,
                                         names.empty() ? "none" : names));
}

absl::StatusOr<const Column*> FindColumn(const IntervalTable& table, const std::string& name,
                                         std::string_view field) {
  if (const Column* column = table.table.Find(name)) return column;
  std::string names;
  for (const Column& c : table.table.columns) names += (names.empty() ? "" : ", ") + c.name;
  return InvalidField(field,
                      fmt::format("is '{}'; the table '{}' has {}", name, table.table.name, names));
}

std::pair<int64_t, int64_t> BinsBetween(const ViewData& view, double start, double stop) {
  const int64_t first =
      Bounded(view, std::ceil((start - kTimeTolerance - view.start_time) / view.bin_width));
  int64_t end =
      Bounded(view, std::floor((stop + kTimeTolerance - view.start_time) / view.bin_width) + 1);
  while (end > first && view.bin_start(end) > stop + kTimeTolerance) --end;
  return {first, std::max(first, end)};
}

std::pair<int64_t, int64_t> BinsTouching(const ViewData& view, double start, double stop) {
  const int64_t first =
      Bounded(view, std::floor((start + kTimeTolerance - view.start_time) / view.bin_width));
  const int64_t end =
      Bounded(view, std::ceil((stop - kTimeTolerance - view.start_time) / view.bin_width));
  return {first, std::max(first, end)};
}

Spans RowsOf(const IntervalTable& table, const std::vector<uint8_t>& rows) {
  Spans out;
  for (size_t i = 0; i < table.rows(); ++i) {
    if (rows[i]) out.emplace_back(table.start[i], table.stop[i]);
  }
  return Merge(std::move(out));
}

std::vector<uint8_t> BinsInside(const ViewData& view, const Spans& spans) {
  std::vector<uint8_t> inside(view.bins, 0);
  for (const auto& [start, stop] : spans) {
    const auto [first, end] = BinsBetween(view, start, stop);
    std::fill(inside.begin() + first, inside.begin() + end, uint8_t{1});
  }
  return inside;
}

std::vector<size_t> InTime(const IntervalTable& table) {
  std::vector<size_t> order(table.rows());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return table.start[a] < table.start[b]; });
  return order;
}

}  // namespace saed::recordings

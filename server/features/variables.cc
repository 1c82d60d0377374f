#include "server/features/variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "server/features/conditions.h"
#include "server/features/expression.h"
#include "server/features/movement.h"
#include "server/recordings/binning.h"

namespace saed::features {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr size_t kLeastValues = 3;

bool Varies(const std::vector<double>& values) {
  std::set<double> seen;
  for (double v : values) {
    if (std::isfinite(v)) seen.insert(v);
    if (seen.size() == kLeastValues) return true;
  }
  return false;
}

// A column's value on the bins of a view while its rows last; of rows that overlap the later one.
std::vector<double> ColumnOnBins(const recordings::IntervalTable& table,
                                 const recordings::Numbers& column,
                                 const recordings::ViewData& view) {
  std::vector<double> out(view.bins, kNan);
  for (size_t i = 0; i < table.rows(); ++i) {
    const auto bin = [&](double time) {
      const double b = (time - recordings::kTimeTolerance - view.start_time) / view.bin_width - 0.5;
      return static_cast<int64_t>(std::ceil(std::clamp(b, 0.0, static_cast<double>(view.bins))));
    };
    const int64_t end = bin(table.stop[i]);
    for (int64_t b = bin(table.start[i]); b < end; ++b) out[b] = column[i];
  }
  return out;
}

}  // namespace

std::vector<Variable> AutomaticVariables(const recordings::Recording& recording,
                                         const recordings::ViewData& view,
                                         const std::vector<int64_t>& starts,
                                         std::vector<std::string>& warnings) {
  std::vector<Variable> out;
  size_t left_out = 0;
  const auto add = [&](std::string name, const std::vector<double>& bins, bool circular = false) {
    Variable v{std::move(name), {}, circular};
    v.values.reserve(starts.size());
    for (int64_t start : starts) v.values.push_back(bins[start + view.window - 1]);
    if (!Varies(v.values)) return;
    if (out.size() < kMaxVariables) {
      out.push_back(std::move(v));
    } else {
      ++left_out;
    }
  };
  for (const recordings::Series& s : recording.series) {
    for (size_t c = 0; c < s.channels.size(); ++c) {
      add(s.channels.size() == 1 ? s.name : s.name + "." + s.channels[c], OnBins(s, c, view));
    }
    if (!IsPosition(s)) continue;
    add(fmt::format("speed({})", s.name), Speed(s, view));
    if (s.channels.size() == 2) add(fmt::format("direction({})", s.name), Direction(s, view), true);
  }
  for (const recordings::IntervalTable& t : recording.intervals) {
    for (const recordings::Column& column : t.table.columns) {
      const auto* numbers = std::get_if<recordings::Numbers>(&column.values);
      if (numbers == nullptr || IsTimeOrCount(column)) continue;
      add(t.table.name + "." + column.name, ColumnOnBins(t, *numbers, view));
    }
  }
  if (left_out > 0) {
    warnings.push_back(fmt::format("{} continuous variables beyond the first {} were left out",
                                   left_out, kMaxVariables));
  }
  return out;
}

}  // namespace saed::features

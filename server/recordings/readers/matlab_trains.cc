#include "server/recordings/readers/matlab_trains.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/rates.h"

namespace saed::recordings {
namespace {

using Kind = MatValue::Kind;

// Whether in every line of a matrix ascending times stand before NaN.
bool LinesFit(const MatValue& matrix, bool units_in_rows) {
  const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  const int64_t lines = units_in_rows ? rows : columns, length = units_in_rows ? columns : rows;
  const int64_t line_step = units_in_rows ? 1 : rows, step = units_in_rows ? rows : 1;
  for (int64_t line = 0; line < lines; ++line) {
    double before = -std::numeric_limits<double>::infinity();
    bool ended = false;
    for (int64_t i = 0; i < length; ++i) {
      const double v = matrix.numbers[static_cast<size_t>(line * line_step + i * step)];
      if (std::isnan(v)) {
        ended = true;
      } else if (ended || v < before) {
        return false;
      } else {
        before = v;
      }
    }
  }
  return true;
}

absl::StatusOr<bool> UnitsInRows(const std::string& name, const MatValue& matrix,
                                 const ImportOptions& options, size_t ids) {
  const std::string given = options.Get("units_in");
  if (given == "rows" || given == "columns") return given == "rows";
  if (!given.empty()) {
    return InvalidField("options.units_in",
                        fmt::format("is '{}'; must be rows or columns", ValidUtf8(given)));
  }
  const auto rows = static_cast<size_t>(matrix.shape[0]),
             columns = static_cast<size_t>(matrix.shape[1]);
  if (ids > 0 && rows != columns && (ids == rows || ids == columns)) return ids == rows;
  const bool by_row = LinesFit(matrix, true), by_column = LinesFit(matrix, false);
  if (by_row != by_column) return by_row;
  return InvalidField("options.units_in",
                      fmt::format("is not given and {} ({}) could have a unit in each row or in "
                                  "each column; must be rows or columns",
                                  name, matrix.Text()));
}

}  // namespace

bool IsTrains(const MatValue& value) {
  if (value.kind != Kind::kCell || value.cells.empty() || !value.vector()) return false;
  return std::all_of(value.cells.begin(), value.cells.end(), [](const MatValue& cell) {
    return cell.kind == Kind::kNumbers && cell.vector() && cell.type != "logical";
  });
}

std::vector<int64_t> WholeNumbers(const Numbers& numbers) {
  std::vector<int64_t> out;
  for (double v : numbers) {
    if (!(std::abs(v) < 9e15) || v != std::floor(v)) return {};
    out.push_back(static_cast<int64_t>(v));
  }
  return out;
}

std::vector<int64_t> WholeNumbers(const MatValue& value) {
  return value.exact.empty() ? WholeNumbers(value.numbers) : value.exact;
}

namespace {

void CountRounded(const MatValue& value, Tally& rounded) {
  for (const MatValue& cell : value.cells) CountRounded(cell, rounded);
  if (!value.wide()) return;
  constexpr double kExact = 9007199254740992, kBeyond = 9223372036854775808.0;
  for (size_t i = 0; i < value.numbers.size(); ++i) {
    const double v = value.numbers[i];
    if (std::abs(v) < kExact) continue;
    const bool known = !value.exact.empty();
    if (known && v < kBeyond && static_cast<int64_t>(v) == value.exact[i]) continue;
    rounded.Add([&] { return known ? std::to_string(value.exact[i]) : NumberText(v); });
  }
}

}  // namespace

void SayRounded(const std::string& name, const MatValue& value, Notes& notes) {
  Tally rounded;
  CountRounded(value, rounded);
  rounded.Mend(notes, name, "numbers", "above 2^53 rounded, as numbers have 53 bits here");
}

absl::StatusOr<Trains> TrainsFromCell(const std::string& name, MatValue value) {
  Trains out;
  for (size_t i = 0; i < value.cells.size(); ++i) {
    MatValue& cell = value.cells[i];
    if (cell.kind != Kind::kNumbers || !cell.vector()) {
      return InvalidField(name, fmt::format("holds {} in cell {}; must be a vector of times for "
                                            "each unit",
                                            cell.Text(), i + 1));
    }
    out.integer = out.integer || (cell.integer() && cell.size() > 0);
    out.trains.push_back(std::move(cell.numbers));
  }
  return out;
}

absl::StatusOr<Trains> TrainsFromClusters(const std::string& name, const MatValue& times,
                                          const MatValue& clusters, Notes& notes) {
  if (clusters.kind != Kind::kNumbers || clusters.numbers.size() != times.numbers.size()) {
    return InvalidField("options.spike_clusters",
                        fmt::format("names {}; must be a unit for each of the {} times in {}",
                                    clusters.Text(), times.numbers.size(), name));
  }
  Trains out;
  out.integer = times.integer();
  std::map<int64_t, Numbers> trains;
  Tally dropped;
  for (size_t i = 0; i < times.numbers.size(); ++i) {
    const auto id = clusters.exact.empty() ? WholeNumbers(Numbers{clusters.numbers[i]})
                                           : std::vector<int64_t>{clusters.exact[i]};
    if (id.empty()) {
      dropped.Add([&] {
        return fmt::format("spike {}: its unit is {}", i + 1, NumberText(clusters.numbers[i]));
      });
      continue;
    }
    trains[id[0]].push_back(times.numbers[i]);
  }
  dropped.Mend(notes, name, "spikes", "dropped");
  for (auto& [id, train] : trains) {
    out.ids.push_back(id);
    out.trains.push_back(std::move(train));
  }
  return out;
}

absl::StatusOr<Trains> TrainsFromMatrix(const std::string& name, const MatValue& matrix,
                                        const ImportOptions& options, size_t ids, Notes& notes) {
  if (matrix.shape.size() != 2) {
    return InvalidField(name, "is " + matrix.Text() +
                                  "; must be a cell array, a vector or a "
                                  "matrix");
  }
  SAED_ASSIGN_OR_RETURN(const bool in_rows, UnitsInRows(name, matrix, options, ids));
  const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  Trains out;
  out.integer = matrix.integer();
  out.trains.resize(static_cast<size_t>(in_rows ? rows : columns));
  int64_t padding = 0;
  for (size_t unit = 0; unit < out.trains.size(); ++unit) {
    Numbers& train = out.trains[unit];
    const auto at = static_cast<int64_t>(unit);
    for (int64_t i = 0; i < (in_rows ? columns : rows); ++i) {
      train.push_back(matrix.numbers[static_cast<size_t>(in_rows ? at + i * rows : at * rows + i)]);
    }
    for (; !train.empty() && std::isnan(train.back()); train.pop_back()) ++padding;
  }
  notes.Said(name, fmt::format("{} is read with a unit in each {}; {} NaN behind the spikes are "
                               "padding",
                               matrix.Text(), in_rows ? "row" : "column", padding));
  return out;
}

absl::Status ToSeconds(const std::string& name, const ImportOptions& options, Trains& trains,
                       Recording& out) {
  std::string unit = options.Get("time_unit");
  if (unit.empty()) {
    int64_t count = 0;
    bool whole = true;
    for (const Numbers& train : trains.trains) {
      for (double t : train) {
        whole = whole && (!std::isfinite(t) || t == std::floor(t));
        ++count;
      }
    }
    constexpr int64_t kEnough = 20;  // so many whole seconds are no chance
    const bool counted = trains.integer || (whole && count >= kEnough);
    if (counted && options.sampling_rate == 0) {
      return InvalidField("options.time_unit",
                          fmt::format("is not given and {} holds whole numbers only; must be s, "
                                      "ms, or samples with a sampling_rate",
                                      name));
    }
    unit = counted ? "samples" : "s";
  }
  double scale = 1;
  if (unit == "samples") {
    scale = options.sampling_rate;
    if (scale == 0) {
      return InvalidField("sampling_rate",
                          fmt::format("is not given and {} holds sample numbers; must be their "
                                      "rate in Hz, e.g. 30000",
                                      name));
    }
    SAED_RETURN_IF_ERROR(CheckRate("sampling_rate", scale));
  } else if (unit == "ms") {
    scale = 1000;
  } else if (unit != "s") {
    return InvalidField("options.time_unit",
                        fmt::format("is '{}'; must be s, ms or samples", ValidUtf8(unit)));
  }
  bool whole = true;
  for (Numbers& train : trains.trains) {
    for (double& t : train) {
      whole = whole && t == std::floor(t);
      if (scale != 1) t /= scale;
    }
  }
  if (unit == "samples" && whole) out.sampling_rate = scale;
  return absl::OkStatus();
}

}  // namespace saed::recordings

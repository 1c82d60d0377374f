#include "server/recordings/readers/matrix_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/bin_times.h"
#include "server/recordings/readers/npz.h"
#include "server/recordings/readers/unit_ids.h"

namespace saed::recordings {
namespace {

absl::StatusOr<BinTimes> TimesAre(const MatrixFile& matrix, const ImportOptions& options) {
  const std::string said = options.Get("bin_times");
  if (said == "starts") return BinTimes::kStarts;
  if (said == "middles") return BinTimes::kMiddles;
  if (!said.empty()) {
    return InvalidField("options.bin_times",
                        fmt::format("is '{}'; must be starts or middles", ValidUtf8(said)));
  }
  const std::string given = options.Get("bin_starts");
  const std::string& title = given.empty() ? matrix.starts_title : given;
  const bool starts =
      title.find("start") != std::string::npos || title.find("edge") != std::string::npos;
  return starts ? BinTimes::kStarts : BinTimes::kUnsaid;
}

// When the bins are, s; empty where nothing says. `edges`: they were one more than the bins.
absl::StatusOr<Numbers> BinStarts(const MatrixFile& matrix, const FileSet& files,
                                  const ImportOptions& options, bool& edges, Notes& notes) {
  const std::string given = options.Get("bin_starts");
  if (given.empty()) return matrix.starts;
  SAED_ASSIGN_OR_RETURN(Numbers starts, ReadVector(files, matrix, given, notes));
  if (static_cast<int64_t>(starts.size()) == matrix.source.bins + 1) {
    starts.pop_back();
    edges = true;
  }
  if (static_cast<int64_t>(starts.size()) != matrix.source.bins) {
    return InvalidField(given, fmt::format("has {} times; the matrix has {} bins", starts.size(),
                                           matrix.source.bins));
  }
  return starts;
}

// Row numbers that skip some are bins that are not there.
absl::StatusOr<BinGrid> PlaceRows(const MatrixFile& matrix, double bin_width) {
  BinGrid out{bin_width, {}};
  const int64_t first = matrix.rows[0] == 0 ? 0 : 1;
  for (size_t i = 0; i < matrix.rows.size(); ++i) {
    if (matrix.rows[i] != static_cast<int64_t>(i) + first) {
      return InvalidField(matrix.source.name,
                          fmt::format("has the number {} in its row {}; the first column must "
                                      "count the rows from {}, or be called time and hold seconds",
                                      matrix.rows[i], i + 1, first));
    }
    out.places.push_back(static_cast<int64_t>(i));
  }
  return out;
}

absl::Status SetIds(const MatrixFile& matrix, const FileSet& files, const ImportOptions& options,
                    const std::vector<int64_t>& kept, Recording& out, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const auto all,
                        ReadUnitNames(files, matrix, options.Get("unit_ids"), notes));
  if (!all) return absl::OkStatus();
  if (static_cast<int64_t>(all->size()) != matrix.source.units) {
    return InvalidField("unit_ids", fmt::format("are {}; the matrix {} has {} units", all->size(),
                                                matrix.source.name, matrix.source.units));
  }
  Texts ids;
  for (const int64_t n : kept) ids.push_back((*all)[static_cast<size_t>(n)]);
  SetUnitIds(matrix.source.name, ids, out, notes);
  return absl::OkStatus();
}

// Whether what is called so may be the times of the bins.
bool IsTimesName(std::string_view name) {
  for (const char* word : {"time", "start", "edge", "stamp", "centre", "center"}) {
    if (name.find(word) != std::string_view::npos) return true;
  }
  return false;
}

std::string Advice(const std::vector<std::string>& names) {
  const auto times = std::find_if(names.begin(), names.end(), IsTimesName);
  return times == names.end() ? ""
                              : fmt::format(
                                    "; the option bin_starts={} takes that as the bins' "
                                    "times",
                                    ValidUtf8(*times));
}

// What lies beside the matrix, as an array of its .npz or a file, and was not asked for.
absl::Status SayUnreadBeside(const MatrixFile& matrix, const FileSet& files,
                             const ImportOptions& options, Notes& notes) {
  if (matrix.file.ends_with(".npz")) {
    SAED_ASSIGN_OR_RETURN(const Npz npz, Npz::Open(files, matrix.file));
    const std::string ids = options.Get("unit_ids");
    const std::vector<std::string> read = {matrix.array, options.Get("bin_starts"),
                                           ids.empty() ? "unit_ids" : ids};
    std::vector<std::string> unread = npz.names();
    std::erase_if(unread, [&](const std::string& name) {
      return std::find(read.begin(), read.end(), name) != read.end();
    });
    SayUnreadArrays(npz, read, options.Get("bin_starts").empty() ? Advice(unread) : "", notes);
  }
  Tally others;
  for (const std::string& name : files.Unopened()) {
    if (!name.ends_with(".npy") && !name.ends_with(".npz")) continue;
    const bool times = options.Get("bin_starts").empty() && IsTimesName(name);
    if (times && name.ends_with(".npy")) {
      notes.Mended(name, "lies beside the matrix and is not read" + Advice({name}));
    } else {
      others.Add([&] { return ValidUtf8(name); });
    }
  }
  others.Mend(notes, "files", "arrays beside the matrix", "left out");
  return absl::OkStatus();
}

}  // namespace

std::vector<OptionInfo> MatrixOptions(const std::string& name, const std::string& rows,
                                      const std::string& columns) {
  return {{"array",
           fmt::format("The file of the matrix where there are several, or the array of an .npz; "
                       "without it the one called {}, or the only one",
                       name),
           name + ".npy"},
          {"transpose", fmt::format("1: the matrix is [{}, {}]", columns, rows), "1"},
          {"bin_starts",
           fmt::format("The file or .npz array of the times at which the {} start, in s, or of "
                       "their edges; without it they follow each other",
                       rows),
           "bin_start_time.npy"},
          {"bin_times",
           fmt::format("starts or middles: what the times of the {} are; without it middles where "
                       "they lie half a bin off the multiples of the bins' width and are not "
                       "called starts",
                       rows),
           "middles"},
          {"unit_ids",
           "The file or .npz array of the units' ids; without it unit_ids, or else the columns' "
           "names or numbers",
           "unit_ids.npy"}};
}

absl::StatusOr<Recording> ReadMatrixRecording(const FileSet& files, const ImportOptions& options,
                                              const MatrixWords& words, MatrixRules rules,
                                              double bin_width, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const MatrixFile matrix, OpenMatrix(files, options, words, notes));
  bool edges = false;
  SAED_ASSIGN_OR_RETURN(const Numbers starts, BinStarts(matrix, files, options, edges, notes));
  BinGrid grid{bin_width, {}};
  if (!starts.empty()) {
    SAED_ASSIGN_OR_RETURN(BinTimes what, TimesAre(matrix, options));
    if (edges) what = BinTimes::kStarts;
    SAED_ASSIGN_OR_RETURN(grid, PlaceBins(matrix.source.name, starts, what, bin_width, notes));
  }
  SAED_RETURN_IF_ERROR(CheckBinWidth(grid.width));
  if (starts.empty() && !matrix.rows.empty()) {
    SAED_ASSIGN_OR_RETURN(grid, PlaceRows(matrix, grid.width));
  }
  Recording out;
  std::vector<int64_t> kept;
  if (grid.places.empty() && matrix.mapped) {
    out.counts = {grid.width, DType::kU8, matrix.source.bins, {}, matrix.mapped};
    for (int64_t n = 0; n < matrix.source.units; ++n) {
      out.units.emplace_back().id = n;
      kept.push_back(n);
    }
  } else {
    SAED_ASSIGN_OR_RETURN(kept, ReadMatrix(matrix.source, rules, grid.width, notes, out));
  }
  if (!grid.places.empty()) {
    SAED_RETURN_IF_ERROR(SpreadBins(matrix.source.name, grid, notes, out));
  }
  SAED_RETURN_IF_ERROR(SetIds(matrix, files, options, kept, out, notes));
  if (words.alone) SAED_RETURN_IF_ERROR(SayUnreadBeside(matrix, files, options, notes));
  return out;
}

}  // namespace saed::recordings

// Suite2p's folders. ops.npy and stat.npy are pickles and are never read.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/readers/frame_rate.h"
#include "server/recordings/readers/matrix.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

constexpr double kNeuropil = 0.7;  // Suite2p's own share of Fneu

enum class Signal { kSpks, kF, kCorrected };

struct Plane {
  std::string folder;               // "suite2p/plane0/", or "" where the files lie at the top
  std::vector<ArrayFile> signals;   // [cells, frames] transposed: the signal, and Fneu
  std::vector<int64_t> cells;       // rows of the files that are taken
  std::vector<double> probability;  // of those, where iscell.npy has it
  std::vector<bool> is_cell;        // of those
};

// Folders with traces; `combined`, which repeats the planes, only where it is alone.
std::vector<std::string> Folders(const FileSet& files) {
  std::vector<std::string> out;
  for (const char* base : {"F.npy", "spks.npy"}) {
    for (const std::string& name : files.WithBase(base)) out.push_back(FolderOf(name));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  const auto combined = [](const std::string& folder) { return folder.ends_with("combined/"); };
  if (!std::all_of(out.begin(), out.end(), combined)) std::erase_if(out, combined);
  return out;
}

absl::StatusOr<Signal> SignalOf(const ImportOptions& options) {
  const std::string value = options.Get("signal");
  if (value.empty() || value == "spks") return Signal::kSpks;
  if (value == "F") return Signal::kF;
  if (value == "corrected") return Signal::kCorrected;
  return InvalidField("options.signal",
                      fmt::format("is '{}'; must be spks (deconvolved), F (fluorescence) or "
                                  "corrected (F minus 0.7 Fneu)",
                                  ValidUtf8(value)));
}

absl::StatusOr<ArrayFile> OpenTraces(const FileSet& files, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(ArrayFile array, ArrayFile::Open(files, name));
  const auto& shape = array.shape();
  if (shape.size() != 2) {
    return InvalidField(name,
                        fmt::format("has the shape {}; must be [cells, frames]", ShapeText(shape)));
  }
  array.Transpose();
  SAED_RETURN_IF_ERROR(CheckMatrix(array, "frames", "cells"));
  return array;
}

// Which rows are cells: the first column of iscell.npy; all where there is none.
absl::Status ReadCells(const FileSet& files, bool all, Notes& notes, Plane& plane) {
  const std::string name = plane.folder + "iscell.npy";
  const int64_t rows = plane.signals[0].shape()[1];
  std::vector<double> table;
  size_t columns = 0;
  if (files.Has(name)) {
    SAED_ASSIGN_OR_RETURN(const ArrayFile array, ArrayFile::Open(files, name));
    const auto& shape = array.shape();
    if (shape.empty() || shape.size() > 2 || shape[0] != rows ||
        (shape.size() == 2 && (shape[1] < 1 || shape[1] > 2))) {
      return InvalidField(name, fmt::format("has the shape {}; must be [{}, 2], a row for each of "
                                            "{}",
                                            ShapeText(shape), rows, plane.signals[0].name()));
    }
    columns = shape.size() == 2 ? static_cast<size_t>(shape[1]) : 1;
    if (columns == 1) {
      notes.Mended(name,
                   fmt::format("has the shape {}, not [{}, 2]: taken as which rows are cells, "
                               "without probabilities",
                               ShapeText(shape), rows));
    }
    table = AllDoubles(array);
  } else {
    notes.Said(name,
               fmt::format("is not there: all {} regions of interest are taken as cells", rows));
  }
  for (int64_t row = 0; row < rows; ++row) {
    const size_t at = static_cast<size_t>(row) * columns;
    const bool cell = columns == 0 || table[at] > 0.5;
    if (!cell && !all) continue;
    plane.cells.push_back(row);
    plane.is_cell.push_back(cell);
    if (columns == 2) plane.probability.push_back(table[at + 1]);
  }
  return absl::OkStatus();
}

absl::StatusOr<Plane> OpenPlane(const FileSet& files, const std::string& folder, Signal signal,
                                bool all, Notes& notes) {
  Plane out;
  out.folder = folder;
  const std::string name = folder + (signal == Signal::kSpks ? "spks.npy" : "F.npy");
  if (!files.Has(name)) {
    return InvalidField(name, signal == Signal::kSpks
                                  ? "is not there; with the option signal=F the fluorescence is "
                                    "read instead"
                                  : "is not there; with the option signal=spks the deconvolved "
                                    "traces are read instead");
  }
  SAED_ASSIGN_OR_RETURN(ArrayFile traces, OpenTraces(files, name));
  out.signals.push_back(std::move(traces));
  if (signal == Signal::kCorrected) {
    SAED_ASSIGN_OR_RETURN(ArrayFile neuropil, OpenTraces(files, folder + "Fneu.npy"));
    if (neuropil.shape() != out.signals[0].shape()) {
      return InvalidField(neuropil.name(), fmt::format("is not of the shape of {}", name));
    }
    out.signals.push_back(std::move(neuropil));
  }
  SAED_RETURN_IF_ERROR(ReadCells(files, all, notes, out));
  return out;
}

// Frames that all planes have. A recording that ends inside a volume leaves one frame less in the
// last planes.
absl::StatusOr<int64_t> Frames(const std::vector<Plane>& planes, Notes& notes) {
  int64_t least = planes[0].signals[0].shape()[0], most = least;
  for (const Plane& p : planes) {
    const int64_t frames = p.signals[0].shape()[0];
    least = std::min(least, frames);
    most = std::max(most, frames);
    if (most - least > 1) {
      return InvalidField(p.signals[0].name(),
                          fmt::format("has {} frames and another plane {}; planes of one recording "
                                      "must have as many",
                                      frames, frames == least ? most : least));
    }
  }
  if (least < most) {
    notes.Mended(planes[0].folder, fmt::format("planes have {} or {} frames; the last frame was "
                                               "left out",
                                               least, most));
  }
  return least;
}

// Puts a plane's cells of the frames from `first` on into `to`, rows of `units` numbers.
void ReadPlane(const Plane& plane, int64_t first, int64_t frames, int64_t units, double* to) {
  const int64_t width = plane.signals[0].shape()[1];
  const int64_t most = std::clamp<int64_t>(kPiece / width, 1, frames);
  Numbers rows(static_cast<size_t>(most * width));
  for (int64_t at = 0; at < frames; at += most) {
    const int64_t now = std::min(most, frames - at);
    for (size_t s = 0; s < plane.signals.size(); ++s) {
      plane.signals[s].ReadDoubles((first + at) * width,
                                   {rows.data(), static_cast<size_t>(now * width)});
      for (int64_t frame = 0; frame < now; ++frame) {
        double* cell = to + (at + frame) * units;
        for (const int64_t row : plane.cells) {
          const double value = rows[static_cast<size_t>(frame * width + row)];
          *cell = s == 0 ? value : *cell - kNeuropil * value;
          ++cell;
        }
      }
    }
  }
}

// The cells of all planes side by side.
MatrixSource Joined(const std::vector<Plane>& planes, int64_t frames) {
  MatrixSource out;
  out.name = planes[0].signals[0].name();
  out.row = "frame";
  out.column = "cell";
  out.bins = frames;
  for (const Plane& p : planes) out.units += static_cast<int64_t>(p.cells.size());
  out.read = [planes, units = out.units](int64_t first, std::span<double> to) {
    double* at = to.data();
    for (const Plane& plane : planes) {
      ReadPlane(plane, first, static_cast<int64_t>(to.size()) / units, units, at);
      at += plane.cells.size();
    }
  };
  return out;
}

// What is known of the kept cells, as columns.
void AddCells(const std::vector<Plane>& planes, const std::vector<int64_t>& kept, bool all,
              Recording& out, Notes& notes) {
  std::vector<int64_t> rows;
  Numbers probability;
  std::vector<bool> is_cell;
  Texts folders;
  for (const Plane& p : planes) {
    rows.insert(rows.end(), p.cells.begin(), p.cells.end());
    is_cell.insert(is_cell.end(), p.is_cell.begin(), p.is_cell.end());
    probability.insert(probability.end(), p.probability.begin(), p.probability.end());
    std::string_view name = p.folder;
    if (name.ends_with('/')) name.remove_suffix(1);
    folders.resize(rows.size(), ValidUtf8(name.substr(name.rfind('/') + 1)));
  }
  const bool known = probability.size() == rows.size();
  Numbers probabilities, original;
  Texts plane;
  for (size_t n = 0; n < kept.size(); ++n) {
    const auto at = static_cast<size_t>(kept[n]);
    out.units[n].id = planes.size() == 1 ? rows[at] : static_cast<int64_t>(n);
    if (all) out.units[n].label = is_cell[at] ? "cell" : "not_cell";
    if (known) probabilities.push_back(probability[at]);
    original.push_back(static_cast<double>(rows[at]));
    plane.push_back(folders[at]);
  }
  if (known || planes.size() > 1) out.unit_columns.name = "units";
  if (known) AddUnitColumn(out, "cell_probability", std::move(probabilities));
  if (planes.size() == 1) return;
  AddUnitColumn(out, "plane", std::move(plane));
  AddUnitColumn(out, "original_id", std::move(original));
  notes.Mended("plane", fmt::format("{} planes number their cells from 0: the {} cells are "
                                    "numbered anew, the columns plane and original_id tell which "
                                    "they are",
                                    planes.size(), kept.size()));
}

absl::StatusOr<bool> AllCells(const ImportOptions& options) {
  const std::string value = options.Get("all_cells");
  if (value.empty() || value == "0" || value == "false") return false;
  if (value == "1" || value == "true") return true;
  return InvalidField("options.all_cells",
                      fmt::format("is '{}'; must be 0 or 1", ValidUtf8(value)));
}

// Deconvolution that was off leaves zeros.
bool AllZero(const CountMatrix& counts, size_t units) {
  const size_t bytes = static_cast<size_t>(counts.bins) * units * SizeOf(counts.dtype);
  return counts.dtype == DType::kU8 &&
         std::all_of(counts.data(), counts.data() + bytes, [](uint8_t v) { return v == 0; });
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const Signal signal, SignalOf(options));
  SAED_ASSIGN_OR_RETURN(const bool all, AllCells(options));
  SAED_ASSIGN_OR_RETURN(const double frame, FrameWidth(options));
  std::vector<Plane> planes;
  for (const std::string& folder : Folders(files)) {
    SAED_ASSIGN_OR_RETURN(Plane plane, OpenPlane(files, folder, signal, all, notes));
    planes.push_back(std::move(plane));
  }
  if (planes.empty()) {
    return InvalidField("files",
                        "hold no F.npy or spks.npy; must be a folder of Suite2p, e.g. "
                        "suite2p/plane0");
  }
  SAED_ASSIGN_OR_RETURN(const int64_t frames, Frames(planes, notes));
  const MatrixSource source = Joined(planes, frames);
  if (source.units == 0) {
    return InvalidField(planes[0].folder + "iscell.npy",
                        "marks no region of interest as a cell; with the option all_cells=1 all "
                        "are read");
  }
  if (source.units > kMaxUnits) {
    return InvalidField("plane", fmt::format("has {} cells in all planes; at most {} are allowed",
                                             source.units, kMaxUnits));
  }
  Recording out;
  out.source = "suite2p";
  const MatrixRules rules = {.negative = true, .missing = true};
  SAED_ASSIGN_OR_RETURN(const auto kept, ReadMatrix(source, rules, frame, notes, out));
  if (signal == Signal::kSpks && AllZero(out.counts, out.units.size())) {
    return InvalidField(source.name,
                        "is zero everywhere, as when deconvolution was off; with the "
                        "option signal=F or signal=corrected the fluorescence is read");
  }
  AddCells(planes, kept, all, out, notes);
  return out;
}

Match Recognise(const FileSet& files) {
  const auto folders = Folders(files);
  return std::any_of(folders.begin(), folders.end(),
                     [&](const std::string& f) { return files.Has(f + "iscell.npy"); })
             ? Match::kYes
             : Match::kNo;
}

}  // namespace

const Reader& formats::suite2p() {
  static const Reader reader = {
      .name = "suite2p",
      .title = "Suite2p folders",
      .needs =
          "a folder with plane*/ in which are iscell.npy and spks.npy or F.npy, and the frame rate "
          "as "
          "sampling_rate",
      .files = {"F.npy", "Fneu.npy", "spks.npy", "iscell.npy", "**/F.npy", "**/Fneu.npy",
                "**/spks.npy", "**/iscell.npy"},
      .options =
          {{"signal",
            "spks (deconvolved), F (fluorescence) or corrected (F minus 0.7 Fneu); without it spks",
            "F"},
           {"all_cells", "1: also what iscell.npy does not mark as cells", "1"}},
      .recognise = Recognise,
      .read = Read,
      .frames = true};
  return reader;
}

}  // namespace saed::recordings

// Count matrices [bins, units]: .npy, .npz, .csv.
#include <cmath>
#include <string>

#include "server/base/status_macros.h"
#include "server/recordings/readers/matrix_recording.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/text_cells.h"
#include "server/recordings/readers/text_matrix.h"
#include "server/recordings/readers/text_sketch.h"

namespace saed::recordings {
namespace {

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(Recording out,
                        ReadMatrixRecording(files, options, {"counts", "bins", "units"}, {},
                                            options.bin_width, notes));
  out.source = "counts";
  return out;
}

// "u1", "unit_7", "13": what a column of counts is called.
bool IsUnitTitle(const std::string& title) {
  if (title.find_first_of("0123456789") != std::string::npos) return true;
  const std::string_view text = title;
  return text.starts_with("unit") || text.starts_with("neuron") || text.starts_with("cell") ||
         text.starts_with("cluster");
}

// Whether a table is of counts: what its columns are called and its first rows. Others hold the
// positions of an animal, or trials.
bool LooksLikeCounts(const TextSketch& text) {
  if (text.names.empty()) return false;
  const size_t first = text.headed && IsNoUnit(text.names[0]) ? 1 : 0;
  for (size_t c = first; text.headed && c < text.names.size(); ++c) {
    if (!IsUnitTitle(text.names[c])) return false;
  }
  for (const Texts& row : text.rows) {
    for (size_t c = first; c < row.size(); ++c) {
      const auto value = ParseNumber(row[c]);
      if (!IsMissing(row[c]) && !(value && *value >= 0 && *value == std::floor(*value))) {
        return false;
      }
    }
  }
  return text.names.size() > first;
}

Match Recognise(const FileSet& files) {
  const Match match = RecogniseMatrix(files, "counts");
  if (match == Match::kNo || files.names().size() != 1) return match;
  const std::string& name = files.names()[0];
  const std::string base = name.substr(name.rfind('/') + 1);
  if (!IsTextName(name) || base.starts_with("counts.")) return match;
  return LooksLikeCounts(SketchText(files.Sketch(name))) ? match : Match::kNo;
}

}  // namespace

const Reader& formats::counts() {
  static const Reader reader = {
      "counts",
      "A matrix of counts [bins, units]",
      "one matrix [bins, units] as .npy, .npz, .csv or .tsv, and the width of its bins",
      {"*.npy", "*.npz", "*.csv", "*.tsv"},
      MatrixOptions("counts", "bins", "units"),
      Recognise,
      Read};
  return reader;
}

}  // namespace saed::recordings

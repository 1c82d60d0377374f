// Calcium traces as one matrix [frames, cells], in place of counts.
#include <fmt/format.h>

#include <algorithm>

#include "server/base/npy.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/frame_rate.h"
#include "server/recordings/readers/matrix_recording.h"
#include "server/recordings/readers/registry.h"

namespace saed::recordings {
namespace {

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  double frame = 0;
  // Frames that come with their times need no rate.
  if (options.Get("bin_starts").empty() || options.sampling_rate != 0 || options.bin_width != 0) {
    SAED_ASSIGN_OR_RETURN(frame, FrameWidth(options));
  }
  const MatrixRules rules = {.negative = true, .missing = true};
  SAED_ASSIGN_OR_RETURN(
      Recording out,
      ReadMatrixRecording(files, options, {"traces", "frames", "cells"}, rules, frame, notes));
  out.source = "traces";
  return out;
}

// Files that are called as such matrices are, and are not whole numbers.
Match Recognise(const FileSet& files) {
  if (files.names().size() != 1) return Match::kNo;
  std::string name = files.names()[0];
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  bool called = name == "f.npy" || name == "c.npy" || name == "s.npy";
  for (const char* part : {"trace", "dff", "df_f", "spks", "fluorescence", "calcium"}) {
    called = called || (name.find(part) != std::string::npos && name.ends_with(".npy"));
  }
  if (!called) return Match::kNo;
  const FileSketch& file = files.Sketch(files.names()[0]);
  size_t data_at = 0;
  const auto header = ParseNpyHeader(file.name, file.head, static_cast<size_t>(file.size), data_at);
  return header.ok() && header->kind == 'f' ? Match::kYes : Match::kNo;
}

}  // namespace

const Reader& formats::traces() {
  static const Reader reader = {.name = "traces",
                                .title = "A matrix of calcium traces [frames, cells]",
                                .needs =
                                    "one matrix [frames, cells] of real numbers as .npy, .npz, "
                                    ".csv or .tsv, and the frame rate "
                                    "as sampling_rate",
                                .files = {"*.npy", "*.npz", "*.csv", "*.tsv"},
                                .options = MatrixOptions("traces", "frames", "cells"),
                                .recognise = Recognise,
                                .read = Read,
                                .frames = true};
  return reader;
}

}  // namespace saed::recordings

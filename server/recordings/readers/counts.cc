// Count matrices [bins, units]: .npy, .npz, .csv.
#include "server/base/status_macros.h"
#include "server/recordings/readers/matrix_recording.h"
#include "server/recordings/readers/registry.h"

namespace saed::recordings {
namespace {

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(Recording out,
                        ReadMatrixRecording(files, options, {"counts", "bins", "units"}, {},
                                            options.bin_width, notes));
  out.source = "counts";
  return out;
}

Match Recognise(const FileSet& files) { return RecogniseMatrix(files, "counts"); }

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

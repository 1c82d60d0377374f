#include "server/recordings/readers/frame_rate.h"

#include <fmt/format.h>

#include <cmath>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/matrix.h"
#include "server/recordings/readers/rates.h"

namespace saed::recordings {

absl::StatusOr<double> FrameWidth(const ImportOptions& options) {
  const double rate = options.sampling_rate, width = options.bin_width;
  if (rate == 0 && width == 0) {
    return InvalidField("sampling_rate",
                        "is not given; must be the frame rate in Hz (of a plane, "
                        "where there are several), e.g. 30: it is in no file that "
                        "is safe to read");
  }
  if (rate != 0) SAED_RETURN_IF_ERROR(CheckFrameRate("sampling_rate", rate));
  if (width != 0) SAED_RETURN_IF_ERROR(CheckBinWidth(width));
  if (rate != 0 && width != 0 && std::abs(rate * width - 1) > 1e-3) {
    return InvalidField("bin_width", fmt::format("is {} s, but at {} Hz a frame lasts {} s; one of "
                                                 "the two is enough",
                                                 width, rate, 1 / rate));
  }
  return rate != 0 ? 1 / rate : width;
}

}  // namespace saed::recordings

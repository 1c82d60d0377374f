#include "server/recordings/readers/frame_rate.h"

#include <fmt/format.h>

#include <cmath>

#include "server/base/faults.h"

namespace saed::recordings {

absl::StatusOr<double> FrameWidth(const ImportOptions& options) {
  const double rate = options.sampling_rate, width = options.bin_width;
  if (rate == 0 && width == 0) {
    return InvalidField("sampling_rate",
                        "is not given; must be the frame rate in Hz (of a plane, "
                        "where there are several), e.g. 30: it is in no file that "
                        "is safe to read");
  }
  if (rate != 0 && (!std::isfinite(rate) || rate <= 0 || rate > 1e6)) {
    return InvalidField("sampling_rate",
                        fmt::format("is {} Hz; must be a frame rate in (0, 1e6]", rate));
  }
  if (width != 0 && (!std::isfinite(width) || width <= 0)) {
    return InvalidField("bin_width", fmt::format("is {} s; must be above 0", width));
  }
  if (rate != 0 && width != 0 && std::abs(rate * width - 1) > 1e-3) {
    return InvalidField("bin_width", fmt::format("is {} s, but at {} Hz a frame lasts {} s; one of "
                                                 "the two is enough",
                                                 width, rate, 1 / rate));
  }
  return rate != 0 ? 1 / rate : width;
}

}  // namespace saed::recordings

#include "server/jobs/choose.h"

#include <fmt/format.h>

#include <algorithm>

namespace saed::jobs {
namespace {

int64_t StepsPerEpoch(int64_t windows, int batch_size) {
  return std::max<int64_t>(1, (windows + batch_size - 1) / batch_size);
}

}  // namespace

int BatchFor(int64_t windows) { return windows < kManyWindows ? 256 : 1024; }

int EpochsFor(int64_t windows, int batch_size) {
  const int64_t steps = StepsPerEpoch(windows, batch_size);
  return static_cast<int>(std::max(kFewestEpochs, (kFewestSteps + steps - 1) / steps));
}

std::vector<std::string> Choose(int64_t windows, sae::FitSpec& fit) {
  std::vector<std::string> out;
  if (fit.batch_size == 0) {
    fit.batch_size = BatchFor(windows);
    out.push_back(fmt::format("batch {}: {} windows train, {} {}", fit.batch_size, windows,
                              windows < kManyWindows ? "fewer than" : "at least", kManyWindows));
  }
  if (fit.epochs == 0 && fit.batch_size > 0) {
    fit.epochs = EpochsFor(windows, fit.batch_size);
    const int64_t steps = StepsPerEpoch(windows, fit.batch_size);
    out.push_back(fmt::format("epochs {}: {} step{} each, at least {} epochs and {} steps",
                              fit.epochs, steps, steps == 1 ? "" : "s", kFewestEpochs,
                              kFewestSteps));
  }
  return out;
}

}  // namespace saed::jobs

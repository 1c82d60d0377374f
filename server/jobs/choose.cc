#include "server/jobs/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace saed::jobs {
namespace {

int64_t StepsPerEpoch(int64_t windows, int batch_size) {
  return std::max<int64_t>(1, (windows + batch_size - 1) / batch_size);
}

// How often F doubles because of a number that is usual up to `usual`.
int Doublings(int64_t number, int64_t usual, int64_t factor) {
  int out = 0;
  for (int64_t most = usual; number > most && out < 3; most *= factor) ++out;
  return out;
}

// As many as units and windows can teach. In steps of 8, so that a few windows more or less make no
// other dictionary.
int64_t FewFor(int64_t units, int64_t windows) {
  return std::min(4 * units, windows / kWindowsPerFeature / 8 * 8);
}

void ChooseSize(int64_t units, int64_t windows, sae::ModelSpec& model,
                std::vector<std::string>& out) {
  if (model.levels.empty()) model.levels.emplace_back();
  if (model.levels.size() > 1) return;
  auto& [features, k, weight] = model.levels.front();
  const bool choose_features = features == 0, choose_k = k == 0;
  if (choose_features) features = std::max(FeaturesFor(units, windows), k);
  if (choose_k && features > 0) k = ActiveFor(features);
  if (choose_features) {
    out.push_back(fmt::format("features {}, k {}: {}", features, k, SizeReason(units, windows)));
  } else if (choose_k) {
    out.push_back(fmt::format("k {}: about the root of 4/3 of {} features", k, features));
  }
}

}  // namespace

int FeaturesFor(int64_t units, int64_t windows) {
  const int doublings =
      std::max(Doublings(units, kUsualUnits, 4), Doublings(windows, kUsualWindows, 10));
  const int64_t usual = std::min(kUsualFeatures << doublings, kMostFeatures);
  return static_cast<int>(
      std::max<int64_t>(kFewestFeatures, std::min(usual, FewFor(units, windows))));
}

int ActiveFor(int features) {
  return std::max(1, static_cast<int>(std::lround(std::sqrt(4.0 * features / 3))));
}

std::string SizeReason(int64_t units, int64_t windows) {
  std::string out =
      fmt::format("{} unit{} and {} windows that train", units, units == 1 ? "" : "s", windows);
  if (FewFor(units, windows) < kFewestFeatures) {
    return out + fmt::format(
                     " (never fewer than {}, though four for a unit and one for {} windows "
                     "would be)",
                     kFewestFeatures, kWindowsPerFeature);
  }
  return out + fmt::format(
                   " ({} up to {} units and {} windows, more for more, at most four for a "
                   "unit and one for {} windows)",
                   kUsualFeatures, kUsualUnits, kUsualWindows, kWindowsPerFeature);
}

int BatchFor(int64_t windows) { return windows < kManyWindows ? 256 : 1024; }

int EpochsFor(int64_t windows, int batch_size) {
  const int64_t steps = StepsPerEpoch(windows, batch_size);
  return static_cast<int>(std::max(kFewestEpochs, (kFewestSteps + steps - 1) / steps));
}

std::vector<std::string> Choose(int64_t units, int64_t windows, sae::FitSpec& fit) {
  std::vector<std::string> out;
  ChooseSize(units, windows, fit.model, out);
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

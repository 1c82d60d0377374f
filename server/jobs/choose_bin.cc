#include "server/jobs/choose_bin.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/base/text.h"

namespace saed::jobs {
namespace {

using recordings::Recording;

constexpr double kBin = 0.02, kWideBin = 0.05;  // s
constexpr double kLowRate = 1;                  // Hz
constexpr double kMostOutside = 0.5;  // of the observed time, above which rates are those inside

// Below which nothing is chosen.
double Least(const Recording& recording) {
  const double recorded = recording.counts.bin_width;
  return recorded > 0 ? recorded * std::max(1.0, std::ceil(kBin / 2 / recorded - 1e-9)) : kBin;
}

// Of a unit on average over all that was observed, Hz.
double MeanRate(const Recording& recording) {
  double spikes = 0;
  for (const auto& unit : recording.units) spikes += static_cast<double>(unit.spike_times.size());
  const auto units = static_cast<double>(std::max<size_t>(recording.units.size(), 1));
  return spikes / (ObservedSeconds(recording) * units);
}

}  // namespace

TrialTable UsualTrials(const Recording& recording) {
  const double least = Least(recording);
  return FindTrialTable(recording, least, 2 * least);
}

ChosenBin ChooseBin(const Recording& recording) {
  if (recording.counts.present()) {
    return {Least(recording), fmt::format("the counts came in bins of {} s; bins may be whole "
                                          "multiples",
                                          NumberText(recording.counts.bin_width))};
  }
  const TrialTable trials = UsualTrials(recording);
  const bool inside = trials.table != nullptr && trials.covered <= 1 - kMostOutside;
  const double rate =
      inside ? RateIn(recording, Covered(*trials.table, recording)) : MeanRate(recording);
  // Rows that are too short for wide bins have narrow ones.
  const bool wide =
      rate < kLowRate && FindTrialTable(recording, kWideBin, 2 * kWideBin).table == trials.table;
  const double bin = wide ? kWideBin : kBin;
  return {bin, fmt::format("units have {:.2g} spikes/s{}, {:.2g} a bin", rate,
                           inside ? " in " + trials.table->table.name : "", rate * bin)};
}

}  // namespace saed::jobs

#include "server/features/channels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/recordings/binning.h"

namespace saed::features {
namespace {

using recordings::Series;

constexpr double kGapIntervals = 5, kGapBins = 2;

double MedianInterval(const recordings::Numbers& times) {
  std::vector<double> gaps;
  for (size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  if (gaps.empty()) return 0;
  std::nth_element(gaps.begin(), gaps.begin() + static_cast<int64_t>(gaps.size() / 2), gaps.end());
  return gaps[gaps.size() / 2];
}

}  // namespace

std::vector<double> OnBins(const Series& series, size_t channel, const recordings::ViewData& view) {
  const size_t channels = series.channels.size();
  const auto& times = series.timestamps;
  std::vector<double> sum(view.bins, 0), count(view.bins, 0);
  for (size_t i = 0; i < times.size(); ++i) {
    const double value = series.values[i * channels + channel];
    const double bin =
        std::floor((times[i] + recordings::kTimeTolerance - view.start_time) / view.bin_width);
    if (!std::isfinite(value) || !(bin >= 0) || bin >= static_cast<double>(view.bins)) continue;
    sum[static_cast<int64_t>(bin)] += value;
    count[static_cast<int64_t>(bin)] += 1;
  }
  const double gap =
      std::max(kGapIntervals * MedianInterval(times), kGapBins * view.bin_width) + 1e-12;
  std::vector<double> out(view.bins, std::numeric_limits<double>::quiet_NaN());
  size_t next = 0;  // first sample after the bin's centre
  for (int64_t b = 0; b < view.bins; ++b) {
    if (count[b] > 0) {
      out[b] = sum[b] / count[b];
      continue;
    }
    const double centre = view.bin_start(b) + view.bin_width / 2;
    while (next < times.size() && times[next] <= centre) ++next;
    if (next == 0 || next == times.size() || times[next] - times[next - 1] > gap) continue;
    const double share = (centre - times[next - 1]) / (times[next] - times[next - 1]);
    out[b] = (1 - share) * series.values[(next - 1) * channels + channel] +
             share * series.values[next * channels + channel];
  }
  return out;
}

std::pair<const Series*, size_t> FindChannel(const recordings::Recording& recording,
                                             std::string_view name) {
  for (const Series& s : recording.series) {
    if (s.channels.size() == 1 && name == s.name) return {&s, 0};
    if (!name.starts_with(s.name) || name.size() <= s.name.size() || name[s.name.size()] != '.') {
      continue;
    }
    const auto at = std::find(s.channels.begin(), s.channels.end(), name.substr(s.name.size() + 1));
    if (at != s.channels.end()) return {&s, static_cast<size_t>(at - s.channels.begin())};
  }
  return {nullptr, 0};
}

std::vector<std::string> ChannelNames(const recordings::Recording& recording) {
  std::vector<std::string> out;
  for (const Series& s : recording.series) {
    for (const std::string& c : s.channels) {
      out.push_back(s.channels.size() == 1 ? s.name : s.name + "." + c);
    }
  }
  return out;
}

}  // namespace saed::features

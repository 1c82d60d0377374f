#include "server/recordings/readers/bin_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "server/base/faults.h"

namespace saed::recordings {
namespace {

constexpr double kAllowedJitter = 0.1;  // bins
constexpr double kNotedJitter = 0.01;
// A grid may have this many times the bins that are there: more are times on another clock.
constexpr int64_t kMostSpread = 50;

// The mean distance of neighbours, without gaps; rounded as far as no bin moves by it.
double MeasuredWidth(const Numbers& starts) {
  Numbers steps;
  for (size_t i = 1; i < starts.size(); ++i) steps.push_back(starts[i] - starts[i - 1]);
  const auto middle = steps.begin() + static_cast<int64_t>((steps.size() - 1) / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  const double median = *middle;
  double sum = 0, count = 0;
  for (const double s : steps) {
    if (!(s < 1.5 * median)) continue;
    sum += s;
    ++count;
  }
  if (!(median > 0) || count == 0) return 0;
  const double width = sum / count;
  for (int digits = 2; digits < 15; ++digits) {
    const double round = std::strtod(fmt::format("{:.{}e}", width, digits).c_str(), nullptr);
    if (std::abs(round - width) * static_cast<double>(starts.size()) < 1e-3 * width) return round;
  }
  return width;
}

absl::Status CheckStarts(std::string_view part, const Numbers& starts) {
  for (size_t i = 0; i < starts.size(); ++i) {
    if (!std::isfinite(starts[i]) || starts[i] < 0) {
      return InvalidField(part, fmt::format("bin {} starts at {} s; must be a finite time, not "
                                            "below 0",
                                            i, starts[i]));
    }
    if (i > 0 && !(starts[i] > starts[i - 1])) {
      return InvalidField(part, fmt::format("bin {} starts at {} s, not after the bin before, at "
                                            "{} s; must ascend",
                                            i, starts[i], starts[i - 1]));
    }
  }
  return absl::OkStatus();
}

// Starts or middles, and says which were taken. Programs that bin write either: histogram edges
// and pandas the starts, pynapple's count() and the centres of edges the middles.
BinTimes Decide(std::string_view part, BinTimes what, double first, Notes& notes) {
  if (what != BinTimes::kUnsaid) return what;
  const double phase = first - std::floor(first);
  what = std::abs(phase - 0.5) < kAllowedJitter ? BinTimes::kMiddles : BinTimes::kStarts;
  if (what == BinTimes::kMiddles) {
    notes.Said(part,
               "its times lie half a bin off the multiples of the bins' width; they are taken as "
               "the bins' middles (the option bin_times says starts or middles)");
  }
  return what;
}

// Which bins were observed.
std::vector<bool> Seen(const Observed& observed, const CountMatrix& counts) {
  std::vector<bool> out(static_cast<size_t>(counts.bins), !observed);
  for (const auto& [start, stop] : observed.value_or(Spans{})) {
    const auto first = static_cast<size_t>(std::lround(start / counts.bin_width));
    const auto last = static_cast<size_t>(std::lround(stop / counts.bin_width));
    std::fill(out.begin() + static_cast<int64_t>(first), out.begin() + static_cast<int64_t>(last),
              true);
  }
  return out;
}

}  // namespace

absl::StatusOr<BinGrid> PlaceBins(std::string_view part, const Numbers& times, BinTimes what,
                                  double width, Notes& notes) {
  Numbers starts = times;
  if (auto s = CheckStarts(part, starts); !s.ok()) return s;
  const double measured = starts.size() < 2 ? width : MeasuredWidth(starts);
  if (width == 0) width = measured;
  if (!(width > 0) || std::abs(width - measured) > 0.01 * width) {
    return InvalidField("bin_width", fmt::format("is {} s, but the bins in {} start {} s apart; "
                                                 "must be that, or not be given",
                                                 width, part, measured));
  }
  what = Decide(part, what, starts[0] / width, notes);
  if (what == BinTimes::kMiddles) {
    for (double& t : starts) t = std::max(t - width / 2, 0.0);
  }
  const double first = std::round(starts[0] / width);
  const double most = static_cast<double>(kMostSpread) * static_cast<double>(starts.size());
  if (starts.back() / width > std::max(most, 1e6)) {
    return InvalidField(part, fmt::format("has {} bins of {} s up to {} s; must be seconds from "
                                          "the recording's start",
                                          starts.size(), width, starts.back()));
  }
  BinGrid out{width, {}};
  double worst = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const double place = std::round((starts[i] - starts[0]) / width);
    const double off = std::abs((starts[i] - starts[0]) / width - place);
    worst = std::max(worst, off);
    const auto bin = static_cast<int64_t>(first + place);
    if (off > kAllowedJitter || (i > 0 && bin <= out.places.back())) {
      return InvalidField(part,
                          fmt::format("bin {} starts at {} s, {:.2f} bins off the grid of {} s "
                                      "that begins with the first; bins must be equally wide, to a "
                                      "tenth: bin the spike times again, or import those",
                                      i, starts[i], off, width));
    }
    out.places.push_back(bin);
  }
  const double phase = starts[0] / width - first;
  if (worst > kNotedJitter || std::abs(phase) > kNotedJitter) {
    notes.Said(part, fmt::format("bins start up to {:.3f} bins off the multiples of {} s; they are "
                                 "taken as starting on them",
                                 worst + std::abs(phase), width));
  }
  return out;
}

absl::Status SpreadBins(std::string_view part, const BinGrid& grid, Notes& notes,
                        Recording& recording) {
  CountMatrix& counts = recording.counts;
  const int64_t bins = grid.places.back() + 1;
  if (bins == counts.bins) return absl::OkStatus();
  const size_t row = recording.units.size() * SizeOf(counts.dtype);
  const size_t bytes = static_cast<size_t>(bins) * row;
  if (bytes / row != static_cast<size_t>(bins) ||
      bytes / SizeOf(counts.dtype) > static_cast<size_t>(kMaxStoredElements)) {
    return InvalidField(
        part, fmt::format("has gaps that make {} bins; at most {} elements are kept", bins,
                          kMaxStoredElements));
  }
  std::shared_ptr<CountFile> large;
  std::vector<uint8_t> small;
  if (bytes > kCountsInMemory) {
    auto file = CountFile::Create(CountDirectory(), bytes);
    if (!file.ok()) return file.status();
    large = *std::move(file);
  } else {
    small.resize(bytes);
  }
  uint8_t* const to = large ? large->data() : small.data();
  const std::vector<bool> seen = Seen(recording.observed, counts);
  Spans there;
  size_t copied = 0;
  for (size_t i = 0; i < grid.places.size(); ++i) {
    const int64_t place = grid.places[i];
    std::memcpy(to + static_cast<size_t>(place) * row, counts.data() + i * row, row);
    if (large && (copied += row) > kCountsInMemory) {
      large->Release();
      copied = 0;
    }
    if (!seen[i]) continue;
    const double start = static_cast<double>(place) * grid.width;
    const double stop = static_cast<double>(place + 1) * grid.width;
    if (!there.empty() && there.back().second == start) {
      there.back().second = stop;
    } else {
      there.emplace_back(start, stop);
    }
  }
  notes.Mended(part,
               fmt::format("{} bins between those that are there are taken as unobserved "
                           "time; there are {} stretches, the first from {} to {} s",
                           bins - counts.bins, there.size(), there[0].first, there[0].second));
  counts.bins = bins;
  counts.bytes = std::move(small);
  counts.file = std::move(large);
  recording.observed = std::move(there);
  return absl::OkStatus();
}

}  // namespace saed::recordings

#include "server/recordings/observed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace saed::recordings {
namespace {

// The whole bins of a count matrix inside the spans, as times.
Spans WholeBins(const CountMatrix& counts, const Spans& spans) {
  Spans out;
  for (const auto& [start, stop] : spans) {
    const double first = std::ceil((start - kTimeTolerance) / counts.bin_width);
    const double last = std::floor((stop + kTimeTolerance) / counts.bin_width);
    if (last > first) out.emplace_back(first * counts.bin_width, last * counts.bin_width);
  }
  return out;
}

void Add(const std::vector<double>& spikes, double seconds, const std::vector<size_t>& units,
         std::vector<ObservedCount>& out) {
  for (size_t n : units) {
    out[n].spikes += spikes[n];
    out[n].seconds += seconds;
  }
}

// A matrix is read once for each span, so units that were observed at the same times go together.
void CountMatrixBins(const Recording& r, const Spans& wanted, std::vector<ObservedCount>& out) {
  std::map<Observed, std::vector<size_t>> alike;
  for (size_t n = 0; n < r.units.size(); ++n) alike[r.units[n].observed].push_back(n);
  for (const auto& [spans, units] : alike) {
    const bool always = !spans && !r.observed;
    const Spans observed = Intersect(ObservedSpans(r, r.units[units.front()]), wanted);
    for (const auto& [start, stop] : always ? wanted : WholeBins(r.counts, observed)) {
      Add(SpikeCounts(r, start, stop), stop - start, units, out);
    }
  }
}

}  // namespace

Spans Merge(Spans spans) {
  std::sort(spans.begin(), spans.end());
  Spans out;
  for (const auto& [start, stop] : spans) {
    if (!out.empty() && start <= out.back().second + kTimeTolerance) {
      out.back().second = std::max(out.back().second, stop);
    } else {
      out.emplace_back(start, stop);
    }
  }
  return out;
}

Spans Intersect(const Spans& a, const Spans& b) {
  Spans out;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const double start = std::max(a[i].first, b[j].first);
    const double stop = std::min(a[i].second, b[j].second);
    if (start < stop) out.emplace_back(start, stop);
    ++(a[i].second < b[j].second ? i : j);
  }
  return out;
}

double Length(const Spans& spans) {
  double out = 0;
  for (const auto& [start, stop] : spans) out += stop - start;
  return out;
}

std::string InWords(const Spans& spans) {
  constexpr size_t kShown = 5;
  if (spans.empty()) return "never";
  std::string out;
  for (size_t i = 0; i < std::min(kShown, spans.size()); ++i) {
    out += fmt::format("{}{:.10g}-{:.10g} s", i == 0 ? "" : ", ", spans[i].first, spans[i].second);
  }
  return spans.size() > kShown ? out + fmt::format(" and {} more spans", spans.size() - kShown)
                               : out;
}

Spans ObservedSpans(const Recording& r) {
  const Spans all = {{0, r.duration}};
  return r.observed ? Intersect(*r.observed, all) : all;
}

Spans ObservedSpans(const Recording& r, const Unit& unit) {
  return unit.observed ? Intersect(ObservedSpans(r), *unit.observed) : ObservedSpans(r);
}

Spans ObservedTogether(const Recording& r, const std::vector<int>& units, int* lost) {
  Spans out = ObservedSpans(r);
  if (lost != nullptr) *lost = -1;
  const Observed* previous = nullptr;
  for (size_t i = 0; i < units.size() && !out.empty(); ++i) {
    const Observed& observed = r.units[units[i]].observed;
    if (!observed || (previous != nullptr && observed == *previous)) continue;
    previous = &observed;
    out = Intersect(out, *observed);
    if (out.empty() && lost != nullptr) *lost = static_cast<int>(i);
  }
  return out;
}

bool NeverObserved(const Recording& r, const Unit& unit) {
  return (r.observed || unit.observed) && ObservedSpans(r, unit).empty();
}

bool HasGaps(const Recording& r, const std::vector<int>& units) {
  return r.observed || std::any_of(units.begin(), units.end(),
                                   [&](int n) { return r.units[n].observed.has_value(); });
}

std::vector<ObservedCount> ObservedCounts(const Recording& r, double start, double stop) {
  std::vector<ObservedCount> out(r.units.size());
  const Spans wanted = {{start, std::min(stop, r.duration)}};
  if (r.counts.present()) {
    CountMatrixBins(r, wanted, out);
    return out;
  }
  for (size_t n = 0; n < out.size(); ++n) {
    const auto& times = r.units[n].spike_times;
    for (const auto& [from, to] : Intersect(ObservedSpans(r, r.units[n]), wanted)) {
      const auto first = std::lower_bound(times.begin(), times.end(), from);
      out[n].spikes += static_cast<double>(std::lower_bound(first, times.end(), to) - first);
      out[n].seconds += to - from;
    }
  }
  return out;
}

}  // namespace saed::recordings

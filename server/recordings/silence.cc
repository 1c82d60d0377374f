#include "server/recordings/silence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "server/recordings/observed.h"
#include "server/recordings/train_reader.h"

namespace saed::recordings {
namespace {

constexpr double kMostCells = 4e6;
constexpr size_t kReleased = size_t{64} << 20;  // bytes after which pages are given back

// Gaps between one active stretch and the next, and before the first and after the last.
class Gaps {
 public:
  Gaps(double least, double end) : least_(least), end_(end) {}
  void Active(double from, double to) {
    Add(from);
    latest_ = std::max(latest_, to);
  }
  Spans Take() && {
    Add(end_);
    return std::move(out_);
  }

 private:
  void Add(double until) {
    if (until - latest_ > least_) out_.emplace_back(latest_, until);
  }
  double least_, end_;
  double latest_ = 0;
  Spans out_;
};

// Whether what was seen while the spikes were gathered, these and no others, tells that there is no
// gap.
bool NeverSilent(const Recording& r, double least) {
  const SpikeFile* file = nullptr;
  size_t spikes = 0;
  for (const Unit& unit : r.units) {
    const SpikeTrain& train = unit.spike_times;
    if (train.empty()) continue;
    if (file == nullptr) file = train.gathered().get();
    if (file == nullptr || train.gathered().get() != file || !train.look()->good) return false;
    spikes += train.size();
  }
  return file != nullptr && spikes == file->spikes() &&
         file->activity().NeverSilent(r.duration, least);
}

// Cells of at most half of `least` hold their first and last spike, so that every gap that matters
// is one between cells: all trains are read once, in any order.
Spans SpikeGaps(const Recording& r, double least) {
  if (NeverSilent(r, least)) return {};
  struct Cell {
    double first = INFINITY, last = -INFINITY;
  };
  const double width = std::max(least / 2, r.duration / kMostCells);
  std::vector<Cell> cells(static_cast<size_t>(r.duration / width) + 1);
  const double per_second = 1 / width;
  TrainReader reader;
  for (const Unit& unit : r.units) {
    reader.Each(unit.spike_times, [&](size_t, std::span<const double> times) {
      for (const double t : times) {
        Cell& cell = cells[std::min(cells.size() - 1, static_cast<size_t>(t * per_second))];
        if (t < cell.first) cell.first = t;  // rarely, so that little is written
        if (t > cell.last) cell.last = t;
      }
    });
  }
  Gaps gaps(least, r.duration);
  for (const Cell& cell : cells) {
    if (cell.last >= cell.first) gaps.Active(cell.first, cell.last);
  }
  return std::move(gaps).Take();
}

template <class T>
Spans CountGaps(const Recording& r, double least) {
  const CountMatrix& counts = r.counts;
  const size_t row = r.units.size() * sizeof(T);
  std::vector<T> values(r.units.size());
  Gaps gaps(least, r.duration);
  size_t read = 0;
  for (int64_t bin = 0; bin < counts.bins; ++bin) {
    std::memcpy(values.data(), counts.data() + static_cast<size_t>(bin) * row, row);
    const bool active = std::any_of(values.begin(), values.end(), [](T v) { return v != 0; });
    if (active) {
      gaps.Active(static_cast<double>(bin) * counts.bin_width,
                  static_cast<double>(bin + 1) * counts.bin_width);
    }
    read += row;
    if (counts.file && read > kReleased) {
      counts.file->Release();
      read = 0;
    }
  }
  if (counts.file) counts.file->Release();
  return std::move(gaps).Take();
}

// The times outside the spans, within [0, end).
Spans Rest(const Spans& spans, double end) {
  Spans out;
  double at = 0;
  for (const auto& [start, stop] : spans) {
    if (start > at) out.emplace_back(at, start);
    at = std::max(at, stop);
  }
  if (end > at) out.emplace_back(at, end);
  return out;
}

// An interval table that keeps most of the time around the silences and none of them; empty: none.
std::string TableWithout(const Recording& r, const Spans& silences) {
  const Spans rest = Intersect(Rest(silences, r.duration), ObservedSpans(r));
  for (const IntervalTable& t : r.intervals) {
    Spans rows;
    for (size_t i = 0; i < t.rows(); ++i) rows.emplace_back(t.start[i], t.stop[i]);
    rows = Merge(std::move(rows));
    if (Length(Intersect(rows, silences)) > 0.01 * Length(silences)) continue;
    if (Length(Intersect(rows, rest)) > 0.5 * Length(rest)) return t.table.name;
  }
  return "";
}

// How a view would leave the silences out.
std::string Advice(const Recording& r, const Spans& silences) {
  const bool at_start = silences.front().first <= 0;
  const bool at_end = silences.back().second >= r.duration;
  if (silences.size() == 1 && at_start) {
    return fmt::format("saectl train --start {:.10g} would leave it out", silences[0].second);
  }
  if (silences.size() == 1 && at_end) {
    return fmt::format("saectl train --stop {:.10g} would leave it out", silences[0].first);
  }
  const char* them = silences.size() == 1 ? "it" : "them";
  const std::string table = TableWithout(r, silences);
  if (!table.empty()) {
    return fmt::format("saectl train --mask '{}' would leave {} out", table, them);
  }
  if (silences.size() == 2 && at_start && at_end) {
    return fmt::format("saectl train --start {:.10g} --stop {:.10g} would leave them out",
                       silences[0].second, silences[1].first);
  }
  return fmt::format(
      "a table of the times that were recorded (--intervals NAME=FILE.csv at the "
      "import, then saectl train --mask NAME) would leave {} out",
      them);
}

}  // namespace

double LongestExpectedSilence(double events, double seconds) {
  if (!(events >= 2) || !(seconds > 0)) return INFINITY;
  return std::log(events) * seconds / events;
}

Spans Silences(const Recording& r, double least) {
  if (!(least > 0) || !(r.duration > least)) return {};
  Spans gaps;
  if (!r.counts.present()) {
    gaps = SpikeGaps(r, least);
  } else if (r.counts.dtype != DType::kF32) {
    gaps =
        r.counts.dtype == DType::kU8 ? CountGaps<uint8_t>(r, least) : CountGaps<uint16_t>(r, least);
  }
  Spans observed = ObservedSpans(r);
  // Where every unit has times of its own, what none of them was observed in is no silence.
  const bool own = std::all_of(r.units.begin(), r.units.end(),
                               [](const Unit& u) { return u.observed.has_value(); });
  if (own) {
    Spans any;
    for (const Unit& u : r.units) {
      if (!any.empty() && &u != &r.units.front() && u.observed == (&u - 1)->observed) continue;
      any.insert(any.end(), u.observed->begin(), u.observed->end());
    }
    observed = Intersect(observed, Merge(std::move(any)));
  }
  Spans out = Intersect(gaps, observed);
  std::erase_if(out, [&](const auto& s) { return s.second - s.first <= least; });
  return out;
}

void SaySilences(const Recording& r, Notes& notes) {
  double events = 0;
  for (const double spikes : SpikeCounts(r, 0, INFINITY)) events += spikes;
  const double expected = LongestExpectedSilence(events, Length(ObservedSpans(r)));
  const Spans silences = Silences(r, kLongSilence * expected);
  if (silences.empty()) return;
  const auto longest = *std::max_element(
      silences.begin(), silences.end(),
      [](const auto& a, const auto& b) { return a.second - a.first < b.second - b.first; });
  const std::string which =
      silences.size() == 1
          ? fmt::format("from {:.10g} to {:.10g} s", longest.first, longest.second)
          : fmt::format("{} times, {:.10g} s in all, the longest from {:.10g} to {:.10g} s",
                        silences.size(), Length(silences), longest.first, longest.second);
  notes.Said("units",
             fmt::format("all are silent {}, where chance at their rates would leave {:.3g} "
                         "s at most; if nothing was recorded then, {}",
                         which, expected, Advice(r, silences)));
}

}  // namespace saed::recordings

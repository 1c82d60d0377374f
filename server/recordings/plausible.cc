#include "server/recordings/plausible.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "server/recordings/observed.h"

namespace saed::recordings {
namespace {

constexpr double kWeek = 7 * 86400;  // s
constexpr double kFast = 1000;       // Hz
constexpr double kSlow = 0.001;      // Hz
constexpr double kWideBins = 1;      // s
constexpr double kOutside = 1e-6;    // s; a row this little outside is inside
constexpr std::string_view kUnits = "are they milliseconds or samples instead of seconds?";

// Latest stop of the rows that are some; 0: none.
double EndOf(const IntervalTable& t) {
  double end = 0;
  for (size_t i = 0; i < std::min(t.start.size(), t.stop.size()); ++i) {
    const double stop = std::isfinite(t.stop[i]) ? t.stop[i] : t.start[i];
    if (std::isfinite(t.start[i]) && stop >= t.start[i]) end = std::max(end, stop);
  }
  return end;
}

double EndOf(const Series& s) { return s.timestamps.empty() ? 0 : s.timestamps.back(); }

struct Ending {
  std::string name;
  double end;
};

// Tables and series with the times at which they end.
std::vector<Ending> Endings(const Recording& r) {
  std::vector<Ending> out;
  for (const IntervalTable& t : r.intervals) {
    if (t.rows() > 0) out.push_back({t.table.name, EndOf(t)});
  }
  for (const Series& s : r.series) {
    if (!s.timestamps.empty()) out.push_back({s.name, EndOf(s)});
  }
  return out;
}

bool LongAfter(double end, double activity) { return activity > 0 && end > kLongAfter * activity; }

void SayEnds(const Recording& r, double activity, Notes& notes) {
  const std::vector<Ending> endings = Endings(r);
  const Ending* latest = nullptr;
  for (const Ending& e : endings) {
    if (latest == nullptr || e.end > latest->end) latest = &e;
    if (!LongAfter(e.end, activity)) continue;
    notes.Said(e.name, fmt::format("ends at {:.10g} s, long after the spikes, which end at {:.10g} "
                                   "s: {} What comes after the spikes does not lengthen the "
                                   "recording",
                                   e.end, activity, kUnits));
  }
  // A part of the tables may end early; that all do is a sign of another unit of time.
  if (latest == nullptr || latest->end * kLongAfter >= activity) return;
  notes.Said(
      latest->name,
      fmt::format("ends at {:.10g} s, {}long before the spikes, which end at {:.10g} s; "
                  "does one of them count time in another unit than seconds?",
                  latest->end, endings.size() > 1 ? "the last of all tables and series, " : "",
                  activity));
}

void SayOutside(const Recording& r, double activity, Notes& notes) {
  for (const IntervalTable& t : r.intervals) {
    bool inside = t.rows() == 0 || LongAfter(EndOf(t), activity);
    for (size_t i = 0; i < t.rows() && !inside; ++i) {
      inside = t.stop[i] > -kOutside && t.start[i] < r.duration + kOutside;
    }
    if (inside) continue;
    notes.Said(t.table.name,
               fmt::format("has {} rows, and all lie outside the recording (0 to {:.10g} s); the "
                           "first is from {:.10g} to {:.10g} s",
                           t.rows(), r.duration, t.start[0], t.stop[0]));
  }
}

void SayRates(const Recording& r, Notes& notes) {
  if (r.counts.present() && r.counts.dtype == DType::kF32) return;  // may be no counts of events
  const std::vector<ObservedCount> counts = ObservedCounts(r, 0, INFINITY);
  const auto say = [&](const auto& unlikely, std::string_view what) {
    int64_t units = 0;
    size_t first = 0;
    for (size_t n = 0; n < counts.size(); ++n) {
      if (counts[n].seconds > 0 && unlikely(counts[n].rate()) && units++ == 0) first = n;
    }
    if (units == 0) return;
    notes.Said("units", fmt::format("{} of {} {}; the first is unit {} with {:.3g} Hz", units,
                                    counts.size(), what, r.units[first].id, counts[first].rate()));
  };
  say([](double rate) { return rate > kFast; },
      "fire more than 1000 times a second: are the times in seconds?");
  say([](double rate) { return rate < kSlow; }, "fire less than once in 1000 s");
}

}  // namespace

double ActivityEnd(const Recording& r) {
  double end = std::max(0.0, r.duration);
  if (r.counts.present()) {
    end = std::max(end, r.counts.bin_width * static_cast<double>(r.counts.bins));
  }
  const auto observed = [&](const Observed& spans) {
    if (!spans) return;
    for (const auto& [start, stop] : *spans) {
      if (std::isfinite(stop) && start < stop) end = std::max(end, stop);
    }
  };
  observed(r.observed);
  LooseLook look;
  for (const Unit& unit : r.units) {
    if (!unit.spike_times.empty()) end = std::max(end, unit.spike_times.back());
    look.Looked(unit.spike_times);
    observed(unit.observed);
  }
  return end;
}

double SpanOf(const Recording& r, double activity) {
  double out = activity;
  for (const Ending& e : Endings(r)) {
    if (!LongAfter(e.end, activity)) out = std::max(out, e.end);
  }
  return out;
}

std::string WideBins(double bin_width) {
  return bin_width > kWideBins
             ? fmt::format("bins are {} s wide; is the width in milliseconds instead of seconds?",
                           bin_width)
             : "";
}

std::string SparseWindows(int stride) {
  return stride > 1 ? fmt::format(
                          "windows begin {} bins apart, so that there are no responses around the "
                          "start of conditions and no spectra; a stride of 1 has both",
                          stride)
                    : "";
}

void SayWhatIsUnlikely(const Recording& r, double activity, Notes& notes) {
  if (r.duration > kWeek) {
    notes.Said("recording", fmt::format("lasts {:.10g} s, which is {:.1f} days: are its times in "
                                        "seconds from its start?",
                                        r.duration, r.duration / 86400));
  }
  if (r.counts.bin_width > kWideBins) {
    notes.Said("bin_width", fmt::format("is {} s; are they milliseconds instead of seconds?",
                                        r.counts.bin_width));
  }
  SayEnds(r, activity, notes);
  SayOutside(r, activity, notes);
  SayRates(r, notes);
}

}  // namespace saed::recordings

#include "server/jobs/trial_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "server/recordings/observed.h"

namespace saed::jobs {
namespace {

using recordings::IntervalTable;
using recordings::Recording;
using recordings::Spans;

constexpr size_t kFewestRows = 8;         // of a table that trials are split by
constexpr double kFewestBins = 200;       // that its rows hold
constexpr size_t kMostLookedAt = 400000;  // pairs of a span and a unit, for rates
constexpr double kHardly = 0.05;          // of the rate inside
constexpr double kHardlyAny = 0.02;       // of the time, which is too little to say
constexpr double kMost = 0.8;             // of the observed time
constexpr double kOverlap = 0.01;         // of the time in rows, as rounded times have it

bool Contains(const std::string& name, std::string_view word) {
  std::string lower = name;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower.find(word) != std::string::npos;
}

// How likely a table is the one an experiment is made of; 0: not at all.
int Rank(const IntervalTable& table) {
  const std::string& name = table.table.name;
  if (Contains(name, "invalid")) return 0;
  if (Contains(name, "trial") || Contains(name, "lap")) return 3;
  if (Contains(name, "stim") || Contains(name, "presentation")) return 2;
  return 1;
}

// Why trials of the table, which hold `seconds`, cannot be split by; empty where they can.
std::string WhyTooLittle(const IntervalTable& table, double seconds, double bin, double shortest) {
  const std::string& name = table.table.name;
  if (table.rows() < kFewestRows) {
    return fmt::format("'{}' has {} rows, and {} are needed", name, table.rows(), kFewestRows);
  }
  std::vector<double> lengths;
  for (size_t i = 0; i < table.rows(); ++i) lengths.push_back(table.stop[i] - table.start[i]);
  const auto middle = lengths.begin() + static_cast<int64_t>(lengths.size() / 2);
  std::nth_element(lengths.begin(), middle, lengths.end());
  if (*middle < shortest) {
    return fmt::format(
        "half of the rows of '{}' last {:.3g} s or less, and a window needs {:.3g} s", name,
        *middle, shortest);
  }
  if (seconds < kFewestBins * bin) {
    return fmt::format("rows of '{}' hold {:.3g} s of observed time, and {:.3g} s are needed", name,
                       seconds, kFewestBins * bin);
  }
  return "";
}

bool Tiles(const IntervalTable& table, double covered, double observed) {
  double together = 0;
  for (size_t i = 0; i < table.rows(); ++i) together += table.stop[i] - table.start[i];
  return covered > kMost && together < (1 + kOverlap) * covered * observed;
}

}  // namespace

double ObservedSeconds(const Recording& r) {
  return std::max(r.observed ? recordings::Length(*r.observed) : r.duration, 1e-9);
}

Spans Covered(const IntervalTable& table, const Recording& r) {
  Spans rows;
  for (size_t i = 0; i < table.rows(); ++i) {
    if (table.stop[i] > table.start[i]) rows.emplace_back(table.start[i], table.stop[i]);
  }
  std::sort(rows.begin(), rows.end());
  Spans out;
  double reached = 0;
  const Spans all = {{0, r.duration}};
  const Spans& observed = r.observed ? *r.observed : all;
  size_t at = 0;
  for (const auto& [start, stop] : rows) {
    const double from = std::max(start, reached);
    reached = std::max(reached, stop);
    while (at < observed.size() && observed[at].second <= from) ++at;
    for (size_t i = at; i < observed.size() && observed[i].first < stop; ++i) {
      const double a = std::max(from, observed[i].first), b = std::min(stop, observed[i].second);
      if (b > a) out.emplace_back(a, b);
    }
  }
  return out;
}

TrialTable FindTrialTable(const Recording& r, double bin, double shortest) {
  const double observed = ObservedSeconds(r);
  TrialTable best;
  int best_rank = 0, likeliest = 1;  // tables of other names are no trials, unless they tile
  std::string lacks = "no table looks like trials";
  for (const IntervalTable& table : r.intervals) {
    const int rank = Rank(table);
    if (rank == 0) continue;
    const double covered = recordings::Length(Covered(table, r)) / observed;
    const std::string why = WhyTooLittle(table, covered * observed, bin, shortest);
    if (!why.empty() && rank > likeliest) {
      likeliest = rank;
      lacks = why;
    }
    if (!why.empty() || (rank == 1 && !Tiles(table, covered, observed))) continue;
    if (rank > best_rank || (rank == best_rank && covered > best.covered)) {
      best = {&table, covered, ""};
      best_rank = rank;
    }
  }
  if (best.table == nullptr) best.why_none = lacks;
  return best;
}

double RateIn(const Recording& r, const Spans& spans) {
  const size_t most = std::max<size_t>(1, kMostLookedAt / std::max<size_t>(1, r.units.size()));
  const size_t step = spans.size() / most + 1;
  double spikes = 0, seconds = 0;
  for (size_t i = 0; i < spans.size(); i += step) {
    const auto& [start, stop] = spans[i];
    seconds += stop - start;
    for (const auto& unit : r.units) {
      const auto& train = unit.spike_times;
      spikes += static_cast<double>(std::lower_bound(train.begin(), train.end(), stop) -
                                    std::lower_bound(train.begin(), train.end(), start));
    }
  }
  const auto units = static_cast<double>(std::max<size_t>(r.units.size(), 1));
  return seconds > 0 ? spikes / (seconds * units) : 0;
}

bool SilentOutside(const Recording& r, const IntervalTable& table) {
  if (r.counts.present()) return false;
  Spans gaps;
  double reached = 0;
  const Spans inside = Covered(table, r);
  for (const auto& [start, stop] : inside) {
    if (start > reached) gaps.emplace_back(reached, start);
    reached = std::max(reached, stop);
  }
  if (r.duration > reached) gaps.emplace_back(reached, r.duration);
  if (r.observed) gaps = recordings::Intersect(gaps, *r.observed);
  if (recordings::Length(gaps) < kHardlyAny * r.duration) return false;
  return RateIn(r, gaps) < kHardly * RateIn(r, inside);
}

}  // namespace saed::jobs

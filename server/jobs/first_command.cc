#include "server/jobs/first_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "server/base/text.h"
#include "server/jobs/choose.h"

namespace saed::jobs {
namespace {

using recordings::Column;
using recordings::IntervalTable;
using recordings::Recording;
using recordings::Spans;

constexpr double kBin = 0.02, kWideBin = 0.05;   // s
constexpr double kLowRate = 1;                   // Hz
constexpr double kMostOutside = 0.5;             // of the observed time, above which a mask is due
constexpr size_t kFewestRows = 8;                // of a table that trials are split by
constexpr size_t kMostLookedAt = 400000;         // pairs of a table's row and a unit, for rates
constexpr size_t kStretches = 5;                 // of which each gives rows to both sides
constexpr int64_t kMostRead = int64_t{1} << 20;  // counts that are looked at for their sign
constexpr double kTrains = 0.8;                  // of the windows

double Length(const Spans& spans) {
  double out = 0;
  for (const auto& [start, stop] : spans) out += stop - start;
  return out;
}

// The parts of [0, duration) that are in some row and were observed.
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

bool Contains(const std::string& name, std::string_view word) {
  std::string lower = name;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower.find(word) != std::string::npos;
}

// How likely a table is the one an experiment is made of; 0: not at all.
int Rank(const IntervalTable& table) {
  const std::string& name = table.table.name;
  if (Contains(name, "invalid") || table.rows() < kFewestRows) return 0;
  if (Contains(name, "trial") || Contains(name, "lap")) return 3;
  if (Contains(name, "stim") || Contains(name, "presentation")) return 2;
  return 1;
}

struct Chosen {
  const IntervalTable* table = nullptr;
  double covered = 0;  // of the observed time
};

// The likeliest table, among equals the one that covers most. Its rows hold bins.
Chosen ChooseTable(const Recording& r, double bin, double observed) {
  Chosen best;
  int best_rank = 0;
  for (const IntervalTable& table : r.intervals) {
    std::vector<double> lengths;
    for (size_t i = 0; i < table.rows(); ++i) lengths.push_back(table.stop[i] - table.start[i]);
    const int rank = Rank(table);
    if (rank == 0) continue;
    std::nth_element(lengths.begin(), lengths.begin() + lengths.size() / 2, lengths.end());
    const double covered = Length(Covered(table, r)) / observed;
    if (lengths[lengths.size() / 2] < 2 * bin || covered * observed < 200 * bin) continue;
    if (rank > best_rank || (rank == best_rank && covered > best.covered)) {
      best = {&table, covered};
      best_rank = rank;
    }
  }
  return best;
}

// In a shell's words.
std::string Quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  });
  if (plain && !text.empty()) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Numbers that ascend with the rows' starts, in at least kFewestRows steps.
bool Counts(const IntervalTable& table, const Column& column) {
  const auto* values = std::get_if<recordings::Numbers>(&column.values);
  if (values == nullptr) return false;
  std::vector<size_t> order(table.rows());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return table.start[a] < table.start[b]; });
  size_t steps = 1;
  for (size_t i = 0; i < order.size(); ++i) {
    const double value = (*values)[order[i]];
    if (!std::isfinite(value) || value < 0) return false;
    if (i == 0) continue;
    const double before = (*values)[order[i - 1]];
    if (value < before) return false;
    steps += value > before;
  }
  return steps >= kFewestRows;
}

// A column that numbers trials or blocks, else the rows' starts; null where neither ascends.
const Column* SplitColumn(const IntervalTable& table) {
  for (const char* word : {"block", "trial", "lap", "run", "index", "start_time"}) {
    for (const Column& column : table.table.columns) {
      if (column.name != "stop_time" && Contains(column.name, word) && Counts(table, column)) {
        return &column;
      }
    }
  }
  return nullptr;
}

// The number of fewest decimals in [low, high].
double Shortest(double low, double high) {
  for (double scale = 1; scale < 1e9; scale *= 10) {
    const double rounded = std::ceil(low * scale) / scale;
    if (rounded >= low && rounded <= high) return rounded;
  }
  return low;
}

// Values [first, last] as the flag has them: a range with short numbers that holds these alone.
std::string Range(const std::vector<double>& values, size_t first, size_t last) {
  const auto whole = [](double v) { return v == std::floor(v); };
  const bool alone = first == last && whole(values[first]);
  if (alone) return NumberText(values[first]);
  // Half the way to the values beside is the furthest.
  const double before = first == 0 ? 0 : (values[first - 1] + values[first]) / 2;
  const double after =
      last + 1 == values.size() ? std::ceil(values[last]) : (values[last] + values[last + 1]) / 2;
  const double low = whole(values[first]) ? values[first] : Shortest(before, values[first]);
  const double high = whole(values[last]) ? values[last] : Shortest(values[last], after);
  return fmt::format("{}-{}", NumberText(low), NumberText(high));
}

// Whether one of a sample of the bins, spread over the recording, has a negative value.
bool HasNegative(const Recording& r) {
  if (!r.counts.present() || r.counts.dtype != DType::kF32 || r.units.empty()) return false;
  const auto units = static_cast<int64_t>(r.units.size());
  const int64_t step = r.counts.bins / std::max<int64_t>(1, kMostRead / units) + 1;
  const auto row_bytes = static_cast<size_t>(units) * sizeof(float);
  std::vector<float> row(r.units.size());
  for (int64_t bin = 0; bin < r.counts.bins; bin += step) {
    std::memcpy(row.data(), r.counts.data() + static_cast<size_t>(bin) * row_bytes, row_bytes);
    if (std::any_of(row.begin(), row.end(), [](float v) { return v < 0; })) return true;
  }
  return false;
}

class Maker {
 public:
  Maker(const Recording& recording, const std::vector<double>& spikes)
      : recording_(recording), spikes_(spikes) {
    observed_ =
        std::max(recording.observed ? Length(*recording.observed) : recording.duration, 1e-9);
  }

  FirstCommand Make() {
    const double recorded = recording_.counts.bin_width;
    const double least =
        recorded > 0 ? recorded * std::max(1.0, std::ceil(kBin / 2 / recorded - 1e-9)) : kBin;
    const Chosen chosen = ChooseTable(recording_, least, observed_);
    const double bin = Bin(chosen, least);
    Add(fmt::format("--bin {}", NumberText(bin)));
    const size_t units = Label();
    if (chosen.table != nullptr) {
      Mask(chosen);
      SplitBy(*chosen.table);
    }
    Size(units, bin, chosen);
    Sign();
    return std::move(out_);
  }

 private:
  void Add(const std::string& flag) { out_.flags += (out_.flags.empty() ? "" : " ") + flag; }
  void Because(std::string_view reason) { out_.reasons.emplace_back(reason); }

  // Of a unit on average, Hz, in the rows of a table; null: in all that was observed.
  double Rate(const IntervalTable* rows) const {
    const auto units = static_cast<double>(std::max<size_t>(spikes_.size(), 1));
    if (rows == nullptr) {
      return std::accumulate(spikes_.begin(), spikes_.end(), 0.0) / (observed_ * units);
    }
    const Spans covered = Covered(*rows, recording_);
    const size_t most = std::max<size_t>(1, kMostLookedAt / std::max<size_t>(1, spikes_.size()));
    const size_t step = covered.size() / most + 1;
    double spikes = 0, seconds = 0;
    for (size_t i = 0; i < covered.size(); i += step) {
      const auto& [start, stop] = covered[i];
      seconds += stop - start;
      for (const auto& unit : recording_.units) {
        const auto& train = unit.spike_times;
        spikes += static_cast<double>(std::lower_bound(train.begin(), train.end(), stop) -
                                      std::lower_bound(train.begin(), train.end(), start));
      }
    }
    return seconds > 0 ? spikes / (seconds * units) : 0;
  }

  double Bin(const Chosen& chosen, double least) {
    if (const double recorded = recording_.counts.bin_width; recorded > 0) {
      Because(fmt::format("--bin: the counts came in bins of {} s; bins may be whole multiples",
                          NumberText(recorded)));
      return least;
    }
    const bool masked = Masks(chosen);
    const double rate = Rate(masked ? chosen.table : nullptr);
    // Rows that are too short for wide bins have narrow ones.
    const bool wide =
        rate < kLowRate && ChooseTable(recording_, kWideBin, observed_).table == chosen.table;
    const double bin = wide ? kWideBin : kBin;
    Because(fmt::format("--bin: units have {:.2g} spikes/s{}, {:.2g} a bin", rate,
                        masked ? " in " + chosen.table->table.name : "", rate * bin));
    return bin;
  }

  // The number of units that are left.
  size_t Label() {
    const auto& units = recording_.units;
    const auto good = static_cast<size_t>(std::count_if(
        units.begin(), units.end(), [](const auto& unit) { return unit.label == "good"; }));
    if (good < 2 || good == units.size()) return units.size();
    Add("--label good");
    Because(fmt::format("--label: {} of {} units are good", good, units.size()));
    return good;
  }

  static bool Masks(const Chosen& chosen) {
    return chosen.table != nullptr && chosen.covered <= 1 - kMostOutside &&
           chosen.table->table.name.find('[') == std::string::npos;
  }

  void Mask(const Chosen& chosen) {
    if (!Masks(chosen)) return;
    const std::string& name = chosen.table->table.name;
    Add("--mask " + Quoted(name));
    Because(fmt::format("--mask: {:.0f} % of the time is outside {}", 100 * (1 - chosen.covered),
                        name));
  }

  // Of each of a few stretches of the session the first four fifths of the trials train, so that
  // both sides see all of it.
  void SplitBy(const IntervalTable& table) {
    const Column* column = SplitColumn(table);
    if (column == nullptr) return;
    const auto& numbers = std::get<recordings::Numbers>(column->values);
    const std::set<double> distinct(numbers.begin(), numbers.end());
    const std::vector<double> values(distinct.begin(), distinct.end());
    const size_t stretches = std::clamp<size_t>(values.size() / kStretches, 1, kStretches);
    std::vector<std::string> train, test;
    for (size_t i = 0; i < stretches; ++i) {
      const size_t first = values.size() * i / stretches;
      const size_t end = values.size() * (i + 1) / stretches;
      const size_t cut = end - std::max<size_t>(1, (end - first) / 5);
      train.push_back(Range(values, first, cut - 1));
      test.push_back(Range(values, cut, end - 1));
    }
    Add(fmt::format("--split-column {} --train-values {} --test-values {}",
                    Quoted(table.table.name + "." + column->name), fmt::join(train, " "),
                    fmt::join(test, " ")));
    Because(
        fmt::format("--split-column: a fifth of {} is held out, whole rows, from all of the "
                    "session",
                    table.table.name));
  }

  // Windows that train are those of the rows that are split, else of all that was observed.
  void Size(size_t units, double bin, const Chosen& chosen) {
    const bool rows = Masks(chosen) || (chosen.table != nullptr && SplitColumn(*chosen.table));
    const double seconds = rows ? chosen.covered * observed_ : observed_;
    const auto windows = static_cast<int64_t>(seconds / bin * kTrains);
    const int features = FeaturesFor(static_cast<int64_t>(units), windows);
    const int k = ActiveFor(features);
    Add(fmt::format("--features {} --k {}", features, k));
    Because("--features, --k: " + SizeReason(static_cast<int64_t>(units), windows));
  }

  // Signed traces are no counts: the Poisson loss refuses them.
  void Sign() {
    if (!HasNegative(recording_)) return;
    Add("--normaliser zscore --loss mse --output-function identity");
    Because(
        "--normaliser, --loss, --output-function: some values are negative, so these are no "
        "counts");
  }

  const Recording& recording_;
  const std::vector<double>& spikes_;
  double observed_;
  FirstCommand out_;
};

}  // namespace

FirstCommand FirstCommandFor(const Recording& recording, const std::vector<double>& spikes) {
  return Maker(recording, spikes).Make();
}

}  // namespace saed::jobs

#include "server/recordings/trial_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <variant>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/numpy_random.h"
#include "server/recordings/table_bins.h"
#include "server/recordings/table_filter.h"

namespace saed::recordings {
namespace {

// Sums of a fraction such as 0.1 stay a little below whole numbers.
constexpr double kRounding = 1e-9;

double HeldOut(const TrialSplit& split) {
  return split.held_out == 0 ? kHeldOutTrials : split.held_out;
}

// Whether as many valid bins as a window has lie one after another in [first, end).
bool HoldsWindow(const std::vector<uint8_t>& valid, int64_t first, int64_t end, int window) {
  int64_t run = 0;
  for (int64_t i = first; i < end; ++i) {
    run = valid[i] ? run + 1 : 0;
    if (run == window) return true;
  }
  return false;
}

// Of a row, in words that are the same for the same value; missing ones are the same.
std::string ValueOf(const Column& column, size_t row) {
  if (const auto* numbers = std::get_if<Numbers>(&column.values)) {
    const double value = (*numbers)[row];
    return std::isnan(value) ? "" : fmt::format("{}", value + 0.0);
  }
  if (const auto* texts = std::get_if<Texts>(&column.values)) return (*texts)[row];
  std::string out;
  for (const std::string& member : std::get<TextLists>(column.values)[row]) {
    out += fmt::format("{}:{}", member.size(), member);
  }
  return out;
}

// The trials as they are dealt.
absl::StatusOr<std::vector<size_t>> Sequence(const Recording& r, const TrialSplit& split,
                                             const std::vector<Trial>& trials) {
  std::vector<size_t> out(trials.size());
  std::iota(out.begin(), out.end(), size_t{0});
  if (split.order == TrialOrder::kRandom) {
    NumpyRandom random(split.seed);
    std::vector<double> key(trials.size());
    for (double& k : key) k = random.Uniform();
    std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) { return key[a] < key[b]; });
  }
  if (split.stratify.empty()) return out;
  SAED_ASSIGN_OR_RETURN(const IntervalTable* table,
                        FindTable(r, split.table, "split.trials.table"));
  SAED_ASSIGN_OR_RETURN(const Column* column,
                        FindColumn(*table, split.stratify, "split.trials.stratify"));
  std::map<std::string, size_t> strata;
  std::vector<size_t> stratum;
  for (const Trial& trial : trials) {
    stratum.push_back(strata.emplace(ValueOf(*column, trial.row), strata.size()).first->second);
  }
  std::stable_sort(out.begin(), out.end(),
                   [&](size_t a, size_t b) { return stratum[a] < stratum[b]; });
  return out;
}

// Positions in the sequence that are held out.
std::vector<uint8_t> Dealt(const TrialSplit& split, size_t trials) {
  std::vector<uint8_t> out(trials, 0);
  const double f = HeldOut(split);
  const auto n = static_cast<double>(trials);
  const auto folds = static_cast<size_t>(split.folds), fold = static_cast<size_t>(split.fold);
  if (split.order != TrialOrder::kBlocks) {
    const auto whole = [&](size_t p) { return std::floor(static_cast<double>(p) * f + kRounding); };
    for (size_t p = 0; p < trials; ++p) {
      out[p] = folds > 0 ? p % folds == fold : whole(p + 1) > whole(p);
    }
    return out;
  }
  const double most = folds > 0 ? n / split.folds : n * f;
  const auto stretches = static_cast<size_t>(std::clamp(std::floor(most), 1.0, 1.0 * kStretches));
  const size_t runs = stretches * std::max<size_t>(folds, 1);
  for (size_t run = 0; run < runs; ++run) {
    const size_t end = trials * (run + 1) / runs;
    size_t from = trials * run / runs;
    if (folds > 0 && run % folds != fold) continue;
    if (folds == 0) {
      const auto part = std::lround(static_cast<double>(end - from) * f);
      // Where a stretch has two trials or more, one of them trains.
      from = end -
             std::clamp<size_t>(static_cast<size_t>(part), 1, std::max<size_t>(1, end - from - 1));
    }
    std::fill(out.begin() + static_cast<int64_t>(from), out.begin() + static_cast<int64_t>(end), 1);
  }
  return out;
}

// The time between two neighbours, s; half of all gaps are shorter.
double MedianGap(const std::vector<Trial>& trials) {
  std::vector<double> gaps;
  for (size_t i = 1; i < trials.size(); ++i) {
    gaps.push_back(std::max(0.0, trials[i].start - trials[i - 1].stop));
  }
  if (gaps.empty()) return 0;
  const auto middle = gaps.begin() + static_cast<int64_t>(gaps.size() / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  return *middle;
}

}  // namespace

absl::Status Validate(const TrialSplit& split) {
  Faults faults;
  const auto add = [&](const char* field, const std::string& what) {
    faults.Add(std::string("split.trials.") + field, what);
  };
  if (split.table.empty()) add("table", "is empty; name an interval table whose rows are trials");
  if (!(split.held_out >= 0 && split.held_out < 1)) {
    add("held_out", fmt::format("is {}; must be above 0 and below 1, e.g. 0.2", split.held_out));
  }
  if (split.folds != 0 && (split.folds < 2 || split.folds > 1'000'000)) {
    add("folds",
        fmt::format("are {}; there must be 2 to 1,000,000, and no more than trials", split.folds));
  } else if (split.folds != 0 && split.held_out != 0) {
    add("held_out", "is given beside folds, which hold out one part in as many; give one of them");
  }
  if (split.fold < 0 || split.fold >= std::max(split.folds, 1)) {
    add("fold", split.folds == 0
                    ? fmt::format("is {} without folds; give their number, too", split.fold)
                    : fmt::format("is {}; of {} folds the first is 0 and the last {}", split.fold,
                                  split.folds, split.folds - 1));
  }
  if (split.embargo && !(std::isfinite(*split.embargo) && *split.embargo >= 0)) {
    add("embargo", fmt::format("is {} s; must be 0 or more", *split.embargo));
  }
  if (split.order == TrialOrder::kBlocks && !split.stratify.empty()) {
    add("stratify",
        "is given for blocks, which are runs of neighbouring trials whatever their "
        "values; take interleaved or random");
  }
  return faults.ToStatus();
}

absl::StatusOr<std::vector<Trial>> TrialsOf(const Recording& r, const TrialSplit& split,
                                            const ViewData& data,
                                            const std::vector<uint8_t>& valid) {
  SAED_ASSIGN_OR_RETURN(const IntervalTable* table,
                        FindTable(r, split.table, "split.trials.table"));
  const auto rows = MatchRows(table->table, split.filter);
  if (!rows.ok()) {
    Faults faults;
    faults.Merge(rows.status(), "split.trials");
    return faults.ToStatus();
  }
  std::vector<Trial> all;
  for (const size_t row : InTime(*table)) {
    if (!(*rows)[row]) continue;
    const auto [first, end] = BinsBetween(data, table->start[row], table->stop[row]);
    if (first == end) continue;
    if (all.empty() || first >= all.back().end) {
      all.push_back({table->start[row], table->stop[row], first, end, row});
      continue;
    }
    Trial& same = all.back();
    same.stop = std::max(same.stop, table->stop[row]);
    same.end = std::max(same.end, end);
  }
  std::vector<Trial> out;
  for (const Trial& trial : all) {
    if (HoldsWindow(valid, trial.first, trial.end, data.window)) out.push_back(trial);
  }
  if (out.size() >= 2) return out;
  return InvalidField(
      "split.trials.table",
      fmt::format("'{}' has {} trial{} for this view; there must be 2 or more that hold a window "
                  "of {} bins of {} s in time that was observed and is in the mask (of {} rows the "
                  "filter passes {}; rows that share bins are one trial)",
                  split.table, out.size(), out.size() == 1 ? "" : "s", data.window, data.bin_width,
                  table->rows(), std::count(rows->begin(), rows->end(), uint8_t{1})));
}

absl::StatusOr<std::vector<uint8_t>> DealTrials(const Recording& r, const TrialSplit& split,
                                                const std::vector<Trial>& trials) {
  if (split.folds > 0 && static_cast<size_t>(split.folds) > trials.size()) {
    return InvalidField("split.trials.folds", fmt::format("are {}, more than there are trials, {}",
                                                          split.folds, trials.size()));
  }
  SAED_ASSIGN_OR_RETURN(const auto sequence, Sequence(r, split, trials));
  const std::vector<uint8_t> dealt = Dealt(split, trials.size());
  const auto held = std::count(dealt.begin(), dealt.end(), uint8_t{1});
  if (held == 0 || held == std::ssize(dealt)) {
    return InvalidField(
        "split.trials.held_out",
        fmt::format("is {:.4g}, which holds out {} of {} trials; each side needs at least one",
                    HeldOut(split), held, trials.size()));
  }
  std::vector<uint8_t> out(trials.size());
  for (size_t p = 0; p < sequence.size(); ++p) out[sequence[p]] = dealt[p];
  return out;
}

double UsualEmbargo(const TrialSplit& split, const std::vector<Trial>& trials,
                    const ViewData& data) {
  const double window = (data.window - 1) * data.bin_width;
  if (split.outside == Outside::kLeftOut) return window;
  return std::max(window, std::min(kUsualEmbargo, MedianGap(trials)));
}

absl::Status SplitByTrials(const Recording& r, const TrialSplit& split,
                           const std::vector<uint8_t>& valid, ViewData& data) {
  SAED_ASSIGN_OR_RETURN(const auto trials, TrialsOf(r, split, data, valid));
  SAED_ASSIGN_OR_RETURN(const auto held, DealTrials(r, split, trials));
  const double embargo = split.embargo.value_or(UsualEmbargo(split, trials, data));
  const auto bin = [&](int64_t i) { return data.sides.begin() + i; };
  const bool outside = split.outside == Outside::kTrains;
  data.sides.assign(data.bins, outside ? Side::kTrain : Side::kNone);
  data.blocks.assign(data.bins, -1);
  for (size_t t = 0; t < trials.size(); ++t) {
    std::fill(bin(trials[t].first), bin(trials[t].end), Side::kTrain);
    std::fill(data.blocks.begin() + trials[t].first, data.blocks.begin() + trials[t].end,
              static_cast<int32_t>(t));
  }
  // Bins on a held-out trial's edges are never in a training window, whatever the embargo.
  int64_t done = 0;  // a long embargo reaches over many trials, whose bins are taken out once
  for (size_t t = 0; t < trials.size(); ++t) {
    if (!held[t]) continue;
    const auto [first, end] =
        BinsTouching(data, trials[t].start - embargo, trials[t].stop + embargo);
    if (end <= done) continue;
    std::fill(bin(std::max(first, done)), bin(end), Side::kNone);
    done = end;
  }
  for (size_t t = 0; t < trials.size(); ++t) {
    if (held[t]) std::fill(bin(trials[t].first), bin(trials[t].end), Side::kTest);
  }
  for (int64_t i = 0; i < data.bins; ++i) {
    if (!valid[i]) data.sides[i] = Side::kNone;
  }
  data.embargo = static_cast<int64_t>(
      std::min(std::ceil(embargo / data.bin_width - kRounding), static_cast<double>(data.bins)));
  return absl::OkStatus();
}

}  // namespace saed::recordings

#include "server/features/read_out.h"

#include <algorithm>
#include <numeric>

#include "server/base/status_macros.h"
#include "server/features/probe.h"
#include "server/recordings/binning.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

constexpr int64_t kStretches = 10;  // of the training windows; the last of ten validates

// The windows in use, their rows in the matrices, and what each row is for.
struct Plan {
  std::vector<int64_t> windows;  // of each row
  std::vector<int64_t> row;      // of each window, −1: not used
  ProbeRows rows;

  Plan(int64_t train, int64_t all, bool in_sample) : row(all, -1) {
    const std::vector<int64_t> fit = EvenlySpaced(0, train, kProbeWindows);
    const auto count = static_cast<int64_t>(fit.size());
    for (int64_t i = 0; i < count; ++i) {
      // Ten stretches, each with a tenth of it, at its end, for validation.
      const int64_t stretch = std::max<int64_t>(1, count / kStretches);
      const bool validates = i % stretch >= stretch - std::max<int64_t>(1, stretch / kStretches);
      (validates ? rows.validation : rows.fit).push_back(Row(fit[i]));
      if (in_sample) rows.test.push_back(Row(fit[i]));
    }
    for (int64_t w : in_sample ? std::vector<int64_t>{} : EvenlySpaced(train, all, kProbeWindows)) {
      rows.test.push_back(Row(w));
    }
  }

 private:
  int64_t Row(int64_t window) {
    if (row[window] < 0) {
      row[window] = static_cast<int64_t>(windows.size());
      windows.push_back(window);
    }
    return row[window];
  }
};

// The rows of windows of which a condition asks.
ProbeRows Asked(const Plan& plan, const std::vector<WindowLabel>& label) {
  ProbeRows out = plan.rows;
  for (auto* rows : {&out.fit, &out.validation, &out.test}) {
    std::erase_if(*rows, [&](int64_t row) { return label[plan.windows[row]] == kOutside; });
  }
  return out;
}

// Spike counts of every bin and unit of the windows `starts`.
SparseRows Counts(const recordings::ViewData& view, const std::vector<int64_t>& starts) {
  const CountView counts = view.counts();
  SparseRows out;
  out.columns = static_cast<int32_t>(view.window * counts.units);
  for (const int64_t start : starts) {
    for (int i = 0; i < out.columns; ++i) {
      const double count = recordings::ValueAt(counts, start * counts.units + i);
      if (count > 0) out.Add(i, static_cast<float>(count));
    }
    out.EndRow();
  }
  return out;
}

}  // namespace

std::vector<size_t> ChosenConditions(const std::vector<std::optional<int>>& best,
                                     const std::vector<double>& best_auroc, size_t users,
                                     size_t most) {
  std::vector<size_t> out(best.size());
  std::iota(out.begin(), out.end(), size_t{0});
  std::erase_if(out, [&](size_t c) { return !best[c]; });
  std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) {
    if ((a < users) != (b < users)) return a < users;
    return best_auroc[a] > best_auroc[b];
  });
  out.resize(std::min(out.size(), most));
  return out;
}

std::vector<int64_t> EvenlySpaced(int64_t begin, int64_t end, int64_t most) {
  const int64_t all = end - begin, used = std::min(all, most);
  std::vector<int64_t> out;
  for (int64_t i = 0; i < used; ++i) out.push_back(begin + i * all / used);
  return out;
}

absl::StatusOr<std::vector<Probes>> ReadOut(
    const sae::Encoder& encoder, const recordings::ViewData& view,
    const std::vector<int64_t>& starts, int64_t train, bool in_sample,
    const std::vector<std::vector<uint8_t>>& labels, const std::vector<std::optional<int>>& best,
    const std::vector<double>& best_auroc, size_t users, const Progress& progress) {
  std::vector<Probes> out(labels.size());
  const std::vector<size_t> chosen = ChosenConditions(best, best_auroc, users, kProbedConditions);
  if (chosen.empty()) return out;

  const Plan plan(train, static_cast<int64_t>(starts.size()), in_sample);
  const auto rows = static_cast<int64_t>(plan.windows.size());
  std::vector<int64_t> used;
  used.reserve(plan.windows.size());
  for (int64_t w : plan.windows) used.push_back(starts[w]);
  SAED_ASSIGN_OR_RETURN(const auto activations,
                        Activate(encoder, view, used, [&](double f) { return progress(0.2 * f); }));
  const SparseRows codes = Transpose(activations, rows);
  const SparseRows counts = Counts(view, used);
  std::vector<std::vector<uint8_t>> label(chosen.size());
  std::vector<ProbeRows> asked;
  for (size_t i = 0; i < chosen.size(); ++i) {
    for (int64_t w : plan.windows) label[i].push_back(labels[chosen[i]][w] == kHolds);
    asked.push_back(Asked(plan, labels[chosen[i]]));
  }
  const auto accuracy = [](const std::optional<ProbeScore>& probe) -> std::optional<double> {
    if (!probe) return std::nullopt;
    return probe->balanced_accuracy;
  };
  if (!progress(0.2)) return absl::CancelledError("stopped while fitting probes");
  const auto all = ProbeAll(codes, label, asked);
  if (!progress(0.4)) return absl::CancelledError("stopped while fitting probes");
  const auto of_counts = ProbeAll(counts, label, asked);
  if (!progress(0.9)) return absl::CancelledError("stopped while fitting probes");
  sae::ForBlocks(std::ssize(chosen), 1, [&](int64_t, int64_t i, int64_t) {
    const SparseRows one = Transpose({activations[*best[chosen[i]]]}, rows);
    out[chosen[i]] = {accuracy(Probe(one, label[i], asked[i])), accuracy(all[i]),
                      accuracy(of_counts[i])};
  });
  return out;
}

}  // namespace saed::features

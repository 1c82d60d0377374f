#include "server/features/null_labels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/random.h"

namespace saed::features {
namespace {

constexpr uint64_t kShiftSeed = 0x5348, kDealSeed = 0x4445;
constexpr double kOneSided = 1.645;

// Entry w: the sum of 2·(rank − rank of the inactive windows), integers, over the windows before w.
std::vector<int64_t> RankSums(const Activations& activations, int64_t windows) {
  const Activations sorted = SortedByValue(activations);
  const int64_t inactive = windows - static_cast<int64_t>(sorted.size());
  std::vector<int64_t> out(windows + 1, 0);
  int64_t below = inactive;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end].second == sorted[i].second) ++end;
    const auto ties = static_cast<int64_t>(end - i);
    for (; i < end; ++i) out[sorted[i].first + 1] = 2 * below + ties + 1 - (inactive + 1);
    below += ties;
  }
  std::partial_sum(out.begin(), out.end(), out.begin());
  return out;
}

// Besag & Clifford's, after `done` of `all` draws.
double PValue(int exceedances, int64_t done, int64_t all) {
  return exceedances == kEnoughExceedances && done < all
             ? static_cast<double>(exceedances) / static_cast<double>(done)
             : (1.0 + exceedances) / (1.0 + static_cast<double>(done));
}

// `count` different numbers of [1, n), or all of them where there are fewer, in random order.
std::vector<int64_t> DrawShifts(int64_t n, int count, uint64_t stream) {
  const sae::CounterRandom random(kShiftSeed, stream);
  std::vector<int64_t> out;
  if (n < 2) return out;
  if (n - 1 <= count) {
    out.resize(n - 1);
    std::iota(out.begin(), out.end(), int64_t{1});
    for (int64_t i = n - 2; i > 0; --i) std::swap(out[i], out[random.Below(i, i + 1)]);
    return out;
  }
  std::vector<bool> taken(n, false);
  for (uint64_t draw = 0; static_cast<int>(out.size()) < count; ++draw) {
    const int64_t s = 1 + static_cast<int64_t>(random.Below(draw, n - 1));
    if (!taken[s]) out.push_back(s);
    taken[s] = true;
  }
  return out;
}

// Whether there are significantly fewer runs of equal entries than in a random order.
bool ComesInRuns(const std::vector<uint8_t>& sequence) {
  const auto n = static_cast<double>(sequence.size());
  const auto ones = static_cast<double>(std::count(sequence.begin(), sequence.end(), 1));
  if (ones == 0 || ones == n) return false;
  double runs = 1;
  for (size_t i = 1; i < sequence.size(); ++i) runs += sequence[i] != sequence[i - 1];
  const double mean = 1 + 2 * ones * (n - ones) / n;
  const double variance = std::max(0.0, (mean - 1) * (mean - 2) / (n - 1));
  return runs < mean - kOneSided * std::sqrt(variance);
}

}  // namespace

// Windows are places in the scope.
class NullLabels::Part {
 public:
  Part(const ScopeConditions& of, const std::vector<std::vector<WindowLabel>>& labels,
       const std::vector<int64_t>& blocks);

  // Adds the p-values of the wanted conditions to `out`; both by the conditions' numbers.
  void AddPValues(const Activations& all, const std::vector<bool>& wanted, uint64_t stream,
                  int draws, std::vector<std::optional<double>>& out) const;
  double SmallestP(size_t i) const;
  std::vector<WindowLabel> Rearranged(size_t i, int64_t windows, uint64_t stream) const;
  int64_t stretches() const;

 private:
  friend class NullLabels::Draws;
  // Windows [begin, end) in which a condition holds, in one block where labels are dealt out.
  struct Stretch {
    int64_t begin, end;
  };
  struct Condition {
    size_t number = 0;
    int64_t positive = 0;
    std::vector<Stretch> stretches;       // ascending
    std::vector<int32_t> first_of = {0};  // the first stretch of each block, and their number
    bool in_runs = false;                 // the blocks in which it holds come one after another
  };

  bool deals() const { return blocks_.size() > 2; }

  Scope scope_;
  int64_t windows_;
  std::vector<int64_t> blocks_;
  std::vector<Condition> conditions_;
};

NullLabels::Part::Part(const ScopeConditions& of,
                       const std::vector<std::vector<WindowLabel>>& labels,
                       const std::vector<int64_t>& blocks)
    : scope_(of.scope),
      windows_(of.scope.windows()),
      blocks_(of.scope.RestrictBlocks(blocks)),
      conditions_(of.conditions.size()) {
  const std::vector<int64_t> borders = deals() ? blocks_ : std::vector<int64_t>{0, windows_};
  std::vector<uint8_t> holding(borders.size() - 1);
  for (size_t i = 0; i < conditions_.size(); ++i) {
    Condition& condition = conditions_[i];
    condition.number = of.conditions[i];
    const std::vector<WindowLabel> label = scope_.Restrict(labels[condition.number]);
    for (size_t b = 0; b + 1 < borders.size(); ++b) {
      bool holds = false;
      for (int64_t w = borders[b]; w < borders[b + 1]; ++w) {
        if (label[w] == kHolds) {
          if (!holds) condition.stretches.push_back({w, w});
          condition.stretches.back().end = w + 1;
          ++condition.positive;
        }
        holds = label[w] == kHolds;
      }
      condition.first_of.push_back(static_cast<int32_t>(condition.stretches.size()));
      holding[b] = condition.first_of[b + 1] > condition.first_of[b];
    }
    condition.in_runs = deals() && ComesInRuns(holding);
  }
}

// Rearrangements of the labels, one after another.
class NullLabels::Draws {
 public:
  // `sums` of the ranks before each window, as from RankSums.
  Draws(const Part& labels, const std::vector<int64_t>& sums, size_t active, uint64_t stream,
        int most)
      : labels_(labels),
        sums_(sums),
        random_(kDealSeed, stream),
        active_(static_cast<double>(active)) {
    if (!labels.deals()) {
      shifts_ = DrawShifts(labels.windows_, most, stream);
      count_ = static_cast<int64_t>(shifts_.size());
      return;
    }
    count_ = most;
    from_.resize(labels.blocks_.size() - 1);
    turn_.resize(from_.size());
  }

  int64_t count() const { return count_; }

  void Make(int64_t draw) {
    if (!labels_.deals()) {
      shift_ = shifts_[draw];
      return;
    }
    const auto blocks = static_cast<int64_t>(from_.size());
    std::iota(from_.begin(), from_.end(), int64_t{0});
    for (int64_t b = blocks - 1; b > 0; --b) {
      std::swap(from_[b], from_[random_.Below((2 * draw) * blocks + b, b + 1)]);
    }
    moved_ = static_cast<int64_t>(random_.Below((2 * draw) * blocks, blocks));
    for (int64_t b = 0; b < blocks; ++b) {
      turn_[b] = static_cast<int64_t>(random_.Below((2 * draw + 1) * blocks + b, Length(from_[b])));
    }
  }

  // Whose label window w has.
  int64_t Source(const Part::Condition& condition, int64_t w) const {
    if (!labels_.deals()) return (w + shift_) % labels_.windows_;
    const auto& blocks = labels_.blocks_;
    const int64_t b = std::upper_bound(blocks.begin(), blocks.end(), w) - blocks.begin() - 1;
    const int64_t given = Given(condition, b);
    return blocks[given] + (turn_[b] + w - blocks[b]) % Length(given);
  }

  // AUROC − ½ of the condition in the rearrangement; 0 where it holds in all windows or none.
  double Auroc(const Part::Condition& condition) const {
    const auto [sum, positive] = labels_.deals() ? Dealt(condition) : Shifted(condition);
    return AurocOf(sum, positive);
  }

  double AurocOf(int64_t sum, int64_t positive) const {
    const auto p = static_cast<double>(positive), n = static_cast<double>(labels_.windows_) - p;
    if (p == 0 || n == 0) return 0;
    return (static_cast<double>(sum) - p * active_) / (2 * p * n);
  }

 private:
  struct Held {
    int64_t sum, positive;
  };

  int64_t Length(int64_t b) const { return labels_.blocks_[b + 1] - labels_.blocks_[b]; }

  // Whose labels block b has.
  int64_t Given(const Part::Condition& condition, int64_t b) const {
    const auto blocks = static_cast<int64_t>(from_.size());
    return condition.in_runs ? (b + moved_) % blocks : from_[b];
  }

  // Window w has the label of the window that comes shift_ later, around the end.
  Held Shifted(const Part::Condition& condition) const {
    const int64_t n = labels_.windows_;
    const auto before = [&](int64_t w) { return w >= 0 ? sums_[w] : sums_[w + n] - sums_[n]; };
    Held out{0, condition.positive};
    for (const Part::Stretch& s : condition.stretches) {
      out.sum += before(s.end - shift_) - before(s.begin - shift_);
    }
    return out;
  }

  // Block b has the labels of block from_[b], or of that moved_ later, from its turn on, round and
  // round.
  Held Dealt(const Part::Condition& condition) const {
    Held out{0, 0};
    const auto blocks = static_cast<int64_t>(from_.size());
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t begin = labels_.blocks_[b], length = labels_.blocks_[b + 1] - begin;
      const int64_t given = Given(condition, b);
      const int64_t round = Length(given);
      const int64_t origin = labels_.blocks_[given] + turn_[b] % round;
      for (int32_t i = condition.first_of[given]; i < condition.first_of[given + 1]; ++i) {
        int64_t first = condition.stretches[i].begin - origin;
        int64_t last = condition.stretches[i].end - origin;
        for (; first < length; first += round, last += round) {
          if (last <= 0) continue;
          const int64_t from = std::max<int64_t>(first, 0), to = std::min(last, length);
          out.sum += sums_[begin + to] - sums_[begin + from];
          out.positive += to - from;
        }
      }
    }
    return out;
  }

  const Part& labels_;
  const std::vector<int64_t>& sums_;
  sae::CounterRandom random_;
  double active_;
  std::vector<int64_t> shifts_, from_, turn_;
  int64_t shift_ = 0, moved_ = 0, count_ = 0;
};

void NullLabels::Part::AddPValues(const Activations& all, const std::vector<bool>& wanted,
                                  uint64_t stream, int draws,
                                  std::vector<std::optional<double>>& out) const {
  const Activations activations = scope_.Restrict(all);
  if (activations.empty() || windows_ < 2) return;
  const std::vector<int64_t> sums = RankSums(activations, windows_);
  Draws null(*this, sums, activations.size(), stream, draws);
  struct Pair {
    size_t condition;
    double seen = 0;
    int exceedances = 0;
  };
  std::vector<Pair> open;
  for (size_t c = 0; c < conditions_.size(); ++c) {
    const Condition& condition = conditions_[c];
    if (!wanted[condition.number] || condition.positive == 0 || condition.positive == windows_)
      continue;
    int64_t sum = 0;
    for (const Stretch& s : condition.stretches) sum += sums[s.end] - sums[s.begin];
    open.push_back({c, null.AurocOf(sum, condition.positive)});
  }
  for (int64_t draw = 0; draw < null.count() && !open.empty(); ++draw) {
    null.Make(draw);
    for (size_t i = 0; i < open.size();) {
      Pair& pair = open[i];
      // Equal AUROCs may differ in the last bits.
      pair.exceedances += null.Auroc(conditions_[pair.condition]) >= pair.seen - 1e-12;
      const bool last = draw + 1 == null.count();
      if (!last && pair.exceedances < kEnoughExceedances) {
        ++i;
        continue;
      }
      out[conditions_[pair.condition].number] =
          std::max(PValue(pair.exceedances, draw + 1, null.count()), SmallestP(pair.condition));
      if (i + 1 < open.size()) pair = open.back();
      open.pop_back();
    }
  }
}

double NullLabels::Part::SmallestP(size_t i) const {
  const Condition& condition = conditions_[i];
  if (!deals() || condition.positive == 0 || condition.positive == windows_) return 0;
  const auto blocks = static_cast<int64_t>(blocks_.size()) - 1;
  int64_t whole = 0;
  for (const Stretch& s : condition.stretches) {
    if (!std::binary_search(blocks_.begin(), blocks_.end(), s.begin) ||
        !std::binary_search(blocks_.begin(), blocks_.end(), s.end)) {
      return 0;
    }
    ++whole;
  }
  if (condition.in_runs) return 1 / static_cast<double>(blocks);
  double ways = 1;
  for (int64_t k = 0; k < whole; ++k) {
    ways *= static_cast<double>(blocks - k) / static_cast<double>(k + 1);
  }
  return 1 / ways;
}

int64_t NullLabels::Part::stretches() const {
  int64_t out = 0;
  for (const Condition& c : conditions_) out += static_cast<int64_t>(c.stretches.size());
  return out;
}

std::vector<WindowLabel> NullLabels::Part::Rearranged(size_t i, int64_t windows,
                                                      uint64_t stream) const {
  std::vector<WindowLabel> before(windows_, kHoldsNot), out(windows, kOutside);
  for (const Stretch& s : conditions_[i].stretches) {
    std::fill(before.begin() + s.begin, before.begin() + s.end, kHolds);
  }
  const std::vector<int64_t> no_ranks;
  Draws draws(*this, no_ranks, 0, stream, 1);
  if (draws.count() > 0) draws.Make(0);
  for (int64_t w = 0; w < windows; ++w) {
    const int32_t place = scope_.Place(w);
    if (place < 0) continue;
    out[w] = before[draws.count() > 0 ? draws.Source(conditions_[i], place) : place];
  }
  return out;
}

NullLabels::NullLabels(const std::vector<std::vector<WindowLabel>>& labels, int64_t windows,
                       const std::vector<int64_t>& blocks)
    : windows_(windows), at_(labels.size()) {
  for (const ScopeConditions& of : ByScope(labels, windows)) {
    parts_.push_back(std::make_unique<const Part>(of, labels, blocks));
    for (size_t i = 0; i < of.conditions.size(); ++i) {
      at_[of.conditions[i]] = {parts_.back().get(), i};
    }
  }
}

NullLabels::~NullLabels() = default;

std::vector<std::optional<double>> NullLabels::PValues(const Activations& activations,
                                                       const std::vector<bool>& wanted,
                                                       uint64_t stream, int draws) const {
  std::vector<std::optional<double>> out(at_.size());
  for (const auto& part : parts_) part->AddPValues(activations, wanted, stream, draws, out);
  return out;
}

double NullLabels::SmallestP(size_t c) const { return at_[c].first->SmallestP(at_[c].second); }

std::vector<WindowLabel> NullLabels::Rearranged(size_t c, uint64_t stream) const {
  return at_[c].first->Rearranged(at_[c].second, windows_, stream);
}

int64_t NullLabels::stretches() const {
  int64_t out = 0;
  for (const auto& part : parts_) out += part->stretches();
  return out;
}

int AffordableDraws(int64_t latents, int64_t stretches) {
  constexpr int64_t kMost = 1'000'000;
  return latents * stretches > kMost ? kFewerShifts : kShifts;
}

}  // namespace saed::features

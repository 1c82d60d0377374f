#include "server/features/null_labels.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/random.h"
#include "server/sae/random_bits.h"

namespace saed::features {
namespace {

constexpr uint64_t kShiftSeed = 0x5348, kDealSeed = 0x4445;
constexpr double kOneSided = 1.645;

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

}  // namespace

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

// Windows are places in the scope.
class NullLabels::Part {
 public:
  Part(const ScopeConditions& of, const std::vector<std::vector<WindowLabel>>& labels,
       const std::vector<int64_t>& blocks);

  // Adds the p-values of the wanted conditions to `out`; both by the conditions' numbers.
  void AddPValues(const std::vector<Tested>& tested, uint64_t stream, int draws,
                  std::vector<std::vector<std::optional<double>>>& out) const;
  double SmallestP(size_t i) const;
  std::vector<WindowLabel> Rearranged(size_t i, int64_t windows, uint64_t stream) const;
  int64_t stretches() const;

 private:
  friend class NullLabels::Draws;
  friend class NullLabels::Sums;
  // Windows [begin, end) in which a condition holds, in one block where labels are dealt out.
  struct Stretch {
    int64_t begin, end;
  };
  struct Condition {
    size_t number = 0;
    int64_t positive = 0;
    std::vector<Stretch> stretches;       // ascending
    std::vector<int32_t> first_of = {0};  // the first stretch of each block, and their number
    std::vector<int32_t> holding;         // the blocks that have stretches
    bool in_runs = false;                 // these come one after another
    bool whole = false;                   // it holds all through them
  };
  // One condition and what is tested against it.
  struct Pair {
    const Condition* condition;
    const Sums* sums;
    size_t tested;
    double seen = 0;
    int exceedances = 0;
  };

  bool deals() const { return blocks_.size() > 2; }
  bool Changes(const Condition& c) const { return c.positive != 0 && c.positive != windows_; }

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
    condition.whole = true;
    const std::vector<WindowLabel> label = scope_.Restrict(labels[condition.number]);
    for (size_t b = 0; b + 1 < borders.size(); ++b) {
      bool holds = false;
      int64_t held = 0;
      for (int64_t w = borders[b]; w < borders[b + 1]; ++w) {
        if (label[w] == kHolds) {
          if (!holds) condition.stretches.push_back({w, w});
          condition.stretches.back().end = w + 1;
          ++held;
        }
        holds = label[w] == kHolds;
      }
      condition.positive += held;
      condition.first_of.push_back(static_cast<int32_t>(condition.stretches.size()));
      holding[b] = held > 0;
      if (held > 0) condition.holding.push_back(static_cast<int32_t>(b));
      condition.whole = condition.whole && (held == 0 || held == borders[b + 1] - borders[b]);
    }
    condition.in_runs = deals() && ComesInRuns(holding);
  }
}

// Sums of the ranks of one latent's values, or of their negative, in the windows of a part: of
// 2·(rank − rank of the inactive windows), which are whole numbers.
class NullLabels::Sums {
 public:
  Sums(const Part& part, const Ordered& values, bool falls)
      : windows_(part.windows_), before_(part.windows_ + 1, 0) {
    const Activations sorted = part.scope_.Restrict(values.entries());
    any_ = falls ? windows_ > 0 : !sorted.empty();
    const int64_t inactive = windows_ - std::ssize(sorted);
    active_ = static_cast<double>(falls ? windows_ : std::ssize(sorted));
    // In the negative every window has an entry, and rank r becomes windows + 1 − r.
    if (falls) std::fill(before_.begin() + 1, before_.end(), 2 * windows_ - inactive);
    for (size_t i = 0; i < sorted.size();) {
      size_t end = i + 1;
      while (end < sorted.size() && sorted[end].second == sorted[i].second) ++end;
      const int64_t doubled = 2 * inactive + static_cast<int64_t>(i + end) + 1;
      const int64_t entry = falls ? 2 * windows_ + 1 - doubled : doubled - (inactive + 1);
      for (; i < end; ++i) before_[sorted[i].first + 1] = entry;
    }
    std::partial_sum(before_.begin(), before_.end(), before_.begin());
    for (size_t b = 0; b + 1 < part.blocks_.size(); ++b) {
      const int64_t begin = part.blocks_[b], end = part.blocks_[b + 1];
      blocks_.push_back({before_[end] - before_[begin], end - begin});
    }
  }

  // Of what it is, over the windows of which as many belong to it.
  struct Held {
    int64_t sum, positive;
  };

  bool any() const { return any_; }
  int64_t Before(int64_t w) const { return before_[w]; }
  const Held& Block(int64_t b) const { return blocks_[b]; }

  // AUROC − ½; 0 where the condition holds in all windows or none.
  double AurocOf(const Held& held) const {
    const auto p = static_cast<double>(held.positive), n = static_cast<double>(windows_) - p;
    if (p == 0 || n == 0) return 0;
    return (static_cast<double>(held.sum) - p * active_) / (2 * p * n);
  }

 private:
  int64_t windows_;
  bool any_ = false;
  double active_ = 0;
  std::vector<int64_t> before_;  // of the windows before each
  std::vector<Held> blocks_;
};

// Rearrangements of the labels, one after another.
class NullLabels::Draws {
 public:
  Draws(const Part& labels, uint64_t stream, int most)
      : labels_(labels), random_(kDealSeed, stream), stream_(stream) {
    if (!labels.deals()) {
      shifts_ = DrawShifts(labels.windows_, most, stream);
      count_ = static_cast<int64_t>(shifts_.size());
      return;
    }
    count_ = most;
    from_.resize(labels.blocks_.size() - 1);
    to_.resize(from_.size());
    turn_.resize(from_.size());
    bits_.resize(from_.size());
  }

  int64_t count() const { return count_; }

  // What the conditions that are looked at need of a draw.
  struct Needs {
    bool turns = false, order = false;
  };
  static Needs NeedsOf(const std::vector<Part::Pair>& pairs) {
    Needs out;
    for (const Part::Pair& pair : pairs) {
      out.turns = out.turns || !pair.condition->whole;
      out.order = out.order || !pair.condition->in_runs;
    }
    out.order = out.order || out.turns;  // turns are drawn below the length of from_
    return out;
  }

  void Make(int64_t draw, const Needs& needs) {
    if (!labels_.deals()) {
      shift_ = shifts_[draw];
      return;
    }
    const auto blocks = static_cast<int64_t>(from_.size());
    moved_ = static_cast<int64_t>(random_.Below((2 * draw) * blocks, blocks));
    if (needs.order) Shuffle(draw);
    if (!needs.turns) return;
    sae::RandomBits(kDealSeed, stream_, (2 * draw + 1) * blocks, bits_);
    for (int64_t b = 0; b < blocks; ++b) {
      turn_[b] = static_cast<int64_t>(sae::BelowOf(bits_[b], Length(from_[b])));
    }
  }

  // Whose label window w has.
  int64_t Source(const Part::Condition& condition, int64_t w) const {
    if (!labels_.deals()) return (w + shift_) % labels_.windows_;
    const auto& blocks = labels_.blocks_;
    const int64_t b = std::upper_bound(blocks.begin(), blocks.end(), w) - blocks.begin() - 1;
    const int64_t given =
        condition.in_runs ? (b + moved_) % static_cast<int64_t>(from_.size()) : from_[b];
    return blocks[given] + (turn_[b] + w - blocks[b]) % Length(given);
  }

  // AUROC − ½ of the pair in the rearrangement.
  double Auroc(const Part::Pair& pair) const {
    const Part::Condition& condition = *pair.condition;
    const Sums& sums = *pair.sums;
    if (!labels_.deals()) return sums.AurocOf(Shifted(condition, sums));
    return sums.AurocOf(condition.whole ? WholeDealt(condition, sums) : Dealt(condition, sums));
  }

 private:
  int64_t Length(int64_t b) const { return labels_.blocks_[b + 1] - labels_.blocks_[b]; }

  // from_, a random order of the blocks (Fisher & Yates), and to_, its inverse.
  void Shuffle(int64_t draw) {
    const auto blocks = static_cast<int64_t>(from_.size());
    sae::RandomBits(kDealSeed, stream_, (2 * draw) * blocks, bits_);
    std::iota(from_.begin(), from_.end(), 0);
    for (int64_t b = blocks - 1; b > 0; --b) {
      std::swap(from_[b], from_[sae::BelowOf(bits_[b], b + 1)]);
    }
    for (int64_t b = 0; b < blocks; ++b) to_[from_[b]] = static_cast<int32_t>(b);
  }

  // Which block has the labels of block `given`: of `from_`, or moved_ before it.
  int64_t Taker(const Part::Condition& condition, int64_t given) const {
    if (!condition.in_runs) return to_[given];
    return given >= moved_ ? given - moved_ : given - moved_ + std::ssize(from_);
  }

  // Window w has the label of the window that comes shift_ later, around the end.
  Sums::Held Shifted(const Part::Condition& condition, const Sums& sums) const {
    const int64_t n = labels_.windows_;
    const auto before = [&](int64_t w) {
      return w >= 0 ? sums.Before(w) : sums.Before(w + n) - sums.Before(n);
    };
    Sums::Held out{0, condition.positive};
    for (const Part::Stretch& s : condition.stretches) {
      out.sum += before(s.end - shift_) - before(s.begin - shift_);
    }
    return out;
  }

  // A block's labels are alike, however they are turned.
  Sums::Held WholeDealt(const Part::Condition& condition, const Sums& sums) const {
    Sums::Held out{0, 0};
    for (const int32_t given : condition.holding) {
      const Sums::Held& taker = sums.Block(Taker(condition, given));
      out.sum += taker.sum;
      out.positive += taker.positive;
    }
    return out;
  }

  // A block has the labels of another from its turn on, round and round.
  Sums::Held Dealt(const Part::Condition& condition, const Sums& sums) const {
    Sums::Held out{0, 0};
    for (const int32_t given : condition.holding) {
      const int64_t b = Taker(condition, given), round = Length(given);
      const int64_t begin = labels_.blocks_[b], length = Length(b);
      const int64_t turn = turn_[b] < round ? turn_[b] : turn_[b] % round;
      const int64_t origin = labels_.blocks_[given] + turn;
      for (int32_t i = condition.first_of[given]; i < condition.first_of[given + 1]; ++i) {
        int64_t first = condition.stretches[i].begin - origin;
        int64_t last = condition.stretches[i].end - origin;
        for (; first < length; first += round, last += round) {
          if (last <= 0) continue;
          const int64_t from = std::max<int64_t>(first, 0), to = std::min(last, length);
          out.sum += sums.Before(begin + to) - sums.Before(begin + from);
          out.positive += to - from;
        }
      }
    }
    return out;
  }

  const Part& labels_;
  sae::CounterRandom random_;
  uint64_t stream_;
  std::vector<int64_t> shifts_, turn_;
  std::vector<int32_t> from_, to_;
  std::vector<uint64_t> bits_;
  int64_t shift_ = 0, moved_ = 0, count_ = 0;
};

void NullLabels::Part::AddPValues(const std::vector<Tested>& tested, uint64_t stream, int draws,
                                  std::vector<std::vector<std::optional<double>>>& out) const {
  if (windows_ < 2) return;
  std::vector<std::unique_ptr<const Sums>> sums;
  std::vector<Pair> open;
  for (size_t t = 0; t < tested.size(); ++t) {
    const auto wanted = [&](const Condition& c) {
      return tested[t].wanted[c.number] && Changes(c);
    };
    if (std::none_of(conditions_.begin(), conditions_.end(), wanted)) continue;
    const Sums& own =
        *sums.emplace_back(std::make_unique<const Sums>(*this, *tested[t].values, tested[t].falls));
    if (!own.any()) continue;
    for (const Condition& c : conditions_) {
      if (!wanted(c)) continue;
      Sums::Held held{0, c.positive};
      for (const Stretch& s : c.stretches) held.sum += own.Before(s.end) - own.Before(s.begin);
      open.push_back({&c, &own, t, own.AurocOf(held)});
    }
  }
  if (open.empty()) return;
  Draws null(*this, stream, draws);
  Draws::Needs needs = Draws::NeedsOf(open);
  for (int64_t draw = 0; draw < null.count() && !open.empty(); ++draw) {
    null.Make(draw, needs);
    const bool last = draw + 1 == null.count();
    const size_t before = open.size();
    for (size_t i = 0; i < open.size();) {
      Pair& pair = open[i];
      // Equal AUROCs may differ in the last bits.
      pair.exceedances += null.Auroc(pair) >= pair.seen - 1e-12;
      if (!last && pair.exceedances < kEnoughExceedances) {
        ++i;
        continue;
      }
      out[pair.tested][pair.condition->number] =
          std::max(PValue(pair.exceedances, draw + 1, null.count()),
                   SmallestP(static_cast<size_t>(pair.condition - conditions_.data())));
      if (i + 1 < open.size()) pair = open.back();
      open.pop_back();
    }
    if (open.size() < before) needs = Draws::NeedsOf(open);
  }
}

double NullLabels::Part::SmallestP(size_t i) const {
  const Condition& condition = conditions_[i];
  if (!deals() || !Changes(condition) || !condition.whole) return 0;
  const auto blocks = static_cast<int64_t>(blocks_.size()) - 1;
  const auto whole = std::ssize(condition.holding);
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
  Draws draws(*this, stream, 1);
  if (draws.count() > 0) draws.Make(0, {true, true});
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
  const Ordered values(activations);
  return PValuesOf({{&values, false, wanted}}, stream, draws)[0];
}

std::vector<std::vector<std::optional<double>>> NullLabels::PValuesOf(
    const std::vector<Tested>& tested, uint64_t stream, int draws) const {
  std::vector<std::vector<std::optional<double>>> out(
      tested.size(), std::vector<std::optional<double>>(at_.size()));
  for (const auto& part : parts_) part->AddPValues(tested, stream, draws, out);
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

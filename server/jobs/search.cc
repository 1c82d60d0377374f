#include "server/jobs/search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/sae/random.h"

namespace saed::jobs {
namespace {

constexpr int kStartup = 10;     // random points before the first model
constexpr int kCandidates = 64;  // drawn from the good density
constexpr int kMostGood = 25;

// Stream numbers keep the draws of one purpose apart from those of another.
constexpr uint64_t kShiftStream = 1, kTpeStream = 1000;

double RadicalInverse(int64_t index, int base) {
  double out = 0, digit = 1.0 / base;
  for (; index > 0; index /= base, digit /= base) out += digit * static_cast<double>(index % base);
  return out;
}

double Phi(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

// A mixture over the whole space: one part around each observation and a broad one. A part is a
// product over the parameters: a Gaussian cut off at 0 and 1; for values without an order mostly
// the observed one. What does not count for an observation is uniform there.
class Parzen {
 public:
  Parzen(const SearchSpace& space, const std::vector<const std::vector<double>*>& points)
      : space_(space) {
    const auto n = static_cast<double>(points.size());
    // As in Optuna's multivariate sampler: Scott's exponent, and not so narrow that one good trial
    // is all that is looked at.
    const auto d = static_cast<double>(space.size());
    width_ = std::max(0.2 * std::pow(std::max(n, 1.0), -1 / (d + 4)), 1 / std::min(100.0, n + 2));
    for (const std::vector<double>* p : points) parts_.push_back({*p, space.Active(*p)});
    parts_.push_back(
        {std::vector<double>(space.size(), 0.5), std::vector<bool>(space.size(), false)});
  }

  // Over the parameters that count at x.
  double Density(const std::vector<double>& x, const std::vector<bool>& active) const {
    double sum = 0;
    for (const Part& part : parts_) {
      double product = 1;
      for (size_t i = 0; i < x.size(); ++i) {
        if (active[i] && part.active[i]) product *= One(i, part.centre[i], x[i]);
      }
      sum += product;
    }
    return sum / static_cast<double>(parts_.size());
  }

  std::vector<double> Draw(const sae::CounterRandom& random, uint64_t& at) const {
    const Part& part = parts_[random.Bits(at++) % parts_.size()];
    std::vector<double> out(part.centre.size());
    for (size_t i = 0; i < out.size(); ++i) {
      const double u = random.Uniform(at++);
      out[i] = part.active[i] ? Quantile(i, part.centre[i], u) : u;
    }
    return out;
  }

 private:
  struct Part {
    std::vector<double> centre;
    std::vector<bool> active;
  };

  size_t Values(size_t i) const { return space_.parameters()[i].values.size(); }
  static size_t Which(double unit, size_t values) {
    return std::min(values - 1, static_cast<size_t>(unit * static_cast<double>(values)));
  }
  double Mass(double centre) const { return Phi((1 - centre) / width_) - Phi(-centre / width_); }

  double One(size_t i, double centre, double x) const {
    if (space_.parameters()[i].categorical()) {
      const auto n = static_cast<double>(Values(i));
      return Which(x, Values(i)) == Which(centre, Values(i)) ? kSame * n + (1 - kSame) : 1 - kSame;
    }
    const double z = (x - centre) / width_;
    return std::exp(-0.5 * z * z) / (width_ * std::sqrt(2 * std::numbers::pi) * Mass(centre));
  }

  double Quantile(size_t i, double centre, double u) const {
    if (space_.parameters()[i].categorical()) {
      if (u < kSame) return centre;
      return (u - kSame) / (1 - kSame);
    }
    const double target = Phi(-centre / width_) + u * Mass(centre);
    double low = 0, high = 1;
    for (int step = 0; step < 40; ++step) {
      const double middle = (low + high) / 2;
      (Phi((middle - centre) / width_) < target ? low : high) = middle;
    }
    return (low + high) / 2;
  }

  static constexpr double kSame = 0.8;
  const SearchSpace& space_;
  double width_ = 1;
  std::vector<Part> parts_;
};

// Trials from the best to the worst: by the highest rung that `enough` have reached; those that did
// not get there by the rung they reached, behind the others.
std::vector<size_t> Ranked(const std::vector<Observation>& history, size_t enough) {
  std::vector<size_t> out;
  size_t rung = 0;
  for (size_t i = 0; i < history.size(); ++i) {
    if (!history[i].failed && history[i].values.empty()) continue;
    out.push_back(i);
  }
  for (size_t r = 0;; ++r) {
    const auto reached = std::count_if(history.begin(), history.end(), [&](const Observation& o) {
      return !o.failed && o.values.size() > r;
    });
    if (static_cast<size_t>(reached) < std::max<size_t>(enough, 1)) break;
    rung = r;
  }
  const auto key = [&](size_t i) {
    const Observation& o = history[i];
    if (o.failed) return std::pair(std::numeric_limits<double>::infinity(), 0.0);
    const size_t at = std::min(rung, o.values.size() - 1);
    return std::pair(static_cast<double>(rung - at), o.values[at]);
  };
  std::stable_sort(out.begin(), out.end(), [&](size_t a, size_t b) { return key(a) < key(b); });
  return out;
}

}  // namespace

std::vector<double> RandomPoint(const SearchSpace& space, uint64_t seed, int64_t index) {
  constexpr int kPrimes[kMaxParameters] = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29,
                                           31, 37, 41, 43, 47, 53, 59, 61, 67, 71};
  const sae::CounterRandom random(seed, kShiftStream);
  std::vector<double> out(space.size());
  for (size_t i = 0; i < space.size(); ++i) {
    const double x = RadicalInverse(index + 1, kPrimes[i]) + random.Uniform(i);
    out[i] = x - std::floor(x);
  }
  return out;
}

std::vector<double> ProposeTpe(const SearchSpace& space, const std::vector<Observation>& history,
                               uint64_t seed, int64_t index) {
  const std::vector<size_t> ranked = Ranked(history, kStartup);
  if (ranked.size() < kStartup) return RandomPoint(space, seed, index);
  const auto good = static_cast<size_t>(std::min<double>(
      kMostGood, std::max(2.0, std::ceil(0.15 * static_cast<double>(ranked.size())))));
  const sae::CounterRandom random(seed, kTpeStream + static_cast<uint64_t>(index));
  uint64_t at = 0;
  std::vector<const std::vector<double>*> better, worse;
  for (size_t i = 0; i < ranked.size(); ++i) {
    (i < good ? better : worse).push_back(&history[ranked[i]].point);
  }
  const Parzen l(space, better), g(space, worse);
  std::vector<double> best;
  double best_gain = -1;
  for (int c = 0; c < kCandidates; ++c) {
    std::vector<double> point = l.Draw(random, at);
    const std::vector<bool> active = space.Active(point);
    const double gain = l.Density(point, active) / g.Density(point, active);
    if (gain > best_gain) {
      best_gain = gain;
      best = std::move(point);
    }
  }
  return best;
}

double Rungs::Fraction(int rung) const { return std::pow(reduction, rung - count + 1); }

std::optional<size_t> Promote(const std::vector<Observation>& history,
                              const std::vector<bool>& waiting, const Rungs& rungs) {
  for (int rung = rungs.count - 2; rung >= 0; --rung) {
    std::vector<size_t> reached;
    for (size_t i = 0; i < history.size(); ++i) {
      if (!history[i].failed && static_cast<int>(history[i].values.size()) > rung) {
        reached.push_back(i);
      }
    }
    std::stable_sort(reached.begin(), reached.end(), [&](size_t a, size_t b) {
      return history[a].values[rung] < history[b].values[rung];
    });
    const auto best = static_cast<size_t>(static_cast<double>(reached.size()) / rungs.reduction);
    for (size_t i = 0; i < best; ++i) {
      const bool last = static_cast<int>(history[reached[i]].values.size()) == rung + 1;
      if (last && waiting[reached[i]]) return reached[i];
    }
  }
  return std::nullopt;
}

}  // namespace saed::jobs

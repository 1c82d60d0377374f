// Simulated recordings through the statistics that a dictionary's claims rest on (p-values from
// rearranged labels, q-values over conditions and then features, intervals over trials):
//   calibration SETS EFFECT_SETS
// A set has kFeatures graded scores over held-out windows of trials and three conditions, each a
// family. Scores drift: an autoregressive process over trials, one over windows and noise. Prints a
// line of counts for every scenario, as tests/acceptance/power-and-calibration reads them.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "server/features/certainty.h"
#include "server/sae/random.h"

namespace {

using namespace saed;
using features::Activations;

constexpr int kFeatures = 24, kConditions = 3, kTrials = 80, kPerTrial = 10;
constexpr int kWindows = kTrials * kPerTrial;

// How labels come: of whole trials, of contexts that last for many trials, or of stretches of time
// without trials.
enum class Design { kTrials, kContexts, kTime };

class Simulation {
 public:
  Simulation(Design design, uint64_t set)
      : random_(0x43414c, set * 3 + static_cast<uint64_t>(design)) {
    for (int c = 0; c < kConditions; ++c) labels_.push_back(Label(design));
    if (design == Design::kTime) {
      blocks_ = {0, kWindows};
    } else {
      for (int t = 0; t <= kTrials; ++t) blocks_.push_back(int64_t{t} * kPerTrial);
    }
    for (int j = 0; j < kFeatures; ++j) scores_.push_back(Score());
  }

  // Adds `effect`, in units of a score's standard deviation, to feature 0 where condition 0 holds.
  void Plant(double effect) {
    for (int w = 0; w < kWindows; ++w) {
      if (labels_[0][w]) scores_[0][w] += effect;
    }
  }

  const std::vector<std::vector<uint8_t>>& labels() const { return labels_; }
  const std::vector<int64_t>& blocks() const { return blocks_; }
  Activations Of(int feature) const {
    Activations out;
    for (int w = 0; w < kWindows; ++w) {
      out.emplace_back(w, static_cast<float>(scores_[feature][w]));
    }
    return out;
  }

 private:
  double Uniform() { return random_.Uniform(at_++); }
  double Normal() { return random_.Normal(at_++); }

  std::vector<uint8_t> Label(Design design) {
    std::vector<uint8_t> out;
    if (design == Design::kTrials) {
      for (int t = 0; t < kTrials; ++t) out.insert(out.end(), kPerTrial, Uniform() < 0.4);
      return out;
    }
    const int unit = design == Design::kContexts ? kPerTrial : 1;
    const int shortest = design == Design::kContexts ? 6 : 5, spread = 8;
    bool on = Uniform() < 0.5;
    while (static_cast<int>(out.size()) < kWindows) {
      out.insert(out.end(), unit * (shortest + static_cast<int>(Uniform() * spread)), on);
      on = !on;
    }
    out.resize(kWindows);
    return out;
  }

  // Of unit variance: half of it noise, a quarter slow and a quarter slower.
  std::vector<double> Score() {
    constexpr double kSlow = 0.7, kSlower = 0.9;
    std::vector<double> out;
    double slow = Normal(), slower = Normal();
    for (int w = 0; w < kWindows; ++w) {
      if (w > 0) slow = kSlow * slow + std::sqrt(1 - kSlow * kSlow) * Normal();
      if (w > 0 && w % kPerTrial == 0) {
        slower = kSlower * slower + std::sqrt(1 - kSlower * kSlower) * Normal();
      }
      out.push_back(std::sqrt(0.5) * Normal() + 0.5 * slow + 0.5 * slower);
    }
    return out;
  }

  sae::CounterRandom random_;
  uint64_t at_ = 0;
  std::vector<std::vector<uint8_t>> labels_;
  std::vector<int64_t> blocks_;
  std::vector<std::vector<double>> scores_;
};

struct Counts {
  int sets = 0, pairs = 0;
  int small = 0;      // sets in which the first pair has p ≤ 0.05
  int all_small = 0;  // such pairs
  int called = 0;     // sets in which any pair without an effect has q < 0.05
  int found = 0;      // sets in which the planted pair has q < 0.05
  int covered = 0;    // sets in which the first pair's interval holds chance
  double auroc = 0;   // of the planted pair, summed
};

double Auroc(const Activations& scores, const std::vector<uint8_t>& label) {
  const auto one = features::ByWindow({label}, kWindows);
  return features::Aurocs(scores, one)[0].value_or(0.5);
}

// p-values [condition][feature].
std::vector<std::vector<double>> PValues(const Simulation& s, uint64_t set) {
  const features::NullLabels null(s.labels(), kWindows, s.blocks());
  std::vector<std::vector<double>> out(kConditions);
  for (int j = 0; j < kFeatures; ++j) {
    const auto p = null.PValues(s.Of(j), std::vector<bool>(kConditions, true), set * 1000 + j);
    for (int c = 0; c < kConditions; ++c) out[c].push_back(p[c].value_or(1));
  }
  return out;
}

void Add(Design design, double effect, uint64_t set, Counts& counts) {
  Simulation s(design, set);
  s.Plant(effect);
  const auto p = PValues(s, set);
  const auto q = features::FamilyQValues(p);
  ++counts.sets;
  bool called = false;
  for (int c = 0; c < kConditions; ++c) {
    for (int j = 0; j < kFeatures; ++j) {
      const bool planted = effect > 0 && c == 0 && j == 0;
      if (planted) continue;
      ++counts.pairs;
      counts.all_small += p[c][j] <= 0.05;
      called = called || q[c][j] < 0.05;
    }
  }
  counts.called += called;
  if (effect > 0) {
    counts.found += q[0][0] < 0.05;
    counts.auroc += Auroc(s.Of(0), s.labels()[0]);
    return;
  }
  counts.small += p[0][0] <= 0.05;
  const auto blocks = design == Design::kTime ? [] {
    std::vector<int64_t> starts(kWindows);
    std::iota(starts.begin(), starts.end(), int64_t{0});
    return features::TimeBlocks(starts);
  }()
                                              : s.blocks();
  const auto& label = s.labels()[0];
  const auto interval =
      features::BootstrapAuroc(s.Of(0), label, features::BlocksToDraw(label, blocks, {}), set);
  counts.covered += interval && interval->low <= 0.5 && interval->high >= 0.5;
}

void Run(const char* name, Design design, double effect, int sets) {
  Counts counts;
  for (int set = 0; set < sets; ++set) Add(design, effect, static_cast<uint64_t>(set), counts);
  std::printf(
      "%s effect %.2f sets %d pairs %d small %d all_small %d called %d found %d covered %d auroc "
      "%.4f\n",
      name, effect, counts.sets, counts.pairs, counts.small, counts.all_small, counts.called,
      counts.found, counts.covered, counts.auroc / counts.sets);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int sets = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int effect_sets = argc > 2 ? std::atoi(argv[2]) : 200;
  Run("trials", Design::kTrials, 0, sets);
  Run("contexts", Design::kContexts, 0, sets);
  Run("time", Design::kTime, 0, sets);
  for (const double effect : {0.3, 0.6, 1.2}) {
    Run("trials", Design::kTrials, effect, effect_sets);
  }
  return 0;
}

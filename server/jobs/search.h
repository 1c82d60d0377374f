// How a sweep chooses: where to look next (random, TPE) and what to go on with (ASHA). Pure
// functions: the same history gives the same choice.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/jobs/search_space.h"

namespace saed::jobs {

// What is known of one trial. Smaller values are better.
struct Observation {
  std::vector<double> point;   // in the unit cube
  std::vector<double> values;  // of the rungs that it has reached, the first rung first
  bool failed = false;         // worse than all others
};

// The point of draw `index`: a Halton sequence, shifted by the seed (Cranley & Patterson 1976), so
// that few points already spread over all parameters.
std::vector<double> RandomPoint(const SearchSpace& space, uint64_t seed, int64_t index);

// Tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for hyper-parameter
// optimization") with densities over all parameters together. The trials are ranked by the highest
// rung that enough of them have reached, as in BOHB (Falkner et al. 2018). The first ten are
// random.
std::vector<double> ProposeTpe(const SearchSpace& space, const std::vector<Observation>& history,
                               uint64_t seed, int64_t index);

struct Rungs {
  int count = 1;         // the last one is the whole training
  double reduction = 3;  // η: one in so many goes on to the next rung, which is so much longer

  // Of all steps, in (0, 1].
  double Fraction(int rung) const;
};

// Asynchronous successive halving (Li et al. 2020, "A system for massively parallel hyperparameter
// tuning"): the trial that should go on, from the highest rung where one is among the best 1/η of
// all that reached it. `waiting[i]`: trial i waits at its last rung. Empty: start a new trial.
std::optional<size_t> Promote(const std::vector<Observation>& history,
                              const std::vector<bool>& waiting, const Rungs& rungs);

}  // namespace saed::jobs

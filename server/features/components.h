// Linear components of the counts of a population: what a recording offers without a dictionary.
#pragma once

#include <cstdint>
#include <vector>

namespace saed::features {

// Counts [rows, columns], row after row.
struct CountRows {
  std::vector<float> values;
  int64_t rows = 0;
  int columns = 0;
};

// Weights [components][columns] of raw counts, whose product with a row is the component's score
// less a constant.
using ComponentWeights = std::vector<std::vector<double>>;

inline constexpr int kIcaIterations = 100;
inline constexpr double kIcaTolerance = 1e-4;

// At most `most` principal components of the columns, each divided by its standard deviation
// (population form), largest variance first. Columns that do not vary get no weight, and directions
// whose variance is below 1e-9 of the largest are left out. Single-threaded; thread-safe.
ComponentWeights PrincipalComponents(const CountRows& counts, int most);

// Independent components from the first `most` principal ones, whitened: FastICA with the logcosh
// contrast (g = tanh) and symmetric decorrelation (Hyvärinen 1999), from a random orthogonal start,
// until 1 − |⟨w_new, w_old⟩| of every component is under kIcaTolerance, at most kIcaIterations.
// Scores have unit variance over the rows. Single-threaded; thread-safe.
ComponentWeights IndependentComponents(const CountRows& counts, int most);

}  // namespace saed::features

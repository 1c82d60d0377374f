// Dictionaries side by side (sae.md, section 6). What a call asks for ends with it (on_behalf.h)
// and is not whole then: ask StillWanted() before it is used.
#pragma once

#include <cstdint>
#include <vector>

#include "server/features/association.h"

namespace saed::features {

// Likeness of every row feature with every column feature, row-major; NaN: undefined.
struct LikenessMatrix {
  int rows = 0, columns = 0;
  std::vector<double> values;

  LikenessMatrix(int r, int c) : rows(r), columns(c), values(static_cast<size_t>(r) * c, 0) {}
  double& at(int r, int c) { return values[static_cast<size_t>(r) * columns + c]; }
  double at(int r, int c) const { return values[static_cast<size_t>(r) * columns + c]; }
};

struct Match {
  int row = 0, column = 0;
  double likeness = 0;
};

// The one-to-one assignment with the largest sum of likeness, in the order of rows; min(rows,
// columns) pairs less those whose likeness is undefined. Shortest augmenting paths (Jonker &
// Volgenant 1987), O(min² · max).
std::vector<Match> AssignOptimally(const LikenessMatrix& likeness);

// Mean over rows of the largest likeness in the row; over columns where `back`. Rows without a
// defined likeness do not count.
double MeanMaximum(const LikenessMatrix& likeness, bool back);

// Cosines of rows of two [features, width] matrices; 0 for a row of zeros.
LikenessMatrix Cosines(const std::vector<float>& a, const std::vector<float>& b, int width);

// Pearson's correlation of activations over the same windows; NaN where one never changes.
LikenessMatrix Correlations(const std::vector<Activations>& a, const std::vector<Activations>& b,
                            int64_t windows);

// Pearson's correlation of rows of two [features, width] matrices over the columns in which both
// are defined (NaN: not); NaN for fewer than `least` columns or where one never changes.
LikenessMatrix RowCorrelations(const std::vector<double>& a, const std::vector<double>& b,
                               int width, int least);

}  // namespace saed::features

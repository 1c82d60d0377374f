#include "server/features/matching.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/base/on_behalf.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Undefined pairs cost more than any defined ones could gain.
constexpr double kForbidden = 1e6;

// Of each row its column, for rows ≤ columns, with the least sum of costs.
template <class Cost>
std::vector<int> Assign(int rows, int columns, const Cost& cost) {
  // Potentials of rows and columns; index 0 is a column outside the matrix.
  std::vector<double> u(rows + 1, 0), v(columns + 1, 0);
  std::vector<int> row_of(columns + 1, 0), before(columns + 1, 0);
  for (int r = 1; r <= rows && StillWanted().ok(); ++r) {
    row_of[0] = r;
    int at = 0;
    std::vector<double> least(columns + 1, std::numeric_limits<double>::infinity());
    std::vector<bool> done(columns + 1, false);
    do {
      done[at] = true;
      const int i = row_of[at];
      double delta = std::numeric_limits<double>::infinity();
      int next = 0;
      for (int c = 1; c <= columns; ++c) {
        if (done[c]) continue;
        const double reduced = cost(i - 1, c - 1) - u[i] - v[c];
        if (reduced < least[c]) {
          least[c] = reduced;
          before[c] = at;
        }
        if (least[c] < delta) {
          delta = least[c];
          next = c;
        }
      }
      for (int c = 0; c <= columns; ++c) {
        if (done[c]) {
          u[row_of[c]] += delta;
          v[c] -= delta;
        } else {
          least[c] -= delta;
        }
      }
      at = next;
    } while (row_of[at] != 0);
    while (at != 0) {
      row_of[at] = row_of[before[at]];
      at = before[at];
    }
  }
  std::vector<int> out(rows, -1);
  for (int c = 1; c <= columns; ++c) {
    if (row_of[c] > 0) out[row_of[c] - 1] = c - 1;
  }
  return out;
}

// fn(row) for every row, on all threads, as long as this thread's call waits.
template <class Fn>
void ForRows(int rows, const Fn& fn) {
  constexpr int kAtOnce = 64;
  for (int begin = 0; begin < rows && StillWanted().ok(); begin += kAtOnce) {
    sae::ForBlocks(std::min(kAtOnce, rows - begin), 1,
                   [&](int64_t, int64_t row, int64_t) { fn(begin + static_cast<int>(row)); });
  }
}

}  // namespace

std::vector<Match> AssignOptimally(const LikenessMatrix& likeness) {
  const bool turned = likeness.rows > likeness.columns;
  const auto value = [&](int i, int j) { return turned ? likeness.at(j, i) : likeness.at(i, j); };
  const auto cost = [&](int i, int j) {
    const double l = value(i, j);
    return std::isnan(l) ? kForbidden : -l;
  };
  const auto chosen = Assign(std::min(likeness.rows, likeness.columns),
                             std::max(likeness.rows, likeness.columns), cost);
  std::vector<Match> out;
  for (int i = 0; i < static_cast<int>(chosen.size()); ++i) {
    if (chosen[i] < 0) continue;
    const double l = value(i, chosen[i]);
    if (std::isnan(l)) continue;
    out.push_back(turned ? Match{chosen[i], i, l} : Match{i, chosen[i], l});
  }
  std::sort(out.begin(), out.end(), [](const Match& a, const Match& b) { return a.row < b.row; });
  return out;
}

double MeanMaximum(const LikenessMatrix& likeness, bool back) {
  const int outer = back ? likeness.columns : likeness.rows;
  const int inner = back ? likeness.rows : likeness.columns;
  double sum = 0;
  int count = 0;
  for (int i = 0; i < outer; ++i) {
    double most = -std::numeric_limits<double>::infinity();
    for (int j = 0; j < inner; ++j) {
      const double l = back ? likeness.at(j, i) : likeness.at(i, j);
      if (!std::isnan(l)) most = std::max(most, l);
    }
    if (std::isinf(most)) continue;
    sum += most;
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

LikenessMatrix Cosines(const std::vector<float>& a, const std::vector<float>& b, int width) {
  LikenessMatrix out(static_cast<int>(a.size() / width), static_cast<int>(b.size() / width));
  const auto norm = [&](const std::vector<float>& m, int r) {
    double sum = 0;
    for (int i = 0; i < width; ++i) {
      const auto v = static_cast<double>(m[static_cast<size_t>(r) * width + i]);
      sum += v * v;
    }
    return std::sqrt(sum);
  };
  std::vector<double> norms(out.columns);
  for (int c = 0; c < out.columns; ++c) norms[c] = norm(b, c);
  ForRows(out.rows, [&](int r) {
    const double mine = norm(a, r);
    for (int c = 0; c < out.columns; ++c) {
      double dot = 0;
      for (int i = 0; i < width; ++i) {
        dot += static_cast<double>(a[static_cast<size_t>(r) * width + i]) *
               static_cast<double>(b[static_cast<size_t>(c) * width + i]);
      }
      out.at(r, c) = mine > 0 && norms[c] > 0 ? dot / (mine * norms[c]) : 0;
    }
  });
  return out;
}

LikenessMatrix Correlations(const std::vector<Activations>& a, const std::vector<Activations>& b,
                            int64_t windows) {
  LikenessMatrix out(static_cast<int>(a.size()), static_cast<int>(b.size()));
  const auto n = static_cast<double>(windows);
  // Columns window by window, so that a pair costs only the windows in which both are active.
  std::vector<std::vector<std::pair<int, float>>> by_window(windows);
  struct Moments {
    double sum = 0, square = 0;
  };
  const auto moments = [&](const Activations& x) {
    Moments m;
    for (const auto& [w, value] : x) {
      const auto v = static_cast<double>(value);
      m.sum += v;
      m.square += v * v;
    }
    m.square -= m.sum * m.sum / n;
    return m;
  };
  std::vector<Moments> of_b;
  for (size_t c = 0; c < b.size(); ++c) {
    of_b.push_back(moments(b[c]));
    for (const auto& [w, value] : b[c]) by_window[w].emplace_back(static_cast<int>(c), value);
  }
  ForRows(out.rows, [&](int r) {
    for (const auto& [w, value] : a[r]) {
      for (const auto& [c, other] : by_window[w]) {
        out.at(r, c) += static_cast<double>(value) * static_cast<double>(other);
      }
    }
    const Moments mine = moments(a[r]);
    for (int c = 0; c < out.columns; ++c) {
      const double scale = mine.square * of_b[c].square;
      out.at(r, c) =
          scale > 0 ? (out.at(r, c) - mine.sum * of_b[c].sum / n) / std::sqrt(scale) : kNan;
    }
  });
  return out;
}

LikenessMatrix RowCorrelations(const std::vector<double>& a, const std::vector<double>& b,
                               int width, int least) {
  LikenessMatrix out(static_cast<int>(a.size() / width), static_cast<int>(b.size() / width));
  ForRows(out.rows, [&](int r) {
    for (int c = 0; c < out.columns; ++c) {
      double n = 0, x = 0, y = 0, xx = 0, yy = 0, xy = 0;
      for (int i = 0; i < width; ++i) {
        const double p = a[static_cast<size_t>(r) * width + i];
        const double q = b[static_cast<size_t>(c) * width + i];
        if (std::isnan(p) || std::isnan(q)) continue;
        n += 1;
        x += p;
        y += q;
        xx += p * p;
        yy += q * q;
        xy += p * q;
      }
      const double scale = (xx - x * x / n) * (yy - y * y / n);
      out.at(r, c) = n >= least && scale > 1e-18 ? (xy - x * y / n) / std::sqrt(scale) : kNan;
    }
  });
  return out;
}

}  // namespace saed::features

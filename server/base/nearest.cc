#include "server/base/nearest.h"

#include <algorithm>

namespace saed {

int Edits(std::string_view a, std::string_view b) {
  // Of the first i letters of a into the first j of b.
  std::vector<std::vector<int>> edits(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        edits[i][j] = static_cast<int>(i + j);
        continue;
      }
      edits[i][j] = std::min({edits[i - 1][j] + 1, edits[i][j - 1] + 1,
                              edits[i - 1][j - 1] + static_cast<int>(a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        edits[i][j] = std::min(edits[i][j], edits[i - 2][j - 2] + 1);
      }
    }
  }
  return edits[a.size()][b.size()];
}

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  int fewest = std::max(1, static_cast<int>(word.size()) / 3) + 1;
  std::string out;
  for (const std::string& candidate : candidates) {
    const int edits = Edits(word, candidate);
    if (edits >= fewest) continue;
    fewest = edits;
    out = candidate;
  }
  return out;
}

}  // namespace saed

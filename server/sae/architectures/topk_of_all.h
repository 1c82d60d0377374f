// The n largest of all gathered values together.
#pragma once

#include <algorithm>
#include <functional>

#include "server/sae/architectures/rows.h"

namespace saed::sae {

// Keeps the n largest, earlier ones first among equals. Returns the smallest that was kept, 0 where
// none was.
template <class T>
T KeepLargest(const GatheredRows<T>& gathered, int64_t rows, int64_t n, Pass<T>& pass) {
  std::vector<T> values = gathered.Values();
  if (static_cast<int64_t>(values.size()) <= n) {
    gathered.Write(rows, pass);
    return values.empty() ? T(0) : *std::min_element(values.begin(), values.end());
  }
  std::nth_element(values.begin(), values.begin() + (n - 1), values.end(), std::greater<T>());
  const T cutoff = values[n - 1];
  const int64_t equal =
      n - std::count_if(values.begin(), values.begin() + n, [&](T v) { return v > cutoff; });
  gathered.Write(rows, pass, cutoff, equal);
  return cutoff;
}

}  // namespace saed::sae

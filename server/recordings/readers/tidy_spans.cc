#include "server/recordings/readers/tidy_spans.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/recordings/observed.h"

namespace saed::recordings {

Spans TidySpans(const Spans& spans, Tally& bad) {
  Spans good;
  for (size_t i = 0; i < spans.size(); ++i) {
    const double start = spans[i].first, stop = spans[i].second;
    if (!std::isfinite(start) || !std::isfinite(stop) || stop < start) {
      bad.Add([&] { return fmt::format("row {}: from {} to {} s", i + 1, start, stop); });
    } else if (stop > std::max(start, 0.0)) {
      good.emplace_back(std::max(start, 0.0), stop);
    }
  }
  return Merge(std::move(good));
}

}  // namespace saed::recordings

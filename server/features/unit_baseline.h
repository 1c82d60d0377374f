// What the best single unit does for a condition: a feature should do better.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "server/features/association.h"
#include "server/recordings/view.h"

namespace saed::features {

struct UnitScore {
  int unit = 0;        // column of the view
  bool falls = false;  // it fires less where the condition holds: scores are of −count
  double train_auroc = 0;
  std::optional<double> test_auroc;  // of that unit; empty where the condition never changes there
};

// The spikes of one unit.
class UnitCounts {
 public:
  UnitCounts(const float* counts, int64_t bins, int window);
  // In the windows that begin at `starts`.
  Activations In(const std::vector<int64_t>& starts) const;

 private:
  std::vector<double> before_;  // spikes before every bin, [bins + 1]
  int window_;
};

// Calls `use` with every unit (a column of the view), several at once, in the caller's TBB arena.
// Reads the counts a few times, not once for each unit: they may lie in a file.
void ForEachUnit(const recordings::ViewData& view,
                 const std::function<void(int unit, const UnitCounts& counts)>& use);

// Counts in the windows that begin at `starts` of the units (columns of the view), each with an
// entry for every window. In one pass over the windows.
std::vector<Activations> CountsOf(const recordings::ViewData& view, const std::vector<int>& units,
                                  const std::vector<int64_t>& starts);

// Per condition the unit whose spike count in the window, or whose lack of spikes, has the highest
// AUROC on training windows (the lowest column among equals), scored on the held-out ones too.
// Works in the caller's TBB arena; the same for any number of threads.
std::vector<std::optional<UnitScore>> BestUnits(const recordings::ViewData& view,
                                                const std::vector<int64_t>& train_starts,
                                                const WindowConditions& train,
                                                const std::vector<int64_t>& test_starts,
                                                const WindowConditions& test);

}  // namespace saed::features

// What the best single unit does for a condition: a feature should do better.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/features/association.h"
#include "server/recordings/view.h"

namespace saed::features {

struct UnitScore {
  int unit = 0;  // column of the view
  double train_auroc = 0;
  std::optional<double> test_auroc;  // of that unit; empty where the condition never changes there
};

// Spikes of one unit (a column of the view) in the windows that begin at `starts`.
Activations UnitCounts(const recordings::ViewData& view, int unit,
                       const std::vector<int64_t>& starts);

// Per condition the unit whose spike count in the window has the highest AUROC on training windows
// (the lowest column among equals), scored on the held-out ones too. Works in the caller's TBB
// arena; the same for any number of threads.
std::vector<std::optional<UnitScore>> BestUnits(const recordings::ViewData& view,
                                                const std::vector<int64_t>& train_starts,
                                                const WindowConditions& train,
                                                const std::vector<int64_t>& test_starts,
                                                const WindowConditions& test);

}  // namespace saed::features

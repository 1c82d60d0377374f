#include "server/features/precedent.h"

#include <algorithm>

#include "server/features/unit_baseline.h"

namespace saed::features {

std::optional<UnitElsewhere> FindUnit(const Precedent::Unit& chosen,
                                      const recordings::ViewData& view,
                                      const std::vector<int64_t>& starts,
                                      const WindowConditions& test, size_t c) {
  const auto at = std::find(view.unit_ids.begin(), view.unit_ids.end(), chosen.id);
  if (at == view.unit_ids.end()) return std::nullopt;
  const int unit = static_cast<int>(at - view.unit_ids.begin());
  UnitElsewhere out{{unit, chosen.falls}, std::nullopt};
  const auto auroc = Aurocs(CountsOf(view, {unit}, starts)[0], test)[c];
  if (auroc) out.auroc = chosen.falls ? 1 - *auroc : *auroc;
  return out;
}

}  // namespace saed::features

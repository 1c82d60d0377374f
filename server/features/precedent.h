// What a model's own dictionary chose on its training windows: what is judged by on a recording
// that has none, all of whose windows are held out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/features/association.h"
#include "server/features/feature_sets.h"
#include "server/features/judge.h"
#include "server/recordings/view.h"

namespace saed::features {

struct Precedent {
  struct Unit {
    int64_t id = 0;
    bool falls = false;
    double train_auroc = 0;
  };
  struct Choices {
    std::optional<Unit> unit;        // the best single one
    std::map<int, Judged> features;  // by latent, those with support, without a held-out AUROC
  };
  std::map<std::string, Choices> conditions;  // by name
  std::string dictionary;                     // whose choices they are, for people
};

struct UnitElsewhere {
  ViewUnit unit;
  std::optional<double> auroc;  // empty where the condition never changes
};
// The precedent's unit for a condition, if the view has it, and its AUROC in the windows `starts`,
// of which `test` says what holds; c is the condition's place there.
std::optional<UnitElsewhere> FindUnit(const Precedent::Unit& chosen,
                                      const recordings::ViewData& view,
                                      const std::vector<int64_t>& starts,
                                      const WindowConditions& test, size_t c);

}  // namespace saed::features

// The smallest set of features that stands for a condition, beside sets of as many single units;
// and what the one feature that stands for it is worth beside the best unit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/certainty.h"
#include "server/features/judge.h"
#include "server/features/sets.h"
#include "server/recordings/view.h"

namespace saed::features {

// A held-out AUROC less another.
struct Margin {
  double difference = 0;
  std::optional<Interval> interval;  // see BootstrapDifference
};

// In words, from a margin over units with an interval.
enum class Worth { kUnknown, kAboveUnits, kLikeUnits, kBelowUnits };
Worth WorthOf(const std::optional<Margin>& margin);

struct SetMember {
  int latent = 0;
  std::optional<sae::EvidenceKind> kind;  // none: its code
  double mean = 0, sd = 0;                // over the training windows of the search
  double weight = 0;                      // negative where the condition lowers it
};

struct UnitMember {
  int64_t unit_id = 0;
  double mean = 0, sd = 0, weight = 0;  // of its count in the window, as above
};

// The first n members of a search.
template <class Member>
struct SetSize {
  Member added;  // the last of them; its weight in the set of this size
  // On the windows that chose it; over folds, see ChosenSet; held out.
  std::optional<double> train_auroc, validated_auroc, test_auroc;
};

struct FeatureSet {
  std::vector<SetMember> members;  // of the chosen size; empty where there is no set
  std::vector<UnitMember> units;   // the set of as many units, or of all where there are fewer
  std::vector<SetSize<SetMember>> sizes;
  std::vector<SetSize<UnitMember>> unit_sizes;
  std::optional<Interval> interval;  // of the held-out AUROC
  // Over the best single unit, and over the set of as many units. Empty in sample.
  std::optional<Margin> over_unit, over_units;

  // The less favourable of the two margins; never kAboveUnits where chance may do as well.
  Worth worth() const;
};

// Sets are searched for so many conditions: as probes, those of the user first.
inline constexpr size_t kSetConditions = 16;
// From so many training windows, evenly spaced, or fewer where there are very many units.
inline constexpr int64_t kSetWindows = 6000;
// Values of candidates that are held at once. Of more, the latents with the highest judged training
// AUROC for any of the conditions are candidates.
inline constexpr int64_t kSetValues = int64_t{1} << 25;

// What the search is about. Everything outlives it.
struct SetSearch {
  const sae::Encoder& encoder;
  const recordings::ViewData& view;
  const EvidenceColumns* columns;  // null where the target is not known: codes alone
  const std::vector<int64_t>&train_starts, &test_starts;
  // [condition][window]; of the first, only training windows are looked at.
  const std::vector<std::vector<uint8_t>>&labels, &test_labels;
  // Of training windows, which folds are dealt from, and of held-out ones, which are drawn.
  const std::vector<int64_t>&train_blocks, &drawn_blocks, &shorter_blocks;
  bool in_sample = false;
  int64_t held = 0;  // values held at once while held-out windows are scored
};

// A best single unit: a column of the view.
struct ViewUnit {
  int unit = 0;
  bool falls = false;
};

// Per condition of `chosen` a set, from all `latents`; judged[latent][condition] says which of them
// come first where they are too many. units[condition]: the best single ones. Works in the caller's
// TBB arena; the same for any number of threads. CANCELLED where progress says stop.
absl::StatusOr<std::vector<FeatureSet>> FindSets(
    const SetSearch& search, const std::vector<size_t>& chosen, const std::vector<int32_t>& latents,
    const std::function<const Judged&(int32_t latent, size_t condition)>& judged,
    const std::vector<std::optional<ViewUnit>>& units, const Progress& progress);

// One feature and one condition.
struct JudgedPair {
  int32_t latent = 0;
  size_t condition = 0;
  Judged judged;
};

// Of each pair with a held-out AUROC the margin over the condition's best unit. Empty in sample and
// where there is no unit.
absl::StatusOr<std::vector<std::optional<Margin>>> MarginsOverUnits(
    const SetSearch& search, const std::vector<JudgedPair>& pairs,
    const std::vector<std::optional<ViewUnit>>& units, const Progress& progress);

}  // namespace saed::features

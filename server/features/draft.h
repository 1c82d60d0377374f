// A dictionary while it is built: what its stages (stages.h) know and hand on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/features/activate.h"
#include "server/features/dictionary.h"
#include "server/features/events.h"
#include "server/features/labels.h"
#include "server/features/null_labels.h"
#include "server/features/sides.h"

namespace saed::features {

// First windows of what is drawn as a whole, and counted as one, then the number of windows:
// trials, however few there are, because windows of one are alike; else many stretches of one
// value, or blocks of time.
std::vector<int64_t> DrawnBlocks(const recordings::ViewData& view,
                                 const std::vector<int64_t>& starts);

// What a dictionary is built from; everything outlives the draft.
struct Given {
  const sae::Encoder& encoder;
  const recordings::Recording& recording;
  const recordings::ViewData& view;
  const std::optional<CountView>& target;
  const std::vector<Condition>& users;  // conditions that somebody asked for
  const ConditionColumns& condition_columns;
  const Progress& progress;
  const int64_t held;
  const Precedent* const precedent;
};

struct Draft : Given {
  explicit Draft(const Given& given);

  size_t condition_count() const { return out.conditions.size(); }
  // The conditions, then labels of negative controls, which are scored in the same way.
  size_t label_count() const { return labels.size(); }

  // The sides of a row of labels of all windows.
  std::vector<WindowLabel> TrainLabel(const std::vector<WindowLabel>& row) const;
  std::vector<WindowLabel> TestLabel(const std::vector<WindowLabel>& row) const;
  // The sides of activations over all windows.
  Activations OnTrain(const Activations& active) const { return Part(active, 0, sides.train); }
  Activations OnTest(const Activations& active) const {
    return sides.in_sample ? active : Part(active, sides.train, sides.windows());
  }

  // What the model's own dictionary chose for a condition; null where it chose nothing.
  const Precedent::Choices* Before(size_t c) const;

  const Sides sides;
  const std::vector<int64_t> train_starts, test_starts;
  // Held-out windows by blocks of the split, and by what is drawn as a whole; training ones by
  // what would be. Where a split that has no trials leaves a condition in one block, shorter ones
  // are drawn (BlocksToDraw).
  const std::vector<int64_t> split_blocks, drawn_blocks, shorter_blocks, train_blocks;
  std::optional<EvidenceColumns> columns;  // where there is a target
  std::vector<sae::EvidenceKind> kinds;

  // From LabelWindows.
  std::vector<std::string> left_out;  // what made no conditions
  LabelRows labels, test_labels;      // of all windows; of the held-out ones; see label_count()
  WindowConditions train, test;
  std::map<std::string, std::vector<size_t>> families, control_families;  // their labels
  std::optional<Events> events;              // of labels, on the training side
  std::vector<std::vector<int64_t>> onsets;  // per condition, held-out
  std::optional<NullLabels> null;
  // From ScoreUnits.
  std::vector<std::optional<ViewUnit>> best_units;
  // From DescribeFeatures.
  Encoded encoded;
  std::optional<VariableTable> variables;
  std::optional<PlaceMaps> places;
  std::vector<int64_t> active, active_held_out;     // windows in which each latent is active
  std::vector<std::vector<int64_t>> active_events;  // [latent][label]
  // From Certify: what is drawn for each label (BlocksToDraw).
  std::vector<std::vector<int64_t>> label_blocks;
  // From ChooseBest.
  std::vector<std::optional<int>> best_of;  // per label, its feature
  std::vector<double> best_auroc;  // per label; less kFallingMargin where the feature falls
  std::vector<std::vector<bool>> supported, wants_interval;  // [latent][label]

  Dictionary out;
};

}  // namespace saed::features

#include <fmt/format.h>

#include <tuple>

#include "server/base/status_macros.h"
#include "server/features/dealt_labels.h"
#include "server/features/labels.h"
#include "server/features/offsets.h"
#include "server/features/stages.h"
#include "server/recordings/plausible.h"

namespace saed::features {
namespace {

// Of the automatic conditions, all in one line.
void WarnOfFewBlocksBeyond(Draft& d) {
  int64_t few = 0;
  for (size_t c = d.users.size(); c < d.condition_count(); ++c)
    few += d.null->SmallestP(c) > kCalled;
  if (few == 0 || d.sides.in_sample) return;
  d.out.warnings.push_back(fmt::format(
      "{} of {} automatic conditions keep to so few of the {} held-out trials or blocks that "
      "their p and q cannot be below {}, whatever a feature does; hold out more of them",
      few, d.condition_count() - d.users.size(), d.split_blocks.size() - 1, kCalled));
}

void WarnOfFewBlocks(Draft& d, size_t c) {
  const double least = d.null->SmallestP(c);
  if (least <= kCalled || d.sides.in_sample) return;
  d.out.warnings.push_back(fmt::format(
      "condition '{}' keeps to whole held-out trials or blocks of the split, {} in all: no p or "
      "q can be below {:.2g}, whatever a feature does; hold out more of them",
      d.out.conditions[c].name, d.split_blocks.size() - 1, least));
}

// Of a recording that has no training windows.
void WarnOfPrecedent(Draft& d) {
  size_t known = 0;
  for (size_t c = 0; c < d.condition_count(); ++c) {
    const Precedent::Choices* before = d.Before(c);
    known += before != nullptr && !before->features.empty();
  }
  if (d.precedent == nullptr) {
    d.out.warnings.emplace_back(
        "nothing trained here and the model has no dictionary of the recording that it was "
        "trained on, so no feature could be chosen for a condition; analyse that recording "
        "first");
    return;
  }
  d.out.warnings.push_back(fmt::format(
      "nothing trained here: which feature, unit and evidence stands for a condition is what {} "
      "chose, and all {} windows are held out; it chose for {} of {} conditions by name. "
      "Units are matched by id: are they the same neurons?",
      d.precedent->dictionary, d.sides.test(), known, d.condition_count()));
}

}  // namespace

absl::Status LabelWindows(Draft& d) {
  SAED_ASSIGN_OR_RETURN(LabelledConditions labelled,
                        LabelConditions(d.recording, d.view, d.sides.starts, d.users,
                                        d.condition_columns, d.left_out));
  d.out.conditions = std::move(labelled.conditions);
  d.labels = std::move(labelled.labels);
  for (size_t c = 0; c < d.condition_count(); ++c)
    d.families[d.out.conditions[c].family].push_back(c);
  if (!d.sides.in_sample) {
    for (const auto& [family, members] : d.families) {
      for (auto& label : DealtLabels(d.view, d.sides, d.labels, members, d.label_count())) {
        d.control_families[family].push_back(d.label_count());
        d.labels.push_back(std::move(label));
      }
    }
  }
  LabelRows train_labels;
  for (const auto& row : d.labels) {
    train_labels.push_back(d.TrainLabel(row));
    d.test_labels.push_back(d.TestLabel(row));
  }
  d.train = ByWindow(train_labels, d.sides.train);
  d.test = ByWindow(d.test_labels, d.sides.test());
  d.events.emplace(train_labels, d.train_starts, d.train_blocks);
  d.out.train_windows = d.sides.train;
  d.out.test_windows = d.sides.test();
  const auto of_conditions = [&](const std::vector<int64_t>& all) {
    return std::vector<int64_t>(all.begin(), all.begin() + std::ssize(d.out.conditions));
  };
  d.out.train_positive = of_conditions(d.train.positive);
  d.out.test_positive = of_conditions(d.test.positive);
  d.out.train_asked = of_conditions(d.train.asked);
  d.out.test_asked = of_conditions(d.test.asked);
  for (const auto& label : d.test_labels) d.onsets.push_back(Onsets(label, d.test_starts));
  d.null.emplace(d.test_labels, d.sides.test(), d.split_blocks);
  for (size_t c = 0; c < d.users.size(); ++c) WarnOfFewBlocks(d, c);
  WarnOfFewBlocksBeyond(d);
  return absl::OkStatus();
}

void Warn(Draft& d) {
  if (d.sides.in_sample) {
    d.out.warnings.emplace_back(
        "held-out windows are the training windows, so AUROCs are optimistic and there are no "
        "p-values of conditions; choose a split");
  }
  if (std::string note = recordings::WideBins(d.view.bin_width); !note.empty()) {
    d.out.warnings.push_back(std::move(note));
  }
  if (d.sides.train == 0) WarnOfPrecedent(d);
  for (size_t c = 0; c < d.users.size(); ++c) {
    for (const std::string& line : LongOffsets(d.out.conditions[c].expression, d.recording)) {
      d.out.warnings.push_back(fmt::format("condition '{}': {}", d.out.conditions[c].name, line));
    }
    for (const auto& [side, positive, all] :
         {std::tuple("training", d.train.positive[c], d.train.asked[c]),
          std::tuple("held-out", d.test.positive[c], d.test.asked[c])}) {
      if (positive > 0 && positive < all) continue;
      if (d.sides.train == 0 && all == 0) continue;  // WarnOfPrecedent speaks of it
      d.out.warnings.push_back(fmt::format(
          "condition '{}' holds in {} of the {} windows of which it asks, so there are no scores "
          "on that side; choose another split, for instance by a column",
          d.out.conditions[c].name, positive == 0 ? "none" : "all", side));
    }
  }
  d.out.warnings.insert(d.out.warnings.end(), d.left_out.begin(), d.left_out.end());
}

}  // namespace saed::features

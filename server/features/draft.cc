#include "server/features/draft.h"

namespace saed::features {

std::vector<int64_t> DrawnBlocks(const recordings::ViewData& view,
                                 const std::vector<int64_t>& starts) {
  std::vector<int64_t> of_split = SplitBlocks(view, starts);
  const bool trials = view.scored.has_value();
  return trials || of_split.size() > kBlocksToDeal ? of_split : TimeBlocks(starts);
}

Draft::Draft(const Given& given)
    : Given(given),
      sides(Sides::Of(view)),
      train_starts(sides.TrainStarts()),
      test_starts(sides.TestStarts()),
      split_blocks(SplitBlocks(view, test_starts)),
      drawn_blocks(DrawnBlocks(view, test_starts)),
      shorter_blocks(view.scored ? std::vector<int64_t>() : TimeBlocks(test_starts)),
      train_blocks(DrawnBlocks(view, train_starts)) {
  if (!target) return;
  columns.emplace(encoder, view.counts(), *target);
  kinds = columns->Kinds();
}

std::vector<WindowLabel> Draft::TrainLabel(const std::vector<WindowLabel>& row) const {
  return {row.begin(), row.begin() + sides.train};
}

std::vector<WindowLabel> Draft::TestLabel(const std::vector<WindowLabel>& row) const {
  return {row.begin() + (sides.in_sample ? 0 : sides.train), row.end()};
}

const Precedent::Choices* Draft::Before(size_t c) const {
  if (precedent == nullptr || c >= condition_count()) return nullptr;
  const auto at = precedent->conditions.find(out.conditions[c].name);
  return at == precedent->conditions.end() ? nullptr : &at->second;
}

}  // namespace saed::features

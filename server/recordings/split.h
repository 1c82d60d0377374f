// Which bins of a view train and which are held out.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/view.h"

namespace saed::recordings {

// Sets data.sides from the view's mask, segments and split. Bins that are not wholly in the
// observed time of the recording, of each chosen unit and of `also` (null: all the time) are on no
// side. Every fault at once, each on its field.
absl::Status AssignSides(const Recording& recording, const DataView& view, ViewData& data,
                         const Spans* also = nullptr);
// The same with all observed bins of the view's segments held out.
absl::Status AssignAll(const Recording& recording, const DataView& view, ViewData& data);

// For a split by trials: fills data.scored from data.train and data.blocks, where it has a value.
void FindScored(ViewData& data);

// Takes every n-th of 50 equal stretches of the training windows (n = 1/fraction, rounded) out of
// data.train and returns their windows; of a split by trials every n-th trial and the windows
// inside. Training windows that share bins with them, or lie within the split's embargo, go too.
// What is left trains, and the normaliser is fitted once more without the bins of what is returned,
// which judges settings; held-out windows stay unseen.
// INVALID_ARGUMENT on "validation_fraction" where it is not between 0 and 0.5 or leaves one side
// empty.
absl::StatusOr<std::vector<int64_t>> TakeValidation(double fraction, NormaliserKind normaliser,
                                                    ViewData& data);

}  // namespace saed::recordings

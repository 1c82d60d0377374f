// What each unit's counts are divided by.
#pragma once

#include "server/recordings/view.h"

namespace saed::recordings {

// Sets offset and scale by the bins of the training side: mean and standard deviation (÷ n), or
// least and range; a unit that never changes keeps the scale 1. Nothing for kNone.
void FitNormaliser(NormaliserKind kind, ViewData& data);

}  // namespace saed::recordings

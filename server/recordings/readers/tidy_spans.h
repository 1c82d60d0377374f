// The stretches of observed time that a file lists.
#pragma once

#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Ascending and apart, without what lies before 0. Those that have no finite start and stop in
// order are left out and counted in `bad`, with their place in `spans`.
Spans TidySpans(const Spans& spans, Tally& bad);

}  // namespace saed::recordings

// What is unlikely in a recording: said, and taken as it is.
#pragma once

#include <string>

#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// A table or series that ends at more than this many times the end of the spikes, or before one
// part in so many, is thought to count time in another unit.
inline constexpr double kLongAfter = 2;

// When the activity ends, s: the last spike, bin or observed span, or the end that the reader knew
// (recording.duration), whichever is latest. 0: there is none.
double ActivityEnd(const Recording& recording);

// What the recording lasts, s: to the end of its activity, which is `activity`, and of those tables
// and series that do not end long after it.
double SpanOf(const Recording& recording, double activity);

// "bins are 25 s wide; is the width in milliseconds instead of seconds?" of bins wider than is
// likely; else empty.
std::string WideBins(double bin_width);

// What a view lacks whose windows begin `stride` bins apart: where a condition begins, and how
// activity goes on from bin to bin, is seen in windows one bin apart alone. Empty for a stride
// of 1.
std::string SparseWindows(int stride);

// Says what is unlikely of a recording whose duration is set and whose trains are ascending:
// lengths, rates, bins, and tables and series that do not fit its time.
void SayWhatIsUnlikely(const Recording& recording, double activity, Notes& notes);

}  // namespace saed::recordings

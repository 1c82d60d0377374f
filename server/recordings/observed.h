// Time that was not observed is not silence: when a recording and its units were observed, and what
// they did then.
#pragma once

#include <string>
#include <vector>

#include "server/recordings/recording.h"

namespace saed::recordings {

// Ascending, what touches or overlaps made one.
Spans Merge(Spans spans);
// What is in both; each ascending and apart.
Spans Intersect(const Spans& a, const Spans& b);
// Seconds in all.
double Length(const Spans& spans);
// "0-5 s, 7-9 s", cut after a few.
std::string InWords(const Spans& spans);

// When the recording was observed, within its duration: one span where it was all the time.
Spans ObservedSpans(const Recording& recording);
// When a unit was, too.
Spans ObservedSpans(const Recording& recording, const Unit& unit);
// When all of these units (indices into Recording::units) were observed together. `lost`, where it
// is given, becomes the position among them of the unit with which nothing is left, else -1.
Spans ObservedTogether(const Recording& recording, const std::vector<int>& units,
                       int* lost = nullptr);
// A unit was at no time, or never when the recording was.
bool NeverObserved(const Recording& recording, const Unit& unit);
// Some time of these units was not observed.
bool HasGaps(const Recording& recording, const std::vector<int>& units);

// A unit's spikes in the time that it was observed.
struct ObservedCount {
  double spikes = 0;
  double seconds = 0;

  double rate() const { return seconds > 0 ? spikes / seconds : 0; }  // Hz
};

// Of each unit within [start, stop), s. A count matrix's bins count where they were observed
// whole.
std::vector<ObservedCount> ObservedCounts(const Recording& recording, double start, double stop);

}  // namespace saed::recordings

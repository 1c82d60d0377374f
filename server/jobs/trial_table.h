// Which of a recording's interval tables an experiment is made of.
#pragma once

#include <string>

#include "server/recordings/recording.h"

namespace saed::jobs {

struct TrialTable {
  const recordings::IntervalTable* table = nullptr;  // of the recording; null: none looks like it
  double covered = 0;                                // of the observed time
  std::string why_none;  // where there is none: what the likeliest table lacks, in words
};

// The likeliest by its name (trials and laps before stimuli), else one whose rows follow on one
// another over most of the time: rows of another name are likelier to be events, whose opposite is
// the time between them. Among equals the one that covers most. It has at least eight rows, of
// which half last `shortest` seconds or more, and they hold 200 bins.
TrialTable FindTrialTable(const recordings::Recording& recording, double bin, double shortest);

// Seconds of the recording that were observed; never 0.
double ObservedSeconds(const recordings::Recording& recording);

// The parts of the recording that are in some row of the table and were observed.
recordings::Spans Covered(const recordings::IntervalTable& table,
                          const recordings::Recording& recording);

// Of a unit on average in these spans, of which some are looked at where there are many; Hz. Of
// units that have spike times.
double RateIn(const recordings::Recording& recording, const recordings::Spans& spans);

// Whether units hardly spike in observed time outside the table's rows, as in files that have the
// spikes of trials alone.
bool SilentOutside(const recordings::Recording& recording, const recordings::IntervalTable& table);

}  // namespace saed::jobs

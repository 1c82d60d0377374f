// The bins of a training that leaves them to the server.
#pragma once

#include <string>

#include "server/jobs/trial_table.h"
#include "server/recordings/recording.h"

namespace saed::jobs {

struct ChosenBin {
  double width = 0;    // s
  std::string reason;  // a line
};

// Of a recording of counts the fewest of its own bins that make 10 ms; of spikes 20 ms, or 50 where
// units are slow and rows of its trials are long enough. Rates are those inside trials where these
// are less than half of the observed time. Looks at some spikes only.
ChosenBin ChooseBin(const recordings::Recording& recording);

// The table that its trainings are split by (see trial_table.h).
TrialTable UsualTrials(const recordings::Recording& recording);

}  // namespace saed::jobs

// A first training that fits a recording, for people who see it for the first time.
#pragma once

#include <string>
#include <vector>

#include "server/recordings/recording.h"

namespace saed::jobs {

struct FirstCommand {
  // Of `saectl train RECORDING`, quoted for a shell where needed: "--bin 0.02 --features 96 --k
  // 12".
  std::string flags;
  std::vector<std::string> reasons;  // a line for each choice
};

// Looks at rates, labels, interval tables and observed times; of the spikes it only finds where
// rows begin and end.
FirstCommand FirstCommandFor(const recordings::Recording& recording);

}  // namespace saed::jobs

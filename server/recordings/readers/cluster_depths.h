// Where on the probe the clusters of a Kilosort folder are.
#pragma once

#include <string>

#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Gives units without a depth that of the peak channel of their template, else that of the channel
// in their column `ch`, else the mean of spike_positions.npy over their spikes. Files that cannot
// be used are left out and noted.
void AddClusterDepths(const FileSet& files, const std::string& folder, Recording& recording,
                      Notes& notes);

}  // namespace saed::recordings

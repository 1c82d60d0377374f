// The tables about clusters that Kilosort and Phy keep beside the spikes.
#pragma once

#include <string>

#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Adds what cluster_*.tsv and cluster_*.csv in `folder` ("" or "name/") say of the units, by their
// ids: columns, labels (formats/phy.md has their order), regions and depths. A table that cannot be
// used is left out and noted.
void AddClusterTables(const FileSet& files, const std::string& folder, Recording& recording,
                      Notes& notes);

}  // namespace saed::recordings

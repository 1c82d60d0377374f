// Trials, events and signals of ALF folders.
#pragma once

#include <map>
#include <string>

#include "server/recordings/readers/alf_names.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Objects other than those of the sorting: with `intervals` (or a table of intervals_0 and
// intervals_1) an interval table of its attributes; with `times` or `timestamps` a series of them,
// or events where none is a number. What cannot be either is noted.
void AddAlfTables(const FileSet& files,
                  const std::map<std::string, std::map<std::string, AlfObject>>& objects,
                  Recording& recording, Notes& notes);

}  // namespace saed::recordings

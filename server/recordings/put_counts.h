// Count files of a process that may make no files.
#pragma once

namespace saed::recordings {

// From now on CountFile::Create() makes no files but gives parts of this one, which is open for
// writing and empty. Nobody else has room in it, and the limit on its size bounds what all of them
// take. -1: no longer; those that are there must have gone.
void PutCountsInto(int descriptor);

}  // namespace saed::recordings

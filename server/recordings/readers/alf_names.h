// Names of ALF files (IBL): collection/#revision#/_namespace_object.attribute_timescale.extra.ext
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"

namespace saed::recordings {

struct AlfName {
  std::string file;        // as the user has it
  std::string collection;  // folders without revisions: "alf/probe00"; may be empty
  std::string revision;    // "2024-01-01", or empty
  std::string object;      // "trials"; without the namespace
  std::string attribute;   // "stimOn_times"
  std::string timescale;  // of attributes that are times: the clock that they are on, if it is said
  std::string extension;  // "npy"
};

// INVALID names give an empty object.
AlfName ParseAlfName(std::string_view file);

// Attribute to file, for one object in one collection.
using AlfObject = std::map<std::string, AlfName>;

// By collection and object. Of several revisions the newest by name is taken, which is noted; what
// is on a clock of its own is left out with a note.
std::map<std::string, std::map<std::string, AlfObject>> AlfObjects(const FileSet& files,
                                                                   Notes& notes);

}  // namespace saed::recordings

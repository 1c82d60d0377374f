// A format: what it recognises in a set of files, and how it reads them.
//
// How to add one is in README.md.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// What the user says of the files.
struct ImportOptions {
  double sampling_rate = 0;  // Hz, of times in samples or of frames; 0: not given
  double bin_width = 0;      // s, of count matrices; 0: not given
  // Options of the format's own, by name; Import() has refused those the format does not have.
  std::map<std::string, std::string> values = {};

  // Empty where it was not given.
  std::string Get(const std::string& name) const {
    const auto it = values.find(name);
    return it == values.end() ? "" : it->second;
  }
};

struct OptionInfo {
  std::string name;     // "units_table"; the flag is --option units_table=VALUE
  std::string help;     // one sentence: what it says, and what is taken without it
  std::string example;  // "processing/ecephys/units"
};

// How sure a reader is that the files are of its format.
enum class Match {
  kNo,        // something it needs is missing
  kMaybe,     // it could read them, but others could too
  kYes,       // they carry the format's mark
  kYesAlone,  // the same, but what others are sure of may be kept among them: then the user says
};

struct Reader {
  std::string name;   // "nwb"
  std::string title;  // "NWB 2.x in HDF5"
  std::string needs;  // what must be there, in words: "one .nwb file with a Units table"
  // Patterns of the files it reads (file_set.h); a client sends no others.
  std::vector<std::string> files;
  std::vector<OptionInfo> options;
  // By names, sizes, heads and tails alone.
  Match (*recognise)(const FileSet&) = nullptr;
  // Errors are INVALID_ARGUMENT naming the file or the part in it. What can be left out or mended
  // without guessing is noted instead. Import() adds tables and makes the checks that hold for all.
  absl::StatusOr<Recording> (*read)(const FileSet&, const ImportOptions&, Notes&) = nullptr;
  // The files name only units that have spikes; a table of units may name those that have none.
  bool units_by_spikes = false;
  // Reads tables that lie beside the data (beside.h) itself.
  bool own_tables = false;
  // The duration that it sets is the recording's to the bit, whatever the tables say.
  bool own_duration = false;
  // Its sampling rate is that of frames, which may be slow.
  bool frames = false;
};

}  // namespace saed::recordings

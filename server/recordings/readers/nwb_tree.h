// What an NWB file holds, and where.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/recordings/readers/hierarchy.h"
#include "server/recordings/readers/notes.h"

namespace saed::recordings {

enum class NwbKind {
  kUnits,            // spike_times
  kIntervals,        // a table with start_time and stop_time or duration
  kEventsTable,      // a table with timestamp, perhaps duration (core 2.10)
  kAnnotatedEvents,  // a table with lists event_times (ndx-events)
  kEvents,           // timestamps, perhaps data and labels (ndx-events); annotations
  kIntervalSeries,   // timestamps, and data whose sign says start or stop
  kSeries,           // data over time
  kRaw,              // voltages, images
  kTable,            // any other table
};

struct NwbNode {
  std::string path;  // "processing/behavior/speed"
  std::string type;  // its neurodata_type: "TimeSeries"
  NwbKind kind = NwbKind::kSeries;
};

// Everything but general and the schema, wherever it lies: first /units, then /intervals, then the
// rest by name. What cannot be looked into is noted.
std::vector<NwbNode> SurveyNwb(const Hierarchy& file, Notes& notes);

// A fault of `path` in words, for a note on that path.
std::string FaultText(const absl::Status& status, const std::string& path);

}  // namespace saed::recordings

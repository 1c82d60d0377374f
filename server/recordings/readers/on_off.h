// Lines that go on and off, as digital inputs are recorded, and the intervals that makes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

inline constexpr int64_t kMaxLines = 256;

// Takes changes in the order in which they came. Not thread-safe.
class OnOffPairs {
 public:
  // A line, from 1 to kMaxLines, went on (`state` is its number) or off (minus its number), s.
  void Add(double time, int64_t state);
  // What is on from here on is so without a known end: recording stopped.
  void Break();

  // A table for each line, `prefix` and its number, ascending, with a row for each time it was on;
  // a row without an end is the last one's of all. What has no partner is noted on `part`, as are
  // changes of lines that cannot be.
  absl::StatusOr<std::vector<IntervalTable>> Take(std::string_view prefix, std::string_view part,
                                                  Notes& notes);

 private:
  struct Line {
    Numbers start, stop;
    bool on = false;
  };
  std::map<int64_t, Line> lines_;
  int64_t seen_ = 0;
  Tally strange_, without_on_, without_off_;
};

}  // namespace saed::recordings

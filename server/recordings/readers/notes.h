// What an import left out or mended, in words for the user.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace saed::recordings {

// Not thread-safe.
class Notes {
 public:
  // `strict`: what is left out or mended refuses the import.
  explicit Notes(bool strict = false) : strict_(strict) {}

  // Something was left out or mended. `part` is its name in the user's files ("trials.csv",
  // "units/depth"); `what` says how many, where the first one is and what was done, e.g.
  // "3 rows dropped, the first is row 17: stop_time is NaN".
  void Mended(std::string_view part, std::string_view what);
  // Something is unlikely but was taken as it is, or is by its kind or by the user's own choice not
  // what an import takes (raw voltage, a table for which another was given); never refuses.
  void Said(std::string_view part, std::string_view what);

  // Lines "part: what", in order. What comes again and again is cut after kMost lines, and said so.
  std::vector<std::string> Lines() const;
  // Where strict, INVALID_ARGUMENT with a fault for each thing mended.
  absl::Status Strict() const;

  static constexpr size_t kMost = 200;

 private:
  struct Note {
    std::string part, what;
    bool mended;
  };
  bool strict_;
  std::vector<Note> notes_;
  size_t cut_ = 0;
};

// Counts like things that are left out one by one and says them in one line.
class Tally {
 public:
  // `where` is only asked for the first one: "row 17: stop_time is NaN".
  template <class Where>
  void Add(const Where& where) {
    if (count_++ == 0) first_ = where();
  }
  int64_t count() const { return count_; }
  // Notes "COUNT THINGS DONE, the first is FIRST" where there was any: Mend(notes, "trials.csv",
  // "rows", "dropped").
  void Mend(Notes& notes, std::string_view part, std::string_view things,
            std::string_view done) const;
  // The same of what never refuses.
  void Say(Notes& notes, std::string_view part, std::string_view things,
           std::string_view done) const;

 private:
  std::string Line(std::string_view things, std::string_view done) const;

  int64_t count_ = 0;
  std::string first_;
};

}  // namespace saed::recordings

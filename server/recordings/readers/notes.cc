#include "server/recordings/readers/notes.h"

#include <fmt/format.h>

#include "server/base/faults.h"

namespace saed::recordings {

void Notes::Mended(std::string_view part, std::string_view what) {
  if (notes_.size() < kMost) {
    notes_.push_back({std::string(part), std::string(what), true});
  } else {
    ++cut_;
  }
}

void Notes::Said(std::string_view part, std::string_view what) {
  if (notes_.size() < kMost) {
    notes_.push_back({std::string(part), std::string(what), false});
  } else {
    ++cut_;
  }
}

std::vector<std::string> Notes::Lines() const {
  std::vector<std::string> out;
  for (const Note& note : notes_) out.push_back(fmt::format("{}: {}", note.part, note.what));
  if (cut_ > 0) out.push_back(fmt::format("warnings: {} more are not listed", cut_));
  return out;
}

absl::Status Notes::Strict() const {
  Faults faults;
  for (const Note& note : notes_) {
    if (strict_ && note.mended) {
      faults.Add(note.part, note.what + " (strict: nothing may be left out or mended)");
    }
  }
  return faults.ToStatus();
}

void Tally::Mend(Notes& notes, std::string_view part, std::string_view things,
                 std::string_view done) const {
  if (count_ > 0) notes.Mended(part, Line(things, done));
}

void Tally::Say(Notes& notes, std::string_view part, std::string_view things,
                std::string_view done) const {
  if (count_ > 0) notes.Said(part, Line(things, done));
}

std::string Tally::Line(std::string_view things, std::string_view done) const {
  const bool one = count_ == 1 && things.ends_with('s');
  return fmt::format("{} {} {}, the first is {}", count_,
                     one ? things.substr(0, things.size() - 1) : things, done, first_);
}

}  // namespace saed::recordings

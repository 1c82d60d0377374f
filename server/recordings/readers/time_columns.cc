#include "server/recordings/readers/time_columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "server/base/faults.h"
#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

using NameList = std::vector<std::string_view>;

// As Plain() gives them; the first of each is the one that needs no guess.
const NameList kStarts = {"starttime", "start",     "onset",  "tstart",   "begin",
                          "begintime", "onsettime", "starts", "timestart"};
const NameList kStops = {"stoptime", "stop",  "end",        "endtime", "tstop",    "tend",
                         "offset",   "stops", "offsettime", "ends",    "timestop", "timeend"};
const NameList kDurations = {"duration", "durations"};
const NameList kMoments = {"time", "timestamp", "timestamps", "times", "t", "eventtime"};
const NameList kSampleTimes = {"timestamps", "timestamp", "time", "t", "times"};

// In small letters, without separators: "Start_Time" is "starttime".
std::string Plain(std::string_view title) {
  std::string out;
  for (const char c : title) {
    if (c == '_' || c == ' ' || c == '-' || c == '.') continue;
    out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

struct Suffix {
  std::string_view text;
  const char* unit;  // null: seconds
};

// Behind a name of times: "start_ms", "onset (s)".
constexpr Suffix kSuffixes[] = {{"s", nullptr},
                                {"sec", nullptr},
                                {"secs", nullptr},
                                {"seconds", nullptr},
                                {"(s)", nullptr},
                                {"(sec)", nullptr},
                                {"(seconds)", nullptr},
                                {"[s]", nullptr},
                                {"ms", "milliseconds"},
                                {"msec", "milliseconds"},
                                {"(ms)", "milliseconds"},
                                {"[ms]", "milliseconds"},
                                {"milliseconds", "milliseconds"},
                                {"us", "microseconds"},
                                {"(us)", "microseconds"},
                                {"[us]", "microseconds"},
                                {"usec", "microseconds"},
                                {"microseconds", "microseconds"},
                                {"ns", "nanoseconds"},
                                {"(ns)", "nanoseconds"},
                                {"min", "minutes"},
                                {"(min)", "minutes"},
                                {"minutes", "minutes"},
                                {"sample", "samples"},
                                {"samples", "samples"},
                                {"frame", "frames"},
                                {"frames", "frames"},
                                {"index", "samples"},
                                {"idx", "samples"},
                                {"tick", "ticks"},
                                {"ticks", "ticks"}};

bool Has(const NameList& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whether a title is one of the names, perhaps with a unit behind it; null in `unit` for seconds.
bool Means(std::string_view title, const NameList& names, const char*& unit) {
  const std::string plain = Plain(title);
  unit = nullptr;
  if (Has(names, plain)) return true;
  for (const Suffix& suffix : kSuffixes) {
    if (plain.size() <= suffix.text.size() || !plain.ends_with(suffix.text)) continue;
    const auto stem = std::string_view(plain).substr(0, plain.size() - suffix.text.size());
    if (!Has(names, stem)) continue;
    unit = suffix.unit;
    return true;
  }
  return false;
}

std::string Titles(const Table& table) {
  std::string out;
  for (const Column& c : table.columns) out += (out.empty() ? "" : ", ") + c.name;
  return out;
}

constexpr int64_t kNone = -1;

// The place of the column that is called `wanted`, else of the only one of these names; or kNone.
absl::StatusOr<int64_t> FindTimes(std::string_view name, const Table& table, const NameList& names,
                                  std::string_view wanted) {
  std::vector<int64_t> found;
  int64_t other = kNone;  // in another unit
  const char *unit = nullptr, *other_unit = nullptr;
  for (int64_t c = 0; c < static_cast<int64_t>(table.columns.size()); ++c) {
    const std::string& title = table.columns[c].name;
    if (title == wanted) return c;
    if (!Means(title, names, unit)) continue;
    if (unit != nullptr) {
      other = c;
      other_unit = unit;
    } else {
      found.push_back(c);
    }
  }
  if (found.size() == 1) return found[0];
  if (found.size() > 1) {
    return InvalidField(name, fmt::format("has the columns {} and {}, which both could be {}; call "
                                          "the right one {}",
                                          table.columns[found[0]].name,
                                          table.columns[found[1]].name, wanted, wanted));
  }
  if (other == kNone) return kNone;
  return InvalidField(name, fmt::format("has the column {}, which seems to be in {}; times must be "
                                        "in seconds: convert it and call it {}",
                                        table.columns[other].name, other_unit, wanted));
}

// Rows that hold no number are missing and noted; more than half of them are refused.
absl::Status MakeTimes(std::string_view name, TextTable& table, int64_t c, Notes& notes) {
  Column& column = table.table.columns[c];
  if (auto numbers = NumbersOf(name, table, column, notes)) {
    column.values = std::move(*numbers);
    return absl::OkStatus();
  }
  const auto& texts = std::get<Texts>(column.values);
  const auto at =
      std::find_if(texts.begin(), texts.end(), [](const auto& t) { return !t.empty(); });
  return InvalidField(name, fmt::format("holds '{}' in the column {} in line {}; must be a time in "
                                        "seconds",
                                        *at, column.name, table.lines[at - texts.begin()]));
}

void Rename(std::string_view name, std::string_view to, Column& column, Notes& notes) {
  if (column.name == to) return;
  notes.Said(name, fmt::format("the column '{}' is taken as {}, in seconds", column.name, to));
  column.name = to;
}

// BIDS has n/a for what did not last or is not known.
void FillDurations(std::string_view name, const TextTable& table, Numbers& durations,
                   Notes& notes) {
  Tally missing;
  for (size_t i = 0; i < durations.size(); ++i) {
    if (!std::isnan(durations[i])) continue;
    durations[i] = 0;
    missing.Add([&] { return fmt::format("line {}", table.lines[i]); });
  }
  missing.Mend(notes, name, "missing durations", "taken as 0");
}

absl::Status NoStart(std::string_view name, const Table& table) {
  return InvalidField(name, fmt::format("has no column of starts; it has {}. It must have "
                                        "start_time (or onset), and stop_time or duration, in "
                                        "seconds, or time where these are moments",
                                        Titles(table)));
}

}  // namespace

absl::Status NameIntervalTimes(std::string_view name, TextTable& table, Notes& notes) {
  Table& t = table.table;
  SAED_ASSIGN_OR_RETURN(const auto start, FindTimes(name, t, kStarts, "start_time"));
  if (start == kNone) {
    SAED_ASSIGN_OR_RETURN(const auto moment, FindTimes(name, t, kMoments, "time"));
    if (moment == kNone) return NoStart(name, t);
    SAED_RETURN_IF_ERROR(MakeTimes(name, table, moment, notes));
    notes.Said(name, fmt::format("has moments only, in the column '{}': rows stop where they start",
                                 t.columns[moment].name));
    t.columns[moment].name = "start_time";
    const auto moments = t.columns[moment].values;
    t.columns.insert(t.columns.begin() + moment + 1, {"stop_time", moments});
    return absl::OkStatus();
  }
  SAED_ASSIGN_OR_RETURN(const auto duration, FindTimes(name, t, kDurations, "duration"));
  SAED_ASSIGN_OR_RETURN(auto stop, FindTimes(name, t, kStops, "stop_time"));
  // Beside a duration an offset is something else.
  if (stop != kNone && duration != kNone && Plain(t.columns[stop].name) == "offset") stop = kNone;
  SAED_RETURN_IF_ERROR(MakeTimes(name, table, start, notes));
  const bool onset = Plain(t.columns[start].name).starts_with("onset");
  if (stop == kNone && duration == kNone && !onset) {
    return InvalidField(name, fmt::format("has starts but no column of stops; it has {}. It must "
                                          "have stop_time or duration in seconds too, or call its "
                                          "starts time where these are moments",
                                          Titles(t)));
  }
  if (stop != kNone) {
    SAED_RETURN_IF_ERROR(MakeTimes(name, table, stop, notes));
    Rename(name, "stop_time", t.columns[stop], notes);
  } else if (duration != kNone) {
    SAED_RETURN_IF_ERROR(MakeTimes(name, table, duration, notes));
    t.columns[duration].name = "duration";
    if (onset) FillDurations(name, table, std::get<Numbers>(t.columns[duration].values), notes);
  }
  Rename(name, "start_time", t.columns[start], notes);
  if (stop == kNone && duration == kNone) {
    notes.Said(name, "has onsets only: rows stop where they start");
    const auto starts = t.columns[start].values;
    t.columns.insert(t.columns.begin() + start + 1, {"stop_time", starts});
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> FindSampleTimes(std::string_view name, const TextTable& table) {
  const Table& t = table.table;
  const char* unit = nullptr;
  // The first column, if it is one: others may be times of something else.
  if (!t.columns.empty() && Means(t.columns[0].name, kSampleTimes, unit) && unit == nullptr) {
    return 0;
  }
  SAED_ASSIGN_OR_RETURN(const auto found, FindTimes(name, t, kSampleTimes, "timestamps"));
  if (found != kNone) return static_cast<size_t>(found);
  return InvalidField(name, fmt::format("has no column of times; it has {}. It must have "
                                        "timestamps (or time), in seconds, then at least one "
                                        "column of numbers",
                                        Titles(t)));
}

}  // namespace saed::recordings

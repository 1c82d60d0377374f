#include "server/recordings/readers/nwb.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/hdf5.h"
#include "server/recordings/readers/nwb_intervals.h"
#include "server/recordings/readers/nwb_series.h"
#include "server/recordings/readers/nwb_tree.h"
#include "server/recordings/readers/nwb_units.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/tidy_spans.h"

namespace saed::recordings {
namespace {

absl::Status CheckVersion(const Hierarchy& file) {
  const Texts version = file.TextAttribute("", "nwb_version");
  if (!version.empty() && version[0].starts_with("2")) return absl::OkStatus();
  return InvalidField("nwb_version",
                      fmt::format("is '{}'; must be 2.x (NWB)", version.empty() ? "" : version[0]));
}

std::string TextAt(const Hierarchy& file, const std::string& path) {
  if (!file.Exists(path)) return "";
  const auto values = file.Read(path);
  const auto* texts = values.ok() ? std::get_if<Texts>(&*values) : nullptr;
  return texts != nullptr && !texts->empty() ? (*texts)[0] : "";
}

// Times count from the reference; somebody who joins the file with another must know.
void NoteStart(const Hierarchy& file, Notes& notes) {
  const std::string start = TextAt(file, "session_start_time");
  const std::string reference = TextAt(file, "timestamps_reference_time");
  if (reference.empty() || reference == start) return;
  notes.Said("timestamps_reference_time",
             fmt::format("is {}, while the session started at {}; times count from the reference",
                         reference, start));
}

// Where the last thing ends, s.
double EndOf(const Recording& r) {
  double end = 0;
  for (const Unit& unit : r.units) {
    for (const double time : unit.spike_times) {
      if (std::isfinite(time)) end = std::max(end, time);
    }
    unit.spike_times.Release();
  }
  for (const IntervalTable& t : r.intervals) {
    for (double stop : t.stop) end = std::max(end, std::isfinite(stop) ? stop : 0);
  }
  for (const Series& s : r.series) {
    if (!s.timestamps.empty()) end = std::max(end, s.timestamps.back());
  }
  return std::nextafter(end, std::numeric_limits<double>::infinity());
}

// What is shorter than times are exact is left out too.
Spans Without(const Spans& spans, const Spans& holes) {
  Spans out;
  for (const auto& [start, stop] : spans) {
    double at = start;
    for (const auto& [from, to] : holes) {
      if (to <= at || from >= stop) continue;
      if (from > at + kTimeTolerance) out.emplace_back(at, from);
      at = std::max(at, to);
    }
    if (at + kTimeTolerance < stop) out.emplace_back(at, stop);
  }
  return out;
}

// The file's invalid_times were not observed.
void LeaveOutInvalidTimes(Recording& out, Notes& notes) {
  const IntervalTable* table = out.FindIntervals("invalid_times");
  if (table == nullptr) return;
  Spans holes;
  for (size_t i = 0; i < table->rows(); ++i) {
    const bool open = table->stop[i] == std::numeric_limits<double>::infinity();
    holes.emplace_back(table->start[i], open ? EndOf(out) : table->stop[i]);
  }
  Tally bad;
  holes = TidySpans(holes, bad);
  bad.Mend(notes, "intervals/invalid_times", "rows", "left out of what was not observed");
  if (holes.empty()) return;
  for (Unit& unit : out.units) {
    if (unit.observed) unit.observed = Without(*unit.observed, holes);
  }
  out.observed = Without(out.observed.value_or(Spans{{0, EndOf(out)}}), holes);
  if (out.observed->empty()) {
    notes.Said("intervals/invalid_times", "covers the whole recording");
  }
}

void NoteLeftOut(const NwbNode& node, Notes& notes) {
  const std::string type = node.type.empty() ? "data" : ValidUtf8(node.type);
  if (node.kind == NwbKind::kRaw) {
    notes.Said(ValidUtf8(node.path), fmt::format("left out: {}, not a behavioural signal", type));
  } else if (node.kind == NwbKind::kTable) {
    notes.Said(ValidUtf8(node.path), fmt::format("left out: {}, a table without times", type));
  }
}

// The .nwb files among the files.
std::vector<std::string> Files(const FileSet& files) { return files.Matching("**.nwb"); }

Match Recognise(const FileSet& files) {
  const size_t found = Files(files).size();
  return found == 1 ? Match::kYes : found > 1 ? Match::kMaybe : Match::kNo;
}

absl::StatusOr<Recording> ReadNwb(const FileSet& files, const ImportOptions& options,
                                  Notes& notes) {
  auto names = Files(files);
  if (names.empty() && files.names().size() == 1) names = files.names();
  if (names.size() != 1) {
    return InvalidField("files", fmt::format("holds {} .nwb files; must be one: name the file "
                                             "rather than its folder",
                                             names.size()));
  }
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(names[0]));
  const std::lock_guard lock(Hdf5Mutex());
  SAED_ASSIGN_OR_RETURN(const Hdf5File file, Hdf5File::Open(names[0], path));
  auto recording = ReadNwbFrom(file, options, notes);
  file.NoteTexts(notes);
  return recording;
}

}  // namespace

const std::vector<OptionInfo>& NwbOptions() {
  static const std::vector<OptionInfo> options = {
      {"units_table",
       "Path of the Units table to read where the file has several, or 'all' for all of them one "
       "after the other.",
       "processing/ecephys/units"}};
  return options;
}

absl::StatusOr<Recording> ReadNwbFrom(const Hierarchy& file, const ImportOptions& options,
                                      Notes& notes) {
  Recording out;
  out.source = "nwb";
  SAED_RETURN_IF_ERROR(CheckVersion(file));
  const std::vector<NwbNode> nodes = SurveyNwb(file, notes);
  SAED_RETURN_IF_ERROR(ReadNwbUnits(file, nodes, options, out, notes));
  for (const NwbNode& node : nodes) {
    if (node.kind == NwbKind::kSeries) {
      AddNwbSeries(file, node, out, notes);
    } else {
      AddNwbIntervals(file, node, out, notes);
      NoteLeftOut(node, notes);
    }
  }
  LeaveOutInvalidTimes(out, notes);
  NoteStart(file, notes);
  return out;
}

const Reader& formats::nwb() {
  static const Reader reader = {"nwb",      "NWB 2.x",    "one .nwb file with a Units table",
                                {"**.nwb"}, NwbOptions(), Recognise,
                                ReadNwb};
  return reader;
}

}  // namespace saed::recordings

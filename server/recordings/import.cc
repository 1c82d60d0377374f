#include "server/recordings/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/clean.h"
#include "server/recordings/plausible.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/time_tables.h"
#include "server/recordings/readers/unit_table.h"
#include "server/recordings/silence.h"

namespace saed::recordings {
namespace {

// Options that the format does not have are refused with those it has.
absl::Status CheckOptions(const Reader& reader, const ImportOptions& options) {
  Faults faults;
  for (const auto& [name, value] : options.values) {
    std::string known;
    bool found = false;
    for (const OptionInfo& option : reader.options) {
      found = found || option.name == name;
      known += (known.empty() ? "" : ", ") + option.name;
    }
    if (found) continue;
    faults.Add("options." + ValidUtf8(name),
               fmt::format("is not an option of the format {}; it has {}", reader.name,
                           known.empty() ? "none" : known));
  }
  return faults.ToStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return absl::NotFoundError(fmt::format("cannot open {}", path));
  std::string bytes(static_cast<size_t>(in.tellg()), '\0');
  in.seekg(0);
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) return absl::UnavailableError(fmt::format("cannot read {}", path));
  return bytes;
}

absl::Status Finish(Recording& recording, Notes& notes) {
  if (recording.units.empty()) return InvalidField("units", "has no unit; must have at least one");
  if (static_cast<int64_t>(recording.units.size()) > kMaxUnits) {
    return InvalidField("units", fmt::format("has {} units; at most {} are allowed",
                                             recording.units.size(), kMaxUnits));
  }
  CleanUnitIds(recording, notes);
  SAED_RETURN_IF_ERROR(
      CleanSpikes(recording.duration > 0 ? recording.duration : INFINITY, recording, notes));
  CleanSeries(recording, notes);
  const double activity = ActivityEnd(recording);
  const double span = SpanOf(recording, activity);
  ResolveOpenEnds(span, recording, notes);
  CleanTables(recording, notes);
  // A spike, stop or sample exactly at the end still belongs to the recording.
  recording.duration = recording.counts.present()
                           ? recording.counts.bin_width * static_cast<double>(recording.counts.bins)
                           : std::nextafter(span, INFINITY);
  CleanObserved(recording, notes);
  SayWhatIsUnlikely(recording, activity, notes);
  SaySilences(recording, notes);
  return absl::OkStatus();
}

absl::StatusOr<Imported> Import(const ImportSpec& spec, const std::vector<ImportFile>& files) {
  std::vector<SourceFile> sources;
  for (const ImportFile& f : files) {
    if (f.role == Role::kMain) sources.push_back({f.name, f.path});
  }
  const FileSet main(std::move(sources));
  SAED_ASSIGN_OR_RETURN(const Reader* reader,
                        spec.format.empty() ? RecogniseReader(main) : FindReader(spec.format));
  SAED_RETURN_IF_ERROR(CheckOptions(*reader, spec.options));
  Notes notes(spec.strict);
  Tally passed_over;
  for (const std::string& name : spec.left_out) passed_over.Add([&] { return ValidUtf8(name); });
  passed_over.Mend(notes, "files", "entries of the folder", "left out");
  for (const std::string& line : spec.not_sent) notes.Mended("files", line);
  Imported imported;
  SAED_ASSIGN_OR_RETURN(imported.recording, reader->read(main, spec.options, notes));
  for (const ImportFile& f : files) {
    if (f.role == Role::kMain) continue;
    SAED_ASSIGN_OR_RETURN(const std::string bytes,
                          FileSet({{f.name, f.path}}).Read(f.name, kMaxTextBytes));
    if (f.role == Role::kIntervals) {
      SAED_ASSIGN_OR_RETURN(IntervalTable table, ParseIntervalsCsv(f.name, bytes, notes));
      imported.recording.intervals.push_back(std::move(table));
    } else if (f.role == Role::kSeries) {
      SAED_ASSIGN_OR_RETURN(Series series, ParseSeriesCsv(f.name, bytes, notes));
      imported.recording.series.push_back(std::move(series));
    } else {
      SAED_RETURN_IF_ERROR(AddUnitColumns(f.name, bytes, imported.recording, notes));
    }
  }
  SAED_RETURN_IF_ERROR(Finish(imported.recording, notes));
  SAED_RETURN_IF_ERROR(notes.Strict());
  imported.warnings = notes.Lines();
  return imported;
}

}  // namespace saed::recordings

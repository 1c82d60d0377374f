#include "server/recordings/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/beside.h"
#include "server/recordings/bound_texts.h"
#include "server/recordings/clean.h"
#include "server/recordings/plausible.h"
#include "server/recordings/readers/left_out.h"
#include "server/recordings/readers/matrix.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/time_tables.h"
#include "server/recordings/readers/unit_table.h"
#include "server/recordings/silence.h"

namespace saed::recordings {
namespace {

// Rates and widths that no recording has would make times of nothing, or of millions of years.
absl::Status CheckRates(const Reader& reader, const ImportOptions& options) {
  if (options.sampling_rate != 0) {
    SAED_RETURN_IF_ERROR(reader.frames ? CheckFrameRate("sampling_rate", options.sampling_rate)
                                       : CheckRate("sampling_rate", options.sampling_rate));
  }
  return options.bin_width == 0 ? absl::OkStatus() : CheckBinWidth(options.bin_width);
}

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

absl::Status Finish(Recording& recording, Notes& notes, bool own_duration) {
  if (recording.units.empty()) return InvalidField("units", "has no unit; must have at least one");
  if (static_cast<int64_t>(recording.units.size()) > kMaxUnits) {
    return InvalidField("units", fmt::format("has {} units; at most {} are allowed",
                                             recording.units.size(), kMaxUnits));
  }
  BoundTexts(recording, notes);
  OneNan(recording);
  CleanUnitIds(recording, notes);
  const double known = recording.duration;
  const bool own = own_duration && known > 0;
  // A spike at a recording's own duration is past its end.
  const double last = own ? std::nextafter(known, 0) : known > 0 ? known : INFINITY;
  SAED_RETURN_IF_ERROR(CleanSpikes(last, recording, notes));
  CleanSeries(recording, notes);
  const double activity = ActivityEnd(recording);
  const double span = own ? known : own_duration ? activity : SpanOf(recording, activity);
  ResolveOpenEnds(span, recording, notes);
  CleanTables(recording, notes);
  // A spike, stop or sample exactly at the end still belongs to the recording.
  recording.duration = recording.counts.present()
                           ? recording.counts.bin_width * static_cast<double>(recording.counts.bins)
                       : own ? known
                             : std::nextafter(span, INFINITY);
  CleanObserved(recording, notes);
  SayWhatIsUnlikely(recording, activity, notes);
  SaySilences(recording, notes);
  return absl::OkStatus();
}

namespace {

// The files of an import by what they are for.
struct Sorted {
  std::vector<SourceFile> main;
  std::vector<ImportFile> given;   // tables that the user named
  std::vector<ImportFile> beside;  // main files that are tables by their names
};

Sorted SortOut(const std::vector<ImportFile>& files) {
  Sorted out;
  std::vector<ImportFile> main;
  for (const ImportFile& f : files) (f.role == Role::kMain ? main : out.given).push_back(f);
  out.beside = TakeBeside(main);
  for (const ImportFile& f : main) out.main.push_back({f.name, f.path});
  return out;
}

// `silent`: units that only the table of units names are taken to be silent.
absl::Status AddTable(const ImportFile& file, bool silent, Recording& recording, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string bytes,
                        FileSet({{file.name, file.path}}).Read(file.name, kMaxTextBytes));
  if (file.role == Role::kIntervals) {
    SAED_ASSIGN_OR_RETURN(IntervalTable table, ParseIntervalsCsv(file.name, bytes, notes));
    recording.intervals.push_back(std::move(table));
  } else if (file.role == Role::kSeries) {
    SAED_ASSIGN_OR_RETURN(Series series, ParseSeriesCsv(file.name, bytes, notes));
    recording.series.push_back(std::move(series));
  } else {
    SAED_RETURN_IF_ERROR(AddUnitColumns(file.name, bytes, silent, recording, notes));
  }
  return absl::OkStatus();
}

bool SameBytes(const ImportFile& a, const ImportFile& b) {
  const auto left = FileSet({{a.name, a.path}}).Read(a.name, kMaxTextBytes);
  const auto right = FileSet({{b.name, b.path}}).Read(b.name, kMaxTextBytes);
  return left.ok() && right.ok() && *left == *right;
}

// Tables that the user named count before those that lie beside the data, and one of those that
// makes no sense is left out.
absl::Status AddTables(const Sorted& files, bool silent, Recording& recording, Notes& notes) {
  for (const ImportFile& file : files.given) {
    SAED_RETURN_IF_ERROR(AddTable(file, silent, recording, notes));
  }
  for (const ImportFile& file : files.beside) {
    const ImportFile table = AsTable(file);
    const auto given = std::find_if(files.given.begin(), files.given.end(), [&](const auto& other) {
      return other.role == table.role && (table.role == Role::kUnits || other.name == table.name);
    });
    const bool again = given != files.given.end();
    if (again && SameBytes(*given, table)) continue;  // it is the one given
    const auto named = [&](const Series& series) { return series.name == table.name; };
    const bool own = table.role == Role::kIntervals
                         ? recording.FindIntervals(table.name) != nullptr
                         : table.role == Role::kSeries &&
                               std::any_of(recording.series.begin(), recording.series.end(), named);
    if (own && !again) {
      notes.Mended(file.name,
                   "lies beside the data and is not read, as the data have one so called");
    } else if (again) {
      notes.Said(file.name, "lies beside the data and is not read, as another was given instead");
    } else {
      LeaveOut(file.name, AddTable(table, silent, recording, notes), notes);
    }
  }
  return absl::OkStatus();
}

// Whether the recording has a table or series that is called as the file.
bool IsTableOf(const Recording& recording, const std::string& file) {
  const std::string stem = file.substr(0, file.rfind('.'));
  return recording.FindIntervals(stem) != nullptr ||
         std::any_of(recording.series.begin(), recording.series.end(),
                     [&](const Series& series) { return series.name == stem; });
}

// Whether a file of the data was given once more as a table.
bool IsGiven(const Sorted& files, const std::string& name) {
  const auto main = std::find_if(files.main.begin(), files.main.end(),
                                 [&](const auto& file) { return file.name == name; });
  if (main == files.main.end()) return false;
  std::error_code error;
  const auto size = std::filesystem::file_size(main->path, error);
  if (error) return false;
  return std::any_of(files.given.begin(), files.given.end(), [&](const ImportFile& given) {
    // Of those as large the bytes are compared.
    return std::filesystem::file_size(given.path, error) == size && !error &&
           SameBytes(given, {Role::kMain, main->name, main->path});
  });
}

}  // namespace

absl::StatusOr<Imported> Import(const ImportSpec& spec, const std::vector<ImportFile>& files) {
  Sorted sorted = SortOut(files);
  const Reader* reader = nullptr;
  if (spec.format.empty()) {
    SAED_ASSIGN_OR_RETURN(reader, RecogniseReader(FileSet(sorted.main)));
  } else {
    SAED_ASSIGN_OR_RETURN(reader, FindReader(spec.format));
  }
  SAED_RETURN_IF_ERROR(CheckOptions(*reader, spec.options));
  SAED_RETURN_IF_ERROR(CheckRates(*reader, spec.options));
  if (reader->own_tables) {
    for (const ImportFile& f : sorted.beside) sorted.main.push_back({f.name, f.path});
    sorted.beside.clear();
  }
  const FileSet main(sorted.main);
  Notes notes(spec.strict);
  Tally passed_over;
  for (const std::string& name : spec.left_out) passed_over.Add([&] { return ValidUtf8(name); });
  passed_over.Mend(notes, "files", "entries of the folder", "left out");
  for (const std::string& line : spec.not_sent) notes.Mended("files", line);
  Imported imported;
  SAED_ASSIGN_OR_RETURN(imported.recording, reader->read(main, spec.options, notes));
  SAED_RETURN_IF_ERROR(AddTables(sorted, reader->units_by_spikes, imported.recording, notes));
  const auto known = [&](const std::string& name) {
    return IsTableOf(imported.recording, name) || IsGiven(sorted, name);
  };
  SayUnread(main, known, notes);
  SAED_RETURN_IF_ERROR(Finish(imported.recording, notes, reader->own_duration));
  SAED_RETURN_IF_ERROR(notes.Strict());
  imported.warnings = notes.Lines();
  return imported;
}

}  // namespace saed::recordings

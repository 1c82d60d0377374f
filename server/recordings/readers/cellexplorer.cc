// Sessions of CellExplorer and buzcode: MATLAB files that share a base name.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/hdf5.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/left_out.h"
#include "server/recordings/readers/matlab_file.h"
#include "server/recordings/readers/matlab_trains.h"
#include "server/recordings/readers/matlab_units.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

using Kind = MatValue::Kind;
constexpr std::string_view kSpikes = ".spikes.cellinfo.mat";

std::string BaseOf(const std::string& name) {
  return name.substr(0, name.size() - std::min(name.size(), kSpikes.size()));
}

// "rat/rat", the base name of the session with its folder.
absl::StatusOr<std::string> ChooseSession(const FileSet& files, const ImportOptions& options) {
  const std::string wanted = options.Get("session");
  std::vector<std::string> found;
  std::string choices;
  for (const std::string& name : files.Matching("**.spikes.cellinfo.mat")) {
    const std::string base = BaseOf(name);
    choices += fmt::format("{}'{}'", choices.empty() ? "" : ", ", ValidUtf8(base));
    if (wanted.empty() || base == wanted || base.ends_with("/" + wanted)) found.push_back(base);
  }
  if (choices.empty()) {
    return InvalidField("files",
                        "hold no BASENAME.spikes.cellinfo.mat; must be a session folder of "
                        "CellExplorer or buzcode");
  }
  if (found.size() == 1) return found[0];
  return InvalidField("options.session",
                      fmt::format("is '{}' and the files hold the sessions {}; must name one",
                                  ValidUtf8(wanted), choices));
}

absl::StatusOr<std::unique_ptr<MatFile>> Open(const FileSet& files, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(name));
  return OpenMatFile(ValidUtf8(name), path);
}

absl::Status ReadSpikes(MatFile& file, const std::string& name, Recording& out, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const MatValue described, file.Describe("spikes.times"));
  if (!IsTrains(described)) {
    return InvalidField(name, fmt::format("has spikes.times of {}; must be a cell array with a "
                                          "vector of seconds for each unit",
                                          described.Text()));
  }
  SAED_ASSIGN_OR_RETURN(MatValue times, file.Read("spikes.times"));
  SayRounded("spikes.times", times, notes);
  SAED_ASSIGN_OR_RETURN(Trains trains, TrainsFromCell("spikes.times", std::move(times)));
  if (static_cast<int64_t>(trains.trains.size()) > kMaxUnits) {
    return InvalidField(
        name, fmt::format("has {} units; at most {} are allowed", trains.trains.size(), kMaxUnits));
  }
  for (Numbers& train : trains.trains) {
    Unit& unit = out.units.emplace_back();
    unit.id = static_cast<int64_t>(out.units.size());
    unit.spike_times = std::move(train);
  }
  out.unit_columns.name = "units";
  if (file.Describe("spikes.UID").ok()) {
    const auto ids = file.Read("spikes.UID");
    if (!ids.ok()) LeaveOut("spikes.UID", ids.status(), notes);
    if (ids.ok()) SetMatUnitIds("spikes.UID", &*ids, out, notes);
  } else {
    notes.Said("spikes.UID", "is missing; the units are numbered from 1");
  }
  return absl::OkStatus();
}

// A column for each field that is there and has one value for each unit.
void AddFields(MatFile& file, const std::string& variable, const std::vector<const char*>& fields,
               Recording& out, Notes& notes) {
  for (const char* field : fields) {
    const std::string path = fmt::format("{}.{}", variable, field);
    if (!file.Describe(path).ok() || out.unit_columns.Find(field) != nullptr) continue;
    Texts texts = MatUnitTexts(file, path, out, notes);
    if (!texts.empty()) AddUnitColumn(out, field, NumbersIfAll(std::move(texts)));
  }
}

// Columns of the cell metrics, whose cells must be the units in their order.
absl::Status AddMetrics(MatFile& file, Recording& out, Notes& notes) {
  if (file.Describe("cell_metrics.UID").ok()) {
    SAED_ASSIGN_OR_RETURN(const MatValue ids, file.Read("cell_metrics.UID"));
    const auto numbers = ids.kind == Kind::kNumbers ? WholeNumbers(ids) : std::vector<int64_t>();
    bool same = numbers.size() == out.units.size();
    for (size_t n = 0; same && n < numbers.size(); ++n) same = numbers[n] == out.units[n].id;
    // Where the units were numbered anew they keep their order.
    if (!same && out.unit_columns.Find("original_id") == nullptr) {
      return InvalidField("cell_metrics.UID", fmt::format("is {} and not the {} UIDs of the spikes",
                                                          ids.Text(), out.units.size()));
    }
  }
  AddFields(file, "cell_metrics",
            {"brainRegion", "putativeCellType", "labels", "synapticEffect", "deepSuperficial",
             "firingRate", "shankID", "electrodeGroup", "cluID", "maxWaveformCh1"},
            out, notes);
  return absl::OkStatus();
}

// The struct with `field` that a file of one variable holds.
absl::StatusOr<std::string> StructWith(MatFile& file, const std::string& field) {
  for (const std::string& variable : file.variables()) {
    if (file.Describe(variable + "." + field).ok()) return variable;
  }
  return InvalidField("variables", fmt::format("are no struct with the field {}", field));
}

// Starts and stops of [P, 2], or points of [P, 1].
absl::StatusOr<Table> Rows(const std::string& path, const MatValue& value) {
  const size_t rows = value.shape.empty() ? 0 : static_cast<size_t>(value.shape[0]);
  const size_t size = value.numbers.size();
  if (value.kind != Kind::kNumbers || value.shape.size() != 2 ||
      (size != 2 * rows && !value.vector())) {
    return InvalidField(path, fmt::format("is {}; must be [n, 2], starts and stops in seconds, or "
                                          "[n, 1]",
                                          value.Text()));
  }
  const bool pairs = rows > 0 && size == 2 * rows;
  const auto half = value.numbers.begin() + static_cast<int64_t>(pairs ? rows : size);
  Numbers start(value.numbers.begin(), half);
  Numbers stop = pairs ? Numbers(half, value.numbers.end()) : start;
  Table out;
  out.columns = {{"start_time", std::move(start)}, {"stop_time", std::move(stop)}};
  return out;
}

absl::Status AddEvents(MatFile& file, const std::string& name, Recording& out, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string variable, StructWith(file, "timestamps"));
  const std::string path = variable + ".timestamps";
  SAED_ASSIGN_OR_RETURN(const MatValue times, file.Read(path));
  SAED_ASSIGN_OR_RETURN(Table table, Rows(path, times));
  const size_t rows = table.columns[0].rows();
  for (const char* field : {"peaks", "amplitude", "eventID", "center", "duration"}) {
    const std::string from = variable + "." + field;
    if (!file.Describe(from).ok()) continue;
    const auto value = file.Read(from);
    if (value.ok() && value->kind == Kind::kNumbers && value->numbers.size() == rows) {
      table.columns.push_back({field, value->numbers});
    } else if (!value.ok() || value->size() > 0) {
      notes.Mended(name, fmt::format("{} left out: is not one number for each of the {} events",
                                     from, rows));
    }
  }
  SAED_ASSIGN_OR_RETURN(IntervalTable events, MakeIntervals(variable, std::move(table), notes));
  out.intervals.push_back(std::move(events));
  return absl::OkStatus();
}

// Intervals of each state as rows of one table, by their start.
absl::Status AddStates(MatFile& file, Recording& out, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string variable, StructWith(file, "ints"));
  SAED_ASSIGN_OR_RETURN(const MatValue states, file.Describe(variable + ".ints"));
  struct Row {
    double start, stop;
    std::string state;
  };
  std::vector<Row> rows;
  for (const std::string& state : states.fields) {
    const std::string path = fmt::format("{}.ints.{}", variable, state);
    const auto value = file.Read(path);
    auto table = value.ok() ? Rows(path, *value) : value.status();
    if (!table.ok()) {
      LeaveOut(path, table.status(), notes);
      continue;
    }
    const auto& start = std::get<Numbers>(table->columns[0].values);
    const auto& stop = std::get<Numbers>(table->columns[1].values);
    for (size_t i = 0; i < start.size(); ++i) rows.push_back({start[i], stop[i], state});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return !std::isnan(a.start) && (std::isnan(b.start) || a.start < b.start);
  });
  Numbers start, stop;
  Texts names;
  for (const Row& row : rows) {
    start.push_back(row.start);
    stop.push_back(row.stop);
    names.push_back(row.state);
  }
  Table table;
  table.columns = {{"start_time", start}, {"stop_time", stop}, {"state", names}};
  SAED_ASSIGN_OR_RETURN(IntervalTable made, MakeIntervals(variable, std::move(table), notes));
  out.intervals.push_back(std::move(made));
  return absl::OkStatus();
}

// One number of each struct; NaN where an entry is empty.
Numbers OfEach(const MatValue& value) {
  if (value.kind == Kind::kNumbers) return value.numbers;
  Numbers out;
  for (const MatValue& cell : value.cells) {
    out.push_back(cell.numbers.size() == 1 ? cell.numbers[0] : NAN);
  }
  return out;
}

// Epochs, and the end of the recording.
absl::Status AddSession(MatFile& file, Recording& out, Notes& notes) {
  if (file.Describe("session.general.duration").ok()) {
    SAED_ASSIGN_OR_RETURN(const MatValue duration, file.Read("session.general.duration"));
    double last = 0;
    for (const Unit& unit : out.units) {
      for (double t : unit.spike_times) last = std::isfinite(t) ? std::max(last, t) : last;
    }
    const double said = duration.numbers.size() == 1 ? duration.numbers[0] : NAN;
    if (std::isfinite(said) && said >= last) {
      out.duration = said;
    } else {
      notes.Mended("session.general.duration",
                   fmt::format("left out: is {} s, but the last spike is at {} s", said, last));
    }
  }
  if (!file.Describe("session.epochs").ok()) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(const MatValue start, file.Read("session.epochs.startTime"));
  SAED_ASSIGN_OR_RETURN(const MatValue stop, file.Read("session.epochs.stopTime"));
  Table table;
  table.columns = {{"start_time", OfEach(start)}, {"stop_time", OfEach(stop)}};
  const size_t rows = table.columns[0].rows();
  for (const char* field : {"name", "behavioralParadigm"}) {
    const std::string path = fmt::format("session.epochs.{}", field);
    const auto value = file.Read(path);
    const auto texts = value.ok() ? MatTexts(path, *value, notes) : value.status();
    if (texts.ok() && texts->size() == rows) table.columns.push_back({field, *texts});
  }
  SAED_ASSIGN_OR_RETURN(IntervalTable epochs, MakeIntervals("epochs", std::move(table), notes));
  out.intervals.push_back(std::move(epochs));
  return absl::OkStatus();
}

// A file beside the spikes, which is left out where it cannot be read.
template <class Add>
void AddFile(const FileSet& files, const std::string& name, const Add& add, Notes& notes) {
  if (!files.Has(name)) return;
  const auto file = Open(files, name);
  const absl::Status added = file.ok() ? add(**file) : file.status();
  if (!added.ok()) LeaveOut(name, added, notes);
}

Match Recognise(const FileSet& files) {
  if (files.Matching("**.spikes.cellinfo.mat").empty()) return Match::kNo;
  // One without its session is a MATLAB file like others.
  return files.names().size() > 1 ? Match::kYes : Match::kMaybe;
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string base, ChooseSession(files, options));
  const std::lock_guard lock(Hdf5Mutex());
  Recording out;
  out.source = "cellexplorer";
  const std::string spikes = base + std::string(kSpikes);
  SAED_ASSIGN_OR_RETURN(const auto file, Open(files, spikes));
  SAED_RETURN_IF_ERROR(ReadSpikes(*file, spikes, out, notes));
  AddFields(*file, "spikes", {"region", "shankID", "cluID", "maxWaveformCh1"}, out, notes);
  AddFile(
      files, base + ".cell_metrics.cellinfo.mat",
      [&](MatFile& metrics) { return AddMetrics(metrics, out, notes); }, notes);
  SetRegions(out, {"region", "brainRegion"});
  SetLabels(out, {"labels"});
  AddFile(
      files, base + ".session.mat",
      [&](MatFile& session) { return AddSession(session, out, notes); }, notes);
  for (const char* kind : {"events", "manipulation"}) {
    for (const std::string& name : files.Matching(fmt::format("**.{}.mat", kind))) {
      if (!name.starts_with(base + ".")) continue;
      AddFile(
          files, name, [&](MatFile& events) { return AddEvents(events, name, out, notes); }, notes);
    }
  }
  for (const std::string& name : files.Matching("**.states.mat")) {
    if (!name.starts_with(base + ".")) continue;
    AddFile(
        files, name, [&](MatFile& states) { return AddStates(states, out, notes); }, notes);
  }
  return out;
}

}  // namespace

const Reader& formats::cellexplorer() {
  static const Reader reader = {
      "cellexplorer",
      "CellExplorer and buzcode sessions",
      "a folder with BASENAME.spikes.cellinfo.mat and the session's other files",
      {"**.spikes.cellinfo.mat", "**.cell_metrics.cellinfo.mat", "**.session.mat", "**.events.mat",
       "**.manipulation.mat", "**.states.mat"},
      {{"session", "base name of the session where the files hold several; without it the only one",
        "rat01_20240101"}},
      Recognise,
      Read};
  return reader;
}

}  // namespace saed::recordings

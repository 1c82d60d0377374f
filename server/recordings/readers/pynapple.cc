// pynapple's .npz files: a TsGroup, alone or in a folder with others. What is pickled in them is
// never read.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/npz.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/spike_pairs.h"
#include "server/recordings/readers/tidy_spans.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxSeriesChannels = 1024;
constexpr int64_t kMaxSamples = int64_t{1} << 28;  // of a series, all channels together

enum class Kind { kTsGroup, kTsdFrame, kTs, kIntervalSet, kOther };

template <class Names>
Kind KindOf(const Names& names) {
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (!has("start") || !has("end")) return Kind::kOther;
  if (!has("t")) return Kind::kIntervalSet;
  if (has("index")) return Kind::kTsGroup;
  return has("d") ? Kind::kTsdFrame : Kind::kTs;
}

const char* Word(Kind kind) {
  switch (kind) {
    case Kind::kTsGroup:
      return "a TsGroup";
    case Kind::kTsdFrame:
      return "a Tsd";
    case Kind::kTs:
      return "a Ts";
    case Kind::kIntervalSet:
      return "an IntervalSet";
    default:
      return "nothing that pynapple saves";
  }
}

// What the object is called in the recording: its file, without folder and ending.
std::string NameOf(const std::string& file) {
  const std::string base = file.substr(file.rfind('/') + 1);
  return ValidUtf8(base.substr(0, base.rfind('.')));
}

// A vector of at most `most` numbers.
absl::StatusOr<Numbers> ReadNumbers(const Npz& npz, std::string_view array, int64_t most) {
  SAED_ASSIGN_OR_RETURN(const ArrayFile file, npz.Read(array));
  SAED_RETURN_IF_ERROR(CheckVector(file, most));
  return AllDoubles(file);
}

// Columns that lie as plain arrays of `rows` items beside those of the format's own.
std::vector<Column> PlainColumns(const Npz& npz, size_t rows, const std::set<std::string>& own,
                                 Notes& notes) {
  std::vector<Column> out;
  for (const std::string& name : npz.names()) {
    if (own.count(name) > 0) continue;
    const std::string part = fmt::format("{}[{}]", npz.name(), ValidUtf8(name));
    if (npz.IsPickle(name)) {
      notes.Mended(part,
                   "is a pickle, which is never read, as that would run code in it; it was "
                   "left out (saed takes columns of units from a table: --units)");
      continue;
    }
    const auto shape = npz.ShapeOf(name);
    if (shape.ok() && shape->size() == 1 && shape->front() == static_cast<int64_t>(rows)) {
      auto numbers = ReadNumbers(npz, name, static_cast<int64_t>(rows));
      if (numbers.ok()) {
        out.push_back({ValidUtf8(name), *std::move(numbers)});
        continue;
      }
    } else if (auto texts = npz.ReadTexts(name);
               !shape.ok() && texts.ok() && texts->size() == rows) {
      out.push_back({ValidUtf8(name), *std::move(texts)});
      continue;
    }
    notes.Mended(part, fmt::format("is no array of {} numbers or texts, one for each row; it was "
                                   "left out",
                                   rows));
  }
  return out;
}

// The time support: when there was something to observe. It cuts what lies before 0.
absl::StatusOr<Spans> TimeSupport(const Npz& npz, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const Numbers start, ReadNumbers(npz, "start", kMaxIntervalRows));
  SAED_ASSIGN_OR_RETURN(const Numbers end, ReadNumbers(npz, "end", kMaxIntervalRows));
  if (start.size() != end.size()) {
    return InvalidField(npz.name() + "[end]", fmt::format("has {} items but start has {}; must be "
                                                          "as many",
                                                          end.size(), start.size()));
  }
  Spans spans;
  for (size_t i = 0; i < start.size(); ++i) spans.emplace_back(start[i], end[i]);
  Tally bad;
  spans = TidySpans(spans, bad);
  bad.Mend(notes, npz.name() + "[start, end]", "rows of the time support", "left out");
  return spans;
}

// Sets label, region and depth, and adds what else there is.
void AddColumns(std::vector<Column> columns, Recording& out) {
  for (Column& column : columns) {
    const auto* texts = std::get_if<Texts>(&column.values);
    const auto* numbers = std::get_if<Numbers>(&column.values);
    for (size_t n = 0; n < out.units.size(); ++n) {
      if (column.name == "label" && texts) out.units[n].label = (*texts)[n];
      if (column.name == "region" && texts) out.units[n].region = (*texts)[n];
      if (column.name == "depth" && numbers) out.units[n].depth = (*numbers)[n];
    }
    const bool set = (texts && (column.name == "label" || column.name == "region")) ||
                     (numbers && column.name == "depth");
    if (set) continue;
    out.unit_columns.name = "units";
    if (texts) AddUnitColumn(out, column.name, *texts);
    if (numbers) AddUnitColumn(out, column.name, *numbers);
  }
}

// Columns whose rows are in the order of `keys`, in ascending order of the keys.
void SortRows(const std::vector<int64_t>& keys, std::vector<Column>& columns) {
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return keys[a] < keys[b]; });
  for (Column& column : columns) {
    std::visit(
        [&](auto& values) {
          auto sorted = values;
          for (size_t i = 0; i < order.size(); ++i) sorted[i] = values[order[i]];
          values = std::move(sorted);
        },
        column.values);
  }
}

absl::StatusOr<std::vector<int64_t>> Keys(const Npz& npz) {
  if (!npz.Has("keys")) return std::vector<int64_t>{};
  SAED_ASSIGN_OR_RETURN(const ArrayFile array, npz.Read("keys"));
  SAED_RETURN_IF_ERROR(CheckVector(array, kMaxUnits));
  SAED_ASSIGN_OR_RETURN(std::vector<int64_t> keys, AllIntegers(array));
  if (std::set<int64_t>(keys.begin(), keys.end()).size() != keys.size()) {
    return InvalidField(array.name(), "has a key twice; must have one for each unit");
  }
  return keys;
}

absl::StatusOr<Recording> ReadGroup(const FileSet& files, const std::string& file, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const Npz npz, Npz::Open(files, file));
  SAED_ASSIGN_OR_RETURN(const ArrayFile times, npz.Read("t"));
  SAED_ASSIGN_OR_RETURN(const ArrayFile index, npz.Read("index"));
  SAED_RETURN_IF_ERROR(CheckPair(times, index));
  SAED_ASSIGN_OR_RETURN(std::vector<int64_t> keys, Keys(npz));
  SpikePairs pairs;
  TakeTimes(times, pairs);
  TakeUnits(index, pairs);
  Recording out;
  out.source = "pynapple";
  SAED_ASSIGN_OR_RETURN(const Grouped saw, GroupSpikes(pairs, 1, keys, out));
  if (saw.strange > 0) {
    notes.Mended(index.name(),
                 fmt::format("{} spikes of units that are not in keys were dropped", saw.strange));
  }
  if (npz.Has("d")) {
    notes.Mended(file + "[d]", "holds a value for each spike; the values were left out");
  }
  if (keys.empty()) {
    for (const Unit& unit : out.units) keys.push_back(unit.id);
  }
  SAED_ASSIGN_OR_RETURN(out.observed, TimeSupport(npz, notes));
  std::vector<Column> columns =
      PlainColumns(npz, keys.size(), {"t", "index", "keys", "start", "end", "d", "type"}, notes);
  SortRows(keys, columns);
  AddColumns(std::move(columns), out);
  return out;
}

absl::StatusOr<IntervalTable> ReadIntervals(const Npz& npz, Kind kind, Notes& notes) {
  const bool events = kind == Kind::kTs;
  SAED_ASSIGN_OR_RETURN(Numbers start, ReadNumbers(npz, events ? "t" : "start", kMaxIntervalRows));
  SAED_ASSIGN_OR_RETURN(Numbers stop, ReadNumbers(npz, events ? "t" : "end", kMaxIntervalRows));
  if (start.size() != stop.size()) {
    return InvalidField(npz.name() + "[end]", "has not as many items as start");
  }
  Table table;
  const size_t rows = start.size();
  table.columns.push_back({"start_time", std::move(start)});
  table.columns.push_back({"stop_time", std::move(stop)});
  for (Column& c : PlainColumns(npz, rows, {"t", "start", "end", "type"}, notes)) {
    if (table.Find(c.name) == nullptr) table.columns.push_back(std::move(c));
  }
  return MakeIntervals(NameOf(npz.name()), std::move(table), notes);
}

absl::StatusOr<Series> ReadSeries(const Npz& npz) {
  Series out;
  out.name = NameOf(npz.name());
  SAED_ASSIGN_OR_RETURN(out.timestamps, ReadNumbers(npz, "t", kMaxSamples));
  SAED_ASSIGN_OR_RETURN(const ArrayFile data, npz.Read("d"));
  const auto& shape = data.shape();
  if (shape.empty() || shape.size() > 2 ||
      shape[0] != static_cast<int64_t>(out.timestamps.size()) || data.size() > kMaxSamples) {
    return InvalidField(
        data.name(), fmt::format("has the shape {}; must be [{}] or [{}, channels]",
                                 ShapeText(shape), out.timestamps.size(), out.timestamps.size()));
  }
  const int64_t channels = shape.size() == 1 ? 1 : shape[1];
  if (channels < 1 || channels > kMaxSeriesChannels) {
    return InvalidField(data.name(), fmt::format("has {} channels; must have 1 to {}", channels,
                                                 kMaxSeriesChannels));
  }
  out.values = AllDoubles(data);
  const auto names = npz.ReadTexts("columns");
  for (int64_t c = 0; c < channels; ++c) {
    const bool named = names.ok() && static_cast<int64_t>(names->size()) == channels;
    out.channels.push_back(named          ? (*names)[static_cast<size_t>(c)]
                           : channels > 1 ? std::to_string(c)
                                          : "value");
  }
  return out;
}

// An object beside the TsGroup; what cannot be read is left out.
void AddObject(const FileSet& files, const std::string& file, Recording& out, Notes& notes) {
  const auto npz = Npz::Open(files, file);
  const auto leave = [&](const absl::Status& why) {
    const auto faults = FaultsOf(why);
    notes.Mended(file, fmt::format("was left out: {}",
                                   faults.empty() ? std::string(why.message())
                                                  : faults[0].field + " " + faults[0].description));
  };
  if (!npz.ok()) return leave(npz.status());
  const Kind kind = KindOf(npz->names());
  if (kind == Kind::kIntervalSet || kind == Kind::kTs) {
    auto table = ReadIntervals(*npz, kind, notes);
    if (!table.ok()) return leave(table.status());
    out.intervals.push_back(*std::move(table));
  } else if (kind == Kind::kTsdFrame) {
    auto series = ReadSeries(*npz);
    if (!series.ok()) return leave(series.status());
    out.series.push_back(*std::move(series));
  } else {
    notes.Mended(file, fmt::format("was left out: it holds {}{}", Word(kind),
                                   kind == Kind::kTsGroup ? " beside the one that was read" : ""));
  }
}

absl::StatusOr<std::string> FindGroup(const FileSet& files, const ImportOptions& options) {
  const std::string given = options.Get("spikes");
  std::vector<std::string> groups;
  std::string others;
  for (const std::string& name : files.Matching("**.npz")) {
    const auto npz = Npz::Open(files, name);
    const Kind kind = npz.ok() ? KindOf(npz->names()) : Kind::kOther;
    if (!npz.ok() && files.names().size() == 1) return npz.status();
    if (kind == Kind::kTsGroup) groups.push_back(name);
    others += fmt::format("{}{} holds {}", others.empty() ? "" : ", ", name, Word(kind));
  }
  if (!given.empty() && std::find(groups.begin(), groups.end(), given) != groups.end()) {
    return given;
  }
  if (given.empty() && groups.size() == 1) return groups[0];
  if (!groups.empty()) {
    return InvalidField("options.spikes", fmt::format("must say which TsGroup holds the spikes: {}",
                                                      fmt::join(groups, ", ")));
  }
  return InvalidField("files", fmt::format("hold no TsGroup, whose spikes make the recording{}{}; "
                                           "save it beside them, e.g. units.save('units.npz')",
                                           others.empty() ? "" : ": ", others));
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string group, FindGroup(files, options));
  SAED_ASSIGN_OR_RETURN(Recording out, ReadGroup(files, group, notes));
  for (const std::string& name : files.Matching("**.npz")) {
    if (name != group) AddObject(files, name, out, notes);
  }
  return out;
}

Match Recognise(const FileSet& files) {
  for (const std::string& name : files.Matching("**.npz")) {
    const Kind kind = KindOf(NpzNames(files.Sketch(name)));
    if (kind == Kind::kTsGroup) return Match::kYes;
    if (kind != Kind::kOther && files.names().size() == 1) return Match::kYes;
  }
  return Match::kNo;
}

}  // namespace

const Reader& formats::pynapple() {
  static const Reader reader = {
      "pynapple",
      "pynapple's .npz files",
      "one .npz with a TsGroup, or a folder of such files, one of them with a TsGroup",
      {"**.npz"},
      {{"spikes", "The file whose TsGroup holds the spikes; without it the only one", "units.npz"}},
      Recognise,
      Read};
  return reader;
}

}  // namespace saed::recordings

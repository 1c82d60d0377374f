#include "server/recordings/readers/unit_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using NameList = std::vector<std::string_view>;

// The first that is there is taken.
const NameList kIds = {"id",     "unit_id",   "cluster_id", "unit", "cluster",
                       "neuron", "neuron_id", "cell_id",    "cell"};
const NameList kLabels = {"label", "group", "quality", "KSLabel", "ks_label"};
const NameList kRegions = {"region", "brain_area", "brain_region", "location", "acronym", "area"};
const NameList kDepths = {"depth", "y"};

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// The place of the first of these names that is a column; -1.
int64_t FindNamed(const Table& table, const NameList& names) {
  for (const std::string_view name : names) {
    for (size_t c = 0; c < table.columns.size(); ++c) {
      if (Lower(table.columns[c].name) == Lower(name)) return static_cast<int64_t>(c);
    }
  }
  return -1;
}

std::string CellText(const Column& column, size_t row) {
  if (const auto* texts = std::get_if<Texts>(&column.values)) return (*texts)[row];
  if (const auto* lists = std::get_if<TextLists>(&column.values)) {
    return fmt::format("{}", fmt::join((*lists)[row], ","));
  }
  const double value = std::get<Numbers>(column.values)[row];
  return std::isnan(value) ? "" : NumberText(value);
}

// The column by unit; missing where a unit has no row.
Column ByUnit(const Column& column, const std::vector<int64_t>& rows) {
  Column out{column.name, {}};
  std::visit(
      [&](const auto& values) {
        std::decay_t<decltype(values)> by_unit(rows.size());
        if constexpr (std::is_same_v<std::decay_t<decltype(values)>, Numbers>) {
          std::fill(by_unit.begin(), by_unit.end(), kNan);
        }
        for (size_t n = 0; n < rows.size(); ++n) {
          if (rows[n] >= 0) by_unit[n] = values[static_cast<size_t>(rows[n])];
        }
        out.values = std::move(by_unit);
      },
      column.values);
  return out;
}

void MergeTexts(const Column& column, Merge merge, std::string Unit::*to, Recording& recording) {
  for (size_t n = 0; n < recording.units.size(); ++n) {
    std::string text = CellText(column, n);
    std::string& had = recording.units[n].*to;
    if (!text.empty() && (merge == Merge::kReplace || had.empty())) had = std::move(text);
  }
}

void MergeDepths(const Numbers& depths, Merge merge, Recording& recording) {
  for (size_t n = 0; n < recording.units.size(); ++n) {
    double& had = recording.units[n].depth;
    if (std::isfinite(depths[n]) && (merge == Merge::kReplace || std::isnan(had))) had = depths[n];
  }
}

// What the rows of a table call the units: their ids, or the names that the file they came from had
// for them.
std::map<std::string, size_t> UnitsByName(const Recording& recording, bool original) {
  std::map<std::string, size_t> out;
  std::set<std::string> twice;
  const Column* names = original ? recording.unit_columns.Find("original_id") : nullptr;
  for (size_t n = 0; n < recording.units.size(); ++n) {
    if (original && names == nullptr) break;
    const std::string name =
        original ? CellText(*names, n) : fmt::format("{}", recording.units[n].id);
    if (!out.emplace(name, n).second) twice.insert(name);
  }
  for (const std::string& name : twice) out.erase(name);
  return out;
}

// A missing value before the place `at` of a column of units.
void InsertMissing(size_t at, Column& column) {
  std::visit(
      [&](auto& values) {
        typename std::decay_t<decltype(values)>::value_type missing{};
        if constexpr (std::is_same_v<decltype(missing), double>) missing = kNan;
        values.insert(values.begin() + static_cast<std::ptrdiff_t>(at), missing);
      },
      column.values);
}

// Units without spikes for the ids that no unit has, in order of ids where the units are.
void AddSilentUnits(std::string_view name, const TextTable& table, const Column& ids,
                    Recording& recording, Notes& notes) {
  std::set<int64_t> added, known;
  for (const Unit& unit : recording.units) known.insert(unit.id);
  int64_t first = 0;
  for (size_t i = 0; i < ids.rows(); ++i) {
    const std::string text = CellText(ids, i);
    int64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size() || known.contains(id)) continue;
    if (static_cast<int64_t>(known.size() + added.size()) >= kMaxUnits) break;
    if (added.insert(id).second && added.size() == 1) first = table.lines[i];
  }
  if (added.empty()) return;
  const bool ascending = std::is_sorted(recording.units.begin(), recording.units.end(),
                                        [](const Unit& a, const Unit& b) { return a.id < b.id; });
  for (const int64_t id : added) {
    const auto at = ascending ? std::lower_bound(recording.units.begin(), recording.units.end(), id,
                                                 [](const Unit& u, int64_t i) { return u.id < i; })
                              : recording.units.end();
    const auto place = static_cast<size_t>(at - recording.units.begin());
    for (Column& column : recording.unit_columns.columns) InsertMissing(place, column);
    recording.units.emplace(at)->id = id;
  }
  notes.Said(name, fmt::format("{} of its units have no spikes and are taken as silent, the first "
                               "is in line {}",
                               added.size(), first));
}

// Some names, in words.
template <class Names>
std::string Some(const Names& names) {
  constexpr size_t kShown = 5;
  std::string out;
  size_t n = 0;
  for (const auto& name : names) {
    if (n++ == kShown) return out + ", …";
    out += (out.empty() ? "" : ", ") + ValidUtf8(name);
  }
  return out;
}

absl::Status OtherUnits(std::string_view name, const Column& ids, const Recording& recording) {
  Texts theirs, ours;
  for (size_t i = 0; i < std::min<size_t>(ids.rows(), 6); ++i) theirs.push_back(CellText(ids, i));
  for (size_t n = 0; n < std::min<size_t>(recording.units.size(), 6); ++n) {
    ours.push_back(std::to_string(recording.units[n].id));
  }
  return InvalidField(name, fmt::format("names no unit of the recording in its column {} ({}); the "
                                        "units are {}. Is it another recording's?",
                                        ids.name, Some(theirs), Some(ours)));
}

// The row of each unit or -1.
std::vector<int64_t> MatchUnits(std::string_view name, const TextTable& table, const Column& ids,
                                const std::map<std::string, size_t>& units, size_t count,
                                Notes& notes) {
  std::vector<int64_t> out(count, -1);
  Tally empty, unknown, again;
  for (size_t i = 0; i < ids.rows(); ++i) {
    const std::string id = CellText(ids, i);
    const auto where = [&] { return fmt::format("'{}' in line {}", id, table.lines[i]); };
    const auto unit = units.find(id);
    if (id.empty()) {
      empty.Add(where);
    } else if (unit == units.end()) {
      unknown.Add(where);
    } else if (out[unit->second] >= 0) {
      again.Add(where);
    } else {
      out[unit->second] = static_cast<int64_t>(i);
    }
  }
  empty.Mend(notes, name, "rows", "without an id left out");
  unknown.Mend(notes, name, "rows", "of no unit of the recording left out");
  again.Mend(notes, name, "rows", "of a unit that had one before left out");
  return out;
}

}  // namespace

int64_t FindIdColumn(const Table& table) {
  if (const int64_t named = FindNamed(table, kIds); named >= 0) return named;
  const auto* first =
      table.columns.empty() ? nullptr : std::get_if<Numbers>(&table.columns[0].values);
  if (first == nullptr) return -1;
  const bool whole = std::all_of(first->begin(), first->end(), [](double v) {
    return std::isnan(v) || (std::isfinite(v) && v == std::floor(v));
  });
  return whole ? 0 : -1;
}

void MergeUnitColumn(Column column, Merge merge, Recording& recording) {
  Table& all = recording.unit_columns;
  const auto had = std::find_if(all.columns.begin(), all.columns.end(),
                                [&](const Column& c) { return c.name == column.name; });
  if (had == all.columns.end()) {
    if (all.name.empty()) all.name = "units";
    all.columns.push_back(std::move(column));
    return;
  }
  const Column& first = merge == Merge::kReplace ? column : *had;
  const Column& second = merge == Merge::kReplace ? *had : column;
  const bool numbers = std::holds_alternative<Numbers>(first.values) &&
                       std::holds_alternative<Numbers>(second.values);
  Column merged{column.name, {}};
  if (numbers) {
    Numbers out = std::get<Numbers>(first.values);
    const auto& other = std::get<Numbers>(second.values);
    for (size_t n = 0; n < out.size(); ++n) out[n] = std::isnan(out[n]) ? other[n] : out[n];
    merged.values = std::move(out);
  } else {
    Texts out;
    for (size_t n = 0; n < first.rows(); ++n) {
      std::string text = CellText(first, n);
      out.push_back(text.empty() ? CellText(second, n) : std::move(text));
    }
    merged.values = std::move(out);
  }
  *had = std::move(merged);
}

void MergeUnitTable(std::string_view name, const TextTable& table, int64_t id,
                    const std::vector<int64_t>& rows, bool labels, Merge merge,
                    Recording& recording, Notes& notes) {
  const int64_t label = labels ? FindNamed(table.table, kLabels) : -1;
  const int64_t region = FindNamed(table.table, kRegions);
  const int64_t depth = FindNamed(table.table, kDepths);
  for (int64_t c = 0; c < static_cast<int64_t>(table.table.columns.size()); ++c) {
    if (c == id) continue;
    const Column& column = table.table.columns[static_cast<size_t>(c)];
    if (c == label || c == region) {
      MergeTexts(ByUnit(column, rows), merge, c == label ? &Unit::label : &Unit::region, recording);
      continue;
    }
    if (c == depth) {
      if (const auto numbers = NumbersOf(name, table, column, notes)) {
        const Column by_unit = ByUnit({column.name, *numbers}, rows);
        MergeDepths(std::get<Numbers>(by_unit.values), merge, recording);
        continue;
      }
      notes.Said(name, fmt::format("the column '{}' is no numbers and so no depth", column.name));
    }
    MergeUnitColumn(ByUnit(column, rows), merge, recording);
  }
}

absl::Status AddUnitColumns(std::string_view name, std::string_view bytes, bool silent,
                            Recording& recording, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(TextTable table, ReadTextTable(name, bytes, notes));
  int64_t id = FindNamed(table.table, kIds);
  if (id >= 0) {
    const std::string title = table.table.columns[static_cast<size_t>(id)].name;
    LeaveOutRowCount(name, table, notes);
    id = FindNamed(table.table, {title});
  } else {
    id = FindIdColumn(table.table);
  }
  if (id < 0) {
    std::string columns;
    for (const Column& c : table.table.columns) columns += (columns.empty() ? "" : ", ") + c.name;
    return InvalidField(name, fmt::format("has no column of unit ids; it has {}. One must be "
                                          "called id, unit_id or cluster_id",
                                          columns));
  }
  const Column ids = table.table.columns[static_cast<size_t>(id)];
  auto units = UnitsByName(recording, true);
  const auto known = [&](const auto& by_name) {
    for (size_t i = 0; i < ids.rows(); ++i) {
      if (by_name.contains(CellText(ids, i))) return true;
    }
    return false;
  };
  const bool numbered = recording.unit_columns.Find("original_id") != nullptr;
  if (!known(units)) {
    units = UnitsByName(recording, false);
    if (ids.rows() > 0 && !known(units)) return OtherUnits(name, ids, recording);
    if (silent && !numbered && !recording.counts.present()) {
      AddSilentUnits(name, table, ids, recording, notes);
      units = UnitsByName(recording, false);
    }
  }
  const auto rows = MatchUnits(name, table, ids, units, recording.units.size(), notes);
  SayDoubts(name, table, notes);
  MergeUnitTable(name, table, id, rows, true, Merge::kReplace, recording, notes);
  const auto without = std::count(rows.begin(), rows.end(), -1);
  if (without > 0) {
    notes.Said(name, fmt::format("{} of {} units have no row in it", without, rows.size()));
  }
  return absl::OkStatus();
}

}  // namespace saed::recordings

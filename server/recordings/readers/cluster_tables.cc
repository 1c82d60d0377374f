#include "server/recordings/readers/cluster_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/recordings/readers/text_cells.h"
#include "server/recordings/readers/text_layout.h"
#include "server/recordings/readers/unit_table.h"

namespace saed::recordings {
namespace {

struct ClusterTable {
  std::string base;  // "cluster_group", without folder and ending
  std::string name;
  TextTable table;
  int64_t id = 0;             // the place of the column of ids
  std::vector<int64_t> rows;  // of each unit; -1: none
};

// Rows whose clusters have no spikes, over all tables.
struct Silent {
  std::set<int64_t> ids;
  std::string first;
};

void MatchClusters(const std::map<int64_t, size_t>& units, ClusterTable& t, Silent& silent,
                   Notes& notes) {
  const Column& ids = t.table.table.columns[static_cast<size_t>(t.id)];
  t.rows.assign(units.size(), -1);
  Tally bad, again;
  for (size_t i = 0; i < ids.rows(); ++i) {
    const auto* numbers = std::get_if<Numbers>(&ids.values);
    const double id = numbers != nullptr
                          ? (*numbers)[i]
                          : ParseNumber(std::get<Texts>(ids.values)[i]).value_or(NAN);
    const uint32_t line = t.table.lines[i];
    if (!(std::abs(id) < 0x1p53) || id != std::floor(id)) {
      const std::string cell = numbers != nullptr ? NumberText(id) : std::get<Texts>(ids.values)[i];
      bad.Add([&] {
        return fmt::format("line {}: '{}'", line, std::isnan(id) && numbers ? "" : cell);
      });
      continue;
    }
    const auto unit = units.find(static_cast<int64_t>(id));
    if (unit == units.end()) {
      if (silent.ids.empty()) silent.first = fmt::format("{} in {}", id, t.name);
      silent.ids.insert(static_cast<int64_t>(id));
    } else if (t.rows[unit->second] >= 0) {
      again.Add([&] { return fmt::format("line {}: {}", line, id); });
    } else {
      t.rows[unit->second] = static_cast<int64_t>(i);
    }
  }
  bad.Mend(notes, t.name, "rows", "without a whole number as cluster id dropped");
  again.Mend(notes, t.name, "rows", "of a cluster that had one before dropped");
}

// "cluster_group" of "probe/cluster_group.tsv"; empty where it is no table of clusters.
std::string BaseOf(const std::string& name, const std::string& folder) {
  if (!name.starts_with(folder)) return "";
  const std::string file = name.substr(folder.size());
  const bool table = file.ends_with(".tsv") || file.ends_with(".csv");
  return table && file.starts_with("cluster_") && file.find('/') == std::string::npos
             ? file.substr(0, file.size() - 4)
             : "";
}

std::vector<ClusterTable> ReadTables(const FileSet& files, const std::string& folder,
                                     const Recording& recording, Notes& notes) {
  std::vector<ClusterTable> out;
  std::map<int64_t, size_t> units;
  for (size_t n = 0; n < recording.units.size(); ++n) units[recording.units[n].id] = n;
  Silent silent;
  for (const std::string& name : files.names()) {
    const std::string base = BaseOf(name, folder);
    if (base.empty()) continue;
    const auto left_out = [&](const std::string& why) {
      notes.Mended(name, fmt::format("left out: {}", why));
    };
    const auto bytes = files.Read(name, kMaxTextBytes);
    auto table = bytes.ok() ? ReadTextTable(name, *bytes, notes) : bytes.status();
    if (!table.ok()) {
      const auto faults = FaultsOf(table.status());
      left_out(faults.empty() ? std::string(table.status().message()) : faults[0].description);
      continue;
    }
    const int64_t id = FindIdColumn(table->table);
    if (id < 0) {
      left_out("it has no column cluster_id");
      continue;
    }
    out.push_back({base, name, std::move(*table), id, {}});
    MatchClusters(units, out.back(), silent, notes);
    SayDoubts(name, out.back().table, notes);
  }
  if (!silent.ids.empty()) {
    notes.Mended(
        folder + "cluster_*",
        fmt::format("{} clusters that the tables name have no spikes and are left out, the "
                    "first is {}",
                    silent.ids.size(), silent.first));
  }
  // Phy's summary of all tables comes last: it may be older than they are.
  std::stable_partition(out.begin(), out.end(),
                        [](const ClusterTable& t) { return t.base != "cluster_info"; });
  return out;
}

bool IsKsLabel(std::string_view title) { return title == "KSLabel" || title == "ks_label"; }

// The column of the people's labels: `group`, else the only one besides the id that is none of the
// sorter's.
const Column* GroupColumn(const ClusterTable& t) {
  const Table& table = t.table.table;
  if (const Column* group = table.Find("group")) return group;
  if (t.base == "cluster_info" || table.columns.size() != 2) return nullptr;
  const Column& other = table.columns[t.id == 0 ? 1 : 0];
  return IsKsLabel(other.name) ? nullptr : &other;
}

const Column* KsColumn(const ClusterTable& t) {
  for (const Column& c : t.table.table.columns) {
    if (IsKsLabel(c.name)) return &c;
  }
  return nullptr;
}

class Labels {
 public:
  explicit Labels(Recording& recording) : recording_(recording) {}

  // Gives units without a label that of the column; `unsorted` as well or not.
  void Fill(const ClusterTable& t, const Column* column, bool unsorted) {
    if (column == nullptr) return;
    for (size_t n = 0; n < recording_.units.size(); ++n) {
      std::string& label = recording_.units[n].label;
      if (!label.empty() || t.rows[n] < 0) continue;
      const auto row = static_cast<size_t>(t.rows[n]);
      std::string text;
      if (const auto* texts = std::get_if<Texts>(&column->values)) {
        text = (*texts)[row];
      } else if (const double v = std::get<Numbers>(column->values)[row]; !std::isnan(v)) {
        text = NumberText(v);
      }
      if (unsorted || text != "unsorted") label = std::move(text);
    }
  }

 private:
  Recording& recording_;
};

// What a person curated wins over what the sorter proposed; each unit has the first that there is.
void SetLabels(const std::vector<ClusterTable>& tables, Recording& recording) {
  Labels labels(recording);
  for (const char* base : {"cluster_group", "cluster_groups", "cluster_info"}) {
    for (const ClusterTable& t : tables) {
      if (t.base == base) labels.Fill(t, GroupColumn(t), t.base != "cluster_info");
    }
  }
  // Kilosort 4 writes its labels to cluster_group.tsv too.
  for (const char* base : {"cluster_KSLabel", "cluster_group", "cluster_groups", "cluster_info"}) {
    for (const ClusterTable& t : tables) {
      if (t.base == base) labels.Fill(t, KsColumn(t), true);
    }
  }
  for (const ClusterTable& t : tables) {
    if (t.base == "cluster_info") labels.Fill(t, GroupColumn(t), true);
  }
}

// The unit's cell of a column, as text; empty where it has none.
std::string CellOf(const ClusterTable& t, const Column& column, size_t unit) {
  if (t.rows[unit] < 0) return "";
  const auto row = static_cast<size_t>(t.rows[unit]);
  if (const auto* texts = std::get_if<Texts>(&column.values)) return (*texts)[row];
  const auto* numbers = std::get_if<Numbers>(&column.values);
  return numbers == nullptr || std::isnan((*numbers)[row]) ? "" : NumberText((*numbers)[row]);
}

// Tables that differ about a unit's cell of the same column: the first one counts. Phy's summary
// may be older than the others, so that it differs is no wonder.
void SayContradictions(const std::vector<ClusterTable>& tables, const Recording& recording,
                       Notes& notes) {
  std::map<std::string, std::pair<const ClusterTable*, const Column*>> first;
  for (const ClusterTable& t : tables) {
    for (const Column& column : t.table.table.columns) {
      if (&column == &t.table.table.columns[static_cast<size_t>(t.id)]) continue;
      const auto [had, added] = first.try_emplace(column.name, &t, &column);
      if (added) continue;
      const auto& [other, others] = had->second;
      int64_t count = 0;
      std::string where;
      for (size_t n = 0; n < recording.units.size(); ++n) {
        const std::string mine = CellOf(t, column, n), theirs = CellOf(*other, *others, n);
        if (mine.empty() || theirs.empty() || mine == theirs) continue;
        if (count++ > 0) continue;
        where = fmt::format("'{}' of unit {}, which is '{}' there", ShownCell(mine),
                            recording.units[n].id, ShownCell(theirs));
      }
      if (count == 0) continue;
      const std::string what =
          fmt::format("{} value{} of the column '{}' left out, as {} has others, the first is {}",
                      count, count == 1 ? "" : "s", column.name, other->name, where);
      t.base == "cluster_info" ? notes.Said(t.name, what) : notes.Mended(t.name, what);
    }
  }
}

}  // namespace

void AddClusterTables(const FileSet& files, const std::string& folder, Recording& recording,
                      Notes& notes) {
  const auto tables = ReadTables(files, folder, recording, notes);
  SetLabels(tables, recording);
  SayContradictions(tables, recording, notes);
  for (const ClusterTable& t : tables) {
    MergeUnitTable(t.name, t.table, t.id, t.rows, false, Merge::kFill, recording, notes);
  }
}

}  // namespace saed::recordings

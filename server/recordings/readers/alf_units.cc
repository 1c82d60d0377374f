#include "server/recordings/readers/alf_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/recordings/readers/alf_arrays.h"
#include "server/recordings/readers/left_out.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

// Columns of all probes' units, in the order in which they came.
class Gathered {
 public:
  explicit Gathered(size_t units) : units_(units) {}

  Texts& Of(const std::string& name) {
    for (auto& [known, texts] : columns_) {
      if (known == name) return texts;
    }
    return columns_.emplace_back(name, Texts(units_)).second;
  }
  void AddTo(Recording& recording) && {
    for (auto& [name, texts] : columns_) {
      AddUnitColumn(recording, name, NumbersIfAll(std::move(texts)));
    }
  }

 private:
  size_t units_;
  std::vector<std::pair<std::string, Texts>> columns_;
};

const AlfObject* Find(const std::map<std::string, std::map<std::string, AlfObject>>& objects,
                      const std::string& collection, const std::string& object) {
  const auto it = objects.find(collection);
  if (it == objects.end()) return nullptr;
  const auto found = it->second.find(object);
  return found == it->second.end() ? nullptr : &found->second;
}

// Shapes of spikes, which no column can hold.
bool IsWaveform(const std::string& attribute) {
  return attribute.starts_with("waveforms") || attribute.starts_with("templateWaveforms");
}

// The row of each cluster: where a table has their ids, that with its id, else the id itself.
std::vector<size_t> RowsOf(const std::vector<AlfColumn>& columns, const AlfProbe& probe) {
  std::vector<size_t> rows;
  for (const int64_t id : probe.ids) rows.push_back(static_cast<size_t>(id));
  for (const AlfColumn& column : columns) {
    const auto* ids = std::get_if<Numbers>(&column.values);
    if (ids == nullptr || (column.name != "cluster_id" && column.name != "cluster_ids")) continue;
    std::map<double, size_t> row_of;
    for (size_t i = 0; i < ids->size(); ++i) {
      if (!std::isnan((*ids)[i])) row_of.emplace((*ids)[i], i);
    }
    for (size_t n = 0; n < rows.size(); ++n) {
      const auto it = row_of.find(static_cast<double>(probe.ids[n]));
      rows[n] = it == row_of.end() ? ids->size() : it->second;
    }
    break;
  }
  return rows;
}

void AddClusters(const FileSet& files, const AlfObject& clusters, const AlfProbe& probe,
                 Gathered& gathered, Notes& notes) {
  for (const auto& [attribute, name] : clusters) {
    if (IsWaveform(attribute)) continue;
    // A table that was exported stands for its Parquet file.
    if (name.extension == "pqt" && clusters.contains(name.attribute)) continue;
    const auto columns = ReadAlfColumns(files, name, notes);
    if (!columns.ok()) {
      LeaveOut(name.file, columns.status(), notes);
      continue;
    }
    const auto rows = RowsOf(*columns, probe);
    const size_t most = columns->empty() ? 0 : columns->front().rows();
    Tally without;
    for (size_t n = 0; n < rows.size(); ++n) {
      if (rows[n] >= most) without.Add([&] { return fmt::format("cluster {}", probe.ids[n]); });
    }
    without.Mend(notes, name.file, "clusters", "without a row in it, which get missing values");
    for (const AlfColumn& column : *columns) {
      if (column.name == "cluster_id" || column.name == "index") continue;
      const Texts values = TextsOf(column.values);
      Texts& to = gathered.Of(column.name);
      for (size_t n = 0; n < rows.size(); ++n) {
        if (rows[n] < values.size()) to[probe.first + n] = values[rows[n]];
      }
    }
  }
}

// Depth, region and atlas id of the channel on which each cluster is largest.
void AddChannels(const FileSet& files, const AlfObject& clusters, const AlfObject& channels,
                 const AlfProbe& probe, Gathered& gathered, Notes& notes) {
  const auto at = clusters.find("channels");
  if (at == clusters.end()) return;
  const auto peaks = ReadAlfColumns(files, at->second, notes);
  if (!peaks.ok() || peaks->size() != 1) return;
  const auto* channel = std::get_if<Numbers>(&peaks->front().values);
  if (channel == nullptr) return;
  const std::pair<const char*, const char*> wanted[] = {{"localCoordinates_1", "channel_depth"},
                                                        {"acronym", "acronym"},
                                                        {"brainAcronyms", "acronym"},
                                                        {"allen_ontology", "acronym"},
                                                        {"brainLocationIds_ccf_2017", "atlas_id"}};
  for (const auto& [attribute, name] : channels) {
    const auto columns = ReadAlfColumns(files, name, notes);
    if (!columns.ok()) {
      LeaveOut(name.file, columns.status(), notes);
      continue;
    }
    for (const AlfColumn& column : *columns) {
      const auto* to = std::find_if(std::begin(wanted), std::end(wanted),
                                    [&](const auto& w) { return column.name == w.first; });
      if (to == std::end(wanted)) continue;
      const Texts values = TextsOf(column.values);
      Texts& cells = gathered.Of(to->second);
      for (size_t n = 0; n < probe.ids.size(); ++n) {
        const auto row = static_cast<size_t>(probe.ids[n]);
        const double c = row < channel->size() ? (*channel)[row] : -1;
        const bool there = c >= 0 && c < static_cast<double>(values.size());
        std::string& cell = cells[probe.first + n];
        if (there && cell.empty()) cell = values[static_cast<size_t>(c)];
      }
    }
  }
}

// IBL's label is the share of its criteria that a cluster meets, 1 for good ones; Phy's annotation
// counts from noise to unsorted.
void SetAlfLabels(Recording& recording) {
  static constexpr const char* kPhy[] = {"noise", "mua", "good", "unsorted"};
  if (const std::string set = SetLabels(recording, {"phy_annotation"}); !set.empty()) {
    for (Unit& unit : recording.units) {
      if (unit.label.size() == 1 && unit.label[0] >= '0' && unit.label[0] <= '3') {
        unit.label = kPhy[unit.label[0] - '0'];
      }
    }
    return;
  }
  if (SetLabels(recording, {"label", "ks2_label", "ks_label"}) != "label") return;
  for (Unit& unit : recording.units) {
    if (unit.label == "1") unit.label = "good";
  }
}

}  // namespace

void AddAlfColumns(const FileSet& files,
                   const std::map<std::string, std::map<std::string, AlfObject>>& objects,
                   const std::vector<AlfProbe>& probes, Recording& recording, Notes& notes) {
  Gathered gathered(recording.units.size());
  for (const AlfProbe& probe : probes) {
    const AlfObject* clusters = Find(objects, probe.collection, "clusters");
    if (clusters == nullptr) continue;
    AddClusters(files, *clusters, probe, gathered, notes);
    if (const AlfObject* channels = Find(objects, probe.collection, "channels")) {
      AddChannels(files, *clusters, *channels, probe, gathered, notes);
    }
  }
  std::move(gathered).AddTo(recording);
  SetAlfLabels(recording);
  SetRegions(recording, {"acronym", "brainAcronyms", "brain_area", "region"});
  if (SetDepths(recording, {"depths"}).empty() && SetDepths(recording, {"depth"}).empty()) {
    SetDepths(recording, {"channel_depth"});
  }
}

}  // namespace saed::recordings

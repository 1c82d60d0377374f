// ALF folders, as the International Brain Laboratory and others write them: spikes in seconds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/alf_names.h"
#include "server/recordings/readers/alf_tables.h"
#include "server/recordings/readers/alf_units.h"
#include "server/recordings/readers/npy_items.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

using Objects = std::map<std::string, std::map<std::string, AlfObject>>;

// Times and clusters of the spikes of one collection.
struct Spikes {
  NpyFile times, clusters;
  NpyField time, cluster;
  double rate = 0;  // Hz, where the times are samples
};

// Whether the collection has spikes in .npy files.
bool HasSpikes(const std::map<std::string, AlfObject>& held) {
  const auto spikes = held.find("spikes");
  if (spikes == held.end()) return false;
  for (const char* attribute : {"times", "clusters"}) {
    const auto it = spikes->second.find(attribute);
    if (it == spikes->second.end() || it->second.extension != "npy") return false;
  }
  return true;
}

// "probe00" of "alf/probe00/pykilosort".
std::string ProbeOf(const std::string& collection) {
  std::string out;
  for (size_t at = 0; at <= collection.size();) {
    const size_t end = std::min(collection.find('/', at), collection.size());
    if (collection.compare(at, 5, "probe") == 0) out = collection.substr(at, end - at);
    at = end + 1;
  }
  return out.empty() ? collection : out;
}

std::string Quoted(const std::vector<AlfProbe>& probes) {
  std::string out;
  for (const AlfProbe& probe : probes) {
    out += fmt::format("{}'{}'", out.empty() ? "" : ", ", ValidUtf8(probe.collection));
  }
  return out;
}

absl::StatusOr<std::vector<AlfProbe>> FindProbes(const Objects& objects,
                                                 const ImportOptions& options) {
  std::vector<AlfProbe> all, out;
  const std::string wanted = options.Get("collection");
  for (const auto& [collection, held] : objects) {
    if (!HasSpikes(held)) continue;
    AlfProbe probe;
    probe.collection = collection;
    probe.name = ValidUtf8(ProbeOf(collection));
    all.push_back(probe);
    if (wanted.empty() || collection == wanted) out.push_back(std::move(probe));
  }
  if (all.empty()) {
    return InvalidField("files", "hold no spikes.times.npy with spikes.clusters.npy beside it");
  }
  if (out.empty()) {
    return InvalidField("options.collection",
                        fmt::format("is '{}'; must be one of {}", ValidUtf8(wanted), Quoted(all)));
  }
  std::set<std::string> names;
  for (const AlfProbe& probe : out) {
    if (names.insert(probe.name).second) continue;
    return InvalidField("options.collection",
                        fmt::format("is not given, and {} has several sortings; must be one of {}",
                                    probe.name, Quoted(all)));
  }
  return out;
}

absl::Status CheckVector(const NpyFile& file, const NpyField& field) {
  if (!file.items().shape.empty() && file.items().width() == 1 && field.number() &&
      file.items().size() <= kMaxSpikes) {
    return absl::OkStatus();
  }
  return InvalidField(file.name(),
                      fmt::format("has {} dimensions and {} items; must be numbers of "
                                  "the shape [n] or [n, 1] with n at most {}",
                                  file.items().shape.size(), file.items().size(), kMaxSpikes));
}

absl::StatusOr<Spikes> OpenSpikes(const FileSet& files, const AlfObject& object,
                                  const ImportOptions& options) {
  Spikes out;
  SAED_ASSIGN_OR_RETURN(out.times, NpyFile::Open(files, object.at("times").file));
  SAED_ASSIGN_OR_RETURN(out.clusters, NpyFile::Open(files, object.at("clusters").file));
  SAED_ASSIGN_OR_RETURN(out.time, out.times.Plain());
  SAED_ASSIGN_OR_RETURN(out.cluster, out.clusters.Plain());
  SAED_RETURN_IF_ERROR(CheckVector(out.times, out.time));
  SAED_RETURN_IF_ERROR(CheckVector(out.clusters, out.cluster));
  const int64_t n = out.times.items().size();
  if (out.clusters.items().size() != n) {
    return InvalidField(out.clusters.name(),
                        fmt::format("has {} items but {} has {}; must be as many",
                                    out.clusters.items().size(), out.times.name(), n));
  }
  if (out.time.integer()) {
    out.rate = options.sampling_rate;
    if (out.rate == 0) {
      return InvalidField(out.times.name(),
                          "holds whole numbers; must be seconds as floating-point numbers, or "
                          "samples where sampling_rate is given, in Hz");
    }
    SAED_RETURN_IF_ERROR(CheckRate("sampling_rate", out.rate));
  }
  return out;
}

// Calls visit(i, cluster) for a piece of spikes at a time; -1 stands for what is no cluster.
template <class Visit>
void ReadClusters(const Spikes& spikes, int64_t first, std::vector<int64_t>& clusters,
                  const Visit& visit) {
  if (spikes.cluster.integer()) {
    spikes.clusters.ReadIntegers(spikes.cluster, first, clusters);
  } else {  // MATLAB writes doubles
    std::vector<double> values(clusters.size());
    spikes.clusters.ReadNumbers(spikes.cluster, first, values);
    for (size_t i = 0; i < values.size(); ++i) {
      const double v = values[i];
      const bool good = v >= 0 && v < 0x1p53 && v == std::floor(v);
      clusters[i] = good ? static_cast<int64_t>(v) : -1;
    }
  }
  for (size_t i = 0; i < clusters.size(); ++i) visit(first + static_cast<int64_t>(i), clusters[i]);
}

template <class Visit>
void ForEachPiece(const Spikes& spikes, const Visit& visit) {
  const int64_t size = spikes.times.items().size();
  for (int64_t first = 0; first < size; first += kItemsAtOnce) {
    visit(first, static_cast<size_t>(std::min(kItemsAtOnce, size - first)));
    if (first % (kItemsAtOnce * 64) == 0) {
      spikes.times.Release();
      spikes.clusters.Release();
    }
  }
}

// Finds the clusters of a collection and how many spikes each has.
absl::Status CountSpikes(const Spikes& spikes, AlfProbe& probe, Notes& notes) {
  std::unordered_map<int64_t, int64_t> counts;
  Tally dropped;
  bool many = false;
  std::vector<int64_t> clusters;
  ForEachPiece(spikes, [&](int64_t first, size_t n) {
    if (many) return;
    clusters.resize(n);
    ReadClusters(spikes, first, clusters, [&](int64_t i, int64_t cluster) {
      if (cluster >= 0) {
        ++counts[cluster];
      } else {
        dropped.Add([&] { return fmt::format("spike {}", i + 1); });
      }
    });
    many = static_cast<int64_t>(counts.size()) > kMaxUnits;
  });
  if (many) {
    return InvalidField(spikes.clusters.name(),
                        fmt::format("holds more than {} clusters", kMaxUnits));
  }
  dropped.Mend(notes, spikes.clusters.name(), "spikes",
               "dropped because they are of no cluster (negative or not whole)");
  for (const auto& [id, count] : counts) probe.ids.push_back(id);
  std::sort(probe.ids.begin(), probe.ids.end());
  for (const int64_t id : probe.ids) probe.counts.push_back(counts[id]);
  return absl::OkStatus();
}

void TakeSpikes(const Spikes& spikes, const AlfProbe& probe, SpikeBuffer& trains) {
  std::unordered_map<int64_t, size_t> unit_of;
  for (size_t n = 0; n < probe.ids.size(); ++n) unit_of[probe.ids[n]] = probe.first + n;
  std::vector<int64_t> clusters;
  std::vector<double> times;
  ForEachPiece(spikes, [&](int64_t first, size_t n) {
    clusters.resize(n);
    times.resize(n);
    spikes.times.ReadNumbers(spikes.time, first, times);
    ReadClusters(spikes, first, clusters, [&](int64_t i, int64_t cluster) {
      if (cluster < 0) return;
      const double time = times[static_cast<size_t>(i - first)];
      trains.Add(unit_of[cluster], spikes.rate > 0 ? time / spikes.rate : time);
    });
  });
}

// Units of all probes; with several, numbered from 0.
void MakeUnits(std::vector<AlfProbe>& probes, Recording& out, Notes& notes) {
  Numbers ids;
  Texts names;
  for (AlfProbe& probe : probes) {
    probe.first = out.units.size();
    for (const int64_t id : probe.ids) {
      const auto number = static_cast<int64_t>(out.units.size());
      out.units.emplace_back().id = probes.size() == 1 ? id : number;
      ids.push_back(static_cast<double>(id));
      names.push_back(probe.name);
    }
  }
  out.unit_columns.name = "units";
  if (probes.size() == 1) return;
  AddUnitColumn(out, "original_id", std::move(ids));
  AddUnitColumn(out, "probe", std::move(names));
  notes.Mended("spikes.clusters",
               fmt::format("{} units of {} probes numbered from 0; the columns probe and "
                           "original_id have where they come from",
                           out.units.size(), probes.size()));
}

Match Recognise(const FileSet& files) {
  Notes unheard;
  const Objects objects = AlfObjects(files, unheard);
  return std::any_of(objects.begin(), objects.end(),
                     [](const auto& c) { return HasSpikes(c.second); })
             ? Match::kYes
             : Match::kNo;
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  const Objects objects = AlfObjects(files, notes);
  SAED_ASSIGN_OR_RETURN(std::vector<AlfProbe> probes, FindProbes(objects, options));
  std::vector<Spikes> spikes;
  for (AlfProbe& probe : probes) {
    const AlfObject& object = objects.at(probe.collection).at("spikes");
    SAED_ASSIGN_OR_RETURN(Spikes opened, OpenSpikes(files, object, options));
    SAED_RETURN_IF_ERROR(CountSpikes(opened, probe, notes));
    spikes.push_back(std::move(opened));
  }
  Recording out;
  out.source = "alf";
  if (std::all_of(spikes.begin(), spikes.end(), [](const Spikes& s) { return s.rate > 0; })) {
    out.sampling_rate = options.sampling_rate;
  }
  MakeUnits(probes, out, notes);
  std::vector<int64_t> counts;
  for (const AlfProbe& probe : probes) {
    counts.insert(counts.end(), probe.counts.begin(), probe.counts.end());
  }
  SAED_ASSIGN_OR_RETURN(SpikeBuffer trains, SpikeBuffer::Make(counts));
  for (size_t p = 0; p < probes.size(); ++p) TakeSpikes(spikes[p], probes[p], trains);
  SAED_ASSIGN_OR_RETURN(std::vector<SpikeTrain> taken, trains.Take());
  for (size_t n = 0; n < taken.size(); ++n) out.units[n].spike_times = std::move(taken[n]);
  AddAlfColumns(files, objects, probes, out, notes);
  AddAlfTables(files, objects, out, notes);
  return out;
}

}  // namespace

const Reader& formats::alf() {
  static const Reader reader = {
      "alf",
      "ALF folders of the IBL",
      "spikes.times.npy (seconds) and spikes.clusters.npy in one folder",
      {"**spikes.times*.npy", "**spikes.clusters*.npy", "**clusters.*.npy", "**clusters.*.csv",
       "**clusters.*.tsv",    "**clusters.*.pqt",       "**channels.*.npy", "**channels.*.csv",
       "**channels.*.tsv",    "**trials.*.npy",         "**trials.*.csv",   "**trials.*.tsv",
       "**trials.*.pqt",      "**_ibl_*.npy",           "**wheel*.npy",     "**lick*.npy",
       "**eye.*.npy",         "**face.*.npy",           "**passive*.npy",   "**passive*.csv",
       "**spontaneous.*.npy", "**sparseNoise.*.npy"},
      {{"collection",
        "the folder whose spikes are taken, without revisions; without it those of all probes",
        "alf/probe00/pykilosort"}},
      Recognise,
      Read};
  return reader;
}

}  // namespace saed::recordings

// SpikeInterface's own folders: a sorting (NumpyFolder), alone or in a sorting analyzer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/npy_items.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/spikeinterface_units.h"

namespace saed::recordings {
namespace {

constexpr char kInfo[] = "numpysorting_info.json";
constexpr char kAttributes[] = "recording_info/recording_attributes.json";
constexpr int64_t kMaxSegments = 10'000;
// Of a segment, and so that the end of the last is still exact in int64.
constexpr int64_t kMaxSamples = int64_t{1} << 48;

// A stretch of continuous recording, in samples.
struct Segment {
  std::optional<int64_t> samples;  // its length, where the folder says it
  int64_t last = -1;               // of its spikes
  int64_t start = 0;               // on the clock of the whole recording
};

struct Source {
  std::string sorting;   // folder of the sorting, "" or ending with a slash
  std::string analyzer;  // folder of the analyzer; the sorting's own where there is none
  double rate = 0;       // Hz
  std::vector<Segment> segments;
};

struct SpikeFields {
  NpyField sample, unit, segment;
};

bool IsZarr(const FileSet& files) {
  for (const char* name : {".zattrs", ".zmetadata"}) {
    for (const std::string& found : files.WithBase(name)) {
      const std::string& head = files.Sketch(found).head;
      if (head.find("spikeinterface_info") != std::string::npos) return true;
    }
  }
  return false;
}

bool IsOldFolder(const FileSet& files) {
  return !files.WithBase("sorting_cached.npz").empty() && !files.WithBase("npz.json").empty();
}

absl::StatusOr<Source> FindSorting(const FileSet& files, const ImportOptions& options) {
  std::vector<std::string> found;
  std::string choices;
  const std::string wanted = options.Get("sorting");
  for (const std::string& name : files.WithBase(kInfo)) {
    const std::string folder = FolderOf(name);
    choices += fmt::format("{}'{}'", choices.empty() ? "" : ", ", ValidUtf8(folder));
    if (wanted.empty() || folder == wanted || folder == wanted + "/") found.push_back(folder);
  }
  if (choices.empty()) {
    return InvalidField("files",
                        "hold no numpysorting_info.json; SpikeInterface writes one with "
                        "sorting.save(folder=..., format=\"numpy_folder\") and with "
                        "create_sorting_analyzer(..., format=\"binary_folder\")");
  }
  if (found.size() != 1) {
    return InvalidField("options.sorting",
                        fmt::format("is '{}' and the files hold the sortings {}; must name one",
                                    ValidUtf8(wanted), choices));
  }
  Source out;
  out.sorting = out.analyzer = found[0];
  const std::string_view own = "sorting/";
  if (found[0].ends_with(own)) {
    const std::string above = found[0].substr(0, found[0].size() - own.size());
    if ((above.empty() || above.ends_with('/')) &&
        (files.Has(above + "spikeinterface_info.json") || files.Has(above + kAttributes))) {
      out.analyzer = above;
    }
  }
  return out;
}

double NumberOf(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_number() ? it->get<double>() : 0;
}

// The rate that sorting and recording agree on, or that was given.
absl::StatusOr<double> RateOf(const nlohmann::json& info, const nlohmann::json& attributes,
                              const ImportOptions& options, Notes& notes) {
  const double sorting = NumberOf(info, "sampling_frequency");
  const double recording = NumberOf(attributes, "sampling_frequency");
  double rate = options.sampling_rate;
  if (rate == 0) {
    rate = sorting != 0 ? sorting : recording;
    if (recording != 0 && std::abs(recording - rate) > 1e-6 * std::abs(rate)) {
      return InvalidField("sampling_rate",
                          fmt::format("is not given, and {} says {} Hz but {} {} Hz; say which",
                                      kInfo, sorting, kAttributes, recording));
    }
  } else if (sorting != 0 && rate != sorting) {
    notes.Said(kInfo, fmt::format("sampling_frequency is {} Hz, but {} Hz is used as given",
                                  sorting, rate));
  }
  if (!IsRate(rate)) {
    return InvalidField(options.sampling_rate != 0 ? "sampling_rate" : kInfo,
                        fmt::format("gives a sampling rate of {} Hz; must be from {} to {:.0f} Hz, "
                                    "and can be given as sampling_rate",
                                    rate, kLeastRate, kMostRate));
  }
  return rate;
}

// Lengths of segments in samples, where the analyzer has them.
void SetLengths(const nlohmann::json& attributes, std::vector<Segment>& segments, Notes& notes) {
  const auto it = attributes.find("num_samples");
  if (it == attributes.end() || it->is_null()) return;
  bool good = it->is_array() && it->size() == segments.size();
  for (size_t s = 0; good && s < segments.size(); ++s) {
    const nlohmann::json& samples = (*it)[s];
    good = samples.is_number() && samples.get<double>() >= 0 &&
           samples.get<double>() <= static_cast<double>(kMaxSamples);
    if (good) segments[s].samples = static_cast<int64_t>(samples.get<double>());
  }
  if (good) return;
  for (Segment& segment : segments) segment.samples.reset();
  notes.Mended(kAttributes, fmt::format("num_samples left out: must be the lengths of {} segments, "
                                        "each from 0 to {}",
                                        segments.size(), kMaxSamples));
}

absl::StatusOr<SpikeFields> FieldsOf(const NpyFile& file) {
  SpikeFields out;
  const std::pair<NpyField*, std::string_view> wanted[] = {
      {&out.sample, "sample"}, {&out.unit, "unit"}, {&out.segment, "segment"}};
  for (const auto& [to, name] : wanted) {
    const NpyField* field = file.items().Find(fmt::format("{}_index", name));
    if (field == nullptr) field = file.items().Find(fmt::format("{}_ind", name));
    if (field == nullptr || !field->integer()) {
      return InvalidField(file.name(),
                          fmt::format("has no field {}_index of whole numbers; must be "
                                      "records of sample_index, unit_index and "
                                      "segment_index",
                                      name));
    }
    *to = *field;
  }
  if (file.items().shape.size() != 1 || file.items().size() > kMaxSpikes) {
    return InvalidField(file.name(),
                        fmt::format("has {} dimensions and {} items; must be [n] with "
                                    "n at most {}",
                                    file.items().shape.size(), file.items().size(), kMaxSpikes));
  }
  return out;
}

// Calls visit(i, sample, unit, segment) for all spikes.
template <class Visit>
void ForEachSpike(const NpyFile& file, const SpikeFields& fields, const Visit& visit) {
  std::vector<int64_t> sample(kItemsAtOnce), unit(kItemsAtOnce), segment(kItemsAtOnce);
  const int64_t size = file.items().size();
  for (int64_t first = 0; first < size; first += kItemsAtOnce) {
    const auto n = static_cast<size_t>(std::min(kItemsAtOnce, size - first));
    file.ReadIntegers(fields.sample, first, {sample.data(), n});
    file.ReadIntegers(fields.unit, first, {unit.data(), n});
    file.ReadIntegers(fields.segment, first, {segment.data(), n});
    for (size_t i = 0; i < n; ++i) {
      visit(first + static_cast<int64_t>(i), sample[i], unit[i], segment[i]);
    }
    if (first % (kItemsAtOnce * 64) == 0) file.Release();
  }
}

// Whether a spike is of a unit, in a segment and within it.
bool Belongs(const std::vector<Segment>& segments, size_t units, int64_t sample, int64_t unit,
             int64_t segment) {
  return unit >= 0 && unit < static_cast<int64_t>(units) && segment >= 0 &&
         segment < static_cast<int64_t>(segments.size()) && sample >= 0 &&
         sample < segments[static_cast<size_t>(segment)].samples.value_or(kMaxSamples);
}

// Spikes of each unit, and where each segment's last is; spikes that do not belong are noted.
std::vector<int64_t> Count(const NpyFile& file, const SpikeFields& fields, size_t units,
                           std::vector<Segment>& segments, Notes& notes) {
  std::vector<int64_t> counts(units);
  Tally strange, outside;
  ForEachSpike(file, fields, [&](int64_t i, int64_t sample, int64_t unit, int64_t segment) {
    if (Belongs(segments, units, sample, unit, segment)) {
      ++counts[static_cast<size_t>(unit)];
      int64_t& last = segments[static_cast<size_t>(segment)].last;
      last = std::max(last, sample);
      return;
    }
    const bool named = unit >= 0 && unit < static_cast<int64_t>(units) && segment >= 0 &&
                       segment < static_cast<int64_t>(segments.size());
    (named ? outside : strange).Add([&] {
      return fmt::format("spike {} at sample {} of unit_index {} in segment {}", i + 1, sample,
                         unit, segment);
    });
  });
  strange.Mend(notes, file.name(), "spikes", "dropped because their unit or segment is not there");
  outside.Mend(notes, file.name(), "spikes", "dropped because they lie outside their segment");
  return counts;
}

// One after another, a second apart; what lies between them was not observed.
absl::Status LaySegments(const std::string& part, Source& source, Recording& out, Notes& notes) {
  const auto gap = static_cast<int64_t>(std::ceil(source.rate));
  Numbers start, stop, index;
  int64_t at = 0;
  size_t guessed = 0;
  for (Segment& segment : source.segments) {
    if (!segment.samples) {
      const double seconds = std::ceil(static_cast<double>(segment.last + 1) / source.rate);
      segment.samples = static_cast<int64_t>(std::ceil(seconds * source.rate));
      ++guessed;
    }
    segment.start = at;
    start.push_back(static_cast<double>(at) / source.rate);
    stop.push_back(static_cast<double>(at + *segment.samples) / source.rate);
    index.push_back(static_cast<double>(index.size()));
    at += *segment.samples + gap;
  }
  const size_t count = source.segments.size();
  if (count == 1 && guessed == 1) return absl::OkStatus();  // ends when its spikes do
  if (count > 1) {
    Spans observed;
    for (size_t s = 0; s < count; ++s) {
      if (stop[s] > start[s]) observed.emplace_back(start[s], stop[s]);
    }
    out.observed = std::move(observed);
    notes.Said(part, fmt::format("{} segments are laid one after another, a second apart in which "
                                 "nothing is observed; the table segments says where",
                                 count));
  }
  if (count > 1 && guessed > 0) {
    notes.Said(part, fmt::format("{} segments end at the whole second after their last spike, as "
                                 "the folder does not say how long they are",
                                 guessed));
  }
  Table table;
  table.columns = {{"start_time", start}, {"stop_time", stop}, {"segment", index}};
  SAED_ASSIGN_OR_RETURN(IntervalTable segments, MakeIntervals("segments", std::move(table), notes));
  out.intervals.push_back(std::move(segments));
  return absl::OkStatus();
}

Match Recognise(const FileSet& files) {
  for (const std::string& name : files.WithBase(kInfo)) {
    if (files.Has(FolderOf(name) + "spikes.npy")) return Match::kYes;
  }
  return IsZarr(files) || IsOldFolder(files) ? Match::kYes : Match::kNo;
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  if (files.WithBase(kInfo).empty() && IsZarr(files)) {
    return InvalidField("files",
                        "are a SpikeInterface analyzer in Zarr, which is not read; save it as a "
                        "folder: analyzer.save_as(format=\"binary_folder\", folder=...)");
  }
  if (files.WithBase(kInfo).empty() && IsOldFolder(files)) {
    return InvalidField("files",
                        "are a sorting in SpikeInterface's old npz_folder, which is not read; save "
                        "it as sorting.save(folder=..., format=\"numpy_folder\")");
  }
  SAED_ASSIGN_OR_RETURN(Source source, FindSorting(files, options));
  SAED_ASSIGN_OR_RETURN(const nlohmann::json info, ReadPythonJson(files, source.sorting + kInfo));
  nlohmann::json attributes = nlohmann::json::object();
  if (files.Has(source.analyzer + kAttributes)) {
    SAED_ASSIGN_OR_RETURN(attributes, ReadPythonJson(files, source.analyzer + kAttributes));
  }
  SAED_ASSIGN_OR_RETURN(source.rate, RateOf(info, attributes, options, notes));
  const double segments = info.contains("num_segments") ? NumberOf(info, "num_segments") : 1;
  if (!(segments >= 1 && segments <= static_cast<double>(kMaxSegments))) {
    return InvalidField(source.sorting + kInfo,
                        fmt::format("has {} segments; must be 1 to {}", segments, kMaxSegments));
  }
  source.segments.resize(static_cast<size_t>(segments));
  SetLengths(attributes, source.segments, notes);

  Recording out;
  out.source = "spikeinterface";
  out.sampling_rate = source.rate;
  const nlohmann::json none;
  SAED_ASSIGN_OR_RETURN(const auto ids,
                        MakeUnits(info.contains("unit_ids") ? info["unit_ids"] : none,
                                  source.sorting + kInfo, out, notes));
  SAED_ASSIGN_OR_RETURN(const NpyFile spikes, NpyFile::Open(files, source.sorting + "spikes.npy"));
  SAED_ASSIGN_OR_RETURN(const SpikeFields fields, FieldsOf(spikes));
  const auto counts = Count(spikes, fields, out.units.size(), source.segments, notes);
  SAED_RETURN_IF_ERROR(LaySegments(spikes.name(), source, out, notes));
  SAED_ASSIGN_OR_RETURN(SpikeBuffer trains, SpikeBuffer::Make(counts));
  ForEachSpike(spikes, fields, [&](int64_t, int64_t sample, int64_t unit, int64_t segment) {
    if (!Belongs(source.segments, counts.size(), sample, unit, segment)) return;
    const int64_t at = source.segments[static_cast<size_t>(segment)].start + sample;
    trains.Add(static_cast<size_t>(unit), static_cast<double>(at) / source.rate);
  });
  SAED_ASSIGN_OR_RETURN(std::vector<SpikeTrain> taken, trains.Take());
  for (size_t n = 0; n < taken.size(); ++n) out.units[n].spike_times = std::move(taken[n]);
  AddSpikeInterfaceColumns(files, source.sorting, source.analyzer, ids, out, notes);
  return out;
}

}  // namespace

const Reader& formats::spikeinterface() {
  static const Reader reader = {
      "spikeinterface",
      "SpikeInterface sortings and analyzers",
      "a folder with numpysorting_info.json and spikes.npy, or one with a folder sorting/ of them",
      {"**numpysorting_info.json", "**spikes.npy", "**properties/*.npy",
       "**spikeinterface_info.json", "**recording_info/recording_attributes.json",
       "**extensions/quality_metrics/metrics.csv", "**extensions/template_metrics/metrics.csv",
       "**extensions/unit_locations/unit_locations.npy", "**npz.json", "**sorting_cached.npz",
       "**.zattrs"},
      {{"sorting", "folder of the sorting that is taken where the files hold several",
        "analyzer/sorting"}},
      Recognise,
      Read};
  return reader;
}

}  // namespace saed::recordings

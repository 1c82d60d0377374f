// Spikes, digital lines and messages of the Open Ephys GUI's binary format.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/left_out.h"
#include "server/recordings/readers/on_off.h"
#include "server/recordings/readers/open_ephys_parts.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/readers/unit_ids.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {
namespace {

using Part = OpenEphysPart;
using Segment = OpenEphysSegment;

constexpr int64_t kMaxSample = int64_t{1} << 48;
constexpr int64_t kMaxIndex = 65535;  // the GUI writes uint16

// "…/experiment1/" and 2 of "…/experiment1/recording2/".
std::pair<std::string, int64_t> ExperimentOf(const std::string& folder) {
  const size_t slash = folder.size() < 2 ? std::string::npos : folder.rfind('/', folder.size() - 2);
  const size_t at = slash == std::string::npos ? 0 : slash + 1;
  const std::string_view last = std::string_view(folder).substr(at);
  int64_t number = 0;
  if (!last.starts_with("recording")) return {folder, 0};
  std::from_chars(last.data() + 9, last.data() + last.size(), number);
  return {folder.substr(0, at), number};
}

// The recordings of one experiment, which have one clock, or the one that was named.
absl::StatusOr<std::vector<std::string>> ChooseRecordings(const FileSet& files,
                                                          const ImportOptions& options) {
  std::string wanted = options.Get("recording");
  if (!wanted.empty() && !wanted.ends_with('/')) wanted += '/';
  std::map<std::pair<std::string, int64_t>, std::string> found;
  std::set<std::string> experiments;
  std::string choices;
  for (const std::string& name : files.WithBase(kOpenEphysStructure)) {
    const std::string folder = FolderOf(name);
    choices += fmt::format("{}'{}'", choices.empty() ? "" : ", ", ValidUtf8(folder));
    const auto key = ExperimentOf(folder);
    if (!wanted.empty() && folder != wanted && key.first != wanted) continue;
    found[key] = folder;
    experiments.insert(key.first);
  }
  if (choices.empty()) {
    return InvalidField("files",
                        "hold no structure.oebin; must be a folder that the Open Ephys "
                        "GUI recorded in its binary format");
  }
  if (experiments.size() != 1) {
    return InvalidField(
        "options.recording",
        fmt::format("is '{}' and the files hold the recordings {}, each experiment and Record Node "
                    "with a clock of its own; must name one of them or an experiment",
                    ValidUtf8(wanted), choices));
  }
  std::vector<std::string> out;
  for (const auto& [key, folder] : found) out.push_back(folder);
  return out;
}

// Which times count, and of which streams.
struct Clock {
  bool samples = false;
  double rate = 0;     // Hz, where samples
  std::string stream;  // the only one that is read; empty: all
};

absl::StatusOr<Clock> ChooseClock(const std::vector<Segment>& segments,
                                  const ImportOptions& options, Notes& notes) {
  Clock out;
  out.stream = options.Get("stream");
  const std::string given = options.Get("clock");
  if (!given.empty() && given != "samples" && given != "timestamps") {
    return InvalidField("options.clock",
                        fmt::format("is '{}'; must be timestamps (s, synchronised) "
                                    "or samples",
                                    ValidUtf8(given)));
  }
  std::set<std::string> streams, apart;  // those with spikes; of them those without times
  std::set<double> rates;
  for (const Segment& segment : segments) {
    for (const Part& part : segment.spikes) {
      if (part.size == 0 || (!out.stream.empty() && part.stream != out.stream)) continue;
      streams.insert(part.stream);
      rates.insert(part.rate);
      if (!part.synchronised) apart.insert(part.stream);
    }
  }
  std::string names;
  for (const std::string& name : streams) names += (names.empty() ? "" : ", ") + ValidUtf8(name);
  if (streams.empty()) {
    return InvalidField(out.stream.empty() ? "files" : "options.stream",
                        fmt::format("hold no spikes{}; must be of a stream with spikes, as a Spike "
                                    "Detector or Spike Sorter before the Record Node writes them",
                                    out.stream.empty() ? "" : " of " + ValidUtf8(out.stream)));
  }
  out.samples = given == "samples" || (given.empty() && !apart.empty());
  if (!out.samples) {
    if (apart.empty()) return out;
    return InvalidField("options.clock", fmt::format("is timestamps, but the stream {} has none; "
                                                     "must be samples",
                                                     ValidUtf8(*apart.begin())));
  }
  if (streams.size() > 1) {
    return InvalidField("options.stream",
                        fmt::format("is not given, and the streams {} have spikes "
                                    "on clocks of their own; must be one of them",
                                    names));
  }
  out.stream = *streams.begin();
  out.rate = options.sampling_rate != 0 ? options.sampling_rate : *rates.begin();
  const bool doubt = options.sampling_rate == 0 && rates.size() != 1;
  if (doubt || !IsRate(out.rate)) {
    return InvalidField(
        "sampling_rate",
        fmt::format("is {} Hz for sample numbers{}; must be "
                    "from {} to {:.0f} Hz",
                    out.rate, doubt ? " and others say others" : "", kLeastRate, kMostRate));
  }
  if (given.empty()) {
    notes.Said("clock",
               fmt::format("the spikes have no synchronised times; their sample numbers at "
                           "{} Hz are taken, and nothing of other streams than {}",
                           out.rate, ValidUtf8(out.stream)));
  }
  return out;
}

// Times of the items from `first` on, s; NaN for what has none.
void ReadTimes(const Part& part, const Clock& clock, int64_t first, std::span<double> out) {
  if (!clock.samples) {
    part.times->ReadNumbers(*part.times->Plain(), first, out);
    for (double& t : out) t = t >= 0 && std::isfinite(t) ? t : NAN;
    return;
  }
  std::vector<int64_t> samples(out.size());
  part.samples->ReadIntegers(*part.samples->Plain(), first, samples);
  for (size_t i = 0; i < out.size(); ++i) {
    const bool good = samples[i] >= 0 && samples[i] < kMaxSample;
    out[i] = good ? static_cast<double>(samples[i]) / clock.rate : NAN;
  }
}

// Hands times and values over, a piece at a time: use(first, times, values, electrodes).
template <class Use>
void ForEachPiece(const Part& part, const Clock& clock, const Use& use) {
  const auto most = static_cast<size_t>(std::min(part.size, kItemsAtOnce));
  std::vector<double> times(most);
  std::vector<int64_t> values(most), electrodes(most);
  for (int64_t at = 0; at < part.size; at += kItemsAtOnce) {
    const auto n = static_cast<size_t>(std::min(kItemsAtOnce, part.size - at));
    ReadTimes(part, clock, at, {times.data(), n});
    if (part.values->Plain()->number()) {
      part.values->ReadIntegers(*part.values->Plain(), at, {values.data(), n});
    }
    if (part.electrodes) {
      part.electrodes->ReadIntegers(*part.electrodes->Plain(), at, {electrodes.data(), n});
    }
    use(at, std::span<const double>(times.data(), n), std::span<const int64_t>(values.data(), n),
        std::span<const int64_t>(electrodes.data(), n));
    for (const auto* file : {&part.samples, &part.times, &part.values, &part.electrodes}) {
      if (*file) (*file)->Release();
    }
  }
}

// From when to when a recording ran: from where sync_messages.txt says, else from its first spike
// or event, to the last.
void SetSpan(const Clock& clock, Segment& segment) {
  double first = std::numeric_limits<double>::infinity();
  for (const auto* parts : {&segment.spikes, &segment.lines, &segment.messages}) {
    for (const Part& part : *parts) {
      const Began began = BeganOf(segment, part.stream);
      bool told = false;
      ForEachPiece(part, clock, [&](int64_t at, std::span<const double> times, auto, auto) {
        for (size_t i = 0; i < times.size(); ++i) {
          if (std::isnan(times[i])) continue;
          first = std::min(first, times[i]);
          segment.end = std::max(segment.end, times[i] + (part.rate > 0 ? 1 / part.rate : 0));
          if (told || !(began.sample >= 0) || !(began.rate > 0)) continue;
          int64_t sample = 0;
          part.samples->ReadIntegers(*part.samples->Plain(), at + static_cast<int64_t>(i),
                                     {&sample, 1});
          const double ago = (static_cast<double>(sample) - began.sample) / began.rate;
          const double start = std::round((times[i] - ago) * 1e6) / 1e6;
          if (ago >= 0 && start >= 0) segment.start = std::min(segment.start, start);
          told = true;
        }
      });
    }
  }
  segment.start = std::min(segment.start, first);
}

// A unit: what was sorted to one id on one electrode.
struct UnitKey {
  std::string part;
  int64_t electrode = 0, sorted = 0;
  auto operator<=>(const UnitKey&) const = default;
};

struct Spikes {
  std::map<UnitKey, int64_t> counts;
  std::map<UnitKey, std::string> electrodes;  // their names
};

// Calls use(electrode, sorted id, time) for the spikes that have all of them.
template <class Use>
void ForEachSpike(const Part& part, const Clock& clock, Tally& strange, Tally& timeless,
                  const Use& use) {
  ForEachPiece(
      part, clock,
      [&](int64_t at, std::span<const double> times, std::span<const int64_t> ids,
          std::span<const int64_t> electrodes) {
        for (size_t i = 0; i < times.size(); ++i) {
          const auto where = [&] {
            return fmt::format("spike {}", at + static_cast<int64_t>(i) + 1);
          };
          if (std::min(ids[i], electrodes[i]) < 0 || std::max(ids[i], electrodes[i]) > kMaxIndex) {
            strange.Add([&] {
              return fmt::format("{} of sorted id {} on electrode {}", where(), ids[i],
                                 electrodes[i]);
            });
          } else if (std::isnan(times[i])) {
            timeless.Add(where);
          } else {
            use(electrodes[i], ids[i], times[i]);
          }
        }
      });
}

absl::StatusOr<Spikes> Count(const std::vector<Segment>& segments, const Clock& clock,
                             Notes& notes) {
  Spikes out;
  for (const Segment& segment : segments) {
    for (const Part& part : segment.spikes) {
      if (part.size == 0) notes.Said(part.folder, "holds no spikes");
      Tally strange, timeless;
      std::map<std::pair<int64_t, int64_t>, int64_t> counts;
      ForEachSpike(part, clock, strange, timeless, [&](int64_t electrode, int64_t id, double) {
        if (static_cast<int64_t>(counts.size()) <= kMaxUnits) ++counts[{electrode, id}];
      });
      strange.Mend(notes, part.folder, "spikes",
                   fmt::format("dropped as electrode or sorted id is not in 0 to {}", kMaxIndex));
      timeless.Mend(notes, part.folder, "spikes", "without a time dropped");
      for (const auto& [key, count] : counts) {
        const UnitKey unit{part.key, key.first, key.second};
        out.counts[unit] += count;
        out.electrodes[unit] = ElectrodeName(part, key.first);
      }
      if (static_cast<int64_t>(out.counts.size()) > kMaxUnits) {
        return InvalidField(part.folder, fmt::format("brings more than {} units", kMaxUnits));
      }
    }
  }
  return out;
}

absl::Status AddUnits(const std::vector<Segment>& segments, const Clock& clock, Recording& out,
                      Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const Spikes spikes, Count(segments, clock, notes));
  std::map<UnitKey, size_t> index;
  std::vector<int64_t> counts;
  Texts ids, electrodes;
  Numbers numbers;
  size_t unsorted = 0;
  for (const auto& [key, count] : spikes.counts) {
    index.emplace(key, counts.size());
    counts.push_back(count);
    out.units.emplace_back();
    if (key.sorted == 0) out.units.back().label = "unsorted";
    unsorted += key.sorted == 0 ? 1 : 0;
    ids.push_back(fmt::format("{}", key.sorted));
    electrodes.push_back(spikes.electrodes.at(key));
    numbers.push_back(static_cast<double>(key.electrode));
  }
  if (ids.empty()) return absl::OkStatus();  // which Finish() refuses
  SAED_ASSIGN_OR_RETURN(SpikeBuffer trains, SpikeBuffer::Make(counts));
  for (const Segment& segment : segments) {
    for (const Part& part : segment.spikes) {
      Tally strange, timeless;  // counted before
      std::unordered_map<int64_t, size_t> units;
      for (auto at = index.lower_bound({part.key, 0, 0});
           at != index.end() && at->first.part == part.key; ++at) {
        units[at->first.electrode * (kMaxIndex + 1) + at->first.sorted] = at->second;
      }
      ForEachSpike(part, clock, strange, timeless, [&](int64_t electrode, int64_t id, double time) {
        const auto at = units.find(electrode * (kMaxIndex + 1) + id);
        if (at != units.end()) trains.Add(at->second, time);
      });
    }
  }
  SAED_ASSIGN_OR_RETURN(std::vector<SpikeTrain> taken, trains.Take());
  for (size_t n = 0; n < taken.size(); ++n) out.units[n].spike_times = std::move(taken[n]);
  SetUnitIds("spikes", ids, out, notes);
  out.unit_columns.name = "units";
  AddUnitColumn(out, "electrode", std::move(electrodes));
  AddUnitColumn(out, "electrode_index", std::move(numbers));
  if (unsorted > 0) {
    notes.Said("spikes", fmt::format("{} of {} units are spikes that were not sorted (sorted id 0, "
                                     "label unsorted)",
                                     unsorted, ids.size()));
  }
  return absl::OkStatus();
}

// What names a part in the names of its tables: letters, digits and '_'.
std::string Plain(std::string name) {
  for (char& c : name) {
    const bool kept = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!kept) c = '_';
  }
  return name;
}

absl::Status AddLines(const std::vector<Segment>& segments, const Clock& clock, Recording& out,
                      Notes& notes) {
  std::map<std::string, OnOffPairs> sources;  // by the folder's key
  for (const Segment& segment : segments) {
    for (const Part& part : segment.lines) {
      if (part.size > kMaxIntervalRows) {
        notes.Mended(part.folder, fmt::format("left out: has {} changes; at most {} are read",
                                              part.size, kMaxIntervalRows));
        continue;
      }
      OnOffPairs& pairs = sources[part.key];
      pairs.Break();
      Tally timeless;
      ForEachPiece(
          part, clock,
          [&](int64_t at, std::span<const double> times, std::span<const int64_t> states, auto) {
            for (size_t i = 0; i < times.size(); ++i) {
              if (std::isnan(times[i])) {
                timeless.Add(
                    [&] { return fmt::format("change {}", at + static_cast<int64_t>(i)); });
              } else {
                pairs.Add(times[i], states[i]);
              }
            }
          });
      timeless.Mend(notes, part.folder, "changes", "without a time dropped");
    }
  }
  for (auto& [key, pairs] : sources) {
    std::string prefix = "ttl_";
    if (sources.size() > 1) {
      prefix = Plain(key.substr(key.find('/') + 1, key.rfind('/') - key.find('/') - 1)) + "_";
    }
    SAED_ASSIGN_OR_RETURN(auto tables, pairs.Take(prefix, key, notes));
    std::move(tables.begin(), tables.end(), std::back_inserter(out.intervals));
  }
  return absl::OkStatus();
}

absl::Status AddMessages(const std::vector<Segment>& segments, const Clock& clock, Recording& out,
                         Notes& notes) {
  Numbers start;
  Texts text;
  for (const Segment& segment : segments) {
    for (const Part& part : segment.messages) {
      auto values = part.values->ReadAll(kMaxIntervalRows, notes);
      const Texts* texts = values.ok() ? std::get_if<Texts>(&*values) : nullptr;
      if (texts == nullptr) {
        LeaveOut(part.folder,
                 values.ok() ? InvalidField(part.folder, "holds no texts") : values.status(),
                 notes);
        continue;
      }
      const size_t before = start.size();
      start.resize(before + static_cast<size_t>(part.size));
      ReadTimes(part, clock, 0, std::span(start).subspan(before));
      text.insert(text.end(), texts->begin(), texts->begin() + part.size);
    }
  }
  if (start.empty()) return absl::OkStatus();
  Table table;
  table.columns = {{"start_time", start}, {"stop_time", start}, {"text", std::move(text)}};
  SAED_ASSIGN_OR_RETURN(auto messages, MakeIntervals("messages", std::move(table), notes));
  out.intervals.push_back(std::move(messages));
  return absl::OkStatus();
}

// Leaves out what is not on the clock.
void KeepClock(const Clock& clock, std::vector<Part>& parts, bool messages, Notes& notes) {
  std::erase_if(parts, [&](const Part& part) {
    const bool other = !clock.stream.empty() && part.stream != clock.stream;
    // Messages count the samples of the main stream, whichever that is.
    if (clock.samples ? !other : part.synchronised && (!other || messages)) return false;
    if (part.size > 0) {
      notes.Mended(part.folder, fmt::format("left out: its {} items {}", part.size,
                                            other ? "are of another stream, or its clock"
                                                  : "have no synchronised times"));
    }
    return true;
  });
}

Match Recognise(const FileSet& files) {
  for (const std::string& name : files.WithBase(kOpenEphysStructure)) {
    for (const char* ids : {"clusters.npy", "spike_clusters.npy"}) {
      if (!files.Matching(fmt::format("{}spikes/**/{}", FolderOf(name), ids)).empty()) {
        return Match::kYesAlone;
      }
    }
  }
  return Match::kNo;
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const auto folders, ChooseRecordings(files, options));
  std::vector<Segment> segments;
  for (const std::string& folder : folders) {
    SAED_ASSIGN_OR_RETURN(Segment segment, OpenOpenEphys(files, folder, notes));
    segments.push_back(std::move(segment));
  }
  SAED_ASSIGN_OR_RETURN(const Clock clock, ChooseClock(segments, options, notes));
  Recording out;
  Spans observed;
  out.source = "open_ephys";
  out.sampling_rate = clock.samples ? clock.rate : 0;
  for (size_t s = 0; s < segments.size(); ++s) {
    Segment& segment = segments[s];
    KeepClock(clock, segment.spikes, false, notes);
    KeepClock(clock, segment.lines, false, notes);
    KeepClock(clock, segment.messages, true, notes);
    SetSpan(clock, segment);
    if (s > 0 && segment.start < segments[s - 1].end) {
      return InvalidField(
          "options.recording",
          fmt::format("is not one recording, and {} begins at {} s, before the one "
                      "before it ends at {} s; must name one",
                      ValidUtf8(segment.folder), segment.start, segments[s - 1].end));
    }
    if (segment.end > segment.start) {
      observed.emplace_back(segment.start, segment.end);
    } else {
      segment.end = s == 0 ? 0 : segments[s - 1].end;
      notes.Said(segment.folder, "holds no spike or event");
    }
  }
  if (!observed.empty()) out.observed = std::move(observed);
  SAED_RETURN_IF_ERROR(AddUnits(segments, clock, out, notes));
  SAED_RETURN_IF_ERROR(AddLines(segments, clock, out, notes));
  SAED_RETURN_IF_ERROR(AddMessages(segments, clock, out, notes));
  return out;
}

}  // namespace

const Reader& formats::open_ephys() {
  static const Reader reader = {
      "open_ephys",
      "Open Ephys GUI, binary format: spikes and events",
      "a folder with experiment*/recording*/structure.oebin and spikes/ beside it",
      {"**structure.oebin", "**sync_messages.txt", "**spikes/**/sample_numbers.npy",
       "**spikes/**/timestamps.npy", "**spikes/**/clusters.npy",
       "**spikes/**/electrode_indices.npy", "**spikes/**/spike_times.npy",
       "**spikes/**/spike_clusters.npy", "**spikes/**/spike_electrode_indices.npy",
       "**events/**/sample_numbers.npy", "**events/**/timestamps.npy", "**events/**/states.npy",
       "**events/**/channel_states.npy", "**events/**/text.npy"},
      {{"recording",
        "folder of a recording, or of an experiment whose recordings follow each other "
        "on one clock; without it the files must hold one experiment",
        "Record Node 101/experiment1/recording2"},
       {"stream", "the stream whose spikes and lines are read; without it all that share a clock",
        "Rhythm_Data"},
       {"clock",
        "timestamps (synchronised, s) or samples (of one stream); without it timestamps "
        "where all spikes have them",
        "samples"}},
      Recognise,
      Read};
  return reader;
}

}  // namespace saed::recordings

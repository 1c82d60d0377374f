#include "server/recordings/readers/nwb_spikes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/nwb_table.h"

namespace saed::recordings {
namespace {

constexpr int64_t kBlock = 1 << 20;  // spikes read at once

// Divides times by this: 1, or the sampling rate of samples.
absl::StatusOr<double> TimesPerSecond(const std::string& path, const ArrayInfo& info,
                                      const ImportOptions& options) {
  if (FlatSize(info) < 0 || info.shape.size() > 1) {
    return InvalidField(path, fmt::format("has {} dimensions; must have one", info.shape.size()));
  }
  using Kind = ArrayInfo::Kind;
  if (info.kind == Kind::kFloat) return 1.0;
  if (info.kind != Kind::kInteger && info.kind != Kind::kUnsigned) {
    return InvalidField(path, fmt::format("holds {}; must be seconds as float64", info.type));
  }
  if (options.sampling_rate > 0) return options.sampling_rate;
  return InvalidField(path,
                      fmt::format("holds {}, while spike times in NWB are seconds; where they "
                                  "are samples, say the sampling rate",
                                  info.type));
}

// Where each unit's spikes end.
absl::StatusOr<std::vector<int64_t>> ReadEnds(const Hierarchy& file, const std::string& table,
                                              int64_t spikes) {
  const std::string index = table + "/spike_times_index";
  if (file.Exists(index)) return ReadIndex(file, index, spikes);
  if (file.Exists(table + "/id")) {
    SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(table + "/id"));
    if (FlatSize(info) != 1) {
      return InvalidField(index, fmt::format("is missing; must say which of the spikes belong to "
                                             "each of {} units",
                                             FlatSize(info)));
    }
  }
  return std::vector<int64_t>{spikes};
}

// Ids, or where they are missing, texts or come twice the rows' numbers.
absl::Status ReadIds(const Hierarchy& file, const std::string& table, NwbSpikes& out,
                     Notes& notes) {
  const std::string path = table + "/id";
  out.units.resize(out.ends.size());
  for (size_t i = 0; i < out.units.size(); ++i) out.units[i].id = static_cast<int64_t>(i);
  if (!file.Exists(path)) {
    notes.Mended(path, fmt::format("is missing; units are numbered 0 to {}",
                                   static_cast<int64_t>(out.units.size()) - 1));
    return absl::OkStatus();
  }
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path));
  if (FlatSize(info) != static_cast<int64_t>(out.ends.size())) {
    return InvalidField(path, fmt::format("has {} rows; spike_times_index has {}", FlatSize(info),
                                          out.ends.size()));
  }
  const auto ids = file.ReadIntegers(path);
  if (const auto large = file.ReadUnsigned(path); !ids.ok() && large.ok()) {
    for (const uint64_t id : *large) out.original_ids.push_back(std::to_string(id));
    notes.Mended(path,
                 "are not all below 2^63, as ids are here; units are numbered from 0 and theirs "
                 "are in the column original_id");
    return absl::OkStatus();
  }
  if (!ids.ok()) {
    SAED_ASSIGN_OR_RETURN(const auto values, file.Read(path));
    out.original_ids = AsTexts(values);
    notes.Mended(path,
                 "are not whole numbers; units are numbered from 0 and theirs are in the "
                 "column original_id");
    return absl::OkStatus();
  }
  const std::set<int64_t> distinct(ids->begin(), ids->end());
  if (distinct.size() == ids->size()) {
    for (size_t i = 0; i < ids->size(); ++i) out.units[i].id = (*ids)[i];
    return absl::OkStatus();
  }
  for (int64_t id : *ids) out.original_ids.push_back(std::to_string(id));
  notes.Mended(path, fmt::format("{} of {} ids come more than once; units are numbered from 0 and "
                                 "theirs are in the column original_id",
                                 ids->size() - distinct.size(), ids->size()));
  return absl::OkStatus();
}

// The spikes [first, first + times.size()) of all, of one unit after another.
void AddBlock(std::span<double> times, int64_t first, double per_second, const NwbSpikes& spikes,
              size_t& unit, Tally& padding, SpikeBuffer& out) {
  while (!times.empty()) {
    while (first >= spikes.ends[unit]) ++unit;
    const std::span<double> own =
        times.subspan(0, std::min(times.size(), static_cast<size_t>(spikes.ends[unit] - first)));
    size_t kept = 0;
    for (size_t i = 0; i < own.size(); ++i) {
      if (std::isnan(own[i])) {
        padding.Add([&] {
          return fmt::format("[{}], of unit {}", first + static_cast<int64_t>(i),
                             spikes.units[unit].id);
        });
      } else {
        own[kept++] = own[i];
      }
    }
    if (per_second != 1.0) {
      for (double& t : own.subspan(0, kept)) t /= per_second;
    }
    out.Add(unit, own.subspan(0, kept));
    times = times.subspan(own.size());
    first += static_cast<int64_t>(own.size());
  }
}

absl::Status AddSpikes(const Hierarchy& file, const std::string& path, const ArrayInfo& info,
                       double per_second, const NwbSpikes& spikes, SpikeBuffer& out, Notes& notes) {
  const int64_t used = spikes.ends.empty() ? 0 : spikes.ends.back();
  Tally padding;
  size_t unit = 0;
  Numbers block(static_cast<size_t>(std::min(kBlock, used)));
  for (int64_t first = 0; first < used; first += kBlock) {
    const std::span<double> times(block.data(),
                                  static_cast<size_t>(std::min(kBlock, used - first)));
    if (info.shape.empty()) {
      SAED_ASSIGN_OR_RETURN(block, file.ReadNumbers(path));
    } else {
      SAED_RETURN_IF_ERROR(file.ReadRange(path, first, times));
    }
    AddBlock(info.shape.empty() ? std::span<double>(block) : times, first, per_second, spikes, unit,
             padding, out);
  }
  padding.Mend(notes, path, "NaN values", "dropped");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NwbSpikes> ReadNwbSpikes(const Hierarchy& file, const std::string& table,
                                        const ImportOptions& options, Notes& notes) {
  const std::string path = table + "/spike_times";
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file.Describe(path));
  SAED_ASSIGN_OR_RETURN(const double per_second, TimesPerSecond(path, info, options));
  const int64_t spikes = info.size();
  if (spikes > kMaxSpikes) {
    return InvalidField(path,
                        fmt::format("has {} spikes; at most {} are read", spikes, kMaxSpikes));
  }
  NwbSpikes out;
  SAED_ASSIGN_OR_RETURN(out.ends, ReadEnds(file, table, spikes));
  if (static_cast<int64_t>(out.ends.size()) > kMaxUnits) {
    return InvalidField(
        table, fmt::format("has {} units; at most {} are allowed", out.ends.size(), kMaxUnits));
  }
  SAED_RETURN_IF_ERROR(ReadIds(file, table, out, notes));
  std::vector<int64_t> counts;
  for (size_t i = 0; i < out.ends.size(); ++i) {
    counts.push_back(out.ends[i] - (i == 0 ? 0 : out.ends[i - 1]));
  }
  SAED_ASSIGN_OR_RETURN(SpikeBuffer buffer, SpikeBuffer::Make(counts));
  SAED_RETURN_IF_ERROR(AddSpikes(file, path, info, per_second, out, buffer, notes));
  const int64_t used = out.ends.empty() ? 0 : out.ends.back();
  if (used < spikes) {
    notes.Mended(path, fmt::format("{} values behind those of the last unit dropped, the first is "
                                   "[{}]",
                                   spikes - used, used));
  }
  SAED_ASSIGN_OR_RETURN(std::vector<SpikeTrain> trains, buffer.Take());
  for (size_t i = 0; i < trains.size(); ++i) out.units[i].spike_times = std::move(trains[i]);
  return out;
}

}  // namespace saed::recordings

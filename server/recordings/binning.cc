#include "server/recordings/binning.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/observed.h"

namespace saed::recordings {
namespace {

double StopOf(const Recording& r, const DataView& view) {
  return view.stop_time > 0 ? std::min(view.stop_time, r.duration) : r.duration;
}

// How many units pass each filter and those before it.
struct Passed {
  size_t labels = 0, ids = 0, regions = 0, observed = 0;
  double highest_rate = 0;  // of the observed ones, Hz
};

// Names the filter after which none is left, and what would be right.
void SayNoneIsLeft(const Recording& r, const DataView& view, const Passed& passed, Faults& faults) {
  if (passed.observed > 0) {
    faults.Add(
        "minimum_rate",
        fmt::format("is {} Hz and leaves none of the {} units that are chosen otherwise; the "
                    "highest rate among them is {:.4g} Hz",
                    view.minimum_rate, passed.observed, passed.highest_rate));
    return;
  }
  const bool ids = passed.labels > 0 && passed.ids == 0;
  // Where all that are chosen were never observed, what chose them.
  const bool labels = !ids && !view.unit_labels.empty() &&
                      (passed.labels == 0 || passed.regions > 0 || view.unit_regions.empty());
  const bool regions = !ids && !labels && !view.unit_regions.empty();
  std::set<std::string> have;
  for (const Unit& unit : r.units) {
    if (labels || regions) have.insert(labels ? unit.label : unit.region);
  }
  const size_t never = passed.regions;
  faults.Add(
      ids       ? "unit_ids"
      : regions ? "unit_regions"
                : "unit_labels",
      fmt::format("and the other unit filters leave none of the recording's {} units{}{}",
                  r.units.size(),
                  never == 0 ? "" : fmt::format(", of which {} were never observed", never),
                  have.empty() ? ""
                               : fmt::format("; its {} are: '{}'", labels ? "labels" : "regions",
                                             fmt::join(have, "', '"))));
}

// In one line, however many there are; whether there are some.
bool SayUnknown(const std::set<int64_t>& ids, const std::set<int64_t>& known, Faults& faults) {
  constexpr size_t kShown = 5;
  std::vector<int64_t> unknown;
  std::set_difference(ids.begin(), ids.end(), known.begin(), known.end(),
                      std::back_inserter(unknown));
  if (unknown.empty()) return false;
  const size_t count = unknown.size();
  unknown.resize(std::min(count, kShown));
  if (count == 1) {
    faults.Add("unit_ids",
               fmt::format("names the unit {}, which the recording does not have", unknown[0]));
    return true;
  }
  faults.Add("unit_ids",
             fmt::format("names {} of {} units that the recording does not have: {}{}", count,
                         ids.size(), fmt::join(unknown, ", "),
                         count > kShown ? fmt::format(" and {} more", count - kShown) : ""));
  return true;
}

void SelectUnits(const Recording& r, const DataView& view, double start, double stop, ViewData& out,
                 Faults& faults) {
  const std::set<std::string> labels(view.unit_labels.begin(), view.unit_labels.end());
  const std::set<int64_t> ids(view.unit_ids.begin(), view.unit_ids.end());
  const std::set<std::string> regions(view.unit_regions.begin(), view.unit_regions.end());
  std::set<int64_t> known;
  std::vector<ObservedCount> counts;
  if (view.minimum_rate > 0) counts = ObservedCounts(r, start, stop);
  Passed passed;
  for (size_t i = 0; i < r.units.size(); ++i) {
    const Unit& unit = r.units[i];
    known.insert(unit.id);
    if (!labels.empty() && !labels.count(unit.label)) continue;
    ++passed.labels;
    if (!ids.empty() && !ids.count(unit.id)) continue;
    ++passed.ids;
    if (!regions.empty() && !regions.count(unit.region)) continue;
    ++passed.regions;
    // Those never observed are not chosen by default.
    if (ids.empty() && !ObservedSpans(r).empty() && NeverObserved(r, unit)) continue;
    ++passed.observed;
    if (view.minimum_rate > 0) {
      passed.highest_rate = std::max(passed.highest_rate, counts[i].rate());
      if (counts[i].seconds <= 0 || counts[i].spikes < view.minimum_rate * counts[i].seconds) {
        continue;
      }
    }
    out.units.push_back(static_cast<int>(i));
    out.unit_ids.push_back(unit.id);
  }
  const bool unknown = SayUnknown(ids, known, faults);
  if (out.units.empty() && !(unknown && passed.ids == 0)) SayNoneIsLeft(r, view, passed, faults);
}

// Bin of a time by the edges start + i·w.
int64_t BinOf(const ViewData& view, double t) {
  t += kTimeTolerance;
  auto bin = static_cast<int64_t>(std::floor((t - view.start_time) / view.bin_width));
  while (t < view.bin_start(bin)) --bin;
  while (t >= view.bin_start(bin + 1)) ++bin;
  return bin;
}

// Room for the counts, zero-filled: in memory, or in a file where they are large.
absl::StatusOr<uint8_t*> Allocate(ViewData& out) {
  const size_t bytes = static_cast<size_t>(out.bins) * out.units.size() * SizeOf(out.dtype);
  out.bytes.clear();
  out.file.reset();
  if (bytes <= kCountsInMemory) {
    out.bytes.assign(bytes, 0);
    return out.bytes.data();
  }
  SAED_ASSIGN_OR_RETURN(const auto file, CountFile::Create(CountDirectory(), bytes));
  out.file = file;
  return file->data();
}

// Bins that are worked on at once.
int64_t ChunkBins(size_t units) {
  return std::max<int64_t>(1,
                           (int64_t{16} << 20) / static_cast<int64_t>(std::max<size_t>(1, units)));
}

// Counts spikes chunk by chunk; exact integer arithmetic where times, start and width are whole
// samples.
absl::Status BinSpikes(const Recording& r, ViewData& out) {
  const double rate = r.sampling_rate;
  const double width = out.bin_width * rate, first = out.start_time * rate;
  const bool exact = rate > 0 && std::abs(width - std::round(width)) < 1e-6 &&
                     std::abs(first - std::round(first)) < 1e-6 && std::round(width) >= 1;
  const auto width_samples = static_cast<int64_t>(std::llround(exact ? width : 1));
  const auto first_sample = static_cast<int64_t>(std::llround(exact ? first : 0));
  const size_t units = out.units.size();
  const auto bin_of = [&](double t) {
    return exact ? (std::llround(t * rate) - first_sample) / width_samples : BinOf(out, t);
  };
  const double past = out.bin_start(out.bins + 1);  // later spikes are in no bin, however late
  const int64_t chunk = ChunkBins(units);
  std::vector<uint16_t> counts(static_cast<size_t>(std::min(chunk, out.bins)) * units);
  // Narrow counts are tried first; the rare recording that needs wide ones is counted again.
  for (out.dtype = DType::kU8;; out.dtype = DType::kU16) {
    SAED_ASSIGN_OR_RETURN(uint8_t * bytes, Allocate(out));
    std::vector<size_t> next(units);
    for (size_t n = 0; n < units; ++n) {
      const auto& times = r.units[out.units[n]].spike_times;
      next[n] = std::lower_bound(times.begin(), times.end(), out.start_time) - times.begin();
    }
    bool fits = true;
    for (int64_t begin = 0; begin < out.bins && fits; begin += chunk) {
      const int64_t end = std::min(out.bins, begin + chunk);
      std::fill(counts.begin(), counts.end(), 0);
      uint16_t most = 0;
      for (size_t n = 0; n < units; ++n) {
        const auto& times = r.units[out.units[n]].spike_times;
        for (; next[n] < times.size() && times[next[n]] < past; ++next[n]) {
          const int64_t bin = bin_of(times[next[n]]);
          if (bin >= end) break;
          if (bin < begin) continue;
          uint16_t& count = counts[static_cast<size_t>(bin - begin) * units + n];
          if (count == 65535) {
            return InvalidField("bin_width",
                                fmt::format("is {} s, which puts more than 65535 spikes of unit {} "
                                            "into one bin; use narrower bins",
                                            out.bin_width, r.units[out.units[n]].id));
          }
          most = std::max(most, ++count);
        }
      }
      fits = most <= 255 || out.dtype == DType::kU16;
      const size_t at = static_cast<size_t>(begin) * units,
                   size = static_cast<size_t>(end - begin) * units;
      if (out.dtype == DType::kU8) {
        std::copy_n(counts.begin(), size, bytes + at);
      } else {
        std::memcpy(bytes + at * 2, counts.data(), size * 2);
      }
      out.Release();
    }
    if (fits) return absl::OkStatus();
  }
}

// Whether a view shows all of a mapped matrix, from some bin on.
bool AsStored(const Recording& r, int64_t factor, const ViewData& out) {
  return r.counts.file && r.counts.dtype == DType::kU8 && factor == 1 &&
         out.units.size() == r.units.size();
}

// Adds up the bins of a recorded count matrix into the view's bins, chunk by chunk. A mapped one
// that the view shows as it is stays where it is.
absl::Status Rebin(const Recording& r, int64_t factor, ViewData& out) {
  const CountView in{r.counts.data(), r.counts.dtype, r.counts.bins,
                     static_cast<int>(r.units.size())};
  const auto skip = static_cast<int64_t>(std::llround(out.start_time / r.counts.bin_width));
  const size_t units = out.units.size();
  if (AsStored(r, factor, out)) {
    out.dtype = DType::kU8;
    out.file = r.counts.file;
    out.file_offset = static_cast<size_t>(skip) * units;
    return absl::OkStatus();
  }
  const int64_t chunk = ChunkBins(units);
  std::vector<float> sums(static_cast<size_t>(std::min(chunk, out.bins)) * units);
  const auto each_chunk = [&](const auto& use) {
    for (int64_t begin = 0; begin < out.bins; begin += chunk) {
      const int64_t end = std::min(out.bins, begin + chunk);
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (int64_t bin = begin * factor; bin < end * factor; ++bin) {
        for (size_t n = 0; n < units; ++n) {
          sums[static_cast<size_t>(bin / factor - begin) * units + n] +=
              static_cast<float>(ValueAt(in, (skip + bin) * in.units + out.units[n]));
        }
      }
      use(static_cast<size_t>(begin) * units, static_cast<size_t>(end - begin) * units);
      if (r.counts.file) r.counts.file->Release();
    }
  };
  float most = 0;
  each_chunk([&](size_t, size_t size) {
    most =
        std::max(most, *std::max_element(sums.begin(), sums.begin() + static_cast<int64_t>(size)));
  });
  const bool whole = r.counts.dtype != DType::kF32;
  out.dtype = !whole || most > 65535 ? DType::kF32 : most > 255 ? DType::kU16 : DType::kU8;
  SAED_ASSIGN_OR_RETURN(uint8_t * bytes, Allocate(out));
  const auto fill = [&]<class T>(T) {
    each_chunk([&](size_t at, size_t size) {
      for (size_t i = 0; i < size; ++i) {
        const T v = static_cast<T>(sums[i]);
        std::memcpy(bytes + (at + i) * sizeof(T), &v, sizeof(T));
      }
      out.Release();
    });
  };
  if (out.dtype == DType::kU8) fill(uint8_t{});
  if (out.dtype == DType::kU16) fill(uint16_t{});
  if (out.dtype == DType::kF32) fill(float{});
  return absl::OkStatus();
}

// In a mapped file numbers need not lie at whole multiples of their size.
template <class T>
T At(const void* data, int64_t i) {
  T out;
  std::memcpy(&out, static_cast<const char*>(data) + i * static_cast<int64_t>(sizeof(T)),
              sizeof(T));
  return out;
}

}  // namespace

double ValueAt(const CountView& view, int64_t i) {
  switch (view.dtype) {
    case DType::kU8:
      return static_cast<const uint8_t*>(view.data)[i];
    case DType::kU16:
      return static_cast<double>(At<uint16_t>(view.data, i));
    case DType::kF32:
      return static_cast<double>(At<float>(view.data, i));
  }
  return 0;
}

absl::StatusOr<std::vector<int>> ChosenUnits(const Recording& r, const DataView& view) {
  Faults faults;
  ViewData out;
  SelectUnits(r, view, view.start_time, StopOf(r, view), out, faults);
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  return std::move(out.units);
}

absl::Status MakeCounts(const Recording& r, const DataView& view, ViewData& out) {
  Faults faults;
  out.start_time = view.start_time;
  out.bin_width = view.bin_width;
  const double stop = StopOf(r, view);
  if (view.start_time >= r.duration) {
    faults.Add("start_time",
               fmt::format("is {} s; the recording lasts {} s", view.start_time, r.duration));
    return faults.ToStatus();
  }
  SelectUnits(r, view, view.start_time, stop, out, faults);
  const double span = stop - view.start_time;
  constexpr double kMostBins = 1e15;  // far above what is allowed below
  out.bins =
      static_cast<int64_t>(std::min(kMostBins, std::floor(span / view.bin_width + kTimeTolerance)));
  if (out.bins < 1) {
    faults.Add("bin_width", fmt::format("is {} s; the recording's time range lasts only {} s",
                                        view.bin_width, span));
  }
  const double factor = r.counts.present() ? view.bin_width / r.counts.bin_width : 1;
  const auto units = static_cast<int64_t>(std::max<size_t>(1, out.units.size()));
  if (out.bins > kMaxCountElements / units && !AsStored(r, std::llround(factor), out)) {
    faults.Add("bin_width",
               fmt::format("is {} s, which makes {} bins x {} units; at most {} counts "
                           "are allowed",
                           view.bin_width, out.bins, units, kMaxCountElements));
  }
  if (r.counts.present() &&
      (std::abs(factor - std::round(factor)) > 1e-6 || std::round(factor) < 1)) {
    faults.Add("bin_width", fmt::format("is {} s; must be a whole multiple of the recorded bins of "
                                        "{} s",
                                        view.bin_width, r.counts.bin_width));
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  if (!r.counts.present()) return BinSpikes(r, out);
  // A width that is only nearly a multiple must not reach past the last recorded bin.
  const auto skip = static_cast<int64_t>(std::llround(view.start_time / r.counts.bin_width));
  out.bin_width = std::round(factor) * r.counts.bin_width;
  out.bins = std::min<int64_t>(out.bins, (r.counts.bins - skip) / std::llround(factor));
  if (out.bins < 1) {
    return InvalidField("start_time", fmt::format("is {} s, which leaves less than one bin of {} s",
                                                  view.start_time, out.bin_width));
  }
  return Rebin(r, std::llround(factor), out);
}

}  // namespace saed::recordings

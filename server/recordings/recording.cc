#include "server/recordings/recording.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "server/recordings/binning.h"

namespace saed::recordings {
namespace {

// Adds the rows [first, last) of counts of type T to `sums`, one for each column.
template <class T>
void AddRows(const CountMatrix& counts, int64_t first, int64_t last, std::vector<double>& sums) {
  constexpr size_t kReleased = size_t{64} << 20;  // bytes after which pages are given back
  const size_t row = sums.size() * sizeof(T);
  std::vector<T> values(sums.size());
  size_t read = 0;
  for (int64_t i = first; i < last; ++i) {
    // In a mapped file numbers need not lie at whole multiples of their size.
    std::memcpy(values.data(), counts.data() + static_cast<size_t>(i) * row, row);
    for (size_t n = 0; n < sums.size(); ++n) sums[n] += static_cast<double>(values[n]);
    read += row;
    if (counts.file && read > kReleased) {
      counts.file->Release();
      read = 0;
    }
  }
  if (counts.file) counts.file->Release();
}

// The first bin that begins at `time` or later, within the matrix.
int64_t FirstBin(const CountMatrix& counts, double time) {
  const double at = std::ceil((time - kTimeTolerance) / counts.bin_width);
  return static_cast<int64_t>(std::clamp(at, 0.0, static_cast<double>(counts.bins)));
}

}  // namespace

const Column* Table::Find(std::string_view column) const {
  for (const Column& c : columns) {
    if (c.name == column) return &c;
  }
  return nullptr;
}

const IntervalTable* Recording::FindIntervals(std::string_view name) const {
  for (const IntervalTable& t : intervals) {
    if (t.table.name == name) return &t;
  }
  return nullptr;
}

std::vector<double> SpikeCounts(const Recording& r, double start, double stop) {
  std::vector<double> out(r.units.size());
  if (!r.counts.present()) {
    LooseLook look;
    for (size_t n = 0; n < out.size(); ++n) {
      const SpikeTrain& times = r.units[n].spike_times;
      if (start <= 0 && stop == INFINITY) {  // no spike is before 0
        out[n] = static_cast<double>(times.size());
        continue;
      }
      const auto first = std::lower_bound(times.begin(), times.end(), start);
      out[n] = static_cast<double>(std::lower_bound(first, times.end(), stop) - first);
      look.Looked(times);
    }
    return out;
  }
  const int64_t first = FirstBin(r.counts, start), last = FirstBin(r.counts, stop);
  switch (r.counts.dtype) {
    case DType::kU8:
      AddRows<uint8_t>(r.counts, first, last, out);
      break;
    case DType::kU16:
      AddRows<uint16_t>(r.counts, first, last, out);
      break;
    case DType::kF32:
      AddRows<float>(r.counts, first, last, out);
      break;
  }
  return out;
}

std::vector<double> SpikeTimesIn(const Recording& r, size_t unit, double start, double stop,
                                 size_t most) {
  std::vector<double> out;
  if (r.counts.present()) {
    const CountView view{r.counts.data(), r.counts.dtype, r.counts.bins,
                         static_cast<int>(r.units.size())};
    const int64_t last = FirstBin(r.counts, stop);
    for (int64_t bin = FirstBin(r.counts, start); bin < last && out.size() < most; ++bin) {
      if (ValueAt(view, bin * view.units + static_cast<int64_t>(unit)) > 0) {
        out.push_back((static_cast<double>(bin) + 0.5) * r.counts.bin_width);
      }
    }
    return out;
  }
  const SpikeTrain& times = r.units[unit].spike_times;
  for (auto t = std::lower_bound(times.begin(), times.end(), start);
       t != times.end() && *t < stop && out.size() < most; ++t) {
    out.push_back(*t);
  }
  return out;
}

}  // namespace saed::recordings

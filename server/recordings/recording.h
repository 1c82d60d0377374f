// A recording as saed keeps it, whatever file it came from. Times are seconds from the recording's
// start, float64.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "server/base/counts.h"
#include "server/recordings/count_file.h"
#include "server/recordings/spike_train.h"

namespace saed::recordings {

using Numbers = std::vector<double>;
using Texts = std::vector<std::string>;
using TextLists = std::vector<std::vector<std::string>>;

// Half-open [start, stop) stretches of time, s; ascending, apart.
using Spans = std::vector<std::pair<double, double>>;
// When something was observed: without a value whenever it could be, with no span never.
using Observed = std::optional<Spans>;

struct Column {
  std::string name;
  std::variant<Numbers, Texts, TextLists> values;

  size_t rows() const {
    return std::visit([](const auto& v) { return v.size(); }, values);
  }
};

struct Table {
  std::string name;
  std::vector<Column> columns;  // all of the same length

  const Column* Find(std::string_view column) const;
};

// Rows with a start and a stop: trials, stimulus presentations, epochs. The columns start_time and
// stop_time are among `columns` too, so that filters can use them.
struct IntervalTable {
  Table table;
  Numbers start, stop;

  size_t rows() const { return start.size(); }
};

// A behavioural signal: position, running speed.
struct Series {
  std::string name;
  std::string unit;  // of measurement
  Texts channels;    // names of the columns, at least one
  Numbers timestamps;
  Numbers values;  // [timestamps, channels]
};

// A sorted cluster, perhaps one neuron.
struct Unit {
  int64_t id = 0;
  std::string label;   // quality label: "good", "mua"; may be empty
  std::string region;  // brain area; may be empty
  double depth = std::numeric_limits<double>::quiet_NaN();  // µm where known
  SpikeTrain spike_times;  // ascending; empty where the recording is a count matrix
  // When it was observed: outside, that it has no spikes means nothing. Without a value: whenever
  // the recording was.
  Observed observed = {};
};

// Counts that came binned.
struct CountMatrix {
  double bin_width = 0;  // s; 0: the recording has spike times instead
  DType dtype = DType::kU8;
  int64_t bins = 0;
  // [bins, units] row-major: `bytes`, or above kCountsInMemory a mapped file.
  std::vector<uint8_t> bytes;
  std::shared_ptr<const CountFile> file;

  bool present() const { return bin_width > 0; }
  const uint8_t* data() const { return file ? file->data() : bytes.data(); }
};

struct Recording {
  std::string source;        // "nwb", "phy", "simulation": see readers/registry.h
  double sampling_rate = 0;  // Hz; where > 0 every spike time is a whole number of samples
  double duration = 0;       // s
  std::vector<Unit> units;
  Table unit_columns;  // further columns of the units table, in the order of `units`
  Table electrodes;
  std::vector<IntervalTable> intervals;
  std::vector<Series> series;
  CountMatrix counts;
  // When there was something to observe, within [0, duration). Without a value: all the time.
  Observed observed;

  const IntervalTable* FindIntervals(std::string_view name) const;
};

// Spikes of each unit at start <= time < stop, s; of a count matrix, the sum of its counts in the
// bins that begin then. A large matrix is read from its file, all of it for all times.
std::vector<double> SpikeCounts(const Recording& recording, double start, double stop);

// Times of the first `most` spikes of unit number `unit` in [start, stop), s, ascending; where the
// recording is a count matrix, the middles of its bins that begin then and hold any.
std::vector<double> SpikeTimesIn(const Recording& recording, size_t unit, double start, double stop,
                                 size_t most);

// A recording with what the reader could not use, in words for the user.
struct Imported {
  Recording recording;
  Texts warnings;
};

// A time within a nanosecond of a bin's edge is on it, s: decimal times that a file rounded must
// not fall into the bin before.
inline constexpr double kTimeTolerance = 1e-9;

inline constexpr int64_t kMaxUnits = 100'000;
inline constexpr int64_t kMaxSpikes = int64_t{1} << 31;
inline constexpr int64_t kMaxIntervalRows = 10'000'000;
inline constexpr int64_t kMaxCountElements = int64_t{1} << 33;   // of a view that is made
inline constexpr int64_t kMaxStoredElements = int64_t{1} << 36;  // of a matrix that came as such

}  // namespace saed::recordings

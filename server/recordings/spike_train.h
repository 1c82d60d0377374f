// The spike times of a unit: in memory, or in a mapped file where the recording's are many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/count_file.h"
#include "server/recordings/spike_file.h"

namespace saed::recordings {

// Spike times of a recording above this many bytes live in a file.
inline constexpr size_t kSpikesInMemory = size_t{64} << 20;

// What was seen of a train's spikes, in their order, while they were gathered.
struct TrainLook {
  double first = 0, last = -1;  // s; of none, 0 and -1
  bool good = true;             // all are finite, none is before 0 or before the one before it
  int64_t seen = 0, twice = 0;  // spikes, and how many of them at the time of the one before
  int64_t first_twice = -1;     // the first of those

  void See(std::span<const double> times);
};

// Reads as a const vector of doubles. A train in a file is never written; push_back() and assign()
// are of trains in memory. Copies of a train in a file share it.
class SpikeTrain {
 public:
  using value_type = double;
  using const_iterator = const double*;
  using iterator = const_iterator;

  SpikeTrain() = default;
  SpikeTrain(std::vector<double> times) : times_(std::move(times)) {}  // NOLINT: as a vector is
  SpikeTrain(std::initializer_list<double> times) : times_(times) {}
  // `size` times from `offset` bytes on behind the file's data(), a multiple of 8.
  SpikeTrain(std::shared_ptr<const CountFile> file, size_t offset, size_t size)
      : file_(std::move(file)), offset_(offset), size_(size) {}
  // `size` times from the spike `first` on of a file of them, with what was seen of them.
  SpikeTrain(std::shared_ptr<SpikeFile> gathered, size_t first, size_t size, const TrainLook& look)
      : file_(gathered->map()),
        offset_(first * sizeof(double)),
        size_(size),
        gathered_(std::move(gathered)),
        look_(look) {}

  const double* data() const {
    return file_ ? reinterpret_cast<const double*>(file_->data() + offset_) : times_.data();
  }
  size_t size() const { return file_ ? size_ : times_.size(); }
  bool empty() const { return size() == 0; }
  const double* begin() const { return data(); }
  const double* end() const { return data() + size(); }
  double operator[](size_t i) const { return data()[i]; }
  double front() const { return look_ && look_->good ? look_->first : data()[0]; }
  double back() const { return look_ && look_->good ? look_->last : data()[size() - 1]; }
  operator std::span<const double>() const { return {data(), size()}; }  // NOLINT: a view of it

  void push_back(double time) { times_.push_back(time); }
  void assign(size_t count, double time) { times_.assign(count, time); }
  template <std::input_iterator It>
  void assign(It first, It last) {
    times_.assign(first, last);
  }
  void reserve(size_t count) { times_.reserve(count); }

  bool in_file() const { return file_ != nullptr; }
  // Where it begins behind the file's data(), bytes.
  size_t offset() const { return offset_; }
  // Where it was gathered, and what was seen then; null where it was not.
  const std::shared_ptr<SpikeFile>& gathered() const { return gathered_; }
  const TrainLook* look() const { return look_ ? &*look_ : nullptr; }

  // Lets go of the file's resident pages, if it is in one; they come back when they are read.
  void Release() const {
    if (file_) file_->Release();
  }

 private:
  std::vector<double> times_;
  std::shared_ptr<const CountFile> file_;
  size_t offset_ = 0, size_ = 0;
  std::shared_ptr<SpikeFile> gathered_;
  std::optional<TrainLook> look_;
};

// Gives pages back now and then to those who look at a few spikes of each of many trains: every
// look may make resident what lies together in the page cache, 2 MB on current systems.
class LooseLook {
 public:
  void Looked(const SpikeTrain& train) {
    if (++looks_ % kLooks == 0) train.Release();
  }

 private:
  static constexpr int kLooks = 16;
  int looks_ = 0;
};

bool operator==(const SpikeTrain& a, const SpikeTrain& b);

// Takes spikes in any order of units and gives the trains, in bounded memory however many there
// are. What goes wrong on the way is told by Take(). Not thread-safe.
class SpikeBuffer {
 public:
  // Room for counts[n] spikes of unit n. RESOURCE_EXHAUSTED where there is none.
  static absl::StatusOr<SpikeBuffer> Make(const std::vector<int64_t>& counts);

  // The next spike of a unit.
  void Add(size_t unit, double time) {
    if (held_[unit] == room_) Flush(unit);
    pool_[unit * room_ + held_[unit]++] = time;
  }
  // The next spikes of a unit.
  void Add(size_t unit, std::span<const double> times);
  // Sorts the spikes of a unit that came so far.
  void Sort(size_t unit);
  // The trains, cut to the spikes that came. INVALID_ARGUMENT where more came than there is room
  // for: the files were changed while they were read.
  absl::StatusOr<std::vector<SpikeTrain>> Take();

 private:
  SpikeBuffer() = default;

  void Flush(size_t unit);
  void Put(size_t unit, std::span<const double> times);
  // Keeps the first fault, after which nothing more is taken.
  bool Failed(const absl::Status& status);

  size_t room_ = 0;           // spikes of a unit that are held back
  std::vector<double> pool_;  // [units, room_], the spikes held back
  std::vector<uint32_t> held_;
  std::vector<std::vector<double>> times_;  // [units], where they are in memory
  std::shared_ptr<SpikeFile> file_;
  std::vector<size_t> first_, next_, end_;  // [units], numbers of spikes from the first of all
  std::vector<TrainLook> looks_;            // [units]
  absl::Status status_;
};

// Sorts; quickly where few times are out of order.
void SortTimes(std::span<double> times);

// Sorts `size` spikes of a file from `first` on, in bounded memory, and looks at them.
absl::Status SortInFile(SpikeFile& file, size_t first, size_t size, TrainLook& look);

}  // namespace saed::recordings

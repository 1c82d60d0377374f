// The spike times of a unit: in memory, or in a mapped file where the recording's are many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/count_file.h"

namespace saed::recordings {

// Spike times of a recording above this many bytes live in a file.
inline constexpr size_t kSpikesInMemory = size_t{64} << 20;

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

  const double* data() const {
    return file_ ? reinterpret_cast<const double*>(file_->data() + offset_) : times_.data();
  }
  size_t size() const { return file_ ? size_ : times_.size(); }
  bool empty() const { return size() == 0; }
  const double* begin() const { return data(); }
  const double* end() const { return data() + size(); }
  double operator[](size_t i) const { return data()[i]; }
  double front() const { return data()[0]; }
  double back() const { return data()[size() - 1]; }
  operator std::span<const double>() const { return {data(), size()}; }  // NOLINT: a view of it

  void push_back(double time) { times_.push_back(time); }
  void assign(size_t count, double time) { times_.assign(count, time); }
  template <std::input_iterator It>
  void assign(It first, It last) {
    times_.assign(first, last);
  }
  void reserve(size_t count) { times_.reserve(count); }

  // Lets go of the file's resident pages, if it is in one; they come back when they are read.
  void Release() const {
    if (file_) file_->Release();
  }

 private:
  std::vector<double> times_;
  std::shared_ptr<const CountFile> file_;
  size_t offset_ = 0, size_ = 0;
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
// are. Not thread-safe.
class SpikeBuffer {
 public:
  // Room for counts[n] spikes of unit n. RESOURCE_EXHAUSTED where there is none.
  static absl::StatusOr<SpikeBuffer> Make(const std::vector<int64_t>& counts);

  // The next spike of a unit, which must have room for it.
  void Add(size_t unit, double time);
  // The trains, cut to the spikes that came.
  std::vector<SpikeTrain> Take();

 private:
  SpikeBuffer() = default;

  std::vector<std::vector<double>> times_;  // [units], where they are in memory
  std::shared_ptr<CountFile> file_;
  std::vector<size_t> first_, next_;  // [units], places in the file
  size_t added_ = 0;
};

}  // namespace saed::recordings

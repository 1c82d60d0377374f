#include "server/recordings/check_stored.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/recordings/open_beneath.h"

namespace saed::recordings {
namespace {

constexpr size_t kPiece = size_t{256} << 10;  // bytes; a multiple of a spike's that fits the cache

// Looks at the bytes of a file as they pass by.
class TrainCheck {
 public:
  explicit TrainCheck(const Recording& r) : r_(r) {}

  // The next bytes, whole spikes where there are some, which begin at `at` in the file.
  absl::Status See(const char* data, size_t size, size_t at) {
    const size_t stop = at + size;
    while (SkipToTrain()) {
      const SpikeTrain& train = r_.units[unit_].spike_times;
      const size_t begin = train.offset() + seen_ * sizeof(double);
      if (begin < at) return Out();
      if (begin >= stop) break;
      const size_t n = std::min((stop - begin) / sizeof(double), train.size() - seen_);
      if (n == 0 || !Ascending(data + (begin - at), n)) return Out();
      seen_ += n;
    }
    return absl::OkStatus();
  }

  // All bytes were seen.
  absl::Status End() { return SkipToTrain() ? Out() : absl::OkStatus(); }

 private:
  // Whether there is a train that is not seen to its end.
  bool SkipToTrain() {
    for (; unit_ < r_.units.size(); ++unit_, seen_ = 0, latest_ = 0) {
      const SpikeTrain& train = r_.units[unit_].spike_times;
      if (train.in_file() && seen_ < train.size()) return true;
    }
    return false;
  }

  bool Ascending(const char* data, size_t n) {
    bool good = true;
    double latest = latest_;
    for (size_t i = 0; i < n; ++i) {
      double t = 0;
      std::memcpy(&t, data + i * sizeof(double), sizeof t);
      good &= t >= latest;  // which NaN is not
      latest = t;
    }
    latest_ = latest;
    return good && latest <= r_.duration;
  }

  absl::Status Out() const {
    return absl::InternalError(
        fmt::format("the reading process left a recording whose units[id={}] has spike times that "
                    "are not ascending within the recording",
                    r_.units[unit_].id));
  }

  const Recording& r_;
  size_t unit_ = 0, seen_ = 0;  // spikes of the unit
  double latest_ = 0;           // s
};

absl::Status Unreadable(int error) {
  return absl::UnavailableError(
      fmt::format("cannot read what the reading process left: {}", std::strerror(error)));
}

}  // namespace

absl::StatusOr<Stored> CheckStored(const std::string& path, const Recording& r) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.ok()) return Unreadable(errno);
  // The disk writes what has to be safe on it in the end while the bytes are looked at.
  const std::jthread writes(
      [&file] { (void)sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE); });
  Sha256 digest;
  TrainCheck trains(r);
  std::vector<char> piece(kPiece);
  Stored out;
  while (true) {
    size_t held = 0;
    while (held < kPiece) {
      const ssize_t n = read(file.get(), piece.data() + held, kPiece - held);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Unreadable(errno);
      if (n == 0) break;
      held += static_cast<size_t>(n);
    }
    digest.Update(piece.data(), held);
    SAED_RETURN_IF_ERROR(trains.See(piece.data(), held, static_cast<size_t>(out.bytes)));
    out.bytes += static_cast<int64_t>(held);
    if (held < kPiece) break;
  }
  SAED_RETURN_IF_ERROR(trains.End());
  out.digest = digest.Hex();
  return out;
}

}  // namespace saed::recordings

#include "server/recordings/count_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "server/recordings/put_counts.h"

namespace saed::recordings {
namespace {

absl::Status Failed(const std::string& what) {
  return errno == ENOSPC || errno == EFBIG
             ? absl::ResourceExhaustedError(fmt::format("{}: {}", what, std::strerror(errno)))
             : absl::UnavailableError(fmt::format("{}: {}", what, std::strerror(errno)));
}

// Bytes of files, not of memory of its own, that this process has resident.
size_t Resident() {
  static const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  char text[128] = {};
  if (pread(file, text, sizeof text - 1, 0) <= 0) return 0;
  size_t all = 0, resident = 0, shared = 0;
  if (std::sscanf(text, "%zu %zu %zu", &all, &resident, &shared) != 3) return 0;
  return shared * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Releases all count files when too much of them is resident. Its thread lives while there are any.
// Thread-safe.
class Watch {
 public:
  // Never destroyed, as its thread may outlive main's statics.
  static Watch& Get() {
    static auto* const watch = new Watch;
    return *watch;
  }

  void Add(const CountFile* file) {
    const std::lock_guard lock(mutex_);
    files_.insert(file);
    if (!std::exchange(running_, true)) std::thread(&Watch::Run, this).detach();
  }

  void Look() {
    const std::lock_guard lock(mutex_);
    if (!files_.empty() && Resident() > ResidentFiles()) Release();
  }

  // After this the file is not touched any more.
  void Remove(const CountFile* file) {
    const std::lock_guard lock(mutex_);
    files_.erase(file);
  }

 private:
  void Release() {
    for (const CountFile* file : files_) file->Release();
  }

  void Run() {
    std::unique_lock lock(mutex_);
    while (!files_.empty()) {
      if (Resident() > ResidentFiles()) Release();
      lock.unlock();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      lock.lock();
    }
    running_ = false;
  }

  std::mutex mutex_;
  std::set<const CountFile*> files_;
  bool running_ = false;
};

// The file of PutCountsInto(), in which others lie one behind another. Thread-safe.
class SharedFile {
 public:
  static SharedFile& Get() {
    static auto* const file = new SharedFile;
    return *file;
  }

  void Use(int descriptor) {
    const std::lock_guard lock(mutex_);
    descriptor_ = descriptor;
    end_ = 0;
  }
  int descriptor() const { return descriptor_; }

  // So many bytes of zeros, mapped; null, and errno says why, where there is no room.
  uint8_t* Claim(size_t bytes) {
    const std::lock_guard lock(mutex_);
    errno = posix_fallocate(descriptor_, end_, static_cast<off_t>(bytes));
    if (errno != 0) return nullptr;
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, end_);
    if (data == MAP_FAILED) return nullptr;
    auto* const out = static_cast<uint8_t*>(data);
    places_[out] = std::exchange(end_, end_ + Rounded(bytes));
    return out;
  }

  // What was claimed there goes back to the disk, and where it was the last is given again; what
  // was not claimed is left alone.
  void GiveBack(const uint8_t* data, size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto it = places_.find(data);
    if (it == places_.end()) return;
    const int64_t place = it->second;
    places_.erase(it);
    const bool zero = fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, place,
                                Rounded(bytes)) == 0;
    if (zero && place + Rounded(bytes) == end_) end_ = place;
  }

 private:
  static int64_t Rounded(size_t bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    return static_cast<int64_t>((bytes + page - 1) / page * page);
  }

  std::mutex mutex_;
  std::atomic<int> descriptor_{-1};
  int64_t end_ = 0;
  std::map<const uint8_t*, int64_t> places_;
};

}  // namespace

size_t& ResidentFiles() {
  static size_t bytes = kResidentFiles;
  return bytes;
}

void PutCountsInto(int descriptor) { SharedFile::Get().Use(descriptor); }

void ReleaseWhatIsTooMuch() { Watch::Get().Look(); }

std::string& CountDirectory() {
  static std::string directory;
  return directory;
}

absl::StatusOr<std::shared_ptr<CountFile>> CountFile::Create(const std::string& directory,
                                                             size_t bytes) {
  const int shared = SharedFile::Get().descriptor();
  if (shared >= 0) {
    uint8_t* const data = SharedFile::Get().Claim(bytes);
    if (data == nullptr) return Failed(fmt::format("no room for {} bytes of counts", bytes));
    return std::shared_ptr<CountFile>(new CountFile(data, bytes, 0));
  }
  std::string path =
      (directory.empty() ? std::filesystem::temp_directory_path().string() : directory) +
      "/saed-counts-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return Failed("cannot create a file for counts");
  unlink(path.c_str());
  // Room is claimed at once: a full disk shows here, not as a fault while counts are written.
  const int full = posix_fallocate(file, 0, static_cast<off_t>(bytes));
  if (full != 0) {
    close(file);
    errno = full;
    return Failed(fmt::format("no room for {} bytes of counts", bytes));
  }
  auto out = Map(file, bytes, 0);
  close(file);
  return out;
}

absl::StatusOr<std::shared_ptr<CountFile>> CountFile::Map(int file, size_t bytes, size_t offset) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (data == MAP_FAILED) return Failed("cannot map a file");
  return std::shared_ptr<CountFile>(new CountFile(static_cast<uint8_t*>(data), bytes, offset));
}

absl::StatusOr<std::shared_ptr<CountFile>> CountFile::Open(const std::string& path, size_t offset) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Failed(fmt::format("cannot open {}", path));
  struct stat status {};
  if (fstat(file, &status) != 0 || static_cast<size_t>(status.st_size) <= offset) {
    close(file);
    return absl::DataLossError(fmt::format("{} is shorter than {} bytes", path, offset));
  }
  const auto size = static_cast<size_t>(status.st_size);
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (data == MAP_FAILED) return Failed(fmt::format("cannot map {}", path));
  return std::shared_ptr<CountFile>(new CountFile(static_cast<uint8_t*>(data), size, offset));
}

CountFile::CountFile(uint8_t* data, size_t size, size_t offset)
    : data_(data), size_(size), offset_(offset) {
  Watch::Get().Add(this);
}

CountFile::~CountFile() {
  Watch::Get().Remove(this);
  SharedFile::Get().GiveBack(data_, size_);  // before another may be mapped there
  munmap(data_, size_);
}

void CountFile::Release() const { madvise(data_, size_, MADV_DONTNEED); }

void CountFile::ReadAtRandom() const { madvise(data_, size_, MADV_RANDOM); }

}  // namespace saed::recordings

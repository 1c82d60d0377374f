// A disk that fails now and then, for LD_PRELOAD: writes below one directory are cut short or
// refused with ENOSPC or EIO, flushes fail with EIO, renames with either. SQLite writes through the
// same calls.
//
//   SAED_FAULTY_DIRECTORY   what is below it fails
//   SAED_FAULTY_RATE        a file of one native uint32: faults per million calls, 0 for none;
//   whoever
//                           runs the server may change it at any time
//   SAED_FAULTY_COUNT       a file of one native uint64 that counts the faults given
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

namespace {

template <class T>
std::atomic<T>* Map(const char* variable) {
  const char* path = std::getenv(variable);
  const int fd = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* const at = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<std::atomic<T>*>(at);
}

struct Disk {
  std::string directory;
  std::atomic<uint32_t>* rate;
  std::atomic<uint64_t>* count;
};

const Disk& TheDisk() {
  static const Disk disk = [] {
    const char* directory = std::getenv("SAED_FAULTY_DIRECTORY");
    return Disk{directory == nullptr ? "" : directory, Map<uint32_t>("SAED_FAULTY_RATE"),
                Map<uint64_t>("SAED_FAULTY_COUNT")};
  }();
  return disk;
}

std::mt19937& Chance() {
  static thread_local std::mt19937 generator(std::random_device{}());
  return generator;
}

bool Fails(const char* path) {
  const Disk& disk = TheDisk();
  if (disk.rate == nullptr || disk.directory.empty()) return false;
  if (std::strncmp(path, disk.directory.c_str(), disk.directory.size()) != 0) return false;
  if (Chance()() % 1'000'000 >= disk.rate->load()) return false;
  if (disk.count != nullptr) ++*disk.count;
  return true;
}

bool Fails(int fd) {
  const Disk& disk = TheDisk();
  if (disk.rate == nullptr || disk.rate->load() == 0) return false;
  char link[64], path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = ::readlink(link, path, sizeof path - 1);
  if (n <= 0) return false;
  path[n] = '\0';
  return Fails(path);
}

template <class Fn>
Fn* Real(const char* name) {
  return reinterpret_cast<Fn*>(dlsym(RTLD_NEXT, name));
}

int FullOrBroken() { return Chance()() % 2 == 0 ? ENOSPC : EIO; }

// What a failing write of `size` bytes returns; `part` writes that many.
template <class Part>
ssize_t FailedWrite(size_t size, const Part& part) {
  if (size > 1 && Chance()() % 3 == 0) return part(size / 2);
  errno = FullOrBroken();
  return -1;
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  static auto* const real = Real<ssize_t(int, const void*, size_t)>("write");
  if (!Fails(fd)) return real(fd, data, size);
  return FailedWrite(size, [&](size_t part) { return real(fd, data, part); });
}

ssize_t writev(int fd, const iovec* parts, int count) {
  static auto* const real = Real<ssize_t(int, const iovec*, int)>("writev");
  if (!Fails(fd)) return real(fd, parts, count);
  errno = FullOrBroken();
  return -1;
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  static auto* const real = Real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  if (!Fails(fd)) return real(fd, data, size, at);
  return FailedWrite(size, [&](size_t part) { return real(fd, data, part, at); });
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  static auto* const real = Real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  if (!Fails(fd)) return real(fd, data, size, at);
  return FailedWrite(size, [&](size_t part) { return real(fd, data, part, at); });
}

int fsync(int fd) {
  static auto* const real = Real<int(int)>("fsync");
  if (!Fails(fd)) return real(fd);
  errno = EIO;
  return -1;
}

int fdatasync(int fd) {
  static auto* const real = Real<int(int)>("fdatasync");
  if (!Fails(fd)) return real(fd);
  errno = EIO;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = Real<int(const char*, const char*)>("rename");
  if (!Fails(to)) return real(from, to);
  errno = FullOrBroken();
  return -1;
}

int ftruncate64(int fd, off64_t size) noexcept {
  static auto* const real = Real<int(int, off64_t)>("ftruncate64");
  if (!Fails(fd)) return real(fd, size);
  errno = FullOrBroken();
  return -1;
}

}  // extern "C"

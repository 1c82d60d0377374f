#include "server/recordings/readers/hdf5_filters.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <limits>

#include "server/base/faults.h"
#include "server/recordings/readers/hdf5.h"

namespace saed::recordings {
namespace {

constexpr H5Z_filter_t kLzf = 32000;

struct Filter {
  H5Z_filter_t id;
  const char* name;
  const char* package;  // of Debian; empty where there is none
};

// Those of the library itself, then plug-ins. No other is loaded, whatever a file asks for.
constexpr Filter kFilters[] = {{H5Z_FILTER_DEFLATE, "deflate", ""},
                               {H5Z_FILTER_SHUFFLE, "shuffle", ""},
                               {H5Z_FILTER_FLETCHER32, "fletcher32", ""},
                               {H5Z_FILTER_SZIP, "szip", ""},
                               {H5Z_FILTER_NBIT, "nbit", ""},
                               {H5Z_FILTER_SCALEOFFSET, "scaleoffset", ""},
                               {307, "bzip2", "hdf5-filter-plugin"},
                               {kLzf, "lzf", "hdf5-plugin-lzf and liblzf1"},
                               {32001, "blosc", "hdf5-filter-plugin-blosc-serial"},
                               {32004, "lz4", "hdf5-filter-plugin"},
                               {32008, "bitshuffle", ""},
                               {32015, "zstd", ""}};

constexpr uint64_t kMaxChunkBytes = uint64_t{512} << 20;
// What a data set may claim without having any bytes, and how many times its bytes beyond: deflate
// reaches 1032.
constexpr double kFreeBytes = 64 << 20, kMaxRatio = 1100;

const Filter* Find(H5Z_filter_t id) {
  for (const Filter& filter : kFilters) {
    if (filter.id == id) return &filter;
  }
  return nullptr;
}

// Whether the library has the filter, or finds it among its plug-ins.
bool Load(const Filter& filter) {
  // Debian's plug-in calls liblzf without naming it, so that it only loads behind it.
  if (filter.id == kLzf) {
    static void* const library = dlopen("liblzf.so.1", RTLD_NOW | RTLD_GLOBAL);
    (void)library;
  }
  return H5Zfilter_avail(filter.id) > 0;
}

absl::Status CheckFilter(H5Z_filter_t id, const std::string& path) {
  constexpr char kElse[] = "write the data set again without it (h5repack -f NONE or -f GZIP=4)";
  const Filter* filter = Find(id);
  if (filter == nullptr) {
    return InvalidField(path, fmt::format("is compressed with the HDF5 filter {}, which saed does "
                                          "not know; {}",
                                          id, kElse));
  }
  if (Load(*filter)) return absl::OkStatus();
  if (*filter->package == '\0') {
    return InvalidField(path, fmt::format("is compressed with the HDF5 filter {} ({}), which is "
                                          "not installed on the server; install it, or {}",
                                          id, filter->name, kElse));
  }
  return InvalidField(path, fmt::format("is compressed with the HDF5 filter {} ({}), which is not "
                                        "installed on the server; install {} of Debian, "
                                        "or {}",
                                        id, filter->name, filter->package, kElse));
}

uint64_t ChunkBytes(hid_t created, hid_t type) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  if (H5Pget_layout(created) != H5D_CHUNKED) return 0;
  hsize_t sizes[H5S_MAX_RANK] = {};
  const int rank = H5Pget_chunk(created, H5S_MAX_RANK, sizes);
  uint64_t bytes = H5Tget_size(type);
  for (int d = 0; d < rank && d < H5S_MAX_RANK; ++d) {
    if (__builtin_mul_overflow(bytes, sizes[d], &bytes)) return kMost;
  }
  return bytes;
}

}  // namespace

uint64_t ChunkBytes(hid_t dataset) {
  const Handle created(H5Dget_create_plist(dataset), H5Pclose);
  const Handle type(H5Dget_type(dataset), H5Tclose);
  return ChunkBytes(created.get(), type.get());
}

absl::Status CheckUnpackable(hid_t dataset, const std::string& path) {
  const Handle created(H5Dget_create_plist(dataset), H5Pclose);
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  const int filters = H5Pget_nfilters(created.get());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    size_t values = 0;
    const H5Z_filter_t id = H5Pget_filter2(created.get(), static_cast<unsigned>(i), &flags, &values,
                                           nullptr, 0, nullptr, nullptr);
    if (const absl::Status s = CheckFilter(id, path); !s.ok()) return s;
  }
  const uint64_t chunk = ChunkBytes(created.get(), type.get());
  if (chunk > kMaxChunkBytes) {
    return InvalidField(
        path, fmt::format("has chunks of {} bytes; must be at most {}", chunk, kMaxChunkBytes));
  }
  const double claimed = static_cast<double>(H5Sget_simple_extent_npoints(space.get())) *
                         static_cast<double>(H5Tget_size(type.get()));
  if (claimed <= kFreeBytes) return absl::OkStatus();
  const auto stored = static_cast<double>(H5Dget_storage_size(dataset));
  if (claimed > kMaxRatio * stored) {
    return InvalidField(path, fmt::format("claims {:.0f} bytes of values, of which the file holds "
                                          "{:.0f}; must be written in full",
                                          claimed, stored));
  }
  return absl::OkStatus();
}

void PreloadHdf5Filters() {
  const std::lock_guard lock(Hdf5Mutex());
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  for (const Filter& filter : kFilters) (void)Load(filter);
}

}  // namespace saed::recordings

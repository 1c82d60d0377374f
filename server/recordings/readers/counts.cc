// Count matrices [bins, units] as .npy.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/registry.h"

namespace saed::recordings {
namespace {

// Elements of a matrix that are converted at once.
constexpr int64_t kConverted = int64_t{1} << 20;

// Stores the array that lies in `file` from `data_at` on in the narrowest type that holds it, a
// piece at a time: once to see which that is, once to convert.
absl::Status Narrow(std::string_view name, const NpyArray& a, const CountFile& file, size_t data_at,
                    CountMatrix& counts) {
  const int64_t size = a.size();
  std::vector<double> piece(std::min(size, kConverted));
  const auto each_piece = [&](const auto& use) -> absl::Status {
    for (int64_t at = 0; at < size; at += kConverted) {
      const std::span<double> values(piece.data(), std::min(kConverted, size - at));
      ReadDoubles(a, reinterpret_cast<const char*>(file.data()) + data_at, at, values);
      SAED_RETURN_IF_ERROR(use(at, values));
      // Pieces of a matrix in Fortran order lie all over the file: its pages stay while there is
      // room for them, and go back by themselves.
      if (!a.fortran_order) file.Release();
    }
    return absl::OkStatus();
  };
  double least = 0, most = 0;
  bool whole = true;
  SAED_RETURN_IF_ERROR(each_piece([&](int64_t at, std::span<const double> values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double v = values[i];
      if (!std::isfinite(v)) {
        const int64_t place = at + static_cast<int64_t>(i);
        return InvalidField(name, fmt::format("holds {} in bin {}, unit {}; must be finite", v,
                                              place / a.shape[1], place % a.shape[1]));
      }
      least = std::min(least, v);
      most = std::max(most, v);
      whole = whole && v == std::floor(v);
    }
    return absl::OkStatus();
  }));
  counts.dtype = !whole || least < 0 || most > 65535 ? DType::kF32
                 : most > 255                        ? DType::kU16
                                                     : DType::kU8;
  const size_t bytes = static_cast<size_t>(size) * SizeOf(counts.dtype);
  std::shared_ptr<CountFile> large;
  if (bytes > kCountsInMemory) {
    SAED_ASSIGN_OR_RETURN(large, CountFile::Create(CountDirectory(), bytes));
    counts.file = large;
  } else {
    counts.bytes.resize(bytes);
  }
  uint8_t* to = large ? large->data() : counts.bytes.data();
  const auto convert = [&]<class T>(T) {
    return each_piece([&](int64_t at, std::span<const double> values) {
      for (size_t i = 0; i < values.size(); ++i) {
        const T v = static_cast<T>(values[i]);
        std::memcpy(to + (static_cast<size_t>(at) + i) * sizeof(T), &v, sizeof(T));
      }
      if (large) large->Release();
      return absl::OkStatus();
    });
  };
  if (counts.dtype == DType::kU8) return convert(uint8_t{});
  if (counts.dtype == DType::kU16) return convert(uint16_t{});
  return convert(float{});
}

absl::StatusOr<Recording> Read(const FileSet& files, const ImportOptions& options, Notes&) {
  if (files.names().size() != 1) return InvalidField("files", "holds no .npy count matrix");
  const std::string& name = files.names()[0];
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(name));
  if (!std::isfinite(options.bin_width) || options.bin_width <= 0) {
    return InvalidField("bin_width", fmt::format("is {} s; a count matrix needs the width of its "
                                                 "bins, e.g. 0.02",
                                                 options.bin_width));
  }
  Recording out;
  out.source = "counts_npy";
  CountMatrix& counts = out.counts;
  const auto describe = [&](const NpyArray& a) {
    if (a.shape.size() != 2 || a.shape[0] < 1 || a.shape[1] < 1 || a.shape[1] > kMaxUnits ||
        a.size() > kMaxStoredElements) {
      return InvalidField(name, "is not a matrix [bins, units] of allowed size");
    }
    for (int64_t n = 0; n < a.shape[1]; ++n) out.units.emplace_back().id = n;
    counts.bin_width = options.bin_width;
    counts.bins = a.shape[0];
    return absl::OkStatus();
  };
  std::error_code unknown;
  if (std::filesystem::file_size(path, unknown) == 0) {
    return InvalidField(name, "is empty; must be a .npy matrix [bins, units]");
  }
  // Mapped, as it may be larger than memory.
  SAED_ASSIGN_OR_RETURN(const auto mapped, CountFile::Open(path, 0));
  size_t data_at = 0;
  SAED_ASSIGN_OR_RETURN(
      const NpyArray a,
      ParseNpyHeader(name, {reinterpret_cast<const char*>(mapped->data()), mapped->size()},
                     data_at));
  SAED_RETURN_IF_ERROR(describe(a));
  if (a.kind == 'u' && a.item_size == 1 && !a.fortran_order && mapped->size() > kCountsInMemory) {
    SAED_ASSIGN_OR_RETURN(counts.file, CountFile::Open(path, data_at));
    return out;
  }
  SAED_RETURN_IF_ERROR(Narrow(name, a, *mapped, data_at, counts));
  return out;
}

Match Recognise(const FileSet& files) {
  return files.names().size() == 1 && files.names()[0].ends_with(".npy") ? Match::kMaybe
                                                                         : Match::kNo;
}

}  // namespace

const Reader& formats::counts() {
  static const Reader reader = {"counts",
                                "A matrix of counts [bins, units]",
                                "one .npy matrix [bins, units], and the width of its bins",
                                {"*.npy"},
                                {},
                                Recognise,
                                Read};
  return reader;
}

}  // namespace saed::recordings

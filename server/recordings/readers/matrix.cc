#include "server/recordings/readers/matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "server/base/faults.h"
#include "server/base/largest_value.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/rates.h"

namespace saed::recordings {
namespace {

constexpr double kMostExact = 9007199254740992;  // 2^53

// What a first pass over a matrix finds.
struct Range {
  double least = 0, most = 0;
  bool whole = true;
  std::vector<int64_t> missing;  // [units], bins that are NaN
};

// Hands the matrix to `use(first_bin, values [bins, units])`, some bins at a time.
template <class Use>
absl::Status EachPiece(const MatrixSource& source, const Use& use) {
  const int64_t rows = std::clamp<int64_t>(kPiece / source.units, 1, source.bins);
  std::vector<double> piece(static_cast<size_t>(rows * source.units));
  for (int64_t at = 0; at < source.bins; at += rows) {
    const int64_t bins = std::min(rows, source.bins - at);
    const std::span<double> values(piece.data(), static_cast<size_t>(bins * source.units));
    source.read(at, values);
    SAED_RETURN_IF_ERROR(use(at, values));
    if (source.release) source.release();
  }
  return absl::OkStatus();
}

absl::Status Refused(const MatrixSource& source, double value, int64_t bin, int64_t unit,
                     const char* wanted) {
  return InvalidField(source.name, fmt::format("holds {} in {} {}, {} {}; must be {}", value,
                                               source.row, bin + source.counted_from, source.column,
                                               unit + source.counted_from, wanted));
}

absl::StatusOr<Range> RangeOf(const MatrixSource& source, MatrixRules rules) {
  Range out;
  out.missing.resize(static_cast<size_t>(source.units));
  SAED_RETURN_IF_ERROR(EachPiece(source, [&](int64_t first, std::span<const double> values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double v = values[i];
      const auto place = static_cast<int64_t>(i);
      const int64_t bin = first + place / source.units, unit = place % source.units;
      if (std::isnan(v) && rules.missing) {
        ++out.missing[static_cast<size_t>(unit)];
        continue;
      }
      if (!(std::abs(v) <= kLargestValue)) {
        return Refused(source, v, bin, unit, "finite and at most 1e30 in size");
      }
      if (v < 0 && !rules.negative) {
        return Refused(source, v, bin, unit,
                       "a count of 0 or more (signals that go below 0 are the format traces)");
      }
      out.least = std::min(out.least, v);
      out.most = std::max(out.most, v);
      out.whole = out.whole && v == std::floor(v);
    }
    return absl::OkStatus();
  }));
  return out;
}

// The units to keep: all but those that are NaN in most bins.
std::vector<int64_t> Kept(const MatrixSource& source, const Range& range, Notes& notes) {
  std::vector<int64_t> kept;
  Tally dropped;
  for (int64_t n = 0; n < source.units; ++n) {
    const int64_t missing = range.missing[static_cast<size_t>(n)];
    if (2 * missing <= source.bins) {
      kept.push_back(n);
      continue;
    }
    dropped.Add([&] {
      return fmt::format("{} {}: {} of its {} {}s are NaN", source.column, n + source.counted_from,
                         missing, source.bins, source.row);
    });
  }
  dropped.Mend(notes, source.name, source.column + "s", "left out");
  return kept;
}

// Adds a bin to the stretches of time that were observed.
void Observe(int64_t bin, double width, Spans& observed) {
  const double start = static_cast<double>(bin) * width;
  const double stop = static_cast<double>(bin + 1) * width;
  if (!observed.empty() && observed.back().second == start) {
    observed.back().second = stop;
  } else {
    observed.emplace_back(start, stop);
  }
}

template <class T>
absl::Status Convert(const MatrixSource& source, const std::vector<int64_t>& kept, double width,
                     bool whole, uint8_t* to, CountFile* large, Tally& unobserved, Tally& rounded,
                     Spans& observed) {
  return EachPiece(source, [&](int64_t first, std::span<const double> values) {
    const auto units = static_cast<size_t>(source.units);
    for (size_t row = 0; row * units < values.size(); ++row) {
      const int64_t bin = first + static_cast<int64_t>(row);
      bool missing = false;
      for (const int64_t unit : kept) {
        double value = values[row * units + static_cast<size_t>(unit)];
        if (std::isnan(value)) {
          value = 0;
          missing = true;
        }
        const T v = static_cast<T>(value);
        // A float has no room for all whole numbers above 2^24.
        const bool beyond = source.wide && std::abs(value) >= kMostExact;
        if (whole && (beyond || static_cast<double>(v) != value)) {
          rounded.Add([&] {
            return fmt::format("{} in {} {}", value, source.row, bin + source.counted_from);
          });
        }
        std::memcpy(to, &v, sizeof v);
        to += sizeof v;
      }
      if (!missing) {
        Observe(bin, width, observed);
        continue;
      }
      unobserved.Add(
          [&] { return fmt::format("{} {}: NaN", source.row, bin + source.counted_from); });
    }
    if (large != nullptr) large->Release();
    return absl::OkStatus();
  });
}

}  // namespace

absl::Status CheckMatrix(const ArrayFile& array, std::string_view rows, std::string_view columns) {
  const auto& shape = array.shape();
  const std::string is = ShapeText(shape);
  const auto refuse = [&](const std::string& what) { return InvalidField(array.name(), what); };
  if (shape.size() != 2) {
    const char* hint = shape.size() == 1  ? "; one unit alone is x[:, None]"
                       : shape.size() > 2 ? "; trials are joined along time before they are saved"
                                          : "";
    return refuse(fmt::format("has the shape {}, {} dimension{}; must be 2: [{}, {}]{}", is,
                              shape.size(), shape.size() == 1 ? "" : "s", rows, columns, hint));
  }
  if (shape[0] < 1 || shape[1] < 1) {
    return refuse(
        fmt::format("has the shape {}; must have at least one of {} and of {}", is, rows, columns));
  }
  if (shape[1] > kMaxUnits) {
    return refuse(
        fmt::format("has the shape {}; must be [{}, {}] with at most {} {}; is it the "
                    "other way round? Then say transpose=1",
                    is, rows, columns, kMaxUnits, columns));
  }
  if (array.size() > kMaxStoredElements) {
    return refuse(
        fmt::format("has the shape {}; at most {} elements are kept", is, kMaxStoredElements));
  }
  return absl::OkStatus();
}

MatrixSource SourceOf(const ArrayFile& array) {
  MatrixSource out;
  out.name = array.name();
  out.bins = array.shape()[0];
  out.units = array.shape()[1];
  out.wide = array.header().integer() && array.header().item_size == 8;
  out.read = [array](int64_t first, std::span<double> values) {
    array.ReadDoubles(first * array.shape()[1], values);
  };
  out.release = [array] { array.Release(); };
  return out;
}

absl::StatusOr<std::vector<int64_t>> ReadMatrix(const MatrixSource& source, MatrixRules rules,
                                                double bin_width, Notes& notes, Recording& out) {
  SAED_ASSIGN_OR_RETURN(const Range range, RangeOf(source, rules));
  std::vector<int64_t> kept = Kept(source, range, notes);
  if (kept.empty()) {
    return InvalidField(source.name, fmt::format("is NaN in most {}s of every {}; must be numbers",
                                                 source.row, source.column));
  }
  CountMatrix& counts = out.counts;
  counts.bin_width = bin_width;
  counts.bins = source.bins;
  counts.dtype = !range.whole || range.least < 0 || range.most > 65535 ? DType::kF32
                 : range.most > 255                                    ? DType::kU16
                                                                       : DType::kU8;
  const size_t bytes = static_cast<size_t>(source.bins) * kept.size() * SizeOf(counts.dtype);
  std::shared_ptr<CountFile> large;
  if (bytes > kCountsInMemory) {
    SAED_ASSIGN_OR_RETURN(large, CountFile::Create(CountDirectory(), bytes));
    counts.file = large;
  } else {
    counts.bytes.resize(bytes);
  }
  Tally unobserved, rounded;
  Spans observed;
  const auto convert = [&]<class T>(T) {
    return Convert<T>(source, kept, bin_width, range.whole,
                      large ? large->data() : counts.bytes.data(), large.get(), unobserved, rounded,
                      observed);
  };
  SAED_RETURN_IF_ERROR(counts.dtype == DType::kU8    ? convert(uint8_t{})
                       : counts.dtype == DType::kU16 ? convert(uint16_t{})
                                                     : convert(float{}));
  unobserved.Mend(notes, source.name, source.row + "s", "taken as unobserved time");
  rounded.Mend(notes, source.name, "counts", "above 2^24 rounded to what a float holds");
  if (unobserved.count() == source.bins) {
    return InvalidField(source.name, fmt::format("has a NaN in every {}; must have {}s without",
                                                 source.row, source.row));
  }
  if (unobserved.count() > 0) out.observed = std::move(observed);
  for (const int64_t column : kept) out.units.emplace_back().id = column;
  return kept;
}

absl::Status CheckBinWidth(double bin_width) {
  if (IsBinWidth(bin_width)) return absl::OkStatus();
  if (bin_width == 0) {
    return InvalidField("bin_width",
                        "is not given; a matrix has no times of its own, so the width of its bins "
                        "in s is needed, e.g. 0.02");
  }
  return InvalidField("bin_width", fmt::format("is {} s; must be the width of the bins, from {} "
                                               "to {} s, e.g. 0.02",
                                               bin_width, kLeastBinWidth, kMostBinWidth));
}

}  // namespace saed::recordings

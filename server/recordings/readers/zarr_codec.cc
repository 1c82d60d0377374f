#include "server/recordings/readers/zarr_codec.h"

#include <blosc.h>
#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "server/base/faults.h"
#include "server/base/json.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

using nlohmann::json;

// The most bytes of a chunk of objects, whose size nothing tells beforehand.
constexpr size_t kMaxObjectBytes = size_t{32} << 20;
constexpr size_t kPiece = size_t{1} << 18;

absl::Status Damaged(const std::string& part, const char* codec) {
  return InvalidField(part, fmt::format("is no whole chunk of {}; it is damaged or cut", codec));
}

absl::Status TooLong(const std::string& part, size_t most) {
  return InvalidField(part, fmt::format("is more than {} bytes when decompressed", most));
}

absl::StatusOr<std::string> Unblosc(const std::string& part, const std::string& bytes,
                                    size_t most) {
  size_t size = 0;
  if (blosc_cbuffer_validate(bytes.data(), bytes.size(), &size) != 0) {
    return Damaged(part, "blosc");
  }
  if (size > most) return TooLong(part, most);
  std::string out(size, '\0');
  const int got = blosc_decompress_ctx(bytes.data(), out.data(), size, 1);
  if (got < 0 || static_cast<size_t>(got) != size) return Damaged(part, "blosc");
  return out;
}

// Grows with what is really there, so that a lying header allocates nothing.
absl::StatusOr<std::string> Unzlib(const std::string& part, const std::string& bytes, size_t most) {
  z_stream stream = {};
  if (inflateInit2(&stream, MAX_WBITS + 32) != Z_OK) return Damaged(part, "zlib");  // or gzip
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out, piece(kPiece, '\0');
  for (int status = Z_OK; status != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = inflate(&stream, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END) return Damaged(part, "zlib");
    const size_t got = std::min<size_t>(piece.size() - stream.avail_out, piece.size());
    if (got > most - out.size()) return TooLong(part, most);
    out.append(piece, 0, got);
  }
  return out;
}

absl::StatusOr<std::string> Unzstd(const std::string& part, const std::string& bytes, size_t most) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   ZSTD_freeDCtx);
  if (!context) return absl::ResourceExhaustedError("no memory for zstd");
  // The window is allocated before anything is decompressed: no larger than a chunk may be.
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 27);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::string out, piece(kPiece, '\0');
  for (size_t status = 1; status != 0;) {
    ZSTD_outBuffer to{piece.data(), piece.size(), 0};
    const size_t before = in.pos;
    status = ZSTD_decompressStream(context.get(), &to, &in);
    const bool stuck = status != 0 && to.pos == 0 && in.pos == before;
    if (ZSTD_isError(status) != 0 || stuck) return Damaged(part, "zstd");
    if (to.pos > most - out.size()) return TooLong(part, most);
    out.append(piece, 0, to.pos);
  }
  return out;
}

absl::StatusOr<std::string> Decompress(const std::string& part, const ZarrArray& array,
                                       std::string bytes, size_t most) {
  switch (array.compressor) {
    case ZarrArray::Compressor::kBlosc:
      return Unblosc(part, bytes, most);
    case ZarrArray::Compressor::kZlib:
      return Unzlib(part, bytes, most);
    case ZarrArray::Compressor::kZstd:
      return Unzstd(part, bytes, most);
    case ZarrArray::Compressor::kNone:
      break;
  }
  if (bytes.size() > most) return TooLong(part, most);
  return bytes;
}

// The chunk of an array whose elements have one size.
absl::StatusOr<std::string> Raw(const std::string& part, const ZarrArray& array,
                                std::string bytes) {
  const auto size = static_cast<size_t>(array.chunk_elements() * array.item_size);
  SAED_ASSIGN_OR_RETURN(std::string raw, Decompress(part, array, std::move(bytes), size));
  if (raw.size() != size) {
    return InvalidField(
        part, fmt::format("has {} bytes; a chunk of this array has {}", raw.size(), size));
  }
  return raw;
}

template <class T>
T Load(const char* at, bool big_endian) {
  T value;
  if (big_endian && sizeof(T) > 1) {
    char swapped[sizeof(T)];
    std::reverse_copy(at, at + sizeof(T), swapped);
    std::memcpy(&value, swapped, sizeof(T));
  } else {
    std::memcpy(&value, at, sizeof(T));
  }
  return value;
}

struct Half {
  uint16_t bits;
};

double ToDouble(Half half) {
  const int sign = half.bits >> 15, exponent = half.bits >> 10 & 31, fraction = half.bits & 1023;
  double value = std::ldexp(fraction, -24);
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent > 0) {
    value = std::ldexp(1024 + fraction, exponent - 25);
  }
  return sign != 0 ? -value : value;
}
template <class T>
double ToDouble(T value) {
  return static_cast<double>(value);
}

// Calls `use(value)` for each element with the type in which it is stored, until one is false.
template <class T, class Use>
bool EachOf(const std::string& raw, bool big_endian, const Use& use) {
  for (size_t at = 0; at < raw.size(); at += sizeof(T)) {
    if (!use(Load<T>(raw.data() + at, big_endian))) return false;
  }
  return true;
}

template <class Use>
bool Each(const ZarrArray& array, const std::string& raw, const Use& use) {
  const bool big = array.big_endian;
  switch (array.code) {
    case 'i':
      return array.item_size == 1   ? EachOf<int8_t>(raw, big, use)
             : array.item_size == 2 ? EachOf<int16_t>(raw, big, use)
             : array.item_size == 4 ? EachOf<int32_t>(raw, big, use)
                                    : EachOf<int64_t>(raw, big, use);
    case 'f':
      return array.item_size == 2   ? EachOf<Half>(raw, big, use)
             : array.item_size == 4 ? EachOf<float>(raw, big, use)
                                    : EachOf<double>(raw, big, use);
    default:  // b and u
      return array.item_size == 1   ? EachOf<uint8_t>(raw, big, use)
             : array.item_size == 2 ? EachOf<uint16_t>(raw, big, use)
             : array.item_size == 4 ? EachOf<uint32_t>(raw, big, use)
                                    : EachOf<uint64_t>(raw, big, use);
  }
}

std::string FixedText(const ZarrArray& array, const char* at) {
  const auto size = static_cast<size_t>(array.item_size);
  if (array.code == 'S') return ValidUtf8(std::string_view(at, strnlen(at, size)));
  std::string text;
  for (size_t i = 0; i < size; i += 4) {
    const auto c = Load<uint32_t>(at + i, array.big_endian);
    if (c == 0) break;
    AppendUtf8(c, text);
  }
  return ValidUtf8(text);
}

// numcodecs' vlen-utf8: the number of elements, then each with its length before it.
absl::StatusOr<std::vector<std::string>> WithLengths(const std::string& part,
                                                     const std::string& raw, size_t expected) {
  std::vector<std::string> out;
  std::string_view rest = raw;
  const auto number = [&rest](uint32_t& n) {
    if (rest.size() < 4) return false;
    n = Load<uint32_t>(rest.data(), false);
    rest.remove_prefix(4);
    return true;
  };
  uint32_t count = 0;
  if (!number(count) || count != expected) return Damaged(part, "vlen-utf8");
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t length = 0;
    if (!number(length) || length > rest.size()) return Damaged(part, "vlen-utf8");
    out.push_back(ValidUtf8(rest.substr(0, length)));
    rest.remove_prefix(length);
  }
  return out;
}

absl::StatusOr<std::string> ObjectText(const std::string& part, const json& value) {
  if (value.is_string()) return ValidUtf8(value.get_ref<const std::string&>());
  if (value.is_null()) return std::string();
  if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
  if (value.is_number()) return NumberText(value.get<double>());
  if (value.is_object()) return ZarrReferencePath(part, value);
  return InvalidField(part, "holds lists in its elements; must be texts or references");
}

absl::Status Flatten(const std::string& part, const json& value, size_t depth, size_t expected,
                     std::vector<std::string>& out) {
  if (depth == 0) {
    if (out.size() == expected) return Damaged(part, "json2");
    SAED_ASSIGN_OR_RETURN(std::string text, ObjectText(part, value));
    out.push_back(std::move(text));
    return absl::OkStatus();
  }
  if (!value.is_array()) return Damaged(part, "json2");
  for (const json& inner : value) {
    SAED_RETURN_IF_ERROR(Flatten(part, inner, depth - 1, expected, out));
  }
  return absl::OkStatus();
}

// Offsets in Fortran order of the elements in C order, for JSON, whose lists are nested in C order
// whatever the order of the array is.
std::vector<std::string> ToFortran(const ZarrArray& array, std::vector<std::string> values) {
  std::vector<std::string> out(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    size_t rest = i, inner = values.size(), to = 0, stride = 1;
    for (int64_t chunk : array.chunks) {
      inner /= static_cast<size_t>(chunk);
      to += rest / inner * stride;
      rest %= inner;
      stride *= static_cast<size_t>(chunk);
    }
    out[to] = std::move(values[i]);
  }
  return out;
}

// numcodecs' json2: the elements as nested lists, then the type, then the shape.
absl::StatusOr<std::vector<std::string>> FromJson(const std::string& part, const ZarrArray& array,
                                                  const std::string& raw) {
  json list = ParseUntrustedJson(raw);
  if (!list.is_array() || list.size() < 2) return Damaged(part, "json2");
  list.erase(list.end() - 2, list.end());
  const auto expected = static_cast<size_t>(array.chunk_elements());
  std::vector<std::string> out;
  const size_t depth = std::max<size_t>(1, array.chunks.size());
  SAED_RETURN_IF_ERROR(Flatten(part, list, depth, expected, out));
  if (out.size() != expected) return Damaged(part, "json2");
  return array.fortran ? ToFortran(array, std::move(out)) : out;
}

}  // namespace

absl::StatusOr<std::vector<double>> DecodeNumbers(const std::string& part, const ZarrArray& array,
                                                  std::string bytes) {
  SAED_ASSIGN_OR_RETURN(const std::string raw, Raw(part, array, std::move(bytes)));
  std::vector<double> out;
  out.reserve(static_cast<size_t>(array.chunk_elements()));
  Each(array, raw, [&](auto value) {
    out.push_back(ToDouble(value));
    return true;
  });
  return out;
}

absl::StatusOr<std::vector<int64_t>> DecodeIntegers(const std::string& part, const ZarrArray& array,
                                                    std::string bytes) {
  SAED_ASSIGN_OR_RETURN(const std::string raw, Raw(part, array, std::move(bytes)));
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(array.chunk_elements()));
  const bool whole = Each(array, raw, [&](auto value) {
    using T = decltype(value);
    if constexpr (std::is_integral_v<T>) {
      out.push_back(static_cast<int64_t>(value));
      return std::is_signed_v<T> || out.back() >= 0;
    } else {
      const double number = ToDouble(value);
      if (!(std::abs(number) < 9.2e18) || number != std::floor(number)) return false;
      out.push_back(static_cast<int64_t>(number));
      return true;
    }
  });
  if (whole) return out;
  return InvalidField(part, "holds numbers that are not whole, or too large; must be integers");
}

absl::StatusOr<std::vector<uint64_t>> DecodeUnsigned(const std::string& part,
                                                     const ZarrArray& array, std::string bytes) {
  SAED_ASSIGN_OR_RETURN(const std::string raw, Raw(part, array, std::move(bytes)));
  std::vector<uint64_t> out;
  out.reserve(static_cast<size_t>(array.chunk_elements()));
  const bool whole = Each(array, raw, [&](auto value) {
    using T = decltype(value);
    if constexpr (std::is_integral_v<T> && std::is_unsigned_v<T>) {
      out.push_back(value);
      return true;
    } else {
      return false;
    }
  });
  if (whole) return out;
  return InvalidField(part, "does not hold integers without a sign");
}

absl::StatusOr<std::vector<std::string>> DecodeTexts(const std::string& part,
                                                     const ZarrArray& array, std::string bytes) {
  if (array.code == 'O') {
    SAED_ASSIGN_OR_RETURN(const std::string raw,
                          Decompress(part, array, std::move(bytes), kMaxObjectBytes));
    if (array.objects == ZarrArray::Objects::kJson) return FromJson(part, array, raw);
    return WithLengths(part, raw, static_cast<size_t>(array.chunk_elements()));
  }
  SAED_ASSIGN_OR_RETURN(const std::string raw, Raw(part, array, std::move(bytes)));
  std::vector<std::string> out;
  for (size_t at = 0; at < raw.size(); at += static_cast<size_t>(array.item_size)) {
    out.push_back(FixedText(array, raw.data() + at));
  }
  return out;
}

absl::StatusOr<std::string> ZarrReferencePath(const std::string& part, const json& reference) {
  const json& path = JsonMember(reference, "path");
  const json& source = JsonMember(reference, "source");
  if (!path.is_string()) return InvalidField(part, "holds a reference without a path");
  if (!source.is_null() && source != ".") {
    return InvalidField(
        part, fmt::format("refers to another store, {}, which is never opened; "
                          "must stay within this one",
                          ValidUtf8(source.dump(-1, ' ', false, json::error_handler_t::replace))));
  }
  const std::string text = ValidUtf8(path.get_ref<const std::string&>());
  return text.starts_with('/') ? text : "/" + text;
}

}  // namespace saed::recordings

#include "server/recordings/readers/zarr_array.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>

#include "absl/strings/escaping.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

using nlohmann::json;
using Kind = ArrayInfo::Kind;

constexpr int64_t kMaxElements = int64_t{1} << 50;  // described; what is read has limits of its own
constexpr size_t kMaxRank = 32;

// A JSON value in a message.
std::string Shown(const json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return ValidUtf8(text);
}

// Whole numbers of at least `least` whose product stays small.
absl::Status ReadSizes(const std::string& path, const json& zarray, const char* name, int64_t least,
                       std::vector<int64_t>& out) {
  const json& sizes = JsonMember(zarray, name);
  bool good = sizes.is_array() && sizes.size() <= kMaxRank;
  int64_t product = 1;
  for (size_t i = 0; good && i < sizes.size(); ++i) {
    good = sizes[i].is_number_integer();
    if (!good) break;
    const auto size = sizes[i].get<int64_t>();
    good = size >= least && size <= kMaxElements / std::max<int64_t>(1, product);
    if (!good) break;
    out.push_back(size);
    product *= std::max<int64_t>(1, size);
  }
  if (good) return absl::OkStatus();
  return InvalidField(path, fmt::format("has the {} {}; must be up to {} whole numbers of at least "
                                        "{}, {} elements in all",
                                        name, Shown(sizes), kMaxRank, least, kMaxElements));
}

// "<f8" and the like.
void ReadType(const json& dtype, bool references, ZarrArray& out) {
  const std::string text = dtype.is_string() ? dtype.get<std::string>() : "";
  int64_t size = 0;
  const bool sized =
      text.size() > 2 && std::from_chars(text.data() + 2, text.data() + text.size(), size).ptr ==
                             text.data() + text.size();
  const char code = text.size() >= 2 ? text[1] : 'V';
  out.big_endian = text.starts_with('>');
  const auto is = [&](std::initializer_list<int> sizes) {
    return sized && std::find(sizes.begin(), sizes.end(), size) != sizes.end();
  };
  const auto take = [&](Kind kind, std::string type, int64_t bytes) {
    out.code = code;
    out.kind = kind;
    out.type = std::move(type);
    out.item_size = bytes;
  };
  if (code == 'b' && is({1})) return take(Kind::kBoolean, "bool", 1);
  if (code == 'i' && is({1, 2, 4, 8})) {
    return take(Kind::kInteger, fmt::format("int{}", size * 8), size);
  }
  if (code == 'u' && is({1, 2, 4, 8})) {
    return take(Kind::kUnsigned, fmt::format("uint{}", size * 8), size);
  }
  if (code == 'f' && is({2, 4, 8})) {
    return take(Kind::kFloat, fmt::format("float{}", size * 8), size);
  }
  constexpr int64_t kLongest = int64_t{1} << 20;
  if (code == 'S' && sized && size >= 1 && size <= kLongest) return take(Kind::kText, "text", size);
  if (code == 'U' && sized && size >= 1 && size <= kLongest) {
    return take(Kind::kText, "text", size * 4);
  }
  if (text == "|O") {
    return references ? take(Kind::kReference, "reference", 0) : take(Kind::kText, "text", 0);
  }
  out.type = dtype.is_array() ? "compound" : Shown(dtype);
  out.refusal = fmt::format(
      "has the type {}, which is not read; must be numbers, booleans, texts or "
      "references",
      out.type);
}

// The filters: none, but of |O one that says how its elements are written.
void ReadFilters(const json& filters, ZarrArray& out) {
  for (const json& filter : filters.is_array() ? filters : json::array()) {
    const json& id = JsonMember(filter, "id");
    const std::string name = id.is_string() ? id.get<std::string>() : "";
    if (out.code == 'O' && out.objects == ZarrArray::Objects::kNone) {
      if (name == "json2") out.objects = ZarrArray::Objects::kJson;
      if (name == "vlen-utf8" || name == "vlen-bytes") out.objects = ZarrArray::Objects::kLengths;
      if (out.objects != ZarrArray::Objects::kNone) continue;
    }
    if (!out.refusal.empty()) return;
    if (name == "pickle") {
      out.refusal =
          "is written with pickle, which could run any program and is never read; write it again "
          "with object_codec_class=numcodecs.JSON";
    } else {
      out.refusal = fmt::format("is written with the filter {}, which is not read", Shown(id));
    }
  }
  if (out.code == 'O' && out.objects == ZarrArray::Objects::kNone && out.refusal.empty()) {
    out.refusal = "holds objects without a filter that says how; must be json2 or vlen-utf8";
  }
}

void ReadCompressor(const json& compressor, ZarrArray& out) {
  if (compressor.is_null()) return;
  const json& id = JsonMember(compressor, "id");
  if (id == "blosc") {
    out.compressor = ZarrArray::Compressor::kBlosc;
  } else if (id == "zlib" || id == "gzip") {
    out.compressor = ZarrArray::Compressor::kZlib;
  } else if (id == "zstd") {
    out.compressor = ZarrArray::Compressor::kZstd;
  } else if (out.refusal.empty()) {
    out.refusal = fmt::format(
        "is compressed with {}, which is not read; must be blosc, gzip, zlib, zstd or nothing",
        Shown(id));
  }
}

void ReadFill(const json& fill, ZarrArray& out) {
  if (fill.is_number()) out.fill = fill.get<double>();
  if (fill.is_boolean()) out.fill = fill.get<bool>() ? 1 : 0;
  if (!fill.is_string()) return;
  const auto text = fill.get<std::string>();
  if (text == "NaN") out.fill = std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") out.fill = std::numeric_limits<double>::infinity();
  if (text == "-Infinity") out.fill = -std::numeric_limits<double>::infinity();
  if (out.code == 'S') {  // bytes are in base64
    std::string bytes;
    if (absl::Base64Unescape(text, &bytes)) out.fill_text = ValidUtf8(bytes);
  } else {
    out.fill_text = ValidUtf8(text);
  }
}

int64_t Product(const std::vector<int64_t>& sizes) {
  int64_t out = 1;
  for (int64_t s : sizes) out *= s;
  return out;
}

}  // namespace

const json& JsonMember(const json& object, const char* name) {
  static const json none;
  if (!object.is_object()) return none;
  const auto at = object.find(name);
  return at == object.end() ? none : *at;
}

int64_t ZarrArray::elements() const { return Product(shape); }
int64_t ZarrArray::chunk_elements() const { return Product(chunks); }
int64_t ZarrArray::chunk_count() const {
  int64_t out = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    out *= shape[d] / chunks[d] + (shape[d] % chunks[d] != 0);
  }
  return out;
}

absl::StatusOr<ZarrArray> ParseZarrArray(const std::string& path, const json& zarray,
                                         const json& zarr_dtype) {
  if (JsonMember(zarray, "zarr_format") != 2) {
    return InvalidField(path, fmt::format("has the zarr_format {}; must be 2",
                                          Shown(JsonMember(zarray, "zarr_format"))));
  }
  ZarrArray out;
  SAED_RETURN_IF_ERROR(ReadSizes(path, zarray, "shape", 0, out.shape));
  SAED_RETURN_IF_ERROR(ReadSizes(path, zarray, "chunks", 1, out.chunks));
  if (out.chunks.size() != out.shape.size()) {
    return InvalidField(path, fmt::format("has {} dimensions in chunks of {}; must be as many",
                                          out.shape.size(), out.chunks.size()));
  }
  ReadType(JsonMember(zarray, "dtype"), zarr_dtype == "object", out);
  ReadFilters(JsonMember(zarray, "filters"), out);
  ReadCompressor(JsonMember(zarray, "compressor"), out);
  ReadFill(JsonMember(zarray, "fill_value"), out);
  out.fortran = JsonMember(zarray, "order") == "F";
  if (JsonMember(zarray, "dimension_separator") == "/") out.separator = '/';
  if (out.chunk_elements() > kMaxChunkBytes / std::max<int64_t>(1, out.item_size) &&
      out.refusal.empty()) {
    out.refusal = fmt::format("has chunks of {} elements; a chunk of at most {} bytes is read",
                              out.chunk_elements(), kMaxChunkBytes);
  }
  return out;
}

}  // namespace saed::recordings

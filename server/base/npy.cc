#include "server/base/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "server/base/faults.h"
#include "server/base/text.h"

namespace saed {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

// The text after 'key': in the header's dictionary; empty where the key is missing.
std::string_view ValueOf(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + std::string(key) + quote;
    const size_t at = header.find(quoted);
    if (at == std::string_view::npos) continue;
    const size_t colon = header.find(':', at + quoted.size());
    if (colon == std::string_view::npos) continue;
    return Trim(header.substr(colon + 1));
  }
  return {};
}

// float16 to double.
double Half(uint16_t h) {
  const int exponent = (h >> 10) & 31, mantissa = h & 1023;
  const double sign = h & 0x8000 ? -1 : 1;
  if (exponent == 31) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN()
                    : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * mantissa * 0x1p-24;
  return sign * (1 + mantissa / 1024.0) * std::exp2(exponent - 15);
}

// The item's bytes as an unsigned integer of its size.
uint64_t RawItem(const NpyArray& a, const char* data, int64_t i) {
  uint64_t raw = 0;
  for (int b = 0; b < a.item_size; ++b) {
    const int place = a.big_endian ? a.item_size - 1 - b : b;
    raw |= uint64_t{static_cast<unsigned char>(data[i * a.item_size + b])} << (8 * place);
  }
  return raw;
}

int64_t SignedItem(const NpyArray& a, uint64_t raw) {
  const int unused = 64 - 8 * a.item_size;
  return static_cast<int64_t>(raw << unused) >> unused;
}

double DoubleItem(const NpyArray& a, const char* data, int64_t i) {
  const uint64_t raw = RawItem(a, data, i);
  if (a.kind == 'i') return static_cast<double>(SignedItem(a, raw));
  if (a.kind != 'f') return static_cast<double>(raw);
  if (a.item_size == 8) return std::bit_cast<double>(raw);
  if (a.item_size == 4) return std::bit_cast<float>(static_cast<uint32_t>(raw));
  return Half(static_cast<uint16_t>(raw));
}

// Position in the file of the C-order element i.
class Order {
 public:
  explicit Order(const NpyArray& a) : shape_(a.shape), steps_(a.shape.size()) {
    int64_t step = 1;
    for (size_t d = 0; d < shape_.size(); ++d) {
      steps_[d] = step;
      step *= shape_[d];
    }
    as_stored_ = !a.fortran_order || shape_.size() < 2;
  }
  bool as_stored() const { return as_stored_; }
  int64_t At(int64_t i) const {
    if (as_stored_) return i;
    int64_t at = 0;
    for (size_t d = shape_.size(); d-- > 0; i /= shape_[d]) at += i % shape_[d] * steps_[d];
    return at;
  }

 private:
  const std::vector<int64_t>& shape_;
  std::vector<int64_t> steps_;  // of each index, in a file of Fortran order
  bool as_stored_;
};

// Elements that lie one after another as this machine has them.
template <class T>
void Widen(const char* data, int64_t first, std::span<double> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    T v;
    std::memcpy(&v, data + (static_cast<size_t>(first) + i) * sizeof(T), sizeof(T));
    out[i] = static_cast<double>(v);
  }
}

using Widener = void (*)(const char*, int64_t, std::span<double>);

// What reads these items at once; null where they come one by one.
Widener WidenerOf(const NpyArray& a) {
  if (a.big_endian && a.item_size > 1) return nullptr;
  switch (a.kind) {
    case 'f':
      return a.item_size == 8 ? Widen<double> : a.item_size == 4 ? Widen<float> : nullptr;
    case 'i':
      return a.item_size == 8   ? Widen<int64_t>
             : a.item_size == 4 ? Widen<int32_t>
             : a.item_size == 2 ? Widen<int16_t>
                                : Widen<int8_t>;
    default:
      return a.item_size == 8   ? Widen<uint64_t>
             : a.item_size == 4 ? Widen<uint32_t>
             : a.item_size == 2 ? Widen<uint16_t>
                                : Widen<uint8_t>;
  }
}

// Texts are of any size up to this many bytes.
constexpr int kMaxTextItem = 1 << 20;

absl::Status ParseType(std::string_view name, std::string_view descr, bool texts, NpyArray& out) {
  if (descr.empty() || (descr[0] != '\'' && descr[0] != '"')) {
    return InvalidField(name, "has structured items; save one plain numeric array per file");
  }
  const std::string_view type = descr.substr(1, descr.find(descr[0], 1) - 1);
  const std::string_view code = type.find_first_of("<>|=") == 0 ? type.substr(1) : type;
  if (!code.empty() && code[0] == 'O') {
    return InvalidField(
        name,
        "is an object array (a pickle), which is never read because unpickling "
        "runs code; save plain numeric arrays, e.g. np.save(path, x.astype(float))");
  }
  const std::string size(code.size() > 1 ? code.substr(1) : "");
  out.big_endian = type.starts_with('>');
  out.kind = code.empty() ? '?' : code[0];
  out.item_size = size.size() == 1 ? size[0] - '0' : 0;
  if (texts) {
    const bool digits = size.find_first_not_of("0123456789") == std::string::npos;
    const int64_t items = digits && !size.empty() && size.size() < 8 ? std::stoll(size) : -1;
    const int64_t bytes = items * (out.kind == 'U' ? 4 : 1);
    // Items of no bytes would come in any number without a byte in the file.
    if ((out.kind != 'U' && out.kind != 'S') || items < 1 || bytes > kMaxTextItem) {
      return InvalidField(name, fmt::format("has dtype '{}'; must be texts of 1 to {} bytes",
                                            ValidUtf8(type), kMaxTextItem));
    }
    out.item_size = static_cast<int>(bytes);
    return absl::OkStatus();
  }
  const bool known =
      (out.kind == 'f' && (out.item_size == 2 || out.item_size == 4 || out.item_size == 8)) ||
      ((out.kind == 'i' || out.kind == 'u') &&
       (out.item_size == 1 || out.item_size == 2 || out.item_size == 4 || out.item_size == 8)) ||
      (out.kind == 'b' && out.item_size == 1);
  if (known) return absl::OkStatus();
  return InvalidField(name, fmt::format("has dtype '{}'; must be an integer or float of 1 to 8 "
                                        "bytes",
                                        ValidUtf8(type)));
}

absl::Status ParseShape(std::string_view name, std::string_view text, NpyArray& out) {
  if (text.empty() || text[0] != '(') return InvalidField(name, "has no shape in its header");
  const std::string inner(text.substr(1, text.find(')') - 1));
  for (size_t at = 0; at < inner.size();) {
    const size_t comma = std::min(inner.find(',', at), inner.size());
    const std::string part(Trim(std::string_view(inner).substr(at, comma - at)));
    at = comma + 1;
    if (part.empty()) continue;
    const bool digits = part.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || part.size() > 15) {
      return InvalidField(name, fmt::format("has the size '{}' in its shape", ValidUtf8(part)));
    }
    out.shape.push_back(std::stoll(part));
  }
  return absl::OkStatus();
}

absl::StatusOr<NpyArray> ParseHeader(std::string_view name, std::string_view bytes,
                                     size_t file_size, bool texts, size_t& data_at) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 10) {
    return InvalidField(name, "is not a .npy file (it must start with \\x93NUMPY)");
  }
  const int major = static_cast<unsigned char>(bytes[6]);
  if (major < 1 || major > 3) {
    return InvalidField(name, fmt::format("has .npy format {}; 1 to 3 are known", major));
  }
  size_t header_size = 0, at = 8;
  const int length_bytes = major == 1 ? 2 : 4;
  if (bytes.size() < at + length_bytes) return InvalidField(name, "ends inside its header");
  for (int i = 0; i < length_bytes; ++i) {
    header_size |= size_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  at += length_bytes;
  if (header_size > bytes.size() - at) return InvalidField(name, "ends inside its header");
  const std::string_view header = bytes.substr(at, header_size);
  at += header_size;

  NpyArray out;
  if (auto s = ParseType(name, ValueOf(header, "descr"), texts, out); !s.ok()) return s;
  if (auto s = ParseShape(name, ValueOf(header, "shape"), out); !s.ok()) return s;
  out.fortran_order = ValueOf(header, "fortran_order").starts_with("True");
  const auto have = static_cast<int64_t>(file_size - at);
  __extension__ typedef __int128 Wide;
  Wide need = out.item_size;
  for (int64_t s : out.shape) {
    need *= s;
    if (need > (Wide{1} << 62)) break;
  }
  if (need != have) {
    return InvalidField(
        name, fmt::format("promises {} bytes of data in its header but has {}; the "
                          "file is truncated or damaged",
                          need > (Wide{1} << 62) ? std::string("over 2^62")
                                                 : std::to_string(static_cast<int64_t>(need)),
                          have));
  }
  data_at = at;
  return out;
}

// UTF-32 as NumPy keeps it, or bytes; both end at their NULs.
std::string TextItem(const NpyArray& a, const char* at) {
  if (a.kind == 'S') {
    const std::string_view bytes(at, static_cast<size_t>(a.item_size));
    return ValidUtf8(bytes.substr(0, bytes.find('\0')));
  }
  std::string out;
  for (int i = 0; i < a.item_size; i += 4) {
    uint32_t code = 0;
    for (int b = 0; b < 4; ++b) {
      code |= uint32_t{static_cast<unsigned char>(at[i + b])} << 8 * (a.big_endian ? 3 - b : b);
    }
    if (code == 0) break;
    const auto tail = [&](int shift) { return static_cast<char>(0x80 | (code >> shift & 63)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += {static_cast<char>(0xC0 | code >> 6), tail(0)};
    } else if (code < 0x10000) {
      out += {static_cast<char>(0xE0 | code >> 12), tail(6), tail(0)};
    } else if (code < 0x110000) {
      out += {static_cast<char>(0xF0 | code >> 18), tail(12), tail(6), tail(0)};
    } else {
      out += '?';
    }
  }
  return ValidUtf8(out);
}

}  // namespace

int64_t NpyArray::size() const {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

absl::StatusOr<NpyArray> ParseNpyHeader(std::string_view name, std::string_view head,
                                        size_t file_size, size_t& data_at) {
  return ParseHeader(name, head, file_size, false, data_at);
}

absl::StatusOr<NpyArray> ParseNpyHeader(std::string_view name, std::string_view file,
                                        size_t& data_at) {
  return ParseHeader(name, file, file.size(), false, data_at);
}

absl::StatusOr<std::vector<std::string>> ParseNpyTexts(std::string_view name,
                                                       std::string_view file) {
  size_t data_at = 0;
  const auto a = ParseHeader(name, file, file.size(), true, data_at);
  if (!a.ok()) return a.status();
  const Order order(*a);
  std::vector<std::string> out;
  for (int64_t i = 0; i < a->size(); ++i) {
    out.push_back(TextItem(*a, file.data() + data_at + order.At(i) * a->item_size));
  }
  return out;
}

absl::StatusOr<NpyArray> ParseNpy(std::string_view name, std::string bytes) {
  size_t data_at = 0;
  auto out = ParseNpyHeader(name, bytes, data_at);
  if (!out.ok()) return out;
  bytes.erase(0, data_at);
  out->data = std::move(bytes);
  return out;
}

void ReadDoubles(const NpyArray& array, const char* data, int64_t first, std::span<double> out) {
  const Order order(array);
  if (const Widener widen = WidenerOf(array); widen != nullptr && order.as_stored()) {
    widen(data, first, out);
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = DoubleItem(array, data, order.At(first + static_cast<int64_t>(i)));
  }
}

std::vector<double> ToDoubles(const NpyArray& array) {
  std::vector<double> out(array.size());
  ReadDoubles(array, array.data.data(), 0, out);
  return out;
}

absl::StatusOr<std::vector<int64_t>> ToIntegers(std::string_view name, const NpyArray& array) {
  if (array.kind == 'f') {
    return InvalidField(name, "holds floating-point numbers; must hold integers");
  }
  std::vector<int64_t> out(array.size());
  const Order order(array);
  for (size_t i = 0; i < out.size(); ++i) {
    const uint64_t raw = RawItem(array, array.data.data(), order.At(static_cast<int64_t>(i)));
    if (array.kind != 'i' && raw > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return InvalidField(name, fmt::format("holds {} at {}; must be below 2^63", raw, i));
    }
    out[i] = array.kind == 'i' ? SignedItem(array, raw) : static_cast<int64_t>(raw);
  }
  return out;
}

absl::Status ReadIntegers(std::string_view name, const NpyArray& array, const char* data,
                          int64_t first, std::span<int64_t> out) {
  const Order order(array);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t place = first + static_cast<int64_t>(i);
    const int64_t at = order.At(place);
    if (array.kind == 'f') {
      const double value = DoubleItem(array, data, at);
      if (!(std::abs(value) < 0x1p53) || value != std::floor(value)) {
        return InvalidField(name,
                            fmt::format("holds {} at {}; must be whole numbers", value, place));
      }
      out[i] = static_cast<int64_t>(value);
      continue;
    }
    const uint64_t raw = RawItem(array, data, at);
    if (array.kind != 'i' && raw > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return InvalidField(name, fmt::format("holds {} at {}; must be below 2^63", raw, place));
    }
    out[i] = array.kind == 'i' ? SignedItem(array, raw) : static_cast<int64_t>(raw);
  }
  return absl::OkStatus();
}

std::string NpyHeader(std::string_view descr, const std::vector<int64_t>& shape) {
  std::string sizes;
  for (int64_t s : shape) sizes += fmt::format("{},", s);
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, sizes);
  header.resize((header.size() + 10 + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::string out(kMagic);
  out += '\x01';
  out += '\x00';
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  return out + header;
}

std::string MakeNpy(const std::vector<double>& values, const std::vector<int64_t>& shape) {
  std::string out = NpyHeader("<f8", shape);
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double));
  return out;
}

}  // namespace saed

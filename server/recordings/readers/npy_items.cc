#include "server/recordings/readers/npy_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

uint64_t Raw(const uint8_t* data, const NpyField& field) {
  uint64_t raw = 0;
  if (!field.big_endian && field.size == 8) {
    std::memcpy(&raw, data, 8);
    return raw;
  }
  for (int64_t b = 0; b < field.size; ++b) {
    raw |= uint64_t{data[b]} << (8 * (field.big_endian ? field.size - 1 - b : b));
  }
  return raw;
}

int64_t Signed(uint64_t raw, int64_t size) {
  const int64_t unused = 64 - 8 * size;
  return static_cast<int64_t>(raw << unused) >> unused;
}

double Half(uint64_t h) {
  const int exponent = static_cast<int>(h >> 10 & 31), mantissa = static_cast<int>(h & 1023);
  const double sign = h & 0x8000 ? -1 : 1;
  if (exponent == 31) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  return exponent == 0 ? sign * std::ldexp(mantissa, -24)
                       : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

int64_t Integer(const uint8_t* data, const NpyField& field) {
  if (!field.integer()) return 0;
  const uint64_t raw = Raw(data, field);
  if (field.kind == 'i') return Signed(raw, field.size);
  constexpr auto kMost = std::numeric_limits<int64_t>::max();
  return raw > static_cast<uint64_t>(kMost) ? kMost : static_cast<int64_t>(raw);
}

double Number(const uint8_t* data, const NpyField& field) {
  const uint64_t raw = Raw(data, field);
  if (field.kind == 'i') return static_cast<double>(Signed(raw, field.size));
  if (field.kind != 'f') return static_cast<double>(raw);
  if (field.size == 8) return std::bit_cast<double>(raw);
  if (field.size == 4) return std::bit_cast<float>(static_cast<uint32_t>(raw));
  return Half(raw);
}

// Texts are padded with zeros; NumPy's 'U' has four bytes a character.
std::string Text(const uint8_t* data, const NpyField& field) {
  std::string out;
  if (field.kind == 'S') {
    out.assign(reinterpret_cast<const char*>(data), static_cast<size_t>(field.size));
    out.resize(out.find_last_not_of('\0') + 1);
    return ValidUtf8(out);
  }
  NpyField character = field;
  character.size = 4;
  for (int64_t at = 0; at < field.size; at += 4) {
    AppendUtf8(static_cast<uint32_t>(Raw(data + at, character)), out);
  }
  out.resize(out.find_last_not_of('\0') + 1);
  return ValidUtf8(out);
}

}  // namespace

absl::StatusOr<NpyFile> NpyFile::Open(const FileSet& files, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(name));
  const int64_t size = files.Sketch(name).size;
  if (size <= 0) return InvalidField(name, "is empty; must be a .npy file of NumPy");
  auto file = CountFile::Open(path, 0);
  if (!file.ok()) return absl::UnavailableError(fmt::format("cannot read {}", name));
  NpyFile out;
  out.name_ = name;
  out.file_ = *std::move(file);
  const std::string_view head(reinterpret_cast<const char*>(out.file_->data()), out.file_->size());
  SAED_ASSIGN_OR_RETURN(out.items_,
                        ParseNpyItems(name, head, static_cast<int64_t>(out.file_->size())));
  return out;
}

absl::StatusOr<NpyField> NpyFile::Plain() const {
  const NpyField& field = items_.fields[0];
  if (items_.fields.size() == 1 && field.name.empty() && (field.number() || field.text())) {
    return field;
  }
  return InvalidField(name_,
                      "has items that are neither numbers nor texts; save one plain array "
                      "per file");
}

const uint8_t* NpyFile::Item(int64_t i) const {
  int64_t at = i;
  if (items_.fortran_order && items_.shape.size() > 1) {
    // The last index runs fastest in i, the first in the file.
    std::vector<int64_t> step(items_.shape.size(), 1);
    for (size_t d = 1; d < step.size(); ++d) step[d] = step[d - 1] * items_.shape[d - 1];
    at = 0;
    for (size_t d = step.size(); d-- > 0; i /= items_.shape[d]) {
      at += i % items_.shape[d] * step[d];
    }
  }
  return file_->data() + items_.data_at + static_cast<size_t>(at * items_.item_size);
}

void NpyFile::ReadIntegers(const NpyField& field, int64_t first, std::span<int64_t> out) const {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = Integer(Item(first + static_cast<int64_t>(i)) + field.offset, field);
  }
}

void NpyFile::ReadNumbers(const NpyField& field, int64_t first, std::span<double> out) const {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = Number(Item(first + static_cast<int64_t>(i)) + field.offset, field);
  }
}

absl::StatusOr<std::variant<Numbers, Texts>> NpyFile::ReadAll(int64_t most, Notes& notes) const {
  SAED_ASSIGN_OR_RETURN(const NpyField field, Plain());
  const int64_t n = items_.size();
  if (n > most)
    return InvalidField(name_, fmt::format("has {} items; at most {} are read", n, most));
  if (field.number()) {
    Numbers out(static_cast<size_t>(n));
    ReadNumbers(field, 0, out);
    Tally rounded;
    for (int64_t i = 0; i < n && field.integer() && field.size == 8; ++i) {
      const double v = out[static_cast<size_t>(i)];
      if (std::abs(v) < 0x1p53) continue;
      const uint64_t raw = Raw(Item(i) + field.offset, field);
      const bool kept = field.kind == 'i'
                            ? v < 0x1p63 && static_cast<uint64_t>(static_cast<int64_t>(v)) == raw
                            : v < 0x1p64 && static_cast<uint64_t>(v) == raw;
      if (!kept) rounded.Add([&] { return fmt::format("[{}]: {:.0f}", i, v); });
    }
    rounded.Mend(notes, name_, "values", "above 2^53 rounded, as numbers have 53 bits here");
    return out;
  }
  if (n * field.size > kMaxTextBytes) {
    return InvalidField(name_, fmt::format("has {} bytes of text; at most {} are read",
                                           n * field.size, kMaxTextBytes));
  }
  Texts out;
  out.reserve(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) out.push_back(Text(Item(i) + field.offset, field));
  return out;
}

void NpyFile::Release() const { file_->Release(); }

}  // namespace saed::recordings

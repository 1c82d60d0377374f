// Little-endian binary records for checkpoints and stored recordings.
//
// A writer appends to a string; a reader never reads past the end: after the first short read it is
// `failed()` and every further value is zero or empty, so a parser checks once, at the end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace saed {

static_assert(std::endian::native == std::endian::little, "saed stores little-endian bytes as is");

class WireWriter {
 public:
  template <class T>
  void Value(T value) {
    static_assert(std::is_arithmetic_v<T>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  void Text(std::string_view text) {
    Value<uint64_t>(text.size());
    out_.append(text);
  }
  template <class T>
  void Array(const std::vector<T>& values) {
    static_assert(std::is_arithmetic_v<T>);
    Value<uint64_t>(values.size());
    out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  template <class T>
  T Value() {
    T value{};
    if (!Has(sizeof(T))) return value;
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::string Text() {
    const auto size = Value<uint64_t>();
    if (!Has(size)) return {};
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  // The bytes of a text where they lie.
  std::string_view TextView() {
    const auto size = Value<uint64_t>();
    if (!Has(size)) return {};
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }
  // How many values an array has that is passed over.
  template <class T>
  uint64_t SkipArray() {
    const uint64_t count = Count(sizeof(T));
    rest_.remove_prefix(count * sizeof(T));
    return count;
  }
  template <class T>
  std::vector<T> Array() {
    const auto count = Value<uint64_t>();
    if (count > rest_.size() / sizeof(T)) {
      failed_ = true;
      return {};
    }
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), rest_.data(), count * sizeof(T));
    rest_.remove_prefix(count * sizeof(T));
    return values;
  }
  // A count of records that each take at least `min_bytes`; fails where they cannot be there.
  uint64_t Count(size_t min_bytes) {
    const auto count = Value<uint64_t>();
    if (count > rest_.size() / min_bytes) failed_ = true;
    return failed_ ? 0 : count;
  }
  bool failed() const { return failed_; }
  size_t rest() const { return rest_.size(); }  // bytes not read yet
  bool done() const { return !failed_ && rest_.empty(); }

 private:
  bool Has(uint64_t size) {
    if (size > rest_.size()) failed_ = true;
    return !failed_;
  }
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace saed

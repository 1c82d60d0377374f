#include "server/recordings/readers/matlab_nesting.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "server/base/faults.h"
#include "server/base/status_macros.h"

namespace saed::recordings {
namespace {

// Of "MAT-File Format" by The MathWorks: types of elements, classes of arrays.
constexpr uint32_t kInt8 = 1, kInt32 = 5, kUint32 = 6, kMatrix = 14, kCompressed = 15;
constexpr uint32_t kCell = 1, kStruct = 2, kObject = 3, kFirstLeaf = 4, kLastLeaf = 15;
constexpr uint64_t kHeader = 128;  // bytes of a file before its first element
constexpr uint64_t kMany = uint64_t{1} << 32;

// Bytes from a place on.
class Bytes {
 public:
  virtual ~Bytes() = default;
  // False where there are not so many.
  virtual bool Read(char* to, size_t size) = 0;
  virtual bool Skip(uint64_t size) = 0;
  // How many were read or skipped.
  uint64_t at() const { return at_; }

 protected:
  uint64_t at_ = 0;
};

class FileBytes : public Bytes {
 public:
  explicit FileBytes(const std::string& path) : in_(path, std::ios::binary | std::ios::ate) {
    size_ = in_ ? static_cast<uint64_t>(in_.tellg()) : 0;
    in_.seekg(0);
  }
  bool Read(char* to, size_t size) override {
    if (size > size_ - at_ || !in_.read(to, static_cast<std::streamsize>(size))) return false;
    at_ += size;
    return true;
  }
  bool Skip(uint64_t size) override { return size <= left() && GoTo(at_ + size); }
  uint64_t left() const { return size_ - at_; }
  bool GoTo(uint64_t place) {
    if (place > size_ || !in_.seekg(static_cast<std::streamoff>(place))) return false;
    at_ = place;
    return true;
  }

 private:
  std::ifstream in_;
  uint64_t size_ = 0;
};

// What compressed bytes of a file become: those of a stream to its end, as the library reads it,
// whatever size the file gives it.
class InflatedBytes : public Bytes {
 public:
  explicit InflatedBytes(FileBytes& file) : file_(file), input_(kPiece) {
    good_ = inflateInit(&stream_) == Z_OK;
  }
  ~InflatedBytes() override { inflateEnd(&stream_); }
  InflatedBytes(const InflatedBytes&) = delete;
  InflatedBytes& operator=(const InflatedBytes&) = delete;

  bool Read(char* to, size_t size) override {
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(size);
    while (good_ && stream_.avail_out > 0) {
      if (stream_.avail_in == 0 && !Refill()) return good_ = false;
      const int status = inflate(&stream_, Z_NO_FLUSH);
      good_ = status == Z_OK || (status == Z_STREAM_END && stream_.avail_out == 0);
    }
    at_ += size;
    return good_;
  }
  bool Skip(uint64_t size) override {
    std::vector<char> piece(std::min<uint64_t>(size, kPiece));
    for (; size > 0; size -= piece.size()) {
      piece.resize(std::min<uint64_t>(size, piece.size()));
      if (!Read(piece.data(), piece.size())) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kPiece = size_t{64} << 10;

  bool Refill() {
    const size_t size = std::min<uint64_t>(file_.left(), kPiece);
    if (size == 0 || !file_.Read(input_.data(), size)) return false;
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(size);
    return true;
  }

  FileBytes& file_;
  std::vector<char> input_;
  z_stream stream_ = {};
  bool good_ = false;
};

struct Tag {
  uint32_t type = 0, bytes = 0;
  uint32_t within = 0;   // the data of a small element, which lie in its tag
  uint64_t follows = 0;  // bytes that follow the tag
};

// The walk through one variable. A cell or struct is open until its end, and as long as it lacks
// some of what it says it holds: the library goes by the latter.
class Walk {
 public:
  Walk(Bytes& in, bool swapped) : in_(in), swapped_(swapped) {}

  // False where there is none, or the bytes end.
  bool ReadTag(Tag& out) {
    uint32_t words[2];
    if (!ReadWords(words, 2)) return false;
    out = {words[0], words[1], words[1], (uint64_t{words[1]} + 7) / 8 * 8};
    if (words[0] >> 16 != 0) out = {words[0] & 0xFFFF, words[0] >> 16, words[1], 0};
    return true;
  }

  // What follows the tag of a variable, however much of it there is. False where it is too deep.
  bool Variable(const Tag& variable) {
    bool more = Enter(variable);
    while (more) {
      while (!open_.empty() && in_.at() >= open_.back().end && open_.back().wanted == 0) {
        open_.pop_back();
      }
      Tag tag;
      if (open_.empty() || !ReadTag(tag)) return true;
      if (tag.type != kMatrix) {
        more = in_.Skip(tag.follows);
        continue;
      }
      if (open_.back().wanted > 0) --open_.back().wanted;
      if (tag.bytes == 0) continue;
      if (open_.size() == kMaxMatNesting) return false;
      more = Enter(tag);
    }
    return true;
  }

  // Arrays that the cells and structs still open say they hold, and for which there were no bytes.
  uint64_t lacking() const {
    uint64_t out = 0;
    for (const Open& open : open_) out = std::min(out + open.wanted, kMany);
    return out;
  }

 private:
  struct Open {
    uint64_t end;
    uint64_t wanted;  // arrays that are still to come in it
    bool fields;      // it is a struct or an object
  };

  bool ReadWords(uint32_t* words, size_t count) {
    if (!in_.Read(reinterpret_cast<char*>(words), count * sizeof(uint32_t))) return false;
    for (size_t i = 0; swapped_ && i < count; ++i) words[i] = __builtin_bswap32(words[i]);
    return true;
  }

  // Reads what an array begins with; passes it over where no other can lie in it. False where the
  // bytes end.
  bool Enter(const Tag& tag) {
    const uint64_t end = in_.at() + tag.bytes;
    uint32_t flags[4];  // with their tag
    if (!ReadWords(flags, 4)) return false;
    const uint32_t type = flags[2] & 0xFF;
    if (flags[0] != kUint32 || (type >= kFirstLeaf && type <= kLastLeaf)) {
      return in_.at() >= end || in_.Skip(end - in_.at());
    }
    uint64_t wanted = 0;
    Tag name;
    if (!Elements(wanted) || !ReadTag(name)) return false;
    const bool fields = type == kStruct || type == kObject;
    // The library passes over names of characters alone, and over none of a field.
    const bool named = name.type == kInt8 && (open_.empty() || !open_.back().fields);
    bool more = !named || in_.Skip(name.follows);
    if (fields && more) more = TimesFields(type == kObject, wanted);
    if (!fields && type != kCell) wanted = 0;
    open_.push_back({end, wanted, fields});
    return more;
  }

  // The product of the dimensions.
  bool Elements(uint64_t& out) {
    Tag tag;
    if (!ReadTag(tag)) return false;
    if (tag.type != kInt32 || tag.follows == 0) return in_.Skip(tag.follows);
    out = 1;
    for (uint64_t i = 0; i < tag.follows / sizeof(uint32_t); ++i) {
      uint32_t size;
      if (!ReadWords(&size, 1)) return false;
      if (i < tag.bytes / sizeof(uint32_t)) out = std::min<uint64_t>(out * size, kMany);
    }
    return true;
  }

  // The library takes the second word for the length of a name, whatever the first says of how it
  // is stored, and goes on where the names are cut off.
  bool TimesFields(bool object, uint64_t& wanted) {
    Tag tag;
    if (object && (!ReadTag(tag) || !in_.Skip(tag.follows))) return false;
    uint32_t length[2];
    Tag names;
    const uint64_t structs = std::exchange(wanted, 0);
    if (!ReadWords(length, 2) || !ReadTag(names)) return false;
    wanted = length[1] == 0 ? 0 : std::min<uint64_t>(structs * (names.bytes / length[1]), kMany);
    return in_.Skip(names.follows);
  }

  Bytes& in_;
  bool swapped_;
  std::vector<Open> open_;
};

absl::Status TooDeep(const std::string& name) {
  return InvalidField(
      name, fmt::format("has cells or structs that lie more than {} deep in one another; save what "
                        "is to be read in variables of their own",
                        kMaxMatNesting));
}

absl::Status Check(const std::string& name, Walk& walk, const Tag& tag) {
  if (!walk.Variable(tag)) return TooDeep(name);
  if (walk.lacking() <= kMaxMatLacking) return absl::OkStatus();
  return InvalidField(
      name, fmt::format("has a cell or struct that says it holds {} arrays more than there are; it "
                        "is damaged or truncated",
                        walk.lacking()));
}

}  // namespace

absl::Status CheckMatNesting(const std::string& name, const std::string& path) {
  FileBytes file(path);
  char header[kHeader];
  if (!file.Read(header, kHeader)) return absl::OkStatus();
  // The mark is the two letters as a number, in the file's order of bytes.
  const bool little = std::memcmp(header + kHeader - 2, "IM", 2) == 0;
  const bool swapped = little != (std::endian::native == std::endian::little);
  for (uint64_t place = kHeader; file.GoTo(place);) {
    Walk plain(file, swapped);
    Tag tag;
    if (!plain.ReadTag(tag)) break;
    place = file.at() + (tag.type == kCompressed ? tag.bytes : tag.follows);
    if (tag.type == kMatrix) {
      SAED_RETURN_IF_ERROR(Check(name, plain, tag));
    } else if (tag.type == kCompressed) {
      InflatedBytes inflated(file);
      Walk within(inflated, swapped);
      if (within.ReadTag(tag) && tag.type == kMatrix) {
        SAED_RETURN_IF_ERROR(Check(name, within, tag));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace saed::recordings

// .npy files of more than plain numbers: records with named fields, and texts. Numbers too, so that
// one reader serves folders in which all three occur. Object arrays (pickles) are never read.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/count_file.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// A part of every item. A file of plain numbers or texts has one, without a name.
struct NpyField {
  std::string name;
  char kind = 'f';     // as NumPy's: 'i', 'u', 'b', 'f'; 'U' and 'S' texts; others are not read
  int64_t size = 8;    // bytes
  int64_t offset = 0;  // in the item, bytes
  bool big_endian = false;

  bool integer() const { return kind == 'i' || kind == 'u' || kind == 'b'; }
  bool number() const { return integer() || kind == 'f'; }
  bool text() const { return kind == 'U' || kind == 'S'; }
};

struct NpyItems {
  std::vector<NpyField> fields;
  int64_t item_size = 0;  // bytes
  std::vector<int64_t> shape;
  bool fortran_order = false;
  size_t data_at = 0;  // in the file, bytes

  int64_t size() const;
  int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  // Items in a row.
  int64_t width() const { return rows() == 0 ? 1 : size() / rows(); }
  const NpyField* Find(std::string_view name) const;
};

// The header of a file of which `head` are the first bytes and which has `file_size` in all.
// INVALID_ARGUMENT on `name` for anything that is not a .npy file with exactly the data that its
// header promises, and for objects; a field of another kind that is not read is no fault.
absl::StatusOr<NpyItems> ParseNpyItems(std::string_view name, std::string_view head,
                                       int64_t file_size);

// A mapped .npy file. Copies share the mapping. Reading is thread-safe.
class NpyFile {
 public:
  static absl::StatusOr<NpyFile> Open(const FileSet& files, const std::string& name);

  const std::string& name() const { return name_; }
  const NpyItems& items() const { return items_; }
  // The only field; INVALID_ARGUMENT where the items are records.
  absl::StatusOr<NpyField> Plain() const;

  // A field of the items from `first` on, in C order. The field's kind must be a number; integers
  // of other fields than integer() are 0, and unsigned ones above int64's range are its maximum.
  void ReadIntegers(const NpyField& field, int64_t first, std::span<int64_t> out) const;
  void ReadNumbers(const NpyField& field, int64_t first, std::span<double> out) const;
  // All items of a plain file of numbers or of texts, at most `most`. Whole numbers that are others
  // as doubles are noted.
  absl::StatusOr<std::variant<Numbers, Texts>> ReadAll(int64_t most, Notes& notes) const;

  // Lets go of what is resident.
  void Release() const;

 private:
  const uint8_t* Item(int64_t i) const;

  std::string name_;
  NpyItems items_;
  std::shared_ptr<const CountFile> file_;
};

// Items that are worked on at once.
inline constexpr int64_t kItemsAtOnce = int64_t{1} << 16;

}  // namespace saed::recordings

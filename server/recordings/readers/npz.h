// NumPy's .npz: a zip archive of .npy files. Nothing in it is ever unpickled, and its names are
// never paths.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/readers/file_set.h"
#include "server/recordings/readers/notes.h"

namespace saed::recordings {

// Not thread-safe.
class Npz {
 public:
  // A file of the set. INVALID_ARGUMENT on its name where it is no archive that np.savez could
  // have written: encrypted, of another compression, of two members of one name, of too many.
  static absl::StatusOr<Npz> Open(const FileSet& files, const std::string& name);
  Npz(Npz&&) noexcept;
  Npz& operator=(Npz&&) noexcept;
  ~Npz();

  const std::string& name() const { return name_; }
  // Of its arrays, without ".npy", in the order of the file.
  std::vector<std::string> names() const;
  bool Has(std::string_view array) const { return Find(array) != nullptr; }
  // Whether it is a pickle: an array of objects, which no one reads here.
  bool IsPickle(std::string_view array) const;

  // Of an array of numbers; errors as Read().
  absl::StatusOr<std::vector<int64_t>> ShapeOf(std::string_view array) const;
  // INVALID_ARGUMENT on "FILE.npz[ARRAY]". Memory is taken when the header of the array agrees with
  // the archive; what is above kNpzInMemory comes a piece at a time into a file.
  absl::StatusOr<ArrayFile> Read(std::string_view array) const;
  // An array of texts, or of numbers as texts.
  absl::StatusOr<std::vector<std::string>> ReadTexts(std::string_view array) const;

 private:
  struct Member {
    std::string name;
    uint64_t index = 0, size = 0;  // place in the archive; bytes when unpacked
  };
  struct Archive;

  Npz();
  absl::Status List();
  const Member* Find(std::string_view array) const;
  std::string FieldOf(std::string_view array) const;
  absl::StatusOr<std::string> ReadBytes(const Member& member, uint64_t most) const;
  absl::StatusOr<std::shared_ptr<const CountFile>> Unpack(const Member& member) const;

  std::string name_;
  std::unique_ptr<Archive> archive_;
  std::vector<Member> members_;
};

inline constexpr uint64_t kNpzInMemory = uint64_t{64} << 20;

// Says in one line which arrays of the archive are none of `read`.
void SayUnreadArrays(const Npz& npz, const std::vector<std::string>& read, std::string_view advice,
                     Notes& notes);

// Names of the arrays of a .npz as far as its sketch shows them; empty where it is none.
std::vector<std::string> NpzNames(const FileSketch& sketch);

}  // namespace saed::recordings

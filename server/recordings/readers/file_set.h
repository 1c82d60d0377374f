// The files of one import, by the names they have in the user's folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace saed::recordings {

// What is known of a file before it is read: enough to say which format it is of.
struct FileSketch {
  // Relative to what the user named, parts separated by '/': "spike_times.npy",
  // "sorting/spikes.npy".
  std::string name;
  int64_t size = 0;  // bytes
  // Its first and its last bytes, up to kSketchBytes each.
  std::string head, tail;
};

inline constexpr size_t kSketchBytes = 4096;

// A file that can be opened: `path` is where its bytes lie on this machine, and is in no message.
struct SourceFile {
  std::string name;
  std::string path;
};

// "a/b/" of "a/b/c", "" of "c".
std::string FolderOf(const std::string& name);

// Not thread-safe, as it looks at its files when asked.
class FileSet {
 public:
  FileSet() = default;
  // For recognition alone, where the files are elsewhere.
  explicit FileSet(std::vector<FileSketch> sketches);
  explicit FileSet(std::vector<SourceFile> files);

  // Names in ascending order.
  const std::vector<std::string>& names() const { return names_; }
  bool Has(std::string_view name) const;
  // Names whose part behind the last '/' is `base`.
  std::vector<std::string> WithBase(std::string_view base) const;
  // Names that match a pattern in which '*' stands for any run of characters but '/', and '**' for
  // any run at all.
  std::vector<std::string> Matching(std::string_view pattern) const;

  // Head, tail and size; an empty sketch for a name that is not there.
  const FileSketch& Sketch(std::string_view name) const;
  // Where the bytes lie. INVALID_ARGUMENT on `files` where the name is not there.
  absl::StatusOr<std::string> PathOf(std::string_view name) const;
  // Names of which neither PathOf() nor Read() was asked.
  std::vector<std::string> Unopened() const;
  // All bytes. INVALID_ARGUMENT on the file's name where it has more than `most`.
  absl::StatusOr<std::string> Read(std::string_view name, int64_t most) const;

 private:
  size_t IndexOf(std::string_view name) const;

  std::vector<std::string> names_;  // ascending
  std::vector<std::string> paths_;  // of each; empty where there are only sketches
  mutable std::vector<FileSketch> sketches_;
  mutable std::vector<bool> opened_;
};

// Whether `name` matches a pattern as Matching() has it.
bool MatchesPattern(std::string_view name, std::string_view pattern);

// The most of a text file (a table, a list of parameters) that is read.
inline constexpr int64_t kMaxTextBytes = int64_t{1} << 30;

}  // namespace saed::recordings

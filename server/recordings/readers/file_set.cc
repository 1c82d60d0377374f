#include "server/recordings/readers/file_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "server/base/faults.h"
#include "server/base/glob.h"

namespace saed::recordings {
namespace {

template <class Files>
void SortByName(Files& files) {
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
}

FileSketch SketchOf(const std::string& name, const std::string& path) {
  FileSketch out;
  out.name = name;
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) return out;
  out.size = static_cast<int64_t>(size);
  std::ifstream in(path, std::ios::binary);
  const size_t part = std::min<size_t>(kSketchBytes, size);
  out.head.resize(part);
  in.read(out.head.data(), static_cast<std::streamsize>(part));
  out.tail.resize(part);
  in.seekg(static_cast<std::streamoff>(size - part));
  in.read(out.tail.data(), static_cast<std::streamsize>(part));
  return out;
}

}  // namespace

FileSet::FileSet(std::vector<FileSketch> sketches) : sketches_(std::move(sketches)) {
  SortByName(sketches_);
  for (const FileSketch& s : sketches_) names_.push_back(s.name);
}

FileSet::FileSet(std::vector<SourceFile> files) : sketches_(files.size()) {
  SortByName(files);
  for (SourceFile& file : files) {
    names_.push_back(std::move(file.name));
    paths_.push_back(std::move(file.path));
  }
  opened_.resize(paths_.size());
}

size_t FileSet::IndexOf(std::string_view name) const {
  const auto at = std::lower_bound(names_.begin(), names_.end(), name);
  return at != names_.end() && *at == name ? static_cast<size_t>(at - names_.begin())
                                           : names_.size();
}

bool FileSet::Has(std::string_view name) const { return IndexOf(name) < names_.size(); }

std::string FolderOf(const std::string& name) { return name.substr(0, name.rfind('/') + 1); }

std::vector<std::string> FileSet::WithBase(std::string_view base) const {
  std::vector<std::string> out;
  for (const std::string& name : names_) {
    if (name.substr(name.rfind('/') + 1) == base) out.push_back(name);
  }
  return out;
}

std::vector<std::string> FileSet::Matching(std::string_view pattern) const {
  std::vector<std::string> out;
  for (const std::string& name : names_) {
    if (MatchesPattern(name, pattern)) out.push_back(name);
  }
  return out;
}

const FileSketch& FileSet::Sketch(std::string_view name) const {
  static const FileSketch none;
  const size_t i = IndexOf(name);
  if (i == names_.size()) return none;
  // Sketches that were given stay as they are, even one without a name.
  if (i < paths_.size() && sketches_[i].name.empty()) sketches_[i] = SketchOf(names_[i], paths_[i]);
  return sketches_[i];
}

absl::StatusOr<std::string> FileSet::PathOf(std::string_view name) const {
  const size_t i = IndexOf(name);
  if (i < paths_.size()) {
    opened_[i] = true;
    return paths_[i];
  }
  return InvalidField("files", fmt::format("holds no {}", name));
}

std::vector<std::string> FileSet::Unopened() const {
  std::vector<std::string> out;
  for (size_t i = 0; i < opened_.size(); ++i) {
    if (!opened_[i]) out.push_back(names_[i]);
  }
  return out;
}

absl::StatusOr<std::string> FileSet::Read(std::string_view name, int64_t most) const {
  const auto path = PathOf(name);
  if (!path.ok()) return path.status();
  std::ifstream in(*path, std::ios::binary | std::ios::ate);
  const auto size = in ? static_cast<int64_t>(in.tellg()) : -1;
  if (size < 0) return absl::UnavailableError(fmt::format("cannot open {}", name));
  if (size > most) {
    return InvalidField(name, fmt::format("has {} bytes; at most {} are read", size, most));
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  in.seekg(0);
  in.read(bytes.data(), size);
  if (!in) return absl::UnavailableError(fmt::format("cannot read {}", name));
  return bytes;
}

bool MatchesPattern(std::string_view name, std::string_view pattern) {
  return MatchesGlob(name, pattern);
}

}  // namespace saed::recordings

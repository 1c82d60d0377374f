#include "server/jobs/files_at.h"

#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/beside.h"
#include "server/recordings/open_beneath.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/sandbox.h"

namespace saed::jobs {
namespace {

namespace fs = std::filesystem;
using recordings::Opened;

constexpr int kMostDeep = 12;
constexpr size_t kMostLookedAt = 100'000, kMostTaken = 20'000;
constexpr const char* kField = "header.server_path";

absl::Status Refused(const std::string& name, const std::string& why) {
  return InvalidField(kField, fmt::format("names '{}', which {}", ValidUtf8(name), why));
}

std::string Join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

// `path` with what leads to the folder `base` taken away; false where it does not begin so.
bool Strip(const fs::path& base, const fs::path& path, std::string& rest) {
  const auto at = std::mismatch(base.begin(), base.end(), path.begin(), path.end());
  if (at.first != base.end()) return false;
  fs::path out;
  for (auto part = at.second; part != path.end(); ++part) out /= *part;
  rest = out.string();
  return true;
}

// The path relative to the root. Whether the way there stays below the root is seen when it is
// opened.
absl::StatusOr<std::string> Relative(const std::string& root, const std::string& path) {
  if (!path.starts_with('/')) return path;
  std::string rest;
  std::error_code error;
  if (Strip(root, path, rest)) return rest;
  // The user may know the root by another name.
  if (const fs::path known = fs::canonical(path, error); !error && Strip(root, known, rest)) {
    return rest;
  }
  return InvalidField(kField, fmt::format("is '{}'; must be a file or folder below the server's "
                                          "data root",
                                          ValidUtf8(path)));
}

class Walk {
 public:
  Walk(std::string root, int descriptor, std::string start, const std::string& format)
      : root_(std::move(root)), descriptor_(descriptor), start_(std::move(start)) {
    for (const recordings::Reader* reader : recordings::Readers()) {
      if (!format.empty() && reader->name != format) continue;
      const std::vector<std::string> read = recordings::PatternsOf(*reader);
      patterns_.insert(patterns_.end(), read.begin(), read.end());
    }
  }

  FilesFound Take() { return std::move(found_); }

  absl::Status Add(const std::string& name, const std::string& path, int64_t size) {
    if (found_.files.size() == kMostTaken) {
      return InvalidField(kField, fmt::format("holds more than {} files to be read; must be the "
                                              "folder of one recording",
                                              kMostTaken));
    }
    found_.files.push_back({recordings::Role::kMain, name, root_ + "/" + path, root_});
    found_.bytes = recordings::AddSizes(found_.bytes, size);
    return absl::OkStatus();
  }

  // All below the folder `name`, which is open and lies at start/name.
  absl::Status Folder(const std::string& name, Opened folder) {
    const auto is_this = [&](const auto& id) {
      return id.first == folder.device && id.second == folder.inode;
    };
    if (std::any_of(above_.begin(), above_.end(), is_this)) {
      return LeaveOut(name, "a link to a folder that it lies in");
    }
    if (above_.size() == kMostDeep) {
      return LeaveOut(name, fmt::format("a folder more than {} deep", kMostDeep));
    }
    above_.emplace_back(folder.device, folder.inode);
    SAED_ASSIGN_OR_RETURN(const auto entries, Entries(folder));
    for (const auto& [entry, type] : entries) {
      SAED_RETURN_IF_ERROR(Entry(Join(name, entry), type));
    }
    above_.pop_back();
    return absl::OkStatus();
  }

 private:
  absl::Status LeaveOut(const std::string& name, const std::string& why) {
    found_.left_out.push_back(name + ", " + why);
    return absl::OkStatus();
  }

  bool IsRead(const std::string& name) const {
    return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& pattern) {
      return recordings::MatchesPattern(name, pattern);
    });
  }

  // Names in ascending order with the types that the folder gives, DT_UNKNOWN among them.
  absl::StatusOr<std::vector<std::pair<std::string, unsigned char>>> Entries(Opened& folder) {
    const int descriptor = folder.descriptor.Release();
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(descriptor), closedir);
    if (!listing) {
      const recordings::Descriptor closed(descriptor);
      return absl::UnavailableError("cannot list a folder below the data root");
    }
    std::vector<std::pair<std::string, unsigned char>> out;
    while (const dirent* entry = readdir(listing.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++looked_at_ > kMostLookedAt) {
        return InvalidField(kField, fmt::format("holds more than {} files; must be the folder of "
                                                "one recording",
                                                kMostLookedAt));
      }
      out.emplace_back(name, entry->d_type);
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  absl::Status Entry(const std::string& name, unsigned char type) {
    const bool read = IsRead(name);
    const bool may_be_folder = type == DT_DIR || type == DT_LNK || type == DT_UNKNOWN;
    if (!read && !may_be_folder) return absl::OkStatus();
    const std::string path = Join(start_, name);
    auto opened = recordings::OpenBeneath(descriptor_, path);
    if (!opened.ok()) {
      const std::string why(opened.status().message());
      return read ? Refused(name, why) : LeaveOut(name, why.substr(0, why.find(';')));
    }
    if (opened->is_folder) return Folder(name, *std::move(opened));
    return read ? Add(name, path, opened->size) : absl::OkStatus();
  }

  std::string root_;
  int descriptor_;
  std::string start_;  // what the user named, relative to the root
  std::vector<std::string> patterns_;
  std::vector<std::pair<uint64_t, uint64_t>> above_;  // device and inode of the folders around
  size_t looked_at_ = 0;
  FilesFound found_;
};

}  // namespace

absl::StatusOr<FilesFound> FilesAt(const std::string& root, const std::string& path,
                                   const std::string& format) {
  std::error_code error;
  const std::string base = fs::canonical(root, error).string();
  if (error) return absl::UnavailableError("the server's data root is not there");
  SAED_ASSIGN_OR_RETURN(const std::string start, Relative(base, path));
  SAED_ASSIGN_OR_RETURN(const recordings::Descriptor descriptor, recordings::OpenFolder(base));
  auto opened = recordings::OpenBeneath(descriptor.get(), start);
  if (!opened.ok()) {
    return InvalidField(kField, fmt::format("is '{}', which {}", ValidUtf8(path),
                                            std::string(opened.status().message())));
  }
  Walk walk(base, descriptor.get(), start, format);
  if (opened->is_folder) {
    SAED_RETURN_IF_ERROR(walk.Folder("", *std::move(opened)));
  } else {
    SAED_RETURN_IF_ERROR(walk.Add(fs::path(start).filename(), start, opened->size));
  }
  return walk.Take();
}

}  // namespace saed::jobs

#include "server/rpc/upload.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::rpc {
namespace {

constexpr size_t kMaxPart = 200, kMaxName = 1000;  // bytes

recordings::Role RoleOf(v1::FileHeader::Role role) {
  switch (role) {
    case v1::FileHeader::ROLE_INTERVALS:
      return recordings::Role::kIntervals;
    case v1::FileHeader::ROLE_SERIES:
      return recordings::Role::kSeries;
    case v1::FileHeader::ROLE_UNITS:
      return recordings::Role::kUnits;
    default:
      return recordings::Role::kMain;
  }
}

// Main files have places in a folder; tables and series have plain names.
absl::Status CheckName(const std::string& name, recordings::Role role) {
  const bool text = ValidUtf8(name) == name && std::none_of(name.begin(), name.end(), [](char c) {
                      return (c >= 0 && c < ' ') || c == 0x7f;
                    });
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  const bool relative = std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
    return !part.empty() && part.size() <= kMaxPart && part != "." && part != "..";
  });
  if (!text || !relative || name.size() > kMaxName ||
      (role != recordings::Role::kMain && parts.size() > 1)) {
    return InvalidField(
        "file.name",
        fmt::format("is '{}'; must be {}", ValidUtf8(name.substr(0, kMaxName)),
                    role == recordings::Role::kMain
                        ? "the file's place in the folder, parts of 1 to 200 bytes separated by "
                          "'/', without '..' and control characters"
                        : "a plain name of 1 to 200 bytes"));
  }
  return absl::OkStatus();
}

absl::Status CheckDigest(const char* field, const std::string& file, const std::string& text) {
  const bool hexadecimal =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
  if (hexadecimal && text.size() == 64) return absl::OkStatus();
  return InvalidField(field, fmt::format("of '{}' is '{}'; must be 64 hexadecimal digits", file,
                                         ValidUtf8(text.substr(0, 100))));
}

}  // namespace

Upload::~Upload() {
  if (!directory_.empty()) storage::RemoveTree(directory_);
}

absl::Status Upload::Begin(const v1::FileHeader& header) {
  SAED_RETURN_IF_ERROR(CloseFile());
  const std::string& name = header.name();
  const recordings::Role role = RoleOf(header.role());
  SAED_RETURN_IF_ERROR(CheckName(name, role));
  if (header.size() < 0 || header.size() > max_file_bytes_) {
    return InvalidField("file.size", fmt::format("of '{}' is {} bytes; must be 0 to {}", name,
                                                 header.size(), max_file_bytes_));
  }
  if (!header.sha256().empty()) {
    SAED_RETURN_IF_ERROR(CheckDigest("file.sha256", name, header.sha256()));
  }
  if (files_.size() == kMaxFiles) {
    return InvalidField("file",
                        fmt::format("comes after {} others; no more are allowed", kMaxFiles));
  }
  if (!named_.emplace(role, name).second) {
    return InvalidField("file.name", fmt::format("is '{}', as another file's; each has its own "
                                                 "name",
                                                 name));
  }
  SAED_ASSIGN_OR_RETURN(auto hold, room_(header.size()));
  if (hold != nullptr) holds_.push_back(std::move(hold));
  if (directory_.empty()) {
    SAED_ASSIGN_OR_RETURN(directory_, objects_.NewUploadDirectory());
  }
  header_ = header;
  received_ = 0;
  bytes_ += header.size();
  digest_ = std::make_unique<Sha256>();
  // The file's own name is never part of a path here.
  const std::string path = fmt::format("{}/{}", directory_, files_.size());
  files_.push_back({role, name, path});
  out_.open(path, std::ios::binary);
  if (!out_) return absl::UnavailableError("cannot store the upload");
  return absl::OkStatus();
}

absl::Status Upload::Append(const std::string& chunk) {
  SAED_RETURN_IF_ERROR(StillWanted());
  if (digest_ == nullptr) return InvalidField("chunk", "comes before any file header");
  received_ += static_cast<int64_t>(chunk.size());
  if (received_ > header_.size()) {
    return InvalidField("chunk", fmt::format("goes beyond the {} bytes announced for '{}'",
                                             header_.size(), header_.name()));
  }
  digest_->Update(chunk);
  out_.write(chunk.data(), static_cast<std::streamsize>(chunk.size()));
  if (!out_) return absl::ResourceExhaustedError("cannot store the upload: is the disk full?");
  return absl::OkStatus();
}

absl::Status Upload::Digest(const std::string& sha256) {
  if (digest_ == nullptr) return InvalidField("sha256", "comes before any file header");
  if (!header_.sha256().empty()) {
    return InvalidField("sha256",
                        fmt::format("of '{}' comes once more; its header has it", header_.name()));
  }
  SAED_RETURN_IF_ERROR(CheckDigest("sha256", header_.name(), sha256));
  header_.set_sha256(sha256);
  return CloseFile();
}

absl::Status Upload::CloseFile() {
  if (digest_ == nullptr) return absl::OkStatus();
  out_.close();
  if (!out_) return absl::ResourceExhaustedError("cannot store the upload: is the disk full?");
  if (received_ != header_.size()) {
    return InvalidField("chunk", fmt::format("data of '{}' ended after {} of {} bytes",
                                             header_.name(), received_, header_.size()));
  }
  if (header_.sha256().empty()) {
    return InvalidField("file.sha256",
                        fmt::format("of '{}' is missing; must be 64 hexadecimal digits in the "
                                    "file's header or behind its last chunk",
                                    header_.name()));
  }
  const std::string got = digest_->Hex();
  digest_.reset();
  if (!absl::EqualsIgnoreCase(got, header_.sha256())) {
    return InvalidField("file.sha256",
                        fmt::format("of '{}' is {} but the bytes received have {}; send it again",
                                    header_.name(), header_.sha256(), got));
  }
  return absl::OkStatus();
}

absl::Status Upload::End() { return CloseFile(); }

}  // namespace saed::rpc

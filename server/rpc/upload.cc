#include "server/rpc/upload.h"

#include <fmt/format.h>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::rpc {
namespace {

constexpr const char* kHexDigits = "0123456789abcdefABCDEF";

}  // namespace

Upload::~Upload() {
  if (!directory_.empty()) storage::RemoveTree(directory_);
}

absl::Status Upload::Begin(const v1::FileHeader& header) {
  SAED_RETURN_IF_ERROR(CloseFile());
  const std::string& name = header.name();
  if (name.empty() || name.size() > 200 || name.find('/') != std::string::npos ||
      ValidUtf8(name) != name) {
    return InvalidField("file.name", fmt::format("is '{}'; must be a plain name of 1 to 200 bytes",
                                                 ValidUtf8(name)));
  }
  if (header.size() < 0 || header.size() > max_file_bytes_) {
    return InvalidField("file.size", fmt::format("of '{}' is {} bytes; must be 0 to {}", name,
                                                 header.size(), max_file_bytes_));
  }
  const std::string& sha256 = header.sha256();
  if (sha256.size() != 64 || sha256.find_first_not_of(kHexDigits) != std::string::npos) {
    return InvalidField("file.sha256", fmt::format("of '{}' is '{}'; must be 64 hexadecimal digits",
                                                   name, ValidUtf8(sha256)));
  }
  if (files_.size() == kMaxFiles) {
    return InvalidField("file",
                        fmt::format("comes after {} others; no more are allowed", kMaxFiles));
  }
  if (directory_.empty()) {
    SAED_ASSIGN_OR_RETURN(directory_, objects_.NewUploadDirectory());
  }
  header_ = header;
  // Digits come in either case.
  for (char& c : *header_.mutable_sha256())
    c = c >= 'A' && c <= 'F' ? static_cast<char>(c | 32) : c;
  received_ = 0;
  bytes_ += header.size();
  digest_ = std::make_unique<Sha256>();
  // The file's own name is never part of a path here.
  const std::string path = fmt::format("{}/{}", directory_, files_.size());
  files_.push_back({header.role() == v1::FileHeader::ROLE_INTERVALS ? recordings::Role::kIntervals
                    : header.role() == v1::FileHeader::ROLE_SERIES  ? recordings::Role::kSeries
                                                                    : recordings::Role::kMain,
                    name, path});
  out_.open(path, std::ios::binary);
  if (!out_) return absl::UnavailableError("cannot store the upload");
  return absl::OkStatus();
}

absl::Status Upload::Append(const std::string& chunk) {
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

absl::Status Upload::CloseFile() {
  if (digest_ == nullptr) return absl::OkStatus();
  out_.close();
  if (!out_) return absl::ResourceExhaustedError("cannot store the upload: is the disk full?");
  if (received_ != header_.size()) {
    return InvalidField("chunk", fmt::format("data of '{}' ended after {} of {} bytes",
                                             header_.name(), received_, header_.size()));
  }
  const std::string got = digest_->Hex();
  digest_.reset();
  if (got != header_.sha256()) {
    return InvalidField("file.sha256",
                        fmt::format("of '{}' is {} but the bytes received have {}; send it again",
                                    header_.name(), header_.sha256(), got));
  }
  return absl::OkStatus();
}

absl::Status Upload::End() { return CloseFile(); }

}  // namespace saed::rpc

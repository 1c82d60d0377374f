#include "server/recordings/readers/npy_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

std::string NpyShape(const std::vector<int64_t>& shape) {
  std::string out;
  for (const int64_t s : shape) out += fmt::format("{}{}", out.empty() ? "" : ", ", s);
  return "(" + out + (shape.size() == 1 ? ",)" : ")");
}

absl::StatusOr<NpyRows> NpyRows::Open(const FileSet& files, const std::string& name) {
  NpyRows out;
  out.name_ = name;
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(name));
  if (files.Sketch(name).size == 0) return InvalidField(name, "is empty; must be a .npy file");
  SAED_ASSIGN_OR_RETURN(out.file_, CountFile::Open(path, 0));
  const std::string_view bytes(reinterpret_cast<const char*>(out.file_->data()), out.file_->size());
  SAED_ASSIGN_OR_RETURN(out.header_, ParseNpyHeader(name, bytes, out.data_at_));
  return out;
}

absl::StatusOr<NpyRows> NpyRows::OpenVector(const FileSet& files, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(NpyRows out, Open(files, name));
  const auto& s = out.shape();
  const bool vector = s.size() == 1 || (s.size() == 2 && (s[0] == 1 || s[1] == 1));
  if (vector && out.size() <= kMaxSpikes) return out;
  return InvalidField(name, fmt::format("has shape {}; must be [n] or [n, 1] with n at most {}",
                                        NpyShape(s), kMaxSpikes));
}

void NpyRows::Read(int64_t first, std::span<double> out) const {
  ReadDoubles(header_, reinterpret_cast<const char*>(file_->data()) + data_at_, first, out);
}

}  // namespace saed::recordings

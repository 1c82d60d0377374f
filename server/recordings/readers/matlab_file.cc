#include "server/recordings/readers/matlab_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "server/base/faults.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

// MATLAB puts its own header before the superblock.
bool IsHdf5(std::ifstream& in) {
  for (const int64_t at : {0, 512, 1024, 2048}) {
    char mark[8] = {};
    in.clear();
    in.seekg(at);
    in.read(mark, sizeof(mark));
    if (in && std::string_view(mark, sizeof(mark)) == "\x89HDF\r\n\x1a\n") return true;
  }
  return false;
}

}  // namespace

bool MatValue::vector() const {
  int64_t longest = 1;
  for (int64_t s : shape) longest = std::max(longest, s);
  return size() == 0 || size() == longest;
}

bool MatValue::integer() const { return type.find("int") != std::string::npos; }

std::string MatValue::Text() const {
  std::string out = type;
  for (size_t d = 0; d < shape.size(); ++d) {
    out += fmt::format("{}{}", d == 0 ? ' ' : 'x', shape[d]);
  }
  return out;
}

std::vector<std::string> MatPathParts(const std::string& path) {
  std::vector<std::string> out(1);
  for (char c : path) {
    if (c == '.') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

Texts MatRows(const std::vector<int64_t>& units, int64_t rows) {
  Texts out(static_cast<size_t>(rows));
  const auto count = static_cast<int64_t>(units.size());
  for (int64_t r = 0; r < rows; ++r) {
    std::string& text = out[static_cast<size_t>(r)];
    for (int64_t at = r; at < count; at += rows) {
      auto c = static_cast<uint32_t>(units[static_cast<size_t>(at)] & 0xFFFF);
      if (c >= 0xD800 && c < 0xDC00 && at + rows < count) {  // half of a pair
        const auto low = static_cast<uint32_t>(units[static_cast<size_t>(at + rows)] & 0xFFFF);
        if (low >= 0xDC00 && low < 0xE000) {
          c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
          at += rows;
        }
      }
      AppendUtf8(c, text);
    }
    text = ValidUtf8(text);
    // The rows of a char matrix are padded with blanks.
    while (rows > 1 && text.ends_with(' ')) text.pop_back();
  }
  return out;
}

absl::StatusOr<std::unique_ptr<MatFile>> OpenMatFile(const std::string& name,
                                                     const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (IsHdf5(in)) return OpenMat73(name, path);
  char head[128] = {};
  in.clear();
  in.seekg(0);
  in.read(head, sizeof(head));
  const std::string_view end(head + 126, 2);
  if (in.gcount() == sizeof(head) && (end == "IM" || end == "MI")) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path, error);
    return OpenMat5(name, path, error ? 0 : static_cast<int64_t>(bytes));
  }
  return InvalidField(name,
                      "is not a MATLAB file of version 5 to 7.3, or a truncated one; older "
                      "ones must be saved again");
}

}  // namespace saed::recordings

// A directory that goes away with the test, and where the real recordings are.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace saed::test_tools {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "saed-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(*this / name, std::ios::binary) << bytes;
    return *this / name;
  }

 private:
  std::string path_;
};

// The folder with the real recordings, or "" where it is absent. SAED_DATA overrides the place
// beside the project.
inline std::string RealData() {
  const char* given = std::getenv("SAED_DATA");
  const std::string path = given != nullptr ? given : SAED_SOURCE_DIR "/../shared/data";
  return std::filesystem::is_directory(path) ? path : "";
}

}  // namespace saed::test_tools

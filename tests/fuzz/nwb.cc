// NWB files, through the HDF5 library.
#include "server/recordings/import.h"
#include "tests/fuzz/target.h"
#include "tests/tools/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  static const test_tools::TempDir dir;
  const std::string path = dir.Write("file.nwb", std::string(fuzz::Text(data, size)));
  (void)recordings::Import({"nwb"}, {{recordings::Role::kMain, "file.nwb", path}});
  return 0;
}

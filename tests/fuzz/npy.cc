// .npy files: as arrays, and as count matrices.
#include "server/base/npy.h"

#include "server/recordings/import.h"
#include "tests/fuzz/target.h"
#include "tests/tools/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  const std::string bytes(fuzz::Text(data, size));
  const auto array = ParseNpy("file", bytes);
  if (array.ok()) {
    fuzz::Require(array->size() * array->item_size == static_cast<int64_t>(array->data.size()));
    (void)ToDoubles(*array);
    (void)ToIntegers("file", *array);
  }
  static const test_tools::TempDir dir;
  const std::string path = dir.Write("counts.npy", bytes);
  (void)recordings::Import({"counts", 0, 0.02}, {{recordings::Role::kMain, "counts.npy", path}});
  return 0;
}

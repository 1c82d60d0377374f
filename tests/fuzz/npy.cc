// .npy files as arrays.
#include "server/base/npy.h"

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  const auto array = ParseNpy("file", std::string(fuzz::Text(data, size)));
  if (array.ok()) {
    fuzz::Require(array->size() * array->item_size == static_cast<int64_t>(array->data.size()));
    (void)ToDoubles(*array);
    (void)ToIntegers("file", *array);
  }
  return 0;
}

// Models of other programs: cfg.json and the weights, with a line of "----" between; or weights
// alone.
#include "server/inference/safetensors.h"

#include "server/inference/interchange.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  const auto parts = fuzz::Parts(fuzz::Text(data, size));
  const auto file = inference::ReadSafetensors("file", parts.back());
  if (file.ok()) {
    for (const auto& tensor : file->tensors) {
      int64_t elements = 1;
      for (const int64_t n : tensor.shape) elements *= n;
      fuzz::Require(elements == static_cast<int64_t>(tensor.data.size()));
    }
  }
  std::vector<std::string> notes;
  (void)inference::FromPlain("file", parts.back(), 1, 4, notes);
  if (parts.size() == 2) {
    (void)inference::FromSaeLens({{"cfg.json", parts[0]}, {"sae_weights.safetensors", parts[1]}}, 1,
                                 4, notes);
  }
  return 0;
}

// What jobs and sweeps are asked to do: the first byte chooses the message, the rest is its wire
// form.
#include <google/protobuf/message.h>

#include "server/rpc/convert.h"
#include "server/rpc/convert_sweeps.h"
#include "server/rpc/names.h"
#include "tests/fuzz/target.h"

namespace {

using namespace saed;

// A message that is taken and sent back is taken again.
template <class Message>
void There(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto spec = rpc::FromProto(message);
  if (spec.ok()) fuzz::Require(rpc::FromProto(rpc::ToProto(*spec)).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = fuzz::Text(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      There<v1::TrainSpec>(bytes);
      break;
    case 1:
      There<v1::AnalyseSpec>(bytes);
      break;
    case 2:
      There<v1::SweepSpec>(bytes);
      break;
    case 3: {
      v1::Tensor tensor;
      if (tensor.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        const auto view = rpc::FromProto(tensor, "counts");
        if (view.ok()) fuzz::Require(view->bins >= 0);
      }
      break;
    }
    default: {
      const auto parts = fuzz::Parts(bytes);
      const auto key = rpc::ParsePageToken(parts[0], "jobs", 2);
      if (key.ok() && !key->empty()) {
        fuzz::Require(*rpc::ParsePageToken(rpc::MakePageToken("jobs", *key), "jobs", 2) == *key);
      }
      (void)rpc::IdOf(bytes, "jobs", "name");
      (void)rpc::ParseFeatureName(bytes);
    }
  }
  return 0;
}

// What the reading process answers, which a hostile file may have written.
#include "server/recordings/import_wire.h"

#include "server/base/faults.h"
#include "server/base/text.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  const std::string bytes(fuzz::Text(data, size));
  recordings::Texts warnings;
  const absl::Status status = recordings::ReadAnswer(bytes, warnings);
  for (const std::string& warning : warnings) fuzz::Require(ValidUtf8(warning) == warning);
  for (const FieldFault& fault : FaultsOf(status)) {
    fuzz::Require(ValidUtf8(fault.field) == fault.field);
    fuzz::Require(ValidUtf8(fault.description) == fault.description);
  }
  const std::string message(status.message());
  fuzz::Require(ValidUtf8(message) == message);
  // What is passed on once more says the same.
  recordings::Texts again;
  const absl::Status second = recordings::ReadAnswer(recordings::ToAnswer(status, warnings), again);
  fuzz::Require(second.code() == status.code() && again == warnings);
  if (const auto question = recordings::ToQuestion(bytes); question.ok()) {
    fuzz::RequireOk(recordings::ToQuestion(recordings::ToBytes(*question)).status());
  }
  return 0;
}

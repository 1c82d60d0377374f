#include "server/recordings/readers/left_out.h"

#include <string>

#include "server/base/faults.h"

namespace saed::recordings {

void LeaveOut(std::string_view part, const absl::Status& refusal, Notes& notes) {
  if (refusal.ok()) return;
  const auto faults = FaultsOf(refusal);
  notes.Mended(part, "left out: " +
                         (faults.empty() ? std::string(refusal.message()) : faults[0].description));
}

}  // namespace saed::recordings

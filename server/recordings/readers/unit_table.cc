#include "server/recordings/readers/unit_table.h"

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/csv.h"

namespace saed::recordings {

absl::Status AddUnitColumns(std::string_view name, std::string_view bytes, Recording& recording,
                            Notes& notes) {
  SAED_ASSIGN_OR_RETURN(Table table, ParseSeparated(name, bytes, ','));
  (void)recording;
  (void)notes;
  return InvalidField(name, "is a table of units");
}

}  // namespace saed::recordings

// A reader of the registry, saed_fuzz_format, with all that an import does around it: what it makes
// of whatever files keeps what recording.h promises, and is stored and read again as it is.
#include "server/base/text.h"
#include "server/recordings/import_wire.h"
#include "server/recordings/readers/registry.h"
#include "server/recordings/store_format.h"
#include "server/recordings/validate.h"
#include "tests/fuzz/import_input.h"
#include "tests/fuzz/library_faults.h"
#include "tests/fuzz/target.h"

extern const char* const saed_fuzz_format;  // CMakeLists.txt makes a source for each

namespace {

using namespace saed;

void CheckRecording(const recordings::Imported& imported) {
  const recordings::Recording& r = imported.recording;
  fuzz::RequireOk(recordings::Validate(r));
  for (const recordings::Column& column : r.unit_columns.columns) {
    fuzz::Require(column.rows() == r.units.size() && !column.name.empty());
  }
  const std::string stored = recordings::Serialise(r);
  const auto again = recordings::Parse(stored);
  fuzz::RequireOk(again.status());
  fuzz::Require(recordings::Serialise(*again) == stored);
  for (const std::string& line : imported.warnings) fuzz::Require(ValidUtf8(line) == line);
}

// Ends as the server lets an import end, and not with a fault of ours.
void CheckRefusal(const absl::Status& status) {
  fuzz::Require(status.code() != absl::StatusCode::kInternal);
  recordings::Texts none;
  fuzz::Require(recordings::ReadAnswer(recordings::ToAnswer(status, none), none).code() ==
                status.code());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::inputs = fuzz::inputs + 1;
  const fuzz::ImportInput input = fuzz::WriteImport(saed_fuzz_format, fuzz::Text(data, size));
  std::vector<recordings::SourceFile> sources;
  for (const recordings::ImportFile& file : input.files) {
    if (file.role == recordings::Role::kMain) sources.push_back({file.name, file.path});
  }
  (void)recordings::RecogniseReader(recordings::FileSet(std::move(sources)));
  const auto imported = recordings::Import(input.spec, input.files);
  if (imported.ok()) {
    CheckRecording(*imported);
  } else {
    CheckRefusal(imported.status());
  }
  return 0;
}

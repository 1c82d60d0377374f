// .npz files: every array of them.
#include "server/recordings/readers/npz.h"

#include "tests/fuzz/target.h"
#include "tests/tools/temp_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  static const test_tools::TempDir dir;
  const std::string path = dir.Write("a.npz", std::string(fuzz::Text(data, size)));
  const recordings::FileSet files(std::vector<recordings::SourceFile>{{"a.npz", path}});
  const auto npz = recordings::Npz::Open(files, "a.npz");
  if (npz.ok()) {
    for (const std::string& name : npz->names()) {
      const auto array = npz->Read(name);
      if (array.ok()) {
        fuzz::Require(AllDoubles(*array).size() == static_cast<size_t>(array->size()));
      }
      (void)npz->ReadTexts(name);
    }
  }
  (void)recordings::NpzNames(files.Sketch("a.npz"));
  return 0;
}

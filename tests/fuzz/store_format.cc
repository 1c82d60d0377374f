// What the reading process leaves for the server as a recording: nothing that passes may break the
// code behind the import.
#include "server/recordings/store_format.h"

#include "server/recordings/observed.h"
#include "server/recordings/validate.h"
#include "server/recordings/view.h"
#include "tests/fuzz/target.h"
#include "tests/tools/temp_dir.h"

namespace {

using namespace saed;
using namespace saed::recordings;

constexpr double kMostBins = 100'000;

void Use(const Recording& r) {
  const Spans observed = ObservedSpans(r);
  fuzz::Require(Length(observed) <= r.duration);
  for (const Unit& unit : r.units) (void)ObservedSpans(r, unit);
  (void)SpikeCounts(r, 0, r.duration);
  (void)ObservedCounts(r, 0, r.duration);
  DataView view;
  view.bin_width = r.counts.present() ? r.counts.bin_width : std::max(0.02, r.duration / 1000);
  if (!r.intervals.empty()) view.mask_table = r.intervals[0].table.name;
  if (r.duration / view.bin_width <= kMostBins) (void)BuildView(r, view);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const test_tools::TempDir dir;
  const std::string bytes(fuzz::Text(data, size));
  const auto parsed = Parse(bytes);
  const auto mapped = ParseFile(dir.Write("recording", bytes));
  fuzz::Require(parsed.ok() == mapped.ok());
  if (!parsed.ok() || !Validate(*parsed).ok()) return 0;
  const std::string stored = Serialise(*parsed);
  const auto again = Parse(stored);
  fuzz::RequireOk(again.status());
  fuzz::RequireOk(Validate(*again));
  fuzz::Require(Serialise(*again) == stored);
  Use(*mapped);
  return 0;
}

// The language of conditions, over a recording with tables and series.
#include "server/features/expression.h"
#include "server/recordings/import.h"
#include "tests/fuzz/target.h"

namespace {

using namespace saed;

struct World {
  recordings::Recording recording;
  recordings::ViewData view;
  World() {
    recordings::IntervalTable trials;
    trials.table.name = "trials";
    trials.start = {0.1, 1.0, 2.5};
    trials.stop = {0.6, 1.2, 3.0};
    trials.table.columns = {{"side", recordings::Texts{"left", "right", "left"}},
                            {"size", recordings::Numbers{1, 2, 3}},
                            {"tags", recordings::TextLists{{"wake"}, {}, {"wake", "run"}}}};
    recording.intervals = {trials};
    recordings::Series position;
    position.name = "position";
    position.channels = {"x", "y"};
    for (int i = 0; i < 40; ++i) {
      position.timestamps.push_back(0.1 * i);
      position.values.push_back(i % 7);
      position.values.push_back(i % 3);
    }
    recording.series = {position};
    recording.units.resize(1);
    recording.units[0].id = 1;
    recording.units[0].spike_times = {0.05, 3.9};
    recordings::Notes notes;
    (void)recordings::Finish(recording, notes);
    recordings::DataView wanted;
    wanted.bin_width = 0.1;
    view = *recordings::BuildView(recording, wanted);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const World world;
  const auto labels = features::Evaluate(fuzz::Text(data, size), world.recording, world.view);
  if (labels.ok()) {
    for (const uint8_t holds : labels->holds) fuzz::Require(holds <= 1);
  }
  return 0;
}

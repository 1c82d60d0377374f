// All scores of a large dictionary against many conditions; see tests/bench/association-speed.
//
//   scores FEATURES WINDOWS CONDITIONS L0 THREADS SHIFTED
//
// Makes sparse activations and conditions that come in stretches, scores every pair, then takes
// p-values from 1,000 rearrangements for the first SHIFTED latents. Prints JSON: seconds, and the
// AUROCs of the first latents for comparison.
#include <fmt/format.h>
#include <sys/resource.h>
#include <tbb/global_control.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "server/features/certainty.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"

namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace saed;
  if (argc != 7) {
    fmt::print(stderr, "scores FEATURES WINDOWS CONDITIONS L0 THREADS SHIFTED\n");
    return 2;
  }
  const int features = std::atoi(argv[1]), conditions = std::atoi(argv[3]), l0 = std::atoi(argv[4]);
  const int64_t windows = std::atoll(argv[2]);
  const int shifted = std::atoi(argv[6]);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                    std::atoi(argv[5]));
  const sae::CounterRandom random(1, 1);
  std::vector<features::Activations> active(features);
  for (auto& a : active) a.reserve(windows * l0 / features * 5 / 4);
  for (int64_t w = 0; w < windows; ++w) {
    for (int i = 0; i < l0; ++i) {
      const auto j = random.Below(2 * (w * l0 + i), features);
      if (!active[j].empty() && active[j].back().first == w) continue;
      active[j].emplace_back(static_cast<int32_t>(w),
                             1 + static_cast<float>(random.Below(2 * (w * l0 + i) + 1, 1000)));
    }
  }
  // Stretches of 50 windows, each with one in twenty conditions.
  std::vector<std::vector<uint8_t>> labels(conditions, std::vector<uint8_t>(windows, 0));
  const sae::CounterRandom draw(2, 1);
  for (int64_t w = 0; w < windows; ++w) {
    for (int c = 0; c < conditions; ++c) {
      labels[c][w] = draw.Below(w / 50 * conditions + c, 20) == 0;
    }
  }

  const auto start = Clock::now();
  const auto by_window = features::ByWindow(labels, windows);
  std::vector<float> aurocs(static_cast<size_t>(features) * conditions);
  sae::ForBlocks(features, 16, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      const auto scores = features::Score(active[j], by_window);
      for (int c = 0; c < conditions; ++c) {
        aurocs[j * conditions + c] = static_cast<float>(scores[c].auroc.value_or(0));
      }
    }
  });
  const double scoring = Since(start);
  rusage used{};
  getrusage(RUSAGE_SELF, &used);

  const auto shift_start = Clock::now();
  const features::NullLabels null(labels, windows, {0, windows});
  const double preparing = Since(shift_start);
  std::vector<double> smallest(shifted, 1);
  const auto draw_start = Clock::now();
  sae::ForBlocks(shifted, 1, [&](int64_t, int64_t j, int64_t) {
    for (const auto& p : null.PValues(active[j], std::vector<bool>(conditions, true), j, 1000)) {
      if (p) smallest[j] = std::min(smallest[j], *p);
    }
  });
  const double drawing = Since(draw_start);
  nlohmann::json out = {
      {"scoring_s", scoring},     {"peak_mb", static_cast<double>(used.ru_maxrss) / 1024},
      {"preparing_s", preparing}, {"drawing_s", drawing},
      {"shifted", shifted},       {"smallest_p", smallest}};
  fmt::print("{}\n", out.dump());
  return 0;
}

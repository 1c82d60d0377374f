// Times training steps of a workload: steps WORKLOAD STEPS prints milliseconds per step, a line
// each. The steps are whole ones: sampling, dead-latent statistics and the schedule included.
#include <tbb/task_arena.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string_view>

#include "server/sae/random.h"
#include "server/sae/trainer.h"

namespace {

using namespace saed::sae;

struct Workload {
  std::string_view name;
  int units, S;
  std::vector<Level> levels;
  Selection selection;
  int batch;
};

const Workload kWorkloads[] = {
    {"W1", 500, 1, {{2048, 32}}, Selection::kTopK, 1024},
    {"W2", 200, 10, {{64, 8}, {192, 16}}, Selection::kBatchTopK, 1024},
    {"W4", 100, 1, {{512, 16}}, Selection::kTopK, 256},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("usage: steps WORKLOAD STEPS THREADS\n", stderr), 2;
  for (const Workload& w : kWorkloads) {
    if (w.name != argv[1]) continue;
    constexpr int64_t kBins = 20000;
    // Poisson counts with 19 % non-zeros: rate 0.21.
    std::vector<uint8_t> counts(kBins * w.units);
    const CounterRandom random(1, 1);
    for (size_t i = 0; i < counts.size(); ++i) {
      double u = random.Uniform(i), p = 0.8106;
      while (u > p && counts[i] < 8) {
        u -= p;
        p *= 0.21 / ++counts[i];
      }
    }
    std::vector<int64_t> starts(kBins - w.S + 1);
    std::iota(starts.begin(), starts.end(), 0);
    FitSpec spec;
    spec.model.levels = w.levels;
    spec.model.selection = w.selection;
    spec.batch_size = w.batch;
    spec.epochs = 1000;
    tbb::task_arena arena(std::atoi(argv[3]));
    arena.execute([&] {
      Trainer<float> trainer(spec,
                             {{counts.data(), saed::DType::kU8, kBins, w.units}, {}, starts, w.S});
      const int steps = std::atoi(argv[2]);
      for (int i = 0; i < steps + 3; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        if (!trainer.Next().ok()) std::abort();
        const std::chrono::duration<double, std::milli> ms =
            std::chrono::steady_clock::now() - begin;
        if (i >= 3) std::printf("%.4f\n", ms.count());  // the first ones warm up
      }
    });
    return 0;
  }
  return std::fputs("workloads: W1, W2, W4\n", stderr), 2;
}

// Times Encoder::Encode: encode [ROUNDS]. One thread, 500 inputs, F = 2048, k = 32: windows of
// floats, of counts with means from 0.2 to 3, and codes of every architecture. Prints medians over
// rounds of thousands of windows per CPU second, one line each; the same source built with another
// version's library tells what changed.
#include <tbb/task_arena.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "server/sae/kernels/dispatch.h"
#include "server/sae/model.h"
#include "server/sae/random.h"

namespace {

using namespace saed;
using namespace saed::sae;

constexpr int kUnits = 500, kFeatures = 2048, kActive = 32;
constexpr int64_t kWindows = 1024;

Model MakeModel(Selection selection) {
  Model model;
  model.spec.selection = selection;
  model.spec.levels = {{kFeatures, kActive}};
  model.units = kUnits;
  model.parameters = InitialParameters<float>(model.spec, kUnits, kUnits, 1);
  // Few latents are active, as in a trained model.
  for (float& b : model.parameters.encoder_bias) b = -1;
  model.thresholds = {1};
  return model;
}

// Poisson counts by inversion; with `fraction` they are no integers.
std::vector<float> Counts(double rate, float fraction) {
  const CounterRandom random(3, 3);
  std::vector<float> counts(kWindows * kUnits, fraction);
  for (size_t i = 0; i < counts.size(); ++i) {
    double p = std::exp(-rate), sum = p;
    const double u = random.Uniform(i);
    for (int n = 1; u > sum && n < 255; ++n, ++counts[i]) sum += p *= rate / n;
  }
  return counts;
}

double CpuSeconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void Measure(const char* what, Selection selection, const CountView& view, int rounds) {
  const Model model = MakeModel(selection);
  const Encoder encoder(model);
  std::vector<int64_t> starts(kWindows);
  std::iota(starts.begin(), starts.end(), 0);
  std::vector<double> rate;
  Codes<float> codes;
  for (int r = 0; r <= rounds; ++r) {
    const double begin = CpuSeconds();
    encoder.Encode(view, starts, DefaultRule(model.spec), codes);
    if (r > 0) rate.push_back(1e-3 * static_cast<double>(kWindows) / (CpuSeconds() - begin));
  }
  std::sort(rate.begin(), rate.end());
  std::printf("%s %.1f\n", what, rate[rate.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  std::printf("kernels %s\n", std::string(KernelPathName()).c_str());
  tbb::task_arena arena(1);
  arena.execute([&] {
    const std::vector<float> floats = Counts(0.2, 0.25f);
    const CountView view{floats.data(), DType::kF32, kWindows, kUnits};
    Measure("floats", Selection::kTopK, view, rounds);
    for (const double mean : {0.2, 0.37, 0.5, 1.0, 2.0, 3.0}) {
      const std::vector<float> some = Counts(mean, 0);
      const std::vector<uint8_t> counts(some.begin(), some.end());
      const CountView bytes{counts.data(), DType::kU8, kWindows, kUnits};
      Measure(("counts " + std::to_string(mean).substr(0, 4)).c_str(), Selection::kTopK, bytes,
              rounds);
      if (mean != 0.2) continue;
      Measure("counts relu", Selection::kRelu, bytes, rounds);
      Measure("counts gated", Selection::kGated, bytes, rounds);
      Measure("counts jumprelu", Selection::kJumpRelu, bytes, rounds);
    }
  });
}

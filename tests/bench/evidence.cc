// Times the evidence of all latents beside Encode on the same windows, alternating, in one run:
// evidence [ROUNDS]. One thread, F = 2048, D = 500, k = 32, Poisson and softplus, at three mean
// counts per input. Prints medians in microseconds a window and their ratio to Encode.
#include "server/sae/evidence.h"

#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>

#include "server/sae/kernels/dispatch.h"
#include "server/sae/random.h"

namespace {

using namespace saed;
using namespace saed::sae;

constexpr int kUnits = 500, kFeatures = 2048, kActive = 32;
constexpr int64_t kWindows = 1024;

Model MakeModel() {
  Model model;
  model.spec.selection = Selection::kTopK;
  model.spec.levels = {{kFeatures, kActive}};
  model.spec.loss = Loss::kPoisson;
  model.spec.output = Output::kSoftplus;
  model.units = kUnits;
  model.parameters = InitialParameters<float>(model.spec, kUnits, kUnits, 1);
  for (float& b : model.parameters.decoder_bias) b = -2;
  model.thresholds = {0};
  return model;
}

double Median(std::vector<double> v) {
  std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
  return v[v.size() / 2];
}

double Microseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  return took.count() / kWindows;
}

void Measure(double rate, int rounds) {
  Model model = MakeModel();
  const CounterRandom random(3, 3);
  std::vector<uint8_t> counts(kWindows * kUnits);
  for (size_t i = 0; i < counts.size(); ++i) {  // Poisson by inversion
    double p = std::exp(-rate), sum = p;
    const double u = random.Uniform(i);
    for (int n = 1; u > sum && n < 255; ++n, ++counts[i]) sum += p *= rate / n;
  }
  const CountView view{counts.data(), DType::kU8, kWindows, kUnits};
  std::vector<int64_t> starts(kWindows);
  std::iota(starts.begin(), starts.end(), 0);
  model.training = MeasureTarget(view, {}, starts, 1);
  const Encoder encoder(model);
  std::vector<int32_t> all(kFeatures);
  std::iota(all.begin(), all.end(), 0);
  std::vector<EvidenceScorer> scorers;
  const EvidenceKind kinds[] = {EvidenceKind::kRate, EvidenceKind::kGivenOthers,
                                EvidenceKind::kGivenOthersZ};
  scorers.reserve(std::size(kinds));
  for (const EvidenceKind kind : kinds) scorers.emplace_back(model, kind, all);
  Codes<float> codes;
  std::vector<float> out(kWindows * kFeatures);
  std::vector<std::vector<double>> times(1 + std::size(kinds));
  for (int r = 0; r < rounds; ++r) {
    times[0].push_back(Microseconds([&] { encoder.Encode(view, starts, CodeRule::kTopK, codes); }));
    for (size_t i = 0; i < scorers.size(); ++i) {
      times[i + 1].push_back(
          Microseconds([&] { scorers[i].Score(view, starts, codes, out.data()); }));
    }
  }
  const double encode = Median(times[0]);
  std::printf("mean count %.2f: encode %.2f us", rate, encode);
  for (size_t i = 0; i < scorers.size(); ++i) {
    const double own = Median(times[i + 1]);
    std::printf(", %s %.2f us (%.2f times)", std::string(Name(kinds[i])).c_str(), own,
                own / encode);
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  std::printf("kernels: %s\n", std::string(KernelPathName()).c_str());
  tbb::task_arena arena(1);
  arena.execute([&] {
    for (const double rate : {0.05, 0.21, 1.0}) Measure(rate, rounds);
  });
}

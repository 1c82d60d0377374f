// Times training steps of a workload: steps WORKLOAD STEPS THREADS [VARIANT …] prints one JSON
// line: milliseconds of every step (whole ones: sampling, dead-latent statistics and the schedule
// included) and active latents of each, CPU seconds, and the share of each stage. Workloads whose
// name ends in D train what `saectl train` trains when nothing is said, from its first step on; of
// the others a few steps pass first. Variants: clip, auxk, noclock.
#include <sys/resource.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "server/sae/kernels/dispatch.h"
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
  double rate;         // mean count
  bool plain = false;  // the model and optimiser that are trained when nothing is said
};

const Workload kWorkloads[] = {
    {"W1", 500, 1, {{2048, 32}}, Selection::kTopK, 1024, 0.21},
    {"W2", 200, 10, {{64, 8}, {192, 16}}, Selection::kBatchTopK, 1024, 0.21},
    {"W3", 2048, 1, {{16384, 64}}, Selection::kTopK, 4096, 0.21},
    {"W4", 100, 1, {{512, 16}}, Selection::kTopK, 256, 0.21},
    // NLDisco's defaults on a single bin: levels 128:4, 512:8.
    {"ND", 191, 1, {{128, 4}, {512, 8}}, Selection::kBatchTopK, 1024, 0.21},
    {"W1D", 500, 1, {{2048, 32}}, Selection::kRelu, 1024, 0.21, true},
    {"W3D", 2048, 1, {{16384, 64}}, Selection::kRelu, 4096, 0.21, true},
    {"W4D", 100, 1, {{512, 16}}, Selection::kRelu, 256, 0.21, true},
};

int64_t Nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

constexpr int64_t kPeakRounds = 20'000'000;

// Rounds of twelve independent fused multiply-adds on registers.
template <typename Lanes>
[[gnu::always_inline]] inline float Multiply(int t) {
  Lanes a[12];
  for (int i = 0; i < 12; ++i) a[i] = Lanes{} + static_cast<float>(i + t);
  const Lanes b = Lanes{} + 0.999f, c = Lanes{} + 0.001f;
  for (int64_t r = 0; r < kPeakRounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) a[i] = a[i] * b + c;
  }
  float sum = 0;
  for (int i = 0; i < 12; ++i) sum += a[i][0];
  return sum;
}

typedef float Lanes8 __attribute__((vector_size(32)));
typedef float Lanes16 __attribute__((vector_size(64)));
float Multiply8(int t) { return Multiply<Lanes8>(t); }
[[gnu::target("avx512f")]] float Multiply16(int t) { return Multiply<Lanes16>(t); }

// The machine's peak of multiply-adds in its widest vectors, GFLOP/s on the arena's threads.
double PeakGflops(int threads) {
  const bool wide = __builtin_cpu_supports("avx512f");
  std::vector<float> sink(threads * 16);
  const int64_t start = Nanoseconds();
  tbb::parallel_for(
      0, threads, [&](int t) { sink[t * 16] = wide ? Multiply16(t) : Multiply8(t); },
      tbb::static_partitioner{});
  const double flops = 2.0 * (wide ? 16 : 8) * 12 * kPeakRounds * threads;
  return sink[0] == 0.123f ? 0 : flops / static_cast<double>(Nanoseconds() - start);
}

FitSpec SpecOf(const Workload& w, int64_t windows, bool clip, bool auxk) {
  FitSpec spec;
  spec.model.levels = w.levels;
  spec.model.selection = w.selection;
  spec.batch_size = w.batch;
  spec.epochs = 1000;
  spec.model.aux.dead_after_steps = auxk ? 1 : 1000;
  spec.optimiser.clip_norm = clip ? 1 : 0;
  if (!w.plain) return spec;
  spec.model.loss = Loss::kPoisson;
  spec.model.output = Output::kSoftplus;
  spec.optimiser.learning_rate = 4e-3;
  if (!auxk) spec.model.aux.dead_after_steps = 0;
  // As many as make the fewest steps of a training.
  constexpr int64_t kSteps = 1000;
  const int64_t per_epoch = (windows + w.batch - 1) / w.batch;
  spec.epochs = static_cast<int>((kSteps + per_epoch - 1) / per_epoch);
  return spec;
}

void Run(const Workload& w, int steps, int threads, bool clip, bool auxk, bool clocked) {
  constexpr int64_t kBins = 20000;
  // Poisson counts; at rate 0.21 19 % are not zero.
  std::vector<uint8_t> counts(kBins * w.units);
  const CounterRandom random(1, 1);
  for (size_t i = 0; i < counts.size(); ++i) {
    double u = random.Uniform(i), p = std::exp(-w.rate);
    while (u > p && counts[i] < 50) {
      u -= p;
      p *= w.rate / ++counts[i];
    }
  }
  std::vector<int64_t> starts(kBins - w.S + 1);
  std::iota(starts.begin(), starts.end(), 0);
  const FitSpec spec = SpecOf(w, static_cast<int64_t>(starts.size()), clip, auxk);
  const saed::CountView view{counts.data(), saed::DType::kU8, kBins, w.units};
  TrainingData data{view, {}, starts, w.S};
  Trainer<float> trainer(spec, data);
  StageClock clock{Nanoseconds, {}};
  std::printf("{\"kernels\": \"%s\", \"ms\": [", std::string(KernelPathName()).c_str());
  const int warm = w.plain ? 0 : 3;
  std::vector<double> active;
  double cpu = 0;
  int64_t wall = 0;
  for (int i = 0; i < steps + warm; ++i) {
    if (i == warm) {
      cpu = CpuSeconds();
      wall = Nanoseconds();
      if (clocked) trainer.set_clock(&clock);
    }
    const int64_t begin = Nanoseconds();
    const auto report = trainer.Next();
    if (!report.ok()) std::abort();
    if (i < warm) continue;
    std::printf("%s%.4f", i == warm ? "" : ", ", 1e-6 * static_cast<double>(Nanoseconds() - begin));
    active.push_back(report->l0);
  }
  const double cpu_s = CpuSeconds() - cpu;
  const double wall_s = 1e-9 * static_cast<double>(Nanoseconds() - wall);
  std::printf("], \"l0\": [");
  for (size_t i = 0; i < active.size(); ++i) std::printf("%s%.2f", i == 0 ? "" : ", ", active[i]);
  std::printf("], \"cpu_s\": %.4f, \"wall_s\": %.4f, \"peak_gflops\": %.1f, \"stages_ms\": {",
              cpu_s, wall_s, PeakGflops(threads));
  const char* names[] = {"load", "encode", "select", "loss", "sort", "gradient", "update"};
  for (int s = 0; s < kStages; ++s) {
    std::printf("%s\"%s\": %.4f", s == 0 ? "" : ", ", names[s],
                1e-6 * static_cast<double>(clock.spent[s]) / steps);
  }
  std::printf("}}\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::fputs("usage: steps WORKLOAD STEPS THREADS [VARIANT ...]\n", stderr), 2;
  bool clip = false, auxk = false, clocked = true;
  for (int i = 4; i < argc; ++i) {
    clip = clip || std::string_view(argv[i]) == "clip";
    auxk = auxk || std::string_view(argv[i]) == "auxk";
    clocked = clocked && std::string_view(argv[i]) != "noclock";
  }
  for (const Workload& w : kWorkloads) {
    if (w.name != argv[1]) continue;
    const int threads = std::atoi(argv[3]);
    tbb::task_arena arena(threads);
    arena.execute([&] { Run(w, std::atoi(argv[2]), threads, clip, auxk, clocked); });
    return 0;
  }
  return std::fputs("workloads: W1, W2, W3, W4, ND, W1D, W3D, W4D\n", stderr), 2;
}

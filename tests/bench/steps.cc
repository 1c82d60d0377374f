// Times training steps of a workload: steps WORKLOAD STEPS THREADS [VARIANT …] prints one JSON
// line: milliseconds of every step (whole ones: sampling, dead-latent statistics and the schedule
// included), CPU seconds, and the share of each stage. Variants: clip, auxk, noclock.
// WORKLOAD encode-bound-D-F-B times the dense fp32 encode product at the FMA peak instead.
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
  double rate;  // mean count
};

const Workload kWorkloads[] = {
    {"W1", 500, 1, {{2048, 32}}, Selection::kTopK, 1024, 0.21},
    {"W2", 200, 10, {{64, 8}, {192, 16}}, Selection::kBatchTopK, 1024, 0.21},
    {"W3", 2048, 1, {{16384, 64}}, Selection::kTopK, 4096, 0.21},
    {"W4", 100, 1, {{512, 16}}, Selection::kTopK, 256, 0.21},
    // NLDisco's defaults on a single bin: levels 128:4, 512:8.
    {"ND", 191, 1, {{128, 4}, {512, 8}}, Selection::kBatchTopK, 1024, 0.21},
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
  FitSpec spec;
  spec.model.levels = w.levels;
  spec.model.selection = w.selection;
  spec.model.aux.dead_after_steps = auxk ? 1 : 1000;
  spec.optimiser.clip_norm = clip ? 1 : 0;
  spec.batch_size = w.batch;
  spec.epochs = 1000;
  const saed::CountView view{counts.data(), saed::DType::kU8, kBins, w.units};
  TrainingData data{view, {}, starts, w.S};
  Trainer<float> trainer(spec, data);
  StageClock clock{Nanoseconds, {}};
  std::printf("{\"kernels\": \"%s\", \"ms\": [", std::string(KernelPathName()).c_str());
  const int warm = 3;
  double cpu = 0;
  int64_t wall = 0;
  for (int i = 0; i < steps + warm; ++i) {
    if (i == warm) {
      cpu = CpuSeconds();
      wall = Nanoseconds();
      if (clocked) trainer.set_clock(&clock);
    }
    const int64_t begin = Nanoseconds();
    if (!trainer.Next().ok()) std::abort();
    if (i >= warm)
      std::printf("%s%.4f", i == warm ? "" : ", ",
                  1e-6 * static_cast<double>(Nanoseconds() - begin));
  }
  std::printf("], \"cpu_s\": %.4f, \"wall_s\": %.4f, \"peak_gflops\": %.1f, \"stages_ms\": {",
              CpuSeconds() - cpu, 1e-9 * static_cast<double>(Nanoseconds() - wall),
              PeakGflops(threads));
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
  return std::fputs("workloads: W1, W2, W3, W4, ND\n", stderr), 2;
}

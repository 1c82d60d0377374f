// Trains on a count matrix in a file far larger than memory: large FILE UNITS BINS STEPS. Makes the
// file where it is missing (u8 [bins, units]; bouts of activity, between them holes that take no
// disk), trains from it with resident pages bounded as the server bounds them, then trains the same
// windows from memory, and prints one line of JSON: resident memory at its peak, windows per second
// of both, and whether the weights are the same bits.
#include <fcntl.h>
#include <tbb/task_arena.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "server/base/sha256.h"
#include "server/recordings/count_file.h"
#include "server/sae/random.h"
#include "server/sae/trainer.h"

namespace {

using namespace saed;

constexpr int64_t kBout = 1000;    // bins
constexpr int64_t kEvery = 50000;  // bins from one bout to the next

void Make(const char* path, int64_t units, int64_t bins) {
  const int file = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (file < 0) return;  // there already
  if (ftruncate(file, units * bins) != 0) std::abort();
  std::vector<uint8_t> bout(kBout * units);
  for (int64_t at = 0; at + kBout <= bins; at += kEvery) {
    const sae::CounterRandom random(static_cast<uint64_t>(at), 1);
    for (size_t i = 0; i < bout.size(); ++i) {
      const double u = random.Uniform(i);
      bout[i] = u < 0.95 ? 0 : u < 0.995 ? 1 : 2;
    }
    if (pwrite(file, bout.data(), bout.size(), at * units) != static_cast<ssize_t>(bout.size())) {
      std::perror("large");
      std::exit(1);
    }
  }
  close(file);
}

// Peak resident memory so far, MB.
double PeakMb() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("VmHWM:")) return std::atof(line.c_str() + 6) / 1024;
  }
  return 0;
}

struct Result {
  double rate;
  std::string digest;
};

Result Train(const CountView& view, const std::vector<int64_t>& starts, int64_t steps) {
  sae::FitSpec spec;
  spec.model.levels = {{512, 16}};
  spec.model.selection = sae::Selection::kTopK;
  spec.model.bias_start = sae::BiasStart::kZero;
  spec.max_steps = steps;
  spec.epochs = 100000;
  sae::Trainer<float> trainer(spec, {view, {}, starts, 1});
  int64_t rows = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (!trainer.done()) {
    const auto report = trainer.Next();
    if (!report.ok()) std::abort();
    rows += report->rows;
    recordings::ReleaseWhatIsTooMuch();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return {static_cast<double>(rows) / seconds.count(), Sha256Hex(trainer.Save())};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fputs("usage: large FILE UNITS BINS STEPS\n", stderr), 2;
  const int64_t units = std::atoll(argv[2]), bins = std::atoll(argv[3]),
                steps = std::atoll(argv[4]);
  Make(argv[1], units, bins);
  const auto file = recordings::CountFile::Open(argv[1], 0);
  if (!file.ok()) return std::fprintf(stderr, "%s\n", file.status().ToString().c_str()), 1;
  (*file)->ReadAtRandom();
  // Windows of the bouts and, once in a while, of the silence between them.
  std::vector<int64_t> starts, compact;
  for (int64_t at = 0; at + kBout <= bins; at += kEvery) {
    for (int64_t i = 0; i < kBout; ++i) starts.push_back(at + i);
    starts.push_back(at + kEvery / 2 < bins ? at + kEvery / 2 : at);
  }
  tbb::task_arena arena(2);
  Result warm, mapped, memory;
  double peak = 0;
  arena.execute([&] {
    const CountView view{(*file)->data(), DType::kU8, bins, static_cast<int>(units)};
    warm = Train(view, starts, steps);  // brings the rows into the page cache
    mapped = Train(view, starts, steps);
    peak = PeakMb();
    std::vector<uint8_t> rows(starts.size() * units);
    for (size_t i = 0; i < starts.size(); ++i) {
      std::copy_n((*file)->data() + starts[i] * units, units, rows.data() + i * units);
      compact.push_back(static_cast<int64_t>(i));
    }
    memory = Train(
        {rows.data(), DType::kU8, static_cast<int64_t>(starts.size()), static_cast<int>(units)},
        compact, steps);
  });
  std::printf(
      "{\"gigabytes\": %.1f, \"peak_mb\": %.0f, \"cold_windows_per_s\": %.0f, "
      "\"mapped_windows_per_s\": %.0f, \"memory_windows_per_s\": %.0f, \"ratio\": %.3f, "
      "\"same_bits\": %s}\n",
      static_cast<double>(units * bins) * 1e-9, peak, warm.rate, mapped.rate, memory.rate,
      mapped.rate / memory.rate,
      mapped.digest == memory.digest && warm.digest == memory.digest ? "true" : "false");
  return 0;
}

#include "server/sae/kernels/dispatch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include "server/sae/kernels/reference.h"
#include "server/sae/kernels/tables.h"
#include "server/sae/random.h"

namespace saed::sae {
namespace {

const KernelTable<float> kReference = reference::Table<float>();
KernelTable<float> With(const DenseTable& dense, const char* name, double dense_from) {
  KernelTable<float> table = kAvx512Table;
  table.name = name;
  table.encode_dense = dense.encode_dense;
  table.pack_dense = dense.pack_dense;
  table.dense_from = dense_from;
  return table;
}
const KernelTable<float> kWithVnni = With(kVnniTable, "vnni", 0.45);
const KernelTable<float> kWithTiles = With(kAmxTable, "amx", 0);
const KernelTable<double> kReferenceDouble = reference::Table<double>();

// encode_dense of 33 windows of 70 counts, some of which sum to more than 32 bits hold.
bool DenseRepeatsReference(const KernelTable<float>& t) {
  constexpr int rows = 33, inputs = 70, blocks = 2;
  const CounterRandom random(7, 8);
  std::vector<float> weights(kPanel * inputs), factor(kPanel, 1 << 23), scale(kPanel, 0.5f),
      bias(kPanel, 0.25f), z(rows * kPanel), expected(rows * kPanel);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<float>(2 * random.Uniform(i) - 1);
  }
  std::vector<uint8_t> counts(rows * inputs + kDenseBlock, 1);
  for (int i = 0; i < rows * inputs; ++i) {
    counts[i] = static_cast<uint8_t>(random.Below(9000 + i, i < 10 * inputs ? 3 : 256));
  }
  std::vector<int32_t> integers(inputs * kPanel), totals(rows);
  std::vector<uint8_t> digits(3 * kPanel * kDenseBlock * blocks);
  kReference.pack_counts(weights.data(), inputs, inputs, kPanel, factor.data(), integers.data());
  t.pack_dense(weights.data(), inputs, inputs, kPanel, factor.data(), digits.data());
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < kPanel; ++j) {
      double sum = 0;
      for (int i = 0; i < inputs; ++i)
        sum += counts[r * inputs + i] * 1.0 * integers[i * kPanel + j];
      expected[r * kPanel + j] = std::fma(static_cast<float>(sum), scale[j], bias[j]);
    }
    for (int i = 0; i < inputs; ++i) totals[r] += counts[r * inputs + i];
  }
  t.encode_dense(digits.data(), blocks, counts.data(), inputs, rows, totals.data(), scale.data(),
                 bias.data(), kPanel, kPanel, z.data());
  return z == expected;
}

// Sums, selection, integer encoding and an update, bit for bit against the reference.
bool RepeatsReference(const KernelTable<float>& t) {
  constexpr int n = 203, k = 9;
  const CounterRandom random(7, 7);
  std::vector<float> a(n), b(n), scratch(2 * (n + kLanes)), value(n + kLanes), expected(n);
  std::vector<int32_t> index(n + kLanes), expected_index(n), weights(n * kPanel);
  std::vector<uint16_t> offsets;
  std::vector<uint8_t> counts(n, 3);
  for (int i = 0; i < n; ++i) {
    a[i] = static_cast<float>(random.Normal(i));
    b[i] = static_cast<float>(random.Normal(1000 + i));
    if (i % 3 == 0 && i < kInputBlock) offsets.push_back(static_cast<uint16_t>(i * kPanel));
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = static_cast<int32_t>(random.Below(5000 + i, 1 << 24)) - (1 << 23);
  }
  if (t.dot(a.data(), b.data(), n) != kReference.dot(a.data(), b.data(), n)) return false;
  const int count = t.top_k(a.data(), n, k, scratch.data(), index.data(), value.data());
  const int wanted =
      kReference.top_k(a.data(), n, k, nullptr, expected_index.data(), expected.data());
  if (count != wanted ||
      std::memcmp(index.data(), expected_index.data(), count * sizeof(int32_t)) != 0) {
    return false;
  }
  const auto entries = static_cast<int32_t>(offsets.size());
  const int32_t total = 20 + 3 * (entries - 20);
  const CountSpan span{0, 20, entries, total};
  const CountRows rows{1, 1, n, offsets.data(), counts.data(), &span, &total};
  float z[kPanel], reference_z[kPanel];
  t.encode_counts(weights.data(), rows, a.data(), b.data(), kPanel, kPanel, z);
  kReference.encode_counts(weights.data(), rows, a.data(), b.data(), kPanel, kPanel, reference_z);
  if (!std::equal(std::begin(z), std::end(z), std::begin(reference_z))) return false;
  if (t.encode_dense != nullptr && !DenseRepeatsReference(t)) return false;
  std::vector<float> m(n, 0.1f), v(n, 0.2f), p = a, m2 = m, v2 = v, p2 = a;
  UpdateConstants<float> c;
  c.beta1 = 0.9f;
  c.beta2 = 0.999f;
  c.step_size = 0.01f;
  c.root_correction = 2;
  c.epsilon = 1e-8f;
  t.adam(c, b.data(), n, m.data(), v.data(), p.data());
  kReference.adam(c, b.data(), n, m2.data(), v2.data(), p2.data());
  return p == p2;
}

bool HasAvx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

struct Path {
  const KernelTable<float>* table;
  bool (*has)();
  const char* needs;
};

const std::vector<Path>& Paths() {
  static const std::vector<Path> paths = {
      {&kReference, [] { return true; }, ""},
      {&kAvx2Table,
       [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
       "AVX2 and FMA"},
      {&kAvx512Table, HasAvx512, "AVX-512 (F, BW, DQ, VL)"},
      {&kWithVnni, [] { return HasAvx512() && kVnniTable.available(); }, "AVX-512 VNNI"},
      {&kWithTiles, [] { return HasAvx512() && kAmxTable.available(); },
       "AVX-512 and AMX's 8-bit tiles, or the system does not allow them"}};
  return paths;
}

std::string Missing(const Path& path) {
  if (!path.has()) return fmt::format("the processor lacks {}", path.needs);
  if (!RepeatsReference(*path.table)) return "it does not repeat the reference's results";
  return "";
}

const KernelTable<float>* Choose() {
  const char* wanted = std::getenv("SAED_KERNELS");
  const Path* best = nullptr;
  for (const Path& path : Paths()) {
    if (wanted != nullptr && *wanted != 0 && path.table->name != std::string_view(wanted)) continue;
    if (Missing(path).empty()) best = &path;
  }
  // For programs that do not check the wish with SelectKernels, as the server does.
  return best == nullptr ? &kReference : best->table;
}

std::atomic<const KernelTable<float>*>& Current() {
  static std::atomic<const KernelTable<float>*> current{Choose()};
  return current;
}

}  // namespace

template <>
const KernelTable<float>& Kernels<float>() {
  return *Current().load(std::memory_order_relaxed);
}

template <>
const KernelTable<double>& Kernels<double>() {
  return kReferenceDouble;
}

std::vector<KernelPath> KernelPaths() {
  static const std::vector<KernelPath> checked = [] {
    std::vector<KernelPath> out;
    for (const Path& path : Paths()) {
      const std::string missing = Missing(path);
      out.push_back({path.table->name, missing.empty(), missing});
    }
    return out;
  }();
  return checked;
}

std::string_view KernelPathName() { return Kernels<float>().name; }

absl::Status SelectKernels(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Path& path : Paths()) {
    names.push_back(path.table->name);
    if (path.table->name != name) continue;
    if (const std::string missing = Missing(path); !missing.empty()) {
      return absl::FailedPreconditionError(fmt::format("kernels '{}': {}", name, missing));
    }
    Current().store(path.table);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      fmt::format("kernels is '{}'; must be one of {}", name, fmt::join(names, ", ")));
}

}  // namespace saed::sae

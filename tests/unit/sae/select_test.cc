#include "server/sae/select.h"

#include <gtest/gtest.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/sae/random.h"

namespace saed::sae {
namespace {

struct Kept {
  int64_t row;
  int32_t latent;
  float value;
  bool operator==(const Kept&) const = default;
};

std::vector<Kept> List(const Codes<float>& codes) {
  std::vector<Kept> out;
  for (int64_t b = 0; b < codes.rows(); ++b) {
    for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
      out.push_back({b, codes.latent[e], codes.value[e]});
    }
  }
  return out;
}

// The definition, by sorting.
std::vector<Kept> Reference(const std::vector<float>& z, int64_t first, int64_t rows,
                            int64_t stride, int width, int64_t n) {
  std::vector<Kept> all;
  for (int64_t b = first; b < first + rows; ++b) {
    for (int j = 0; j < width; ++j) {
      if (z[b * stride + j] > 0) all.push_back({b, j, z[b * stride + j]});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Kept& a, const Kept& b) { return a.value > b.value; });
  if (static_cast<int64_t>(all.size()) > n) all.resize(n);
  std::sort(all.begin(), all.end(), [](const Kept& a, const Kept& b) {
    return std::pair(a.row, a.latent) < std::pair(b.row, b.latent);
  });
  return all;
}

// Values with many ties, zeros, negatives and the odd infinity or NaN.
std::vector<float> Awkward(int64_t n, uint64_t seed) {
  const CounterRandom random(seed, 3);
  std::vector<float> z(n);
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t kind = random.Below(2 * i, 20);
    z[i] = kind < 6    ? static_cast<float>(random.Below(2 * i + 1, 4))
           : kind < 9  ? 0.0f
           : kind < 18 ? static_cast<float>(random.Normal(2 * i + 1))
           : kind < 19 ? std::numeric_limits<float>::quiet_NaN()
                       : std::numeric_limits<float>::infinity();
  }
  return z;
}

TEST(Select, BothRulesMatchASortOnAwkwardValues) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const CounterRandom random(seed, 1);
    const int64_t rows = 1 + random.Below(0, 70);
    const int stride = static_cast<int>(1 + random.Below(1, 90));
    const int width = static_cast<int>(1 + random.Below(2, stride));
    const int k = static_cast<int>(1 + random.Below(3, width));
    const auto z = Awkward(rows * stride, seed);
    Codes<float> codes;
    SelectTopK(z.data(), rows, stride, width, k, codes);
    std::vector<Kept> expected;
    for (int64_t b = 0; b < rows; ++b) {
      const auto row = Reference(z, b, 1, stride, width, k);
      expected.insert(expected.end(), row.begin(), row.end());
    }
    ASSERT_EQ(List(codes), expected) << "TopK, seed " << seed;
    SelectBatchTopK(z.data(), rows, stride, width, k, codes);
    ASSERT_EQ(List(codes), Reference(z, 0, rows, stride, width, rows * k))
        << "BatchTopK, seed " << seed;
  }
}

// A worker that waits inside one selection may run another: they must not share anything.
TEST(Select, SelectionsInsideParallelLoopsDoNotMix) {
  tbb::global_control control(tbb::global_control::max_allowed_parallelism, 4);
  constexpr int64_t kRows = 200;
  constexpr int kWidth = 60, kK = 7, kMatrices = 64;
  std::vector<std::vector<float>> z(kMatrices);
  std::vector<std::vector<Kept>> expected(kMatrices), got(kMatrices);
  Codes<float> codes;
  for (int m = 0; m < kMatrices; ++m) {
    z[m] = Awkward(kRows * kWidth, 1000 + m);
    SelectTopK(z[m].data(), kRows, kWidth, kWidth, kK, codes);
    expected[m] = List(codes);
  }
  tbb::task_arena arena(4);
  for (int repeat = 0; repeat < 20; ++repeat) {
    arena.execute([&] {
      tbb::parallel_for(0, kMatrices, [&](int m) {
        Codes<float> mine;
        SelectTopK(z[m].data(), kRows, kWidth, kWidth, kK, mine);
        got[m] = List(mine);
      });
    });
    ASSERT_EQ(got, expected) << "repeat " << repeat;
  }
}

TEST(Select, CutoffIsTheSmallestKeptValue) {
  const std::vector<float> scores = {10, 9, 8, 1, .5f, .1f};
  Codes<float> codes;
  const auto selected = SelectBatchTopK(scores.data(), 2, 3, 3, 1, codes);
  EXPECT_EQ(selected.cutoff, 9);
  EXPECT_EQ(List(codes), (std::vector<Kept>{{0, 0, 10}, {0, 1, 9}}));
}

TEST(Select, FewerPositivesThanAskedFor) {
  const std::vector<float> z = {-1, 0, 3, -2, 2, 0};
  Codes<float> codes;
  EXPECT_EQ(SelectBatchTopK(z.data(), 2, 3, 3, 2, codes).cutoff, 2);
  EXPECT_EQ(codes.value.size(), 2u);
  const std::vector<float> none(6, -1);
  EXPECT_EQ(SelectBatchTopK(none.data(), 2, 3, 3, 2, codes).cutoff, 0);
  EXPECT_TRUE(codes.value.empty());
}

TEST(Select, ThresholdKeepsValuesAtTheThresholdButNeverZero) {
  const std::vector<float> z = {0.5f, 0.4f, 0, -1};
  Codes<float> codes;
  SelectThreshold(z.data(), 1, 4, 4, 0.5f, codes);
  EXPECT_EQ(List(codes), (std::vector<Kept>{{0, 0, 0.5f}}));
  SelectThreshold(z.data(), 1, 4, 4, 0.0f, codes);
  EXPECT_EQ(codes.value.size(), 2u);
}

TEST(Select, AmongListedLatentsOnly) {
  const std::vector<float> z = {9, 1, 8, 2, 7, 3};
  Codes<float> codes;
  SelectTopKAmong(z.data(), 1, 6, {1, 3, 5}, 2, codes);
  EXPECT_EQ(List(codes), (std::vector<Kept>{{0, 3, 2}, {0, 5, 3}}));
}

}  // namespace
}  // namespace saed::sae

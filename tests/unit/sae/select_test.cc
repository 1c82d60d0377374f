// What each architecture chooses, against its definition by sorting and plain loops, over awkward
// values: ties, zeros, negatives, infinities, NaN, fewer positives than asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/sae/architectures/architecture.h"
#include "server/sae/architectures/rows.h"
#include "server/sae/kernels/table.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"

namespace saed::sae {
namespace {

struct Kept {
  int64_t row;
  int32_t latent;
  float value;
  bool operator==(const Kept&) const = default;
};

std::vector<Kept> List(const Pass<float>& pass) {
  std::vector<Kept> out;
  for (size_t b = 0; b < pass.begin.size(); ++b) {
    for (int64_t e = pass.begin[b]; e < pass.end[b]; ++e) {
      out.push_back({static_cast<int64_t>(b), pass.latent[e], pass.value[e]});
    }
  }
  return out;
}

// The n largest positive entries of rows [first, last), earlier ones first among equals.
std::vector<Kept> Largest(const std::vector<float>& z, int64_t first, int64_t last, int64_t stride,
                          int width, int64_t n) {
  std::vector<Kept> all;
  for (int64_t b = first; b < last; ++b) {
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

std::vector<float> Awkward(int64_t n, uint64_t seed, float scale) {
  const CounterRandom random(seed, 3);
  std::vector<float> z(n);
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t kind = random.Below(2 * i, 40);
    z[i] = kind < 12   ? scale * static_cast<float>(random.Below(2 * i + 1, 4))
           : kind < 18 ? 0.0f
           : kind < 37 ? scale * static_cast<float>(random.Normal(2 * i + 1))
           : kind < 38 ? std::numeric_limits<float>::quiet_NaN()
           : kind < 39 ? std::numeric_limits<float>::infinity()
                       : -std::numeric_limits<float>::infinity();
  }
  return z;
}

ModelSpec SpecOf(Selection selection, std::vector<Level> levels) {
  ModelSpec spec;
  spec.selection = selection;
  spec.levels = std::move(levels);
  return spec;
}

void Choose(Architecture<float>& architecture, const Parameters<float>& p,
            const std::vector<float>& z, int64_t rows, std::vector<Pass<float>>& passes) {
  const Batch<float> batch{p, z.data(), rows, {}};
  architecture.Begin(batch, passes);
  ForBlocks(rows, RowBlock(rows), [&](int64_t, int64_t first, int64_t last) {
    architecture.SelectRows(batch, first, last, passes);
  });
  architecture.SelectBatch(batch, passes);
}

// Minibatch after minibatch with one object: what it remembers of the last must change nothing.
TEST(Select, TopKAndBatchTopKAreTheirDefinitions) {
  for (Selection s : {Selection::kTopK, Selection::kBatchTopK}) {
    for (int width : {20, 33, 300}) {
      const ModelSpec spec = SpecOf(s, {{width / 2, 3}, {width, 7}});
      const auto p = InitialParameters<float>(spec, 4, 4, 1);
      const auto architecture = MakeArchitecture<float>(spec);
      auto passes = architecture->Passes();
      for (uint64_t round = 0; round < 12; ++round) {
        const int64_t rows = 1 + static_cast<int64_t>(round * 29 % 150);
        // Values that grow and shrink, so that the last cutoff is now too low, now too high.
        const float scale = std::pow(10.0f, static_cast<float>(round * 5 % 7) - 3);
        auto z = Awkward(rows * width, round, scale);
        if (round == 5) std::fill(z.begin(), z.end(), -1.0f);
        if (round == 7) std::fill(z.begin(), z.end(), 2.0f);
        Choose(*architecture, p, z, rows, passes);
        const auto cutoffs = architecture->Cutoffs(passes);
        for (size_t l = 0; l < spec.levels.size(); ++l) {
          const auto [features, k, weight] = spec.levels[l];
          std::vector<Kept> want;
          if (s == Selection::kBatchTopK) {
            want = Largest(z, 0, rows, width, features, rows * k);
          } else {
            for (int64_t b = 0; b < rows; ++b) {
              const auto row = Largest(z, b, b + 1, width, features, k);
              want.insert(want.end(), row.begin(), row.end());
            }
          }
          ASSERT_EQ(List(passes[l]), want) << Name(s) << " " << width << " round " << round;
          if (s != Selection::kBatchTopK) continue;
          float least = want.empty() ? 0 : want[0].value;
          for (const Kept& entry : want) least = std::min(least, entry.value);
          EXPECT_EQ(cutoffs[l], least);
        }
      }
    }
  }
}

TEST(Select, ServedCodesAreTheirDefinitions) {
  constexpr int kWidth = 45;
  for (Selection s : {Selection::kTopK, Selection::kBatchTopK, Selection::kRelu,
                      Selection::kJumpRelu, Selection::kGated}) {
    const ModelSpec spec = SpecOf(s, {{kWidth, 5}});
    auto p = InitialParameters<float>(spec, 4, 4, 1);
    for (size_t x = 0; x < p.extra.size(); ++x) {
      for (int j = 0; j < kWidth; ++j) p.extra[x][j] = 0.1f * static_cast<float>(j % 9) - 0.5f;
    }
    for (bool top_k : {false, true}) {
      for (uint64_t round = 0; round < 50; ++round) {
        const auto z = Awkward(kWidth, round, 1);
        std::vector<float> scratch(2 * (kWidth + kLanes)), value(kWidth + kLanes);
        std::vector<int32_t> index(kWidth + kLanes);
        const int n = CodeOfRow({spec, p, Exponentials(p).data(), 0.75f, top_k}, z.data(),
                                scratch.data(), index.data(), value.data());
        std::vector<Kept> got, want;
        for (int e = 0; e < n; ++e) got.push_back({0, index[e], value[e]});
        const bool chooses = s != Selection::kJumpRelu && s != Selection::kGated;
        if (top_k && chooses) want = Largest(z, 0, 1, kWidth, kWidth, 5);
        for (int j = 0; j < kWidth && !(top_k && chooses); ++j) {
          float f = 0;
          if (s == Selection::kRelu) f = z[j] > 0 ? z[j] : 0;
          if (s == Selection::kTopK || s == Selection::kBatchTopK) f = z[j] >= 0.75f ? z[j] : 0;
          if (s == Selection::kJumpRelu) f = z[j] > std::exp(p.extra[0][j]) ? z[j] : 0;
          if (s == Selection::kGated && z[j] > 0) {
            f = std::exp(p.extra[0][j]) * (z[j] - p.encoder_bias[j]) + p.extra[1][j];
          }
          if (f > 0) want.push_back({0, j, f});
        }
        ASSERT_EQ(got, want) << Name(s) << " top_k " << top_k << " round " << round;
      }
    }
  }
}

}  // namespace
}  // namespace saed::sae

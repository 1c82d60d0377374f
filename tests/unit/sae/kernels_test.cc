// Every kernel path against the plain reference, bit for bit, over random shapes and awkward
// values.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "server/sae/kernels/dispatch.h"
#include "server/sae/kernels/encode.h"
#include "server/sae/kernels/reference.h"
#include "server/sae/losses.h"
#include "server/sae/random.h"

namespace saed::sae {
namespace {

const KernelTable<float> kPlain = reference::Table<float>();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const int kLengths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 200, 257};

std::vector<float> Normals(int64_t n, uint64_t seed) {
  const CounterRandom random(seed, 1);
  std::vector<float> out(n);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(random.Normal(i));
  return out;
}

// Values with many ties, zeros, negatives and, at times, infinities and NaN.
std::vector<float> Awkward(int64_t n, uint64_t seed) {
  const CounterRandom random(seed, 3);
  std::vector<float> z(n);
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t kind = random.Below(2 * i, 40);
    z[i] = kind < 12   ? static_cast<float>(random.Below(2 * i + 1, 4))
           : kind < 18 ? 0.0f
           : kind < 37 ? static_cast<float>(random.Normal(2 * i + 1))
           : kind < 38 ? std::numeric_limits<float>::quiet_NaN()
           : kind < 39 ? kInfinity
                       : -kInfinity;
  }
  return z;
}

template <class T>
void ExpectSameBits(const std::vector<T>& got, const std::vector<T>& want, const char* what) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(std::memcmp(&got[i], &want[i], sizeof(T)), 0)
        << what << " " << i << ": " << got[i] << " instead of " << want[i];
  }
}

class KernelsOf : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto status = SelectKernels(GetParam());
    if (status.code() == absl::StatusCode::kFailedPrecondition) {
      GTEST_SKIP() << std::string(status.message());
    }
    ASSERT_TRUE(status.ok()) << status;
  }
  void TearDown() override {
    for (const KernelPath& path : KernelPaths()) {
      if (!path.available) continue;
      ASSERT_TRUE(SelectKernels(path.name).ok());
    }
  }
  const KernelTable<float>& table() const { return Kernels<float>(); }
};

TEST_P(KernelsOf, VectorOperations) {
  for (int n : kLengths) {
    const auto a = Normals(n, n), b = Normals(n, n + 1000);
    EXPECT_EQ(table().dot(a.data(), b.data(), n), kPlain.dot(a.data(), b.data(), n)) << n;
    auto y = b, want = b;
    table().add_scaled(0.7f, a.data(), n, y.data());
    kPlain.add_scaled(0.7f, a.data(), n, want.data());
    ExpectSameBits(y, want, "add_scaled");
    table().scale(-1.3f, n, y.data());
    kPlain.scale(-1.3f, n, want.data());
    ExpectSameBits(y, want, "scale");
  }
}

TEST_P(KernelsOf, SparseDecodeAndItsSlopes) {
  const CounterRandom random(3, 3);
  for (int n : kLengths) {
    for (int count : {0, 1, 3, 4, 5, 9}) {
      const int rows = 20, stride = n + static_cast<int>(random.Below(n, 5));
      const auto matrix = Normals(rows * stride, n), start = Normals(n, 5), v = Normals(n, 6);
      const auto value = Normals(count, 7);
      std::vector<uint8_t> counts(rows * stride + 16);
      for (size_t i = 0; i < counts.size(); ++i) {
        counts[i] = static_cast<uint8_t>(random.Below(i, 256));
      }
      std::vector<int32_t> index(count);
      for (int e = 0; e < count; ++e) index[e] = static_cast<int32_t>(random.Below(e + n, rows));
      for (const float* begin : {static_cast<const float*>(nullptr), start.data()}) {
        std::vector<float> got(n), want(n);
        table().weighted_rows(begin, matrix.data(), stride, index.data(), value.data(), count, n,
                              got.data());
        kPlain.weighted_rows(begin, matrix.data(), stride, index.data(), value.data(), count, n,
                             want.data());
        ExpectSameBits(got, want, "weighted_rows");
        table().weighted_counts(begin, counts.data(), stride, index.data(), value.data(), count, n,
                                got.data());
        kPlain.weighted_counts(begin, counts.data(), stride, index.data(), value.data(), count, n,
                               want.data());
        ExpectSameBits(got, want, "weighted_counts");
      }
      std::vector<float> got(count), want(count);
      table().dots(v.data(), matrix.data(), stride, index.data(), count, n, got.data());
      kPlain.dots(v.data(), matrix.data(), stride, index.data(), count, n, want.data());
      ExpectSameBits(got, want, "dots");
    }
  }
}

TEST_P(KernelsOf, ScoresOfOutputs) {
  for (Loss loss : {Loss::kMse, Loss::kMsle, Loss::kPoisson}) {
    for (Output output : {Output::kIdentity, Output::kRelu, Output::kSoftplus}) {
      if (output == Output::kIdentity && loss != Loss::kMse) continue;
      for (int n : kLengths) {
        auto a = Normals(n, n + 1);
        for (float& v : a) v *= 5;
        const auto row = Normals(n, n + 2);
        std::vector<float> y(n), score(n), information(n), want(n), want_information(n);
        for (int i = 0; i < n; ++i) y[i] = static_cast<float>(i % 4);
        table().scores(loss, output, a.data(), y.data(), n, score.data(), information.data());
        kPlain.scores(loss, output, a.data(), y.data(), n, want.data(), want_information.data());
        ExpectSameBits(score, want, "score");
        ExpectSameBits(information, want_information, "information");
        float sum = 0, want_sum = 0;
        const float got =
            table().score_without(loss, output, a.data(), y.data(), row.data(), 0.7f, n, &sum);
        EXPECT_EQ(got, kPlain.score_without(loss, output, a.data(), y.data(), row.data(), 0.7f, n,
                                            &want_sum));
        EXPECT_EQ(sum, want_sum);
        for (int i = 0; i < n; ++i) {  // and the standard library's functions in double
          const auto exact = EvaluateScore<double>(loss, output, a[i], y[i]);
          EXPECT_NEAR(score[i], exact.score, 1e-5 * (1 + std::abs(exact.score)));
          EXPECT_NEAR(information[i], exact.information, 1e-5 * (1 + exact.information));
        }
      }
    }
  }
}

TEST_P(KernelsOf, LossesAndTheirSlopes) {
  for (Loss loss : {Loss::kMse, Loss::kMsle, Loss::kPoisson}) {
    for (Output output : {Output::kIdentity, Output::kRelu, Output::kSoftplus}) {
      if (output == Output::kIdentity && loss != Loss::kMse) continue;
      for (int n : kLengths) {
        auto a = Normals(n, n + 1);
        for (float& v : a) v *= 5;
        std::vector<float> y(n), residual(n), want_residual(n);
        for (int i = 0; i < n; ++i) y[i] = static_cast<float>(i % 4);
        auto want = a;
        std::vector<double> precise(a.begin(), a.end()), y2(y.begin(), y.end());
        const double sum =
            table().loss_slope(loss, output, y.data(), 0.01f, n, a.data(), residual.data());
        const double want_sum =
            kPlain.loss_slope(loss, output, y.data(), 0.01f, n, want.data(), want_residual.data());
        EXPECT_EQ(sum, want_sum);
        ExpectSameBits(a, want, "slope");
        ExpectSameBits(residual, want_residual, "residual");
        // And against the standard library's functions in double.
        const double exact =
            Kernels<double>().loss_slope(loss, output, y2.data(), 0.01, n, precise.data(), nullptr);
        EXPECT_NEAR(sum, exact, 2e-6 * n * (1 + std::abs(exact) / n));
        for (int i = 0; i < n; ++i) {
          ASSERT_NEAR(a[i], precise[i], 1e-5 * (std::abs(precise[i]) + 1e-3)) << i;
        }
      }
    }
  }
}

TEST_P(KernelsOf, OptimiserUpdates) {
  UpdateConstants<float> c;
  c.learning_rate = 0.01f;
  c.beta1 = 0.9f;
  c.beta2 = 0.999f;
  c.step_size = 0.1f;
  c.root_correction = 31.6f;
  c.epsilon = 1e-8f;
  c.decay = 1e-4f;
  c.gradient = 0.5f;
  for (int n : kLengths) {
    const auto g = Normals(n, 1);
    auto m = Normals(n, 2), v = Normals(n, 3), p = Normals(n, 4);
    for (float& x : v) x *= x;
    auto m2 = m, v2 = v, p2 = p;
    table().adam(c, g.data(), n, m.data(), v.data(), p.data());
    kPlain.adam(c, g.data(), n, m2.data(), v2.data(), p2.data());
    ExpectSameBits(m, m2, "m");
    ExpectSameBits(v, v2, "v");
    ExpectSameBits(p, p2, "p");
    table().momentum(c, g.data(), n, m.data(), p.data());
    kPlain.momentum(c, g.data(), n, m2.data(), p2.data());
    ExpectSameBits(m, m2, "momentum");
    ExpectSameBits(p, p2, "momentum p");
  }
}

TEST_P(KernelsOf, TopK) {
  const CounterRandom random(17, 3);
  for (uint64_t round = 0; round < 600; ++round) {
    const int width = 1 + static_cast<int>(random.Below(2 * round, round % 5 == 0 ? 3000 : 150));
    const int k = 1 + static_cast<int>(random.Below(2 * round + 1, round % 3 == 0 ? width : 40));
    auto z = round % 2 == 0 ? Awkward(width, round) : Normals(width, round);
    if (round % 7 == 0) {
      for (float& v : z) v = -std::abs(v);  // nothing positive but what is added
      z[width / 2] = 1e-45f;
    }
    std::vector<float> scratch(2 * (width + kLanes)), value(k), want_value(k);
    std::vector<int32_t> index(k), want_index(k);
    const int n = table().top_k(z.data(), width, k, scratch.data(), index.data(), value.data());
    const int want =
        kPlain.top_k(z.data(), width, k, nullptr, want_index.data(), want_value.data());
    ASSERT_EQ(n, want) << "round " << round << " width " << width << " k " << k;
    index.resize(n), want_index.resize(n), value.resize(n), want_value.resize(n);
    ExpectSameBits(index, want_index, "index");
    ExpectSameBits(value, want_value, "value");
    std::vector<int32_t> above(width + kLanes), want_above(width + kLanes);
    std::vector<float> above_value(width + kLanes), want_above_value(width + kLanes);
    const float bound = round % 4 == 0 ? 0 : 0.5f;
    const int kept = table().at_least(z.data(), width, bound, above.data(), above_value.data());
    ASSERT_EQ(kept,
              kPlain.at_least(z.data(), width, bound, want_above.data(), want_above_value.data()));
    above.resize(kept), want_above.resize(kept);
    ExpectSameBits(above, want_above, "at_least");
  }
}

Parameters<float> RandomEncoder(int features, int inputs, uint64_t seed) {
  Parameters<float> p;
  p.features = features;
  p.inputs = p.outputs = inputs;
  p.encoder = Normals(int64_t{features} * inputs, seed);
  p.encoder_bias = Normals(features, seed + 1);
  p.decoder_bias = Normals(inputs, seed + 2);
  return p;
}

template <class Encoder>
void PackAll(const Parameters<float>& p, bool subtract, Encoder& encoder) {
  for (int j = 0; j < p.features; j += kPackLatents) {
    encoder.Pack(p, subtract, j, std::min(p.features, j + kPackLatents));
  }
}

// Few to many counts, so that windows below and far above 255 in all are there.
std::vector<uint8_t> Counts(int64_t n, int kind, uint64_t seed) {
  const CounterRandom random(seed, 9);
  std::vector<uint8_t> out(n + CountEncoder::kSlack);
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t u = random.Below(i, 100);
    out[i] = kind == 0   ? (u < 80   ? 0
                            : u < 96 ? 1
                            : u < 99 ? 2
                                     : 7)
             : kind == 1 ? static_cast<uint8_t>(random.Below(n + i, 6))
                         : (u < 50 ? 255 : static_cast<uint8_t>(u));
  }
  return out;
}

TEST_P(KernelsOf, EncodesCountsExactly) {
  for (int kind : {0, 1, 2}) {
    for (auto [rows, inputs, features] :
         {std::tuple{1, 1, 1}, {3, 119, 31}, {33, 121, 33}, {130, 500, 70}, {2, 2500, 100}}) {
      const auto p = RandomEncoder(features, inputs, 40 + kind);
      const auto x = Counts(int64_t{rows} * inputs, kind, inputs);
      std::vector<float> got(rows * features), want(rows * features);
      CountEncoder encoder(features, inputs, {}, {});
      PackAll(p, kind == 1, encoder);
      encoder.Encode(x.data(), rows, got.data());
      // The dense encode where the machine has one, else the same again.
      std::vector<float> dense(rows * features);
      CountEncoder batches(features, inputs, {}, {}, /*mean_count=*/255);
      PackAll(p, kind == 1, batches);
      batches.Encode(x.data(), rows, dense.data());
      ASSERT_TRUE(SelectKernels("reference").ok());
      CountEncoder plain(features, inputs, {}, {});
      PackAll(p, kind == 1, plain);
      plain.Encode(x.data(), rows, want.data());
      ASSERT_TRUE(SelectKernels(GetParam()).ok());
      ExpectSameBits(got, want, "z");
      ExpectSameBits(dense, want, "dense z");
      // Against double: 24-bit weights lose at most half a step of the largest weight per count.
      for (int r = 0; r < rows; ++r) {
        for (int j = 0; j < features; ++j) {
          double sum = p.encoder_bias[j], total = 0;
          for (int i = 0; i < inputs; ++i) {
            const double shift = kind == 1 ? p.decoder_bias[i] : 0;
            sum += (x[r * inputs + i] - shift) * p.encoder_row(j)[i];
            total += x[r * inputs + i];
          }
          ASSERT_NEAR(got[r * features + j], sum, 4e-7 * (total + 20) + 2e-7 * std::abs(sum));
        }
      }
    }
  }
}

// Blocks of few and of many counts on the same encoder, and one row by itself: the same bits
// whether zeros were skipped or not.
TEST_P(KernelsOf, DenseAndSparseBlocksHaveTheSameBits) {
  const int rows = 40, inputs = 131, features = 50;
  const auto p = RandomEncoder(features, inputs, 6);
  for (int kind : {0, 1, 2}) {
    const auto x = Counts(int64_t{rows} * inputs, kind, 5);
    CountEncoder either(features, inputs, {}, {}), sparse(features, inputs, {}, {}, 0.0);
    PackAll(p, false, either);
    PackAll(p, false, sparse);
    std::vector<float> all(rows * features), want(rows * features), one(rows * features);
    either.Encode(x.data(), rows, all.data());
    sparse.Encode(x.data(), rows, want.data());
    for (int r = 0; r < rows; ++r) {
      either.Encode(x.data() + r * inputs, 1, one.data() + r * features);
    }
    ExpectSameBits(all, want, "block");
    ExpectSameBits(one, want, "row");
  }
}

TEST_P(KernelsOf, FoldsTheNormaliserIntoTheCounts) {
  const int rows = 5, inputs = 130, features = 40;
  const auto p = RandomEncoder(features, inputs, 3);
  const auto x = Counts(rows * inputs, 0, 1);
  std::vector<float> offset(inputs), scale(inputs), z(rows * features);
  for (int i = 0; i < inputs; ++i) {
    offset[i] = 0.1f * static_cast<float>(i % 7);
    scale[i] = 0.2f + 0.1f * static_cast<float>(i % 5);
  }
  CountEncoder encoder(features, inputs, offset, scale);
  PackAll(p, false, encoder);
  encoder.Encode(x.data(), rows, z.data());
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < features; ++j) {
      double sum = p.encoder_bias[j];
      for (int i = 0; i < inputs; ++i) {
        sum +=
            (static_cast<double>(x[r * inputs + i]) - offset[i]) / scale[i] * p.encoder_row(j)[i];
      }
      ASSERT_NEAR(z[r * features + j], sum, 3e-5);
    }
  }
}

// A z-scored unit that fires in a thousandth of the bins must not take the others' digits.
TEST_P(KernelsOf, ARareUnitCostsTheOthersNothing) {
  const int rows = 40, inputs = 130, features = 40;
  const auto p = RandomEncoder(features, inputs, 3);
  auto x = Counts(rows * inputs, 0, 1);
  const std::vector<float> offset(inputs, 0.1f);
  std::vector<float> scale(inputs, 0.4f), z(rows * features), all(rows * features);
  scale[7] = 0.004f;
  scale[100] = 0.0005f;
  for (int r = 0; r < rows; ++r) x[r * inputs + 7] = x[r * inputs + 100] = r % 20 == 3 ? 1 : 0;
  CountEncoder encoder(features, inputs, offset, scale),
      batches(features, inputs, offset, scale, /*mean_count=*/255);
  PackAll(p, false, encoder);
  PackAll(p, false, batches);
  encoder.Encode(x.data(), rows, z.data());
  batches.Encode(x.data(), rows, all.data());
  ExpectSameBits(all, z, "dense z");
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < features; ++j) {
      double sum = p.encoder_bias[j], size = 0;
      for (int i = 0; i < inputs; ++i) {
        const double part =
            (static_cast<double>(x[r * inputs + i]) - static_cast<double>(offset[i])) /
            static_cast<double>(scale[i]) * static_cast<double>(p.encoder_row(j)[i]);
        sum += part;
        size += std::abs(part);
      }
      ASSERT_NEAR(z[r * features + j], sum, 3e-7 * size + 1e-6) << r << " " << j;
    }
  }
}

TEST_P(KernelsOf, EncodesFloatsRowByRow) {
  for (auto [rows, inputs, features] :
       {std::tuple{1, 1, 1}, {3, 17, 63}, {13, 100, 64}, {7, 250, 200}, {31, 40, 33}}) {
    const auto p = RandomEncoder(features, inputs, 50);
    const auto x = Normals(rows * inputs, 51);
    FloatEncoder<float> encoder(features, inputs);
    PackAll(p, false, encoder);
    std::vector<float> z(rows * features);
    encoder.Encode(x.data(), rows, z.data());
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < features; ++j) {
        float sum = p.encoder_bias[j];
        for (int i = 0; i < inputs; ++i) {
          sum = std::fma(x[r * inputs + i], p.encoder_row(j)[i], sum);
        }
        ASSERT_EQ(z[r * features + j], sum) << r << " " << j;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sae, KernelsOf,
                         testing::Values("reference", "avx2", "avx512", "vnni", "amx"),
                         [](const auto& info) { return info.param; });

TEST(Dispatch, RefusesAnUnknownPath) {
  const auto status = SelectKernels("sse9");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("avx2"), std::string::npos);
}

TEST(Elementary, ExpAndLogAreCloseToTheStandardLibrarys) {
  using reference::Lane;
  for (double x = -86; x < 86; x += 0.0137) {
    const auto f = static_cast<float>(x);
    const double want = std::exp(static_cast<double>(f));
    EXPECT_NEAR(Exp(Lane{f}).v / want, 1, 4e-7) << f;
  }
  for (double e = -80; e < 80; e += 0.0173) {
    const auto f = static_cast<float>(std::exp(e));
    const double want = std::log(static_cast<double>(f));
    EXPECT_NEAR(Log(Lane{f}).v, want, 3e-7 * std::max(1.0, std::abs(want))) << f;
  }
  for (double t : {0.0, 1e-30, 1e-12, 1e-7, 1e-4, 0.3, 1.0}) {
    const auto f = static_cast<float>(t);
    EXPECT_NEAR(Log1p(Lane{f}).v, std::log1p(static_cast<double>(f)), 3e-7 * t) << t;
  }
}

}  // namespace
}  // namespace saed::sae

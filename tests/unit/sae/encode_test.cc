#include "server/sae/kernels/encode.h"

#include <gtest/gtest.h>

#include <cmath>

#include "server/sae/random.h"

namespace saed::sae {
namespace {

template <class T>
std::vector<T> RandomSparse(int n, double zeros, uint64_t seed) {
  const CounterRandom random(seed, 7);
  std::vector<T> out(n);
  for (int i = 0; i < n; ++i) {
    const double v = random.Normal(2 * i);
    out[i] = random.Uniform(2 * i + 1) < zeros ? T(0) : static_cast<T>(static_cast<float>(v));
  }
  return out;
}

struct Shape {
  int rows, inputs, features;
};

class EncodeShapes : public testing::TestWithParam<Shape> {};

TEST_P(EncodeShapes, AgreesWithPlainFusedSums) {
  const auto [rows, inputs, features] = GetParam();
  const auto x = RandomSparse<float>(rows * inputs, 0.7, 1);
  const auto w = RandomSparse<float>(features * inputs, 0, 2);
  const auto bias = RandomSparse<float>(features, 0, 3);
  PackedEncoder<float> encoder(features, inputs);
  encoder.Pack(w.data(), bias.data());
  std::vector<float> z(rows * features, -1);
  encoder.Encode(x.data(), rows, z.data());
  for (int r = 0; r < rows; ++r) {
    for (int j = 0; j < features; ++j) {
      float sum = bias[j];
      for (int i = 0; i < inputs; ++i) {
        if (x[r * inputs + i] != 0) sum = std::fma(x[r * inputs + i], w[j * inputs + i], sum);
      }
      ASSERT_EQ(z[r * features + j], sum) << "row " << r << " latent " << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sae, EncodeShapes,
                         testing::Values(Shape{1, 1, 1}, Shape{3, 17, 63}, Shape{32, 100, 64},
                                         Shape{5, 33, 65}, Shape{7, 250, 200}));

TEST(Encode, RowDoesNotDependOnItsNeighbours) {
  const int inputs = 77, features = 130;
  const auto x = RandomSparse<float>(32 * inputs, 0.5, 4);
  const auto w = RandomSparse<float>(features * inputs, 0, 5);
  const std::vector<float> bias(features, 0.25f);
  PackedEncoder<float> encoder(features, inputs);
  encoder.Pack(w.data(), bias.data());
  std::vector<float> together(32 * features), alone(features);
  encoder.Encode(x.data(), 32, together.data());
  for (int r = 0; r < 32; ++r) {
    encoder.Encode(x.data() + r * inputs, 1, alone.data());
    for (int j = 0; j < features; ++j) ASSERT_EQ(alone[j], together[r * features + j]);
  }
}

}  // namespace
}  // namespace saed::sae

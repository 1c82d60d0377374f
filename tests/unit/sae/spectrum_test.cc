#include "server/sae/spectrum.h"

#include <gtest/gtest.h>

#include "server/sae/random.h"

namespace saed::sae {
namespace {

constexpr int kUnits = 3;
const auto kGoOn = [] { return true; };

// Windows of two bins. Of the last one unit 0 is copied and unit 1 halved; unit 2 never fires. The
// first bin is reconstructed as 7, which is nobody's business.
Model CopiesAndHalves() {
  Model m;
  m.spec.levels = {{2, 2}};
  m.S = 2;
  m.units = kUnits;
  auto& p = m.parameters;
  p.features = 2;
  p.inputs = p.outputs = 2 * kUnits;
  p.encoder = {0, 0, 0, 1, 0, 0, /**/ 0, 0, 0, 0, 1, 0};
  p.decoder = {0, 0, 0, 1, 0, 0, /**/ 0, 0, 0, 0, 0.5F, 0};
  p.encoder_bias = {0, 0};
  p.decoder_bias = {7, 7, 7, 0, 0, 0};
  m.thresholds = {0};
  return m;
}

std::vector<uint8_t> Counts(int64_t bins) {
  const CounterRandom random(3, 1);
  std::vector<uint8_t> out(bins * kUnits);
  for (int64_t t = 0; t < bins; ++t) {
    for (int u = 0; u < 2; ++u) {
      out[t * kUnits + u] = static_cast<uint8_t>(random.Below(t * 2 + u, 5));
    }
  }
  return out;
}

// Mean over units and segments of windows, four each, that begin at the bins `begins`.
std::vector<double> Mean(const std::vector<uint8_t>& counts, const std::vector<int64_t>& begins,
                         double of_unit_1) {
  std::vector<double> out(3, 0);
  for (const int64_t begin : begins) {
    for (int u = 0; u < 2; ++u) {
      std::vector<double> x;
      for (int i = 0; i < 4; ++i) {
        x.push_back((u == 1 ? of_unit_1 : 1) * counts[(begin + i + 1) * kUnits + u]);
      }
      const auto power = SegmentPower(x, 1 / 0.5);
      for (int f = 0; f < 3; ++f) {
        out[f] += power[f] / (kUnits * static_cast<double>(begins.size()));
      }
    }
  }
  return out;
}

void ExpectNear(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-9) << i;
}

TEST(SpectralFidelity, OfTheLastBinsOfWindowsOneBinApart) {
  const Model model = CopiesAndHalves();
  const Encoder encoder(model);
  const auto counts = Counts(40);
  const CountView view{counts.data(), DType::kU8, 40, kUnits};
  // Runs of ten, three and four windows: of 2 s are four bins, a segment begins every second one.
  std::vector<int64_t> starts;
  for (int64_t w = 0; w < 10; ++w) starts.push_back(w);
  for (int64_t w = 20; w < 23; ++w) starts.push_back(w);
  for (int64_t w = 30; w < 34; ++w) starts.push_back(w);
  const auto s = SpectralFidelity(encoder, view, view, starts, 0.5, kGoOn);
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->segment_bins, 4);
  EXPECT_EQ(s->segments, 5);
  EXPECT_EQ(s->bin_width, 0.5);
  const std::vector<int64_t> begins = {0, 2, 4, 6, 30};
  ExpectNear(s->target, Mean(counts, begins, 1));
  ExpectNear(s->output, Mean(counts, begins, 0.5));
  ASSERT_EQ(s->relative_error.size(), size_t{kUnits});
  EXPECT_NEAR(*s->relative_error[0], 0, 1e-9);
  EXPECT_NEAR(*s->relative_error[1], 0.75, 1e-9);
  EXPECT_FALSE(s->relative_error[2]) << "constant";

  const auto apart =
      SpectralFidelity(encoder, view, view, std::vector<int64_t>{0, 2, 4, 6, 8, 10}, 0.5, kGoOn);
  ASSERT_TRUE(apart.ok()) << apart.status();
  EXPECT_EQ(apart->segments, 0);
  EXPECT_FALSE(apart->relative_error[0]);
  EXPECT_TRUE(absl::IsCancelled(
      SpectralFidelity(encoder, view, view, starts, 0.5, [] { return false; }).status()));
}

TEST(SpectralFidelity, OfManySegmentsThoseEvenlySpaced) {
  const Model model = CopiesAndHalves();
  const Encoder encoder(model);
  constexpr int64_t kAll = 3 * kMostSegments / 2, kWindows = 2 * kAll + 2;
  const auto counts = Counts(kWindows + 1);
  const CountView view{counts.data(), DType::kU8, kWindows + 1, kUnits};
  std::vector<int64_t> starts(kWindows), begins;
  for (int64_t w = 0; w < kWindows; ++w) starts[w] = w;
  // Two of three.
  for (int64_t i = 0; i < kMostSegments; ++i) begins.push_back(2 * (i * 3 / 2));
  const auto s = SpectralFidelity(encoder, view, view, starts, 0.5, kGoOn);
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_EQ(s->segments, kMostSegments);
  ExpectNear(s->target, Mean(counts, begins, 1));
}

}  // namespace
}  // namespace saed::sae

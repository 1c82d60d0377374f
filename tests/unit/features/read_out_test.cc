#include "server/features/read_out.h"

#include <gtest/gtest.h>

#include "server/sae/random.h"

namespace saed::features {
namespace {

using Indices = std::vector<size_t>;

const Progress kGoOn = [](double) { return true; };

TEST(ReadOut, ChoosesWhatWasAskedForThenWhatScores) {
  const std::vector<std::optional<int>> best = {7, std::nullopt, 3, 4, 4};
  const std::vector<double> auroc = {0.6, 0.99, 0.7, 0.9, 0.7};
  EXPECT_EQ(ChosenConditions(best, auroc, 0, 9), (Indices{3, 2, 4, 0}));
  EXPECT_EQ(ChosenConditions(best, auroc, 2, 9), (Indices{0, 3, 2, 4}));
  EXPECT_EQ(ChosenConditions(best, auroc, 2, 2), (Indices{0, 3}));
  EXPECT_TRUE(ChosenConditions({}, {}, 0, 2).empty());
}

TEST(ReadOut, TakesWindowsEvenlySpaced) {
  using Windows = std::vector<int64_t>;
  EXPECT_EQ(EvenlySpaced(10, 20, 4), (Windows{10, 12, 15, 17}));
  EXPECT_EQ(EvenlySpaced(3, 5, 4), (Windows{3, 4}));
  EXPECT_TRUE(EvenlySpaced(3, 3, 4).empty());
}

// 600 bins of two units that fire by chance; the model has one latent, which is unit 0.
struct OneSeen {
  recordings::ViewData view;
  sae::Model model;
  std::vector<int64_t> starts;
  std::vector<uint8_t> fires[2];

  OneSeen() {
    const sae::CounterRandom random(2, 7);
    view.bin_width = 0.1;
    view.units = {0, 1};
    view.unit_ids = {0, 1};
    view.bins = 600;
    view.window = 1;
    for (int64_t t = 0; t < view.bins; ++t) {
      starts.push_back(t);
      for (int u = 0; u < 2; ++u) {
        fires[u].push_back(random.Below(2 * t + u, 2) != 0 ? kHolds : kHoldsNot);
        view.bytes.push_back(fires[u].back() == kHolds ? 2 : 0);
      }
    }
    model.spec.levels = {{1, 1}};
    model.units = 2;
    auto& p = model.parameters;
    p.features = 1;
    p.inputs = p.outputs = 2;
    p.encoder = p.decoder = {1, 0};
    p.encoder_bias = {0};
    p.decoder_bias = {0, 0};
    model.thresholds = {0};
  }
  std::vector<Probes> Read(const std::vector<std::vector<uint8_t>>& labels,
                           const std::vector<std::optional<int>>& best, bool in_sample = false) {
    const sae::Encoder encoder(model);
    auto out = ReadOut(encoder, view, starts, in_sample ? 600 : 400, in_sample, labels, best,
                       std::vector<double>(labels.size(), 0.5), 0, kGoOn);
    EXPECT_TRUE(out.ok()) << out.status();
    return *out;
  }
};

TEST(ReadOut, SaysWhatOneLatentAllAndTheCountsTell) {
  OneSeen s;
  for (const bool in_sample : {false, true}) {
    const auto probes = s.Read({s.fires[0], s.fires[1], s.fires[0]}, {0, 0, {}}, in_sample);
    ASSERT_EQ(probes.size(), 3U);
    EXPECT_EQ(probes[0].one, 1);
    EXPECT_EQ(probes[0].all, 1);
    EXPECT_EQ(probes[0].counts, 1);
    EXPECT_NEAR(*probes[1].one, 0.5, 0.1) << "of unit 1 the code knows nothing";
    EXPECT_NEAR(*probes[1].all, 0.5, 0.1);
    EXPECT_EQ(probes[1].counts, 1);
    EXPECT_FALSE(probes[2].one || probes[2].all || probes[2].counts) << "no feature, no probe";
  }
}

// It fits on training windows and scores on the others.
TEST(ReadOut, IsScoredOnHeldOutWindows) {
  OneSeen s;
  auto turned = s.fires[0];
  for (size_t w = 400; w < 600; ++w) turned[w] = turned[w] == kHolds ? kHoldsNot : kHolds;
  const auto probes = s.Read({turned}, {0});
  EXPECT_EQ(probes[0].one, 0);
  EXPECT_EQ(probes[0].counts, 0);
}

// Else they would be windows in which it does not hold.
TEST(ReadOut, LeavesOutWindowsOfWhichAConditionDoesNotAsk) {
  OneSeen s;
  auto label = s.fires[0];
  for (size_t w = 0; w < 600; w += 3) label[w] = kOutside;
  const auto probes = s.Read({label}, {0});
  EXPECT_EQ(probes[0].one, 1);
  EXPECT_EQ(probes[0].counts, 1);
}

TEST(ReadOut, StopsWhenAsked) {
  OneSeen s;
  const sae::Encoder encoder(s.model);
  for (const double at : {0.0, 0.2, 0.4, 0.9}) {
    const auto stopped = ReadOut(encoder, s.view, s.starts, 400, false, {s.fires[0]}, {0}, {0.9}, 0,
                                 [&](double done) { return done < at; });
    EXPECT_TRUE(absl::IsCancelled(stopped.status())) << at;
  }
}

}  // namespace
}  // namespace saed::features

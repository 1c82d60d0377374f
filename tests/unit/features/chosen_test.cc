#include "server/features/chosen.h"

#include <gtest/gtest.h>

#include <numeric>

#include "server/recordings/readers/time_tables.h"

namespace saed::features {
namespace {

const Progress kGoOn = [](double) { return true; };

// 40 trials of 1 s. Unit 0 fires in every bin of those of kind a, unit 1 in the others; in the last
// ten the other way round. A latent for each unit.
struct TurnsRound {
  recordings::Recording recording;
  recordings::ViewData view;
  sae::Model model;

  TurnsRound() {
    std::string csv = "start_time,stop_time,kind\n";
    recording.units.resize(2);
    recording.units[1].id = 1;
    for (int trial = 0; trial < 40; ++trial) {
      csv += std::to_string(trial) + "," + std::to_string(trial + 1);
      csv += trial == 25 ? ",c\n" : trial % 2 ? ",b\n" : ",a\n";
      auto& unit = recording.units[(trial + (trial >= 30 ? 1 : 0)) % 2];
      for (int i = 0; i < 10; ++i) unit.spike_times.push_back(trial + 0.05 + 0.1 * i);
    }
    recordings::Notes notes;
    recording.intervals.push_back(*recordings::ParseIntervalsCsv("trials", csv, notes));
    recording.duration = 40;
    recordings::DataView spec;
    spec.bin_width = 0.1;
    view = *recordings::BuildView(recording, spec);
    Latents({1, 0, 0, 1});
  }
  void Latents(const std::vector<float>& rows) {
    auto& p = model.parameters;
    p.features = static_cast<int>(rows.size() / 2);
    model.spec.levels = {{p.features, p.features}};
    model.units = p.inputs = p.outputs = 2;
    p.encoder = p.decoder = rows;
    p.encoder_bias.assign(p.features, 0);
    p.decoder_bias = {0, 0};
    model.thresholds = {0};
  }
  // Windows of the trials [first, last).
  static std::vector<int64_t> Trials(int first, int last) {
    std::vector<int64_t> out(10 * (last - first));
    std::iota(out.begin(), out.end(), 10 * first);
    return out;
  }
  absl::StatusOr<std::optional<double>> Score(const std::string& expression,
                                              const std::vector<int64_t>& train,
                                              const std::vector<int64_t>& validation,
                                              const Progress& progress = kGoOn) {
    const sae::Encoder encoder(model);
    return ChosenAuroc(encoder, recording, view, view.counts(), {"one", expression}, train,
                       validation, progress);
  }
};

TEST(ChosenAuroc, IsOfTheFeatureThatTrainingWindowsChose) {
  TurnsRound s;
  const auto same = s.Score("trials.kind = a", s.Trials(0, 10), s.Trials(10, 20));
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(*same, 1);
  // There the other latent would have 1.
  EXPECT_EQ(**s.Score("trials.kind = a", s.Trials(0, 10), s.Trials(30, 40)), 0);
}

// The one latent is silent where the condition holds.
TEST(ChosenAuroc, TurnsTheSignThatTrainingWindowsChose) {
  TurnsRound s;
  s.Latents({0, 1});
  EXPECT_EQ(**s.Score("trials.kind = a", s.Trials(0, 10), s.Trials(10, 20)), 1);
  EXPECT_EQ(**s.Score("trials.kind = a", s.Trials(0, 10), s.Trials(30, 40)), 0);
}

TEST(ChosenAuroc, IsEmptyWhereTheConditionHoldsInNoneOrAll) {
  TurnsRound s;
  for (const auto& [train, validation] :
       {std::pair(s.Trials(0, 10), s.Trials(20, 30)), std::pair(s.Trials(20, 30), s.Trials(0, 10)),
        std::pair(s.Trials(25, 26), s.Trials(20, 30))}) {
    const auto score = s.Score("trials.kind = c", train, validation);
    ASSERT_TRUE(score.ok()) << score.status();
    EXPECT_FALSE(*score);
  }
  EXPECT_EQ(s.Score("trials.colour = c", s.Trials(0, 10), s.Trials(10, 20)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(
      absl::IsCancelled(s.Score("trials.kind = a", s.Trials(0, 10), s.Trials(10, 20), [](double) {
                           return false;
                         }).status()));
}

}  // namespace
}  // namespace saed::features

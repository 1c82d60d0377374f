#include "server/jobs/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace saed::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SearchParameter Range(const std::string& field, double low, double high, bool logarithmic = false) {
  SearchParameter p;
  p.field = field;
  p.low = low;
  p.high = high;
  p.logarithmic = logarithmic;
  return p;
}

SearchParameter Values(const std::string& field, std::vector<nlohmann::json> values) {
  SearchParameter p;
  p.field = field;
  p.values = std::move(values);
  return p;
}

TrainSpec Base() {
  TrainSpec spec;
  spec.recording_id = "r";
  spec.fit.model.levels = {{16, 2, 1}, {64, 8, 1}};
  return spec;
}

TEST(SearchSpace, SettingsChangeTheirFields) {
  const auto spec = SearchSpace::Apply(Base(), {{"lr", 0.01},
                                                {"k", 5},
                                                {"model.levels[0].k", 3.0},
                                                {"lambda", 0.25},
                                                {"selection", "top_k"},
                                                {"view.window", 4},
                                                {"model.subtract_bias", true},
                                                {"hidden_inputs", 0.5},
                                                {"epochs", 7}});
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->fit.optimiser.learning_rate, 0.01);
  EXPECT_EQ(spec->fit.model.levels[1].k, 5);
  EXPECT_EQ(spec->fit.model.levels[0].k, 3);
  EXPECT_EQ(spec->fit.model.penalty.weight, 0.25);
  EXPECT_EQ(spec->fit.model.selection, sae::Selection::kTopK);
  EXPECT_EQ(spec->view.window, 4);
  EXPECT_TRUE(spec->fit.model.subtract_bias);
  EXPECT_EQ(spec->fit.epochs, 7);
  EXPECT_EQ(spec->fit.hidden_inputs, 0.5);
}

TEST(SearchSpace, FieldsAndValuesThatDoNotExistAreNamed) {
  for (const auto& [settings, what] : std::vector<std::pair<nlohmann::json, std::string>>{
           {{{"model.levles[0].k", 3}}, "is not a field"},
           {{{"model.levels[7].k", 3}}, "is not a field"},
           {{{"", 3}}, "is not a field"},
           {{{"../..", 3}}, "is not a field"},
           {{{"selection", "topq"}}, "which it does not take"},
           {{{"k", "many"}}, "which it does not take"},
           {{{"k", 2.5}}, "is 2.5; must be a whole number"},
           {{{"k", 1e300}}, "must be a whole number"},
           {{{"epochs", 1e12}}, "which it does not take"}}) {
    const auto spec = SearchSpace::Apply(Base(), settings);
    EXPECT_THAT(std::string(spec.status().message()), HasSubstr(what)) << settings.dump();
  }
}

TEST(SearchSpace, EveryFaultOfTheParametersAtOnce) {
  auto when = Values("k", {1, 2});
  when.when_field = "selection";
  const auto space =
      SearchSpace::Make({Range("lr", 0, 1, true), Range("x", 2, 1), when, Values("k", {3})});
  const std::string message(space.status().message());
  EXPECT_THAT(message, HasSubstr("parameters[0].range"));
  EXPECT_THAT(message, HasSubstr("parameters[1].range"));
  EXPECT_THAT(message, HasSubstr("parameters[2].when_field"));
  EXPECT_THAT(message, HasSubstr("parameters[2].when_values"));
  EXPECT_THAT(message, HasSubstr("parameters[3].field"));
}

SearchSpace Conditional() {
  auto k = Values("k", {2, 4, 8});
  k.when_field = "selection";
  k.when_values = {"topk"};
  auto lambda = Range("lambda", 0.01, 1, true);
  lambda.points = 2;
  lambda.when_field = "selection";
  lambda.when_values = {"relu"};
  return *SearchSpace::Make({Values("selection", {"relu", "topk"}), k, lambda});
}

TEST(SearchSpace, AGridHasEachSettingOnce) {
  const SearchSpace space = Conditional();
  const auto grid = space.Grid();
  ASSERT_TRUE(grid.ok()) << grid.status();
  std::vector<std::string> settings;
  for (const auto& point : *grid) settings.push_back(space.Settings(point).dump());
  EXPECT_THAT(settings,
              ElementsAre(R"({"lambda":0.01,"selection":"relu"})",
                          R"({"lambda":1.0,"selection":"relu"})", R"({"k":2,"selection":"topk"})",
                          R"({"k":4,"selection":"topk"})", R"({"k":8,"selection":"topk"})"));
}

TEST(SearchSpace, RangesAreLinearOrLogarithmic) {
  auto whole = Range("k", 1, 9);
  whole.integer = true;
  const auto space = SearchSpace::Make({Range("a", 0, 4), Range("b", 0.01, 100, true), whole});
  EXPECT_DOUBLE_EQ(space->Value(0, 0.25).get<double>(), 1);
  EXPECT_NEAR(space->Value(1, 0.25).get<double>(), 0.1, 1e-12);
  EXPECT_EQ(space->Value(2, 0.49), 5);
  EXPECT_TRUE(space->Value(2, 0.49).is_number_integer());
}

TEST(Search, RandomPointsSpread) {
  const auto space = SearchSpace::Make({Range("a", 0, 1), Range("b", 0, 1)});
  std::set<std::pair<int, int>> cells;
  for (int64_t i = 0; i < 36; ++i) {
    const auto x = RandomPoint(*space, 7, i);
    ASSERT_TRUE(x[0] >= 0 && x[0] < 1 && x[1] >= 0 && x[1] < 1);
    cells.emplace(static_cast<int>(x[0] * 4), static_cast<int>(x[1] * 3));
  }
  EXPECT_EQ(cells.size(), 12U);  // independent draws miss one in half of the cases
  EXPECT_NE(RandomPoint(*space, 7, 0), RandomPoint(*space, 8, 0));
}

// A bowl in one of two branches.
double Bowl(const SearchSpace& space, const std::vector<double>& point) {
  const auto settings = space.Settings(point);
  if (settings["selection"] == "relu") {
    return 0.3 + std::abs(std::log10(settings["lambda"].get<double>()) + 1.0);
  }
  return std::abs(settings["k"].get<double>() - 4) / 4 +
         std::pow(std::log10(settings["lr"].get<double>()) + 2.5, 2);
}

TEST(Search, TpeFindsMoreThanChance) {
  auto lr = Range("lr", 1e-4, 1, true);
  auto k = Values("k", {1, 2, 3, 4, 5, 6, 7, 8});
  k.when_field = "selection";
  k.when_values = {"topk"};
  auto lambda = Range("lambda", 1e-3, 1, true);
  lambda.when_field = "selection";
  lambda.when_values = {"relu"};
  const auto space = SearchSpace::Make({Values("selection", {"relu", "topk"}), lr, k, lambda});
  ASSERT_TRUE(space.ok()) << space.status();
  int better = 0;
  double sum = 0, chance_sum = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::vector<Observation> history;
    double model = 1e9, chance = 1e9;
    for (int64_t i = 0; i < 40; ++i) {
      const auto point = ProposeTpe(*space, history, seed, i);
      history.push_back({point, {Bowl(*space, point)}, false});
      model = std::min(model, history.back().values[0]);
      chance = std::min(chance, Bowl(*space, RandomPoint(*space, seed, i)));
    }
    better += model < chance;
    sum += model;
    chance_sum += chance;
  }
  EXPECT_GE(better, 22);
  std::printf("mean of the best: %.3f, by chance %.3f; better in %d of 30\n", sum / 30,
              chance_sum / 30, better);
  EXPECT_LT(sum, 0.75 * chance_sum);
}

TEST(Search, TheSameHistoryGivesTheSameProposal) {
  const SearchSpace space = Conditional();
  std::vector<Observation> history;
  for (int64_t i = 0; i < 12; ++i) {
    history.push_back({RandomPoint(space, 1, i), {static_cast<double>(i % 5)}, i == 3});
  }
  EXPECT_EQ(ProposeTpe(space, history, 1, 12), ProposeTpe(space, history, 1, 12));
  EXPECT_NE(ProposeTpe(space, history, 1, 12), ProposeTpe(space, history, 2, 12));
}

TEST(Search, RungsGrowByTheReduction) {
  const Rungs rungs{3, 3};
  EXPECT_DOUBLE_EQ(rungs.Fraction(0), 1.0 / 9);
  EXPECT_DOUBLE_EQ(rungs.Fraction(1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(rungs.Fraction(2), 1);
}

TEST(Search, TheBestThirdGoesOnFromTheHighestRung) {
  const Rungs rungs{3, 3};
  std::vector<Observation> h;
  for (const double v : {5, 3, 4, 1, 2, 6}) h.push_back({{}, {v}, false});
  std::vector<bool> waiting(6, true);
  EXPECT_EQ(Promote(h, waiting, rungs), 3U);
  waiting[3] = false;  // on its way
  EXPECT_EQ(Promote(h, waiting, rungs), 4U);
  waiting[4] = false;
  EXPECT_EQ(Promote(h, waiting, rungs), std::nullopt);
  // Both come back, and the best of what would be three on the second rung has to wait for a third.
  h[3].values.push_back(0.5);
  h[4].values.push_back(0.4);
  waiting[3] = waiting[4] = true;
  EXPECT_EQ(Promote(h, waiting, rungs), std::nullopt);
  h[1].values.push_back(0.6);
  EXPECT_EQ(Promote(h, waiting, rungs), 4U);
  h[4].failed = true;
  EXPECT_EQ(Promote(h, waiting, rungs), std::nullopt);
}

TEST(Search, WithoutEarlyStoppingNothingIsPromoted) {
  EXPECT_EQ(Promote({{{}, {1}, false}, {{}, {2}, false}}, {true, true}, {1, 3}), std::nullopt);
}

}  // namespace
}  // namespace saed::jobs

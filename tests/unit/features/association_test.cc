#include "server/features/association.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "server/features/conditions.h"
#include "server/features/expression.h"
#include "server/recordings/readers/time_tables.h"
#include "server/sae/random.h"

namespace saed::features {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// AUROC by its definition over all pairs.
double PairAuroc(const std::vector<float>& a, const std::vector<uint8_t>& label) {
  double sum = 0, pairs = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a.size(); ++j) {
      if (!label[i] || label[j]) continue;
      pairs += 1;
      sum += a[i] > a[j] ? 1 : a[i] == a[j] ? 0.5 : 0;
    }
  }
  return sum / pairs;
}

TEST(Association, MatchesTheDefinitionsOnRandomSparseActivationsWithTies) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const sae::CounterRandom random(seed, 2);
    const int n = 120;
    std::vector<float> a(n);
    std::vector<std::vector<uint8_t>> labels(2, std::vector<uint8_t>(n));
    Activations sparse;
    for (int i = 0; i < n; ++i) {
      if (random.Uniform(3 * i) < 0.4) a[i] = 1 + static_cast<float>(random.Below(3 * i + 1, 5));
      if (a[i] > 0) sparse.emplace_back(i, a[i]);
      labels[0][i] = random.Uniform(3 * i + 2) < 0.3;
      labels[1][i] = a[i] > 2;
    }
    const auto scores = Score(sparse, ByWindow(labels, n));
    for (int c = 0; c < 2; ++c) {
      double tp = 0, fp = 0, positive = 0;
      for (int i = 0; i < n; ++i) {
        positive += labels[c][i];
        tp += labels[c][i] && a[i] > 0;
        fp += !labels[c][i] && a[i] > 0;
      }
      const double tpr = tp / positive, fpr = fp / (n - positive);
      EXPECT_NEAR(*scores[c].auroc, PairAuroc(a, labels[c]), 1e-12);
      EXPECT_NEAR(*scores[c].coverage, tpr, 1e-12);
      EXPECT_NEAR(*scores[c].specificity, 1 - fpr, 1e-12);
      EXPECT_NEAR(*scores[c].selectivity, tpr / (tpr + fpr), 1e-12);
      EXPECT_NEAR(*scores[c].precision, tp / (tp + fp), 1e-12);
      EXPECT_NEAR(*scores[c].prevalence, positive / n, 1e-12);
    }
  }
}

TEST(Association, UndefinedScoresAreMissing) {
  const auto none = Score(Activations{{0, 1.0f}}, ByWindow({{0, 0, 0}}, 3));
  EXPECT_FALSE(none[0].auroc.has_value());
  EXPECT_FALSE(none[0].coverage.has_value());
  EXPECT_EQ(*none[0].precision, 0);
  const auto silent = Score(Activations{}, ByWindow({{1, 0, 0}}, 3));
  EXPECT_EQ(*silent[0].auroc, 0.5);
  EXPECT_EQ(*silent[0].selectivity, 0);
  EXPECT_FALSE(silent[0].precision.has_value());
}

recordings::Recording Trials() {
  recordings::Recording r;
  r.units.resize(1);
  r.duration = 4;
  recordings::Notes notes;
  r.intervals.push_back(*recordings::ParseIntervalsCsv(
      "trials", "start_time,stop_time,kind,speed,n\n0,1,a,0.5,1\n1,2,b,1.5,2\n2,3,a,2.5,1\n",
      notes));
  return r;
}

std::vector<std::string> Automatic(const recordings::Recording& r, const ConditionColumns& columns,
                                   std::vector<std::string>& warnings) {
  std::vector<std::string> names;
  for (const auto& c : AutomaticConditions(r, columns, warnings)) {
    names.push_back(c.name);
    EXPECT_EQ(c.family, "trials");
  }
  return names;
}

TEST(Conditions, EveryValueOfEveryCategoricalColumnMakesOne) {
  std::vector<std::string> warnings;
  EXPECT_THAT(Automatic(Trials(), {}, warnings),
              ElementsAre("trials", "trials.kind=a", "trials.kind=b", "trials.n=1", "trials.n=2"));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(Conditions, ColumnsThatSayNothingMakeNone) {
  auto r = Trials();
  auto& columns = r.intervals[0].table.columns;
  columns.push_back({"trial", recordings::Numbers{4, 5, 6}});
  columns.push_back({"block", recordings::Numbers{1, 1, 2}});  // two values may be two kinds
  columns.push_back({"rig", recordings::Texts{"b", "b", ""}});
  columns.push_back({"go_time", recordings::Numbers{1, 2, 1}});
  std::vector<std::string> warnings;
  EXPECT_THAT(Automatic(r, {}, warnings),
              ElementsAre("trials", "trials.kind=a", "trials.kind=b", "trials.n=1", "trials.n=2",
                          "trials.block=1", "trials.block=2"));
  EXPECT_THAT(warnings, ElementsAre("trials.trial counts up from row to row; it made no conditions",
                                    "trials.rig is the same in all rows; it made no conditions"));
  warnings.clear();
  EXPECT_THAT(Automatic(r, {{"trials.trial", "trials.go_time"}, {}}, warnings),
              ElementsAre("trials.trial=4", "trials.trial=5", "trials.trial=6", "trials.go_time=1",
                          "trials.go_time=2"));
  EXPECT_THAT(Automatic(r, {{}, {"trials"}}, warnings), IsEmpty());
  warnings.clear();
  EXPECT_THAT(Automatic(r, {{}, {"trials.n", "trials.block", "trials.kind"}}, warnings),
              ElementsAre("trials"));
}

TEST(Conditions, FractionsMakeSomeWhereTheyAreChosen) {
  recordings::Recording r = Trials();
  recordings::Numbers contrast, latency;
  auto& table = r.intervals[0];
  table.start.clear();
  table.stop.clear();
  for (int i = 0; i < 12; ++i) {
    table.start.push_back(0.1 * i);
    table.stop.push_back(0.1 * i + 0.1);
    contrast.push_back(i % 3 * 0.25);
    latency.push_back(0.3 + 0.01 * i);
  }
  table.table.columns = {{"contrast", contrast}, {"latency", latency}};
  std::vector<std::string> warnings;
  EXPECT_THAT(Automatic(r, {}, warnings), ElementsAre("trials"));
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("trials.contrast has 3 values")));
  warnings.clear();
  EXPECT_THAT(Automatic(r, {{"trials.contrast"}, {}}, warnings),
              ElementsAre("trials.contrast=0", "trials.contrast=0.25", "trials.contrast=0.5"));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(Conditions, TooMuchIsRefusedAndTooLongIsSaid) {
  auto r = Trials();
  r.intervals[0].table.columns = {
      {"note", recordings::Texts{"short", std::string(5000, 'x'), "other"}}};
  std::vector<std::string> warnings;
  EXPECT_THAT(Automatic(r, {}, warnings),
              ElementsAre("trials", "trials.note=short", "trials.note=other"));
  EXPECT_THAT(warnings,
              ElementsAre("1 values of trials.note are too long for conditions and made none"));
  const ConditionColumns many{std::vector<std::string>(kMaxConditions + 1, "trials"), {}};
  EXPECT_THAT(std::string(Validate(r, many).message()), HasSubstr("only: has 2001 entries"));
  std::vector<Condition> moving;
  for (size_t i = 0; i <= kMaxMoving; ++i) {
    moving.push_back({fmt::format("m{}", i), "speed(position) > 1"});
  }
  EXPECT_THAT(std::string(Validate(r, moving).message()),
              HasSubstr("ask for speed or direction 9 times; at most 8"));
}

TEST(Conditions, OfHiddenCharactersAreRefusedWithoutThem) {
  for (const char* hidden : {"\xe2\x80\xae", "\x1b", "\xe2\x80\x8b"}) {  // U+202E, ESC, U+200B
    const std::string name = std::string("left") + hidden + "[31mright";
    const std::vector<Condition> asked = {{name, "trials.kind = a"}};
    const std::string said(Validate(Trials(), asked).message());
    EXPECT_THAT(said,
                HasSubstr("conditions[0].name: is '…'; must be UTF-8 text of 1 to 200 bytes"));
    EXPECT_EQ(said.find(hidden), said.npos) << "the error has it";
  }
}

TEST(Conditions, ThatHoldNowhereSayWhatValuesThereAre) {
  const auto r = Trials();
  recordings::DataView spec;
  spec.bin_width = 0.25;
  const auto view = recordings::BuildView(r, spec);
  ASSERT_TRUE(view.ok());
  const auto said = [&](const char* expression) {
    return std::string(Validate(r, {{"c", expression}}, &*view).message());
  };
  EXPECT_THAT(said("trials.kind = A"), HasSubstr("trials.kind has a, b, not 'A'"));
  EXPECT_THAT(said("NOT during(trials) AND among(trials, kind = c)"),
              HasSubstr("trials.kind has a, b, not 'c'"));
  EXPECT_THAT(said("around_start(trials, n = 7, 0, 1)"), HasSubstr("trials.n has 1, 2, not '7'"));
  EXPECT_THAT(said("around_start(trials, 500, 600)"), HasSubstr("its times in seconds"));
  EXPECT_THAT(said("contrast(trials, a, b)"), HasSubstr("as trials.COLUMN"));
}

TEST(Conditions, ThatAskOfNoWindowAreRefused) {
  const auto r = Trials();
  recordings::DataView spec;
  spec.bin_width = 0.25;
  const auto view = recordings::BuildView(r, spec);
  ASSERT_TRUE(view.ok());
  EXPECT_THAT(
      std::string(Validate(r, {{"late", "each(trials, kind = a, 5000)"}}, &*view).message()),
      HasSubstr("asks of none of the view's 16 windows"));
  std::vector<Condition> own;
  for (size_t i = 0; i <= kMaxScopes; ++i) {
    own.push_back({fmt::format("e{}", i),
                   fmt::format("each(trials, kind = a, {:.2f})", 0.01 * static_cast<double>(i))});
  }
  EXPECT_TRUE(Validate(r, own, &*view).ok()) << "few of them ask of different bins";
  // Of bins of 10 ms each asks of others.
  spec.bin_width = 0.01;
  const auto narrow = recordings::BuildView(r, spec);
  ASSERT_TRUE(narrow.ok());
  EXPECT_THAT(std::string(Validate(r, own, &*narrow).message()),
              HasSubstr("ask of more than 32 different sets of windows; at most 32"));
  own.resize(kMaxScopes);
  EXPECT_TRUE(Validate(r, own, &*narrow).ok()) << Validate(r, own, &*narrow);
}

TEST(Conditions, ColumnsThatAreNotThereAreFaults) {
  const auto status = Validate(Trials(), ConditionColumns{{"trials.side"}, {"laps", "trials"}});
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("only[0]: is 'trials.side'; must be a table, or TABLE.COLUMN, of "
                              "trials, trials.start_time"),
                    HasSubstr("excluded[0]: is 'laps'"), Not(HasSubstr("excluded[1]"))));
  EXPECT_TRUE(Validate(Trials(), ConditionColumns{{"trials.kind"}, {"trials"}}).ok());
}

// Windows outside are as if they were not there.
TEST(Association, AsksOfTheWindowsOfItsScopeAlone) {
  std::mt19937 random(3);
  constexpr int64_t kAll = 400;
  Activations sparse, inside;
  std::vector<WindowLabel> label(kAll), reduced, whole(kAll);
  for (int64_t w = 0; w < kAll; ++w) {
    label[w] = static_cast<WindowLabel>(random() % 3);
    whole[w] = static_cast<WindowLabel>(random() % 2);
    const auto value = static_cast<float>(random() % 5);
    if (value > 0) sparse.emplace_back(static_cast<int32_t>(w), value);
    if (label[w] == kOutside) continue;
    if (value > 0) inside.emplace_back(static_cast<int32_t>(reduced.size()), value);
    reduced.push_back(label[w]);
  }
  const auto both = ByWindow({label, whole, label}, kAll);
  ASSERT_EQ(both.parts.size(), 2U);
  EXPECT_THAT(both.parts[0].of.conditions, ElementsAre(0, 2));
  EXPECT_THAT(both.asked, ElementsAre(std::ssize(reduced), kAll, std::ssize(reduced)));
  const auto scores = Score(sparse, both);
  const auto alone = Score(inside, ByWindow({reduced}, std::ssize(reduced)))[0];
  for (const size_t c : {0, 2}) {
    EXPECT_EQ(scores[c].auroc, alone.auroc);
    EXPECT_EQ(scores[c].coverage, alone.coverage);
    EXPECT_EQ(scores[c].specificity, alone.specificity);
    EXPECT_EQ(scores[c].precision, alone.precision);
    EXPECT_EQ(scores[c].prevalence, alone.prevalence);
    EXPECT_EQ(Aurocs(sparse, both)[c], alone.auroc);
  }
  EXPECT_EQ(scores[1].auroc, Score(sparse, ByWindow({whole}, kAll))[0].auroc);
}

TEST(Conditions, LabelsBinsByTheirCentre) {
  const auto r = Trials();
  recordings::DataView view;
  view.bin_width = 0.25;
  const auto data = recordings::BuildView(r, view);
  ASSERT_TRUE(data.ok());
  const auto text = [&](const char* expression) {
    std::string out;
    const auto labels = Evaluate(expression, r, *data);
    EXPECT_TRUE(labels.ok()) << labels.status();
    if (!labels.ok()) return out;
    for (uint8_t b : labels->holds) out += b ? '1' : '0';
    return out;
  };
  EXPECT_EQ(text("during(trials, kind = a)"), "1111000011110000");
  EXPECT_EQ(text("around_start(trials, kind = b, 0.125, 0.375)"), "0000100000000000");
  EXPECT_EQ(text("around_start(trials, kind = b, 0.126, 0.376)"), "0000010000000000");
  EXPECT_EQ(text("around_stop(trials, -0.5, 0)"), "0011001100110000");
}

TEST(Conditions, FaultsNameTheirPlace) {
  const auto status = Validate(
      Trials(), {{"", "during(trials)"}, {"b", "during(nothing)"}, {"c", "during(trials"}});
  const std::string text(status.message());
  EXPECT_NE(text.find("conditions[0].name"), std::string::npos);
  EXPECT_NE(text.find("conditions[1].expression"), std::string::npos);
  EXPECT_NE(text.find("conditions[2].expression"), std::string::npos);
}

TEST(Conditions, ThatHoldNowhereOrEverywhereAreRefused) {
  const auto r = Trials();
  recordings::DataView spec;
  spec.bin_width = 0.25;
  spec.stop_time = 3;
  const auto view = recordings::BuildView(r, spec);
  ASSERT_TRUE(view.ok());
  EXPECT_TRUE(Validate(r, {{"x", "during(trials, kind = a)"}}, &*view).ok());
  const auto none = Validate(r, {{"x", "during(trials, kind = c)"}}, &*view);
  EXPECT_NE(std::string(none.message()).find("holds in none of the view's 12"), std::string::npos)
      << none;
  const auto all = Validate(r, {{"x", "during(trials)"}}, &*view);
  EXPECT_NE(std::string(all.message()).find("holds in all of the view's 12"), std::string::npos);
}

}  // namespace
}  // namespace saed::features

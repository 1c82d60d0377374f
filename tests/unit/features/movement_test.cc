// Movement against SciPy (tests/tools/statistics_reference.py).
#include "server/features/movement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>

namespace saed::features {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> Values(const nlohmann::json& values) {
  std::vector<double> out;
  for (const auto& v : values) out.push_back(v.is_number() ? v.get<double>() : kNan);
  return out;
}

void ExpectNear(const std::vector<double>& got, const std::vector<double>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t b = 0; b < got.size(); ++b) {
    ASSERT_EQ(std::isnan(got[b]), std::isnan(wanted[b])) << "bin " << b;
    if (std::isnan(got[b])) continue;
    EXPECT_NEAR(got[b], wanted[b], 1e-9) << "bin " << b;
  }
}

recordings::ViewData Bins(int64_t bins, double width) {
  recordings::ViewData view;
  view.bins = bins;
  view.bin_width = width;
  return view;
}

// One sample in the middle of each bin; those that are NaN are missing.
recordings::Series OnCentres(const std::vector<std::vector<double>>& channels, double width) {
  recordings::Series s;
  s.name = "position";
  static const recordings::Texts names = {"x", "y", "z"};
  s.channels.assign(names.begin(), names.begin() + static_cast<int64_t>(channels.size()));
  for (size_t b = 0; b < channels[0].size(); ++b) {
    if (std::isnan(channels[0][b])) continue;
    s.timestamps.push_back((static_cast<double>(b) + 0.5) * width);
    for (const auto& c : channels) s.values.push_back(c[b]);
  }
  return s;
}

TEST(Movement, AsSciPyHasIt) {
  const auto c =
      nlohmann::json::parse(std::ifstream(SAED_SOURCE_DIR "/tests/fixtures/statistics.json"))
          .at("movement");
  const auto x = Values(c["x"]), y = Values(c["y"]);
  const double width = c["bin_width"];
  const auto view = Bins(static_cast<int64_t>(x.size()), width);
  const auto both = OnCentres({x, y}, width);
  ExpectNear(Speed(both, view), Values(c["speed"]));
  ExpectNear(Direction(both, view), Values(c["direction"]));
  ExpectNear(Direction(OnCentres({x}, width), view), Values(c["sign"]));
}

TEST(Movement, EndsAtBordersOfSegments) {
  auto view = Bins(40, 0.1);
  view.segments.assign(40, 0);
  std::fill(view.segments.begin() + 20, view.segments.end(), 1);
  std::vector<double> x;
  for (int b = 0; b < 40; ++b) x.push_back(b < 20 ? 0 : 5);
  const auto series = OnCentres({x}, 0.1);
  for (const double v : Speed(series, view)) EXPECT_EQ(v, 0);
  for (const double v : Direction(series, view)) EXPECT_TRUE(std::isnan(v));
  view.segments.clear();
  const auto jump = Speed(series, view);
  EXPECT_GT(*std::max_element(jump.begin(), jump.end()), 5);
}

TEST(Movement, PointsBackAtPi) {
  std::vector<double> x, still(50, 0.0);
  for (int b = 0; b < 50; ++b) x.push_back(-0.1 * b);
  const auto view = Bins(50, 0.1);
  for (const double v : Direction(OnCentres({x, still}, 0.1), view)) {
    EXPECT_DOUBLE_EQ(v, std::numbers::pi);
  }
  for (const double v : Direction(OnCentres({x, still, x}, 0.1), view)) {
    EXPECT_TRUE(std::isnan(v));
  }
}

// Narrow bins keep to few weights; a straight run has the speed it has.
TEST(Movement, NarrowBins) {
  std::vector<double> x;
  for (int b = 0; b < 30000; ++b) x.push_back(1e-4 * b);
  const auto speed = Speed(OnCentres({x}, 1e-4), Bins(30000, 1e-4));
  EXPECT_NEAR(speed[15000], 1, 1e-9);
}

TEST(Movement, KnowsPositions) {
  const auto position = [](const char* name, recordings::Texts channels, const char* unit = "") {
    recordings::Series s;
    s.name = name;
    s.channels = std::move(channels);
    s.unit = unit;
    return IsPosition(s);
  };
  EXPECT_TRUE(position("position", {"x"}));
  EXPECT_TRUE(position("animal_Position", {"a", "b"}, "m"));
  EXPECT_TRUE(position("hand", {"X", "Y"}));
  EXPECT_TRUE(position("hand", {"0", "1"}, "cm"));
  EXPECT_FALSE(position("pupil", {"diameter"}, "mm"));
  EXPECT_FALSE(position("hand_velocity", {"x", "y"}));
  EXPECT_FALSE(position("hand", {"x", "y"}, "cm/s"));
  EXPECT_FALSE(position("pupil", {"diameter"}));
  EXPECT_FALSE(position("position", {"x", "y", "z", "roll"}));
  EXPECT_FALSE(position("position", {}));
}

}  // namespace
}  // namespace saed::features

// Maps over positions against NumPy (tests/tools/statistics_reference.py).
#include "server/features/places.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

namespace saed::features {
namespace {

using nlohmann::json;

// One sample in the middle of each bin of 0.1 s, one window a bin.
struct Plane {
  recordings::Recording recording;
  recordings::ViewData view;
  std::vector<int64_t> starts;

  Plane(const std::vector<double>& x, const std::vector<double>& y) {
    auto& s = recording.series.emplace_back();
    s.name = "position";
    s.channels = {"x", "y"};
    for (size_t b = 0; b < x.size(); ++b) {
      if (std::isnan(y[b])) {
        s.timestamps.push_back((static_cast<double>(b) + 0.5) * 0.1);
        s.values.insert(s.values.end(), {x[b], std::nan("")});
        continue;
      }
      s.timestamps.push_back((static_cast<double>(b) + 0.5) * 0.1);
      s.values.insert(s.values.end(), {x[b], y[b]});
    }
    view.bin_width = 0.1;
    view.bins = static_cast<int64_t>(x.size());
    starts.resize(x.size());
    std::iota(starts.begin(), starts.end(), 0);
  }
};

Activations Every(const json& values) {
  Activations out;
  for (const json& v : values) out.emplace_back(static_cast<int32_t>(out.size()), v.get<float>());
  return out;
}

TEST(Places, AsNumPyHasThem) {
  const json c =
      json::parse(std::ifstream(SAED_SOURCE_DIR "/tests/fixtures/statistics.json")).at("places");
  std::vector<double> y;
  for (const json& v : c["y"]) y.push_back(v.is_number() ? v.get<double>() : std::nan(""));
  const Plane p(c["x"].get<std::vector<double>>(), y);
  const PlaceMaps maps(p.recording, p.view, p.starts, static_cast<int64_t>(y.size()), true);
  ASSERT_EQ(maps.size(), 1U);
  EXPECT_EQ(maps.summaries()[0].x_edges.size(), 9U);
  EXPECT_EQ(maps.summaries()[0].train_occupancy, c["occupancy"].get<std::vector<int64_t>>());
  Activations code;
  for (const auto& [w, v] : Every(c["code"])) {
    if (v > 0) code.emplace_back(w, v);
  }
  auto scores = maps.ByCode(code, code);
  EXPECT_NEAR(*scores[0].train_information, c["code_information"].get<double>(), 1e-12);
  EXPECT_NEAR(*scores[0].code_test_spatial, c["spatial"].get<double>(), 1e-12);
  scores[0].train_information.reset();  // so that the evidence judges
  const Activations every = Every(c["score"]);
  maps.Judge(sae::EvidenceKind::kRate, every, scores);
  maps.Certify(sae::EvidenceKind::kMarginal, {}, scores);
  EXPECT_NEAR(*scores[0].test_information, c["code_information"].get<double>(), 1e-12)
      << "not of the kind that judges";
  maps.Certify(sae::EvidenceKind::kRate, every, scores);
  EXPECT_EQ(scores[0].kind, sae::EvidenceKind::kRate);
  EXPECT_NEAR(*scores[0].train_information, c["information"].get<double>(), 1e-12);
  EXPECT_EQ(scores[0].test_information, scores[0].train_information);
  for (size_t b = 0; b < scores[0].test_map.size(); ++b) {
    ASSERT_EQ(std::isnan(scores[0].test_map[b]), !c["map"][b].is_number()) << b;
    if (c["map"][b].is_number()) {
      EXPECT_NEAR(scores[0].test_map[b], c["map"][b].get<double>(), 1e-6) << b;
    }
  }
}

// A feature that is active in one of 16 equal places tells log2(16) bits a unit; a silent one none.
TEST(Places, OnePlaceOfSixteen) {
  std::vector<double> x, y;
  Activations code;
  for (int w = 0; w < 480; ++w) {
    x.push_back(w % 4);
    y.push_back(w / 4 % 4);
    if (w % 16 == 6) code.emplace_back(w, 2.0F);
  }
  const Plane p(x, y);
  const PlaceMaps maps(p.recording, p.view, p.starts, 480, true);
  const auto scores = maps.ByCode(code, code);
  EXPECT_NEAR(*scores[0].code_train_spatial, 4, 1e-12);
  EXPECT_EQ(scores[0].train_map[1 * 4 + 2], 2);
  EXPECT_EQ(std::count(scores[0].train_map.begin(), scores[0].train_map.end(), 0.0F), 15);
  EXPECT_FALSE(maps.ByCode({}, {})[0].code_train_spatial);
}

TEST(Places, FewWindowsMakeNoMap) {
  std::vector<double> x(399), y(399);
  std::iota(x.begin(), x.end(), 0);
  std::iota(y.begin(), y.end(), 5);
  const Plane few(x, y);
  EXPECT_EQ(PlaceMaps(few.recording, few.view, few.starts, 399, true).size(), 0U);
  const Plane still(std::vector<double>(500, 1), std::vector<double>(500, 2));
  EXPECT_EQ(PlaceMaps(still.recording, still.view, still.starts, 500, true).size(), 0U);
}

}  // namespace
}  // namespace saed::features

// Many windows at once beside each by itself.
#include <gtest/gtest.h>

#include <numeric>

#include "server/sae/architectures/rows.h"
#include "server/sae/decode_rows.h"
#include "server/sae/model.h"
#include "server/sae/random.h"
#include "server/sae/step.h"

namespace saed::sae {
namespace {

constexpr int kUnits = 23, kFeatures = 70, kBins = 1003, kBinsPerWindow = 2;

// A model with parameters of its own where the architecture has some, and counts of which every
// third bin is no integer.
struct World {
  std::vector<float> counts;
  std::vector<int64_t> starts;
  Model model;

  explicit World(Selection selection)
      : counts(int64_t{kBins} * kUnits), starts(kBins - kBinsPerWindow + 1) {
    const CounterRandom random(4, 2);
    for (size_t i = 0; i < counts.size(); ++i) {
      counts[i] = static_cast<float>(random.Below(i, 3));
      if (i / kUnits % 3 == 0) counts[i] += 0.25f;
    }
    std::iota(starts.begin(), starts.end(), 0);
    model.spec.selection = selection;
    model.spec.levels = {{kFeatures, 5}};
    model.S = kBinsPerWindow;
    model.units = kUnits;
    model.parameters =
        InitialParameters<float>(model.spec, model.inputs(), model.outputs(), /*seed=*/1);
    for (auto& extra : model.parameters.extra) {
      for (int j = 0; j < kFeatures; ++j) extra[j] = 0.1f * static_cast<float>(j % 9) - 0.5f;
    }
    model.thresholds = {0.3f};
  }
  CountView view() const { return {counts.data(), DType::kF32, kBins, kUnits}; }
};

TEST(Encode, AWindowsCodeHangsOnNoOther) {
  for (const Selection s : {Selection::kTopK, Selection::kBatchTopK, Selection::kRelu,
                            Selection::kJumpRelu, Selection::kGated}) {
    const World w(s);
    const Encoder encoder(w.model);
    // All of them, a part that is no multiple of what goes together, a few, and one.
    for (const size_t many : {w.starts.size(), size_t{401}, size_t{17}, size_t{1}}) {
      const Starts starts = Starts(w.starts).first(many);
      Codes<float> all, one;
      encoder.Encode(w.view(), starts, DefaultRule(w.model.spec), all);
      ASSERT_EQ(all.rows(), static_cast<int64_t>(many));
      for (size_t b = 0; b < many; ++b) {
        encoder.Encode(w.view(), starts.subspan(b, 1), DefaultRule(w.model.spec), one);
        const int64_t at = all.row_begin[b], n = all.row_begin[b + 1] - at;
        ASSERT_EQ(n, one.row_begin[1]) << Name(s) << " window " << b << " of " << many;
        for (int64_t e = 0; e < n; ++e) {
          ASSERT_EQ(all.latent[at + e], one.latent[e]);
          ASSERT_EQ(all.value[at + e], one.value[e]);
        }
      }
    }
  }
}

// Counts take the exact path whatever their dtype, beside windows that cannot.
TEST(Encode, CountsAmongOtherWindowsKeepTheirExactCodes) {
  const World w(Selection::kRelu);
  const Encoder encoder(w.model);
  std::vector<uint8_t> bytes(w.counts.size());
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(w.counts[i]);
  Codes<float> mixed, exact;
  encoder.Encode(w.view(), w.starts, CodeRule::kThreshold, mixed);
  encoder.Encode({bytes.data(), DType::kU8, kBins, kUnits}, w.starts, CodeRule::kThreshold, exact);
  // Windows of two bins that begin with bin 1, 4, … have no fractions.
  for (size_t b = 1; b < w.starts.size(); b += 3) {
    const int64_t at = mixed.row_begin[b], n = mixed.row_begin[b + 1] - at;
    ASSERT_EQ(n, exact.row_begin[b + 1] - exact.row_begin[b]);
    for (int64_t e = 0; e < n; ++e) {
      ASSERT_EQ(mixed.latent[at + e], exact.latent[exact.row_begin[b] + e]);
      ASSERT_EQ(mixed.value[at + e], exact.value[exact.row_begin[b] + e]);
    }
  }
}

// Half of all latents are active and the decoder is larger than what is held in cache: windows go
// through it together, and come out as each would by itself.
TEST(Step, DenseCodesAreDecodedAsEachByItself) {
  constexpr int kMany = 256, kWide = 600, kRows = 64;
  std::vector<uint8_t> counts(kRows * kWide);
  std::vector<int64_t> starts(kRows);
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = static_cast<uint8_t>(CounterRandom(6, 2).Below(i, 3));
  }
  std::iota(starts.begin(), starts.end(), 0);
  ModelSpec spec;
  spec.selection = Selection::kRelu;
  spec.levels = {{kMany, 5}};
  spec.loss = Loss::kPoisson;
  spec.output = Output::kSoftplus;
  const TrainingData data{{counts.data(), DType::kU8, kRows, kWide}, {}, starts, 1};
  const auto p = InitialParameters<float>(spec, kWide, kWide, 1);
  Step<float> step(spec, data);
  step.PackAll(p);
  step.Forward(starts, p, {}, {});
  const Pass<float>& pass = step.main_pass();
  ASSERT_TRUE(SharesRows(p, pass, 0, RowBlock(kRows)));
  const auto& k = Kernels<float>();
  for (int64_t b = 0; b < kRows; ++b) {
    const int64_t at = pass.begin[b], n = pass.end[b] - at;
    std::vector<float> a(kWide), slope(n);
    k.weighted_rows(p.decoder_bias.data(), p.decoder.data(), kWide, pass.latent.data() + at,
                    pass.value.data() + at, static_cast<int>(n), kWide, a.data());
    k.loss_slope(spec.loss, spec.output, step.target(b), 1.0f / (kRows * kWide), kWide, a.data(),
                 nullptr);
    k.dots(a.data(), p.decoder.data(), kWide, pass.latent.data() + at, static_cast<int>(n), kWide,
           slope.data());
    for (int i = 0; i < kWide; ++i) ASSERT_EQ(pass.output_slope[b * kWide + i], a[i]) << b;
    for (int64_t e = 0; e < n; ++e) ASSERT_EQ(pass.slope[at + e], slope[e]) << b;
  }
}

}  // namespace
}  // namespace saed::sae

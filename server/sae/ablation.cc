#include "server/sae/ablation.h"

#include <algorithm>

#include "server/sae/losses.h"
#include "server/sae/parallel.h"
#include "server/sae/windows.h"

namespace saed::sae {
namespace {

constexpr int64_t kBlock = 64, kGroup = 64;  // windows a block, blocks at a time

struct Part {
  std::vector<double> sum, square;               // of the target, per output
  std::vector<std::pair<int32_t, double>> more;  // latent, how much the SSE grows
};

// One window's reconstruction before the output function, and after it; then without each latent.
void AddWindow(const Model& model, const Codes<float>& codes, int64_t b, const float* y,
               std::vector<float>& whole, Part& part) {
  const auto& p = model.parameters;
  const int d = p.outputs;
  std::copy_n(p.decoder_bias.data(), d, whole.data());
  for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
    const float* row = p.decoder_row(codes.latent[e]);
    for (int i = 0; i < d; ++i) whole[i] += codes.value[e] * row[i];
  }
  double error = 0;
  for (int i = 0; i < d; ++i) {
    const auto left = static_cast<double>(y[i] - Activate(model.spec.output, whole[i]));
    error += left * left;
    part.sum[i] += static_cast<double>(y[i]);
    part.square[i] += static_cast<double>(y[i]) * static_cast<double>(y[i]);
  }
  for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
    const float* row = p.decoder_row(codes.latent[e]);
    double without = 0;
    for (int i = 0; i < d; ++i) {
      const float a = whole[i] - codes.value[e] * row[i];
      const auto left = static_cast<double>(y[i] - Activate(model.spec.output, a));
      without += left * left;
    }
    part.more.emplace_back(codes.latent[e], without - error);
  }
}

}  // namespace

absl::StatusOr<std::vector<double>> AblationImportance(const Encoder& encoder,
                                                       const CountView& counts,
                                                       const CountView& target, Starts starts,
                                                       const std::function<bool()>& keep_going) {
  const Model& model = encoder.model();
  const int d = model.outputs();
  const auto all = static_cast<int64_t>(starts.size());
  const int64_t windows = std::min(all, kAblationWindows);
  std::vector<int64_t> used;
  for (int64_t w = 0; w < windows; ++w) used.push_back(starts[w * all / windows]);
  std::vector<double> out(model.spec.features(), 0), sum(d, 0), square(d, 0);
  for (int64_t g = 0; g < windows; g += kGroup * kBlock) {
    if (!keep_going()) return absl::CancelledError("stopped while ablating latents");
    const int64_t group = std::min(kGroup * kBlock, windows - g);
    std::vector<Part> parts(BlockCount(group, kBlock));
    ForBlocks(group, kBlock, [&](int64_t block, int64_t begin, int64_t end) {
      Part& part = parts[block];
      part.sum.assign(d, 0);
      part.square.assign(d, 0);
      Codes<float> codes;
      encoder.Encode(counts, Starts(used).subspan(g + begin, end - begin), DefaultRule(model.spec),
                     codes);
      std::vector<float> y(d), whole(d);
      for (int64_t b = 0; b < end - begin; ++b) {
        ReadWindow(target, model.output_normaliser(), used[g + begin + b], model.S, y.data());
        AddWindow(model, codes, b, y.data(), whole, part);
      }
    });
    for (const Part& part : parts) {
      for (int i = 0; i < d; ++i) sum[i] += part.sum[i], square[i] += part.square[i];
      for (const auto& [latent, more] : part.more) out[latent] += more;
    }
  }
  double total = 0;
  for (int i = 0; i < d; ++i) {
    const double rest =
        square[i] - sum[i] * sum[i] / static_cast<double>(std::max<int64_t>(windows, 1));
    if (rest > 1e-9 * square[i]) total += rest;
  }
  for (double& v : out) v = total > 0 ? v / total : 0;
  return out;
}

}  // namespace saed::sae

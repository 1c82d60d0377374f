#include "server/sae/model.h"

#include <algorithm>
#include <memory>

#include "server/base/sha256.h"
#include "server/sae/architectures/architecture.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/losses.h"
#include "server/sae/parallel.h"

namespace saed::sae {
namespace {

constexpr int64_t kBlock = 16;

// Windows that are encoded together: the more there are the more often weights are used while they
// are in cache, but their z should stay there too. A multiple of what the kernels take at once.
int64_t EncodeBlock(int64_t rows, int64_t features) {
  constexpr int64_t kUnit = 48, kMost = 96, kHeld = int64_t{1} << 20;
  const int64_t block = std::min(rows / 8, kHeld / features);
  return std::clamp<int64_t>(block / kUnit * kUnit, kBlock, kMost);
}

}  // namespace

CodeRule DefaultRule(const ModelSpec& spec) {
  return spec.selection == Selection::kTopK ? CodeRule::kTopK : CodeRule::kThreshold;
}

std::string TensorDigest(const Model& model) {
  Sha256 digest;
  const auto& p = model.parameters;
  for (const auto* tensor :
       {&p.encoder, &p.encoder_bias, &p.decoder, &p.decoder_bias, &model.thresholds}) {
    digest.Update(tensor->data(), tensor->size() * sizeof(float));
  }
  for (const auto& extra : p.extra) digest.Update(extra.data(), extra.size() * sizeof(float));
  return digest.Hex();
}

Encoder::Encoder(const Model& model)
    : model_(model),
      product_(model.parameters, model.spec.subtract_bias, model.normaliser, model.S),
      exponentials_(Exponentials(model.parameters)) {}

void Encoder::Encode(const CountView& counts, Starts starts, CodeRule rule,
                     Codes<float>& out) const {
  const int64_t features = model_.spec.features(), rows = static_cast<int64_t>(starts.size());
  const CodeInput input{model_.spec, model_.parameters, exponentials_.data(),
                        model_.thresholds.back(), rule == CodeRule::kTopK};
  struct Part {
    std::vector<int32_t> latent;
    std::vector<float> value;
  };
  const int64_t size = EncodeBlock(rows, features);
  std::vector<Part> parts(BlockCount(rows, size));
  out.row_begin.assign(rows + 1, 0);
  ForBlocks(rows, size, [&](int64_t block, int64_t begin, int64_t end) {
    Part& part = parts[block];
    // Not set to 0 first: that would take a good part of the time.
    const auto z = std::make_unique_for_overwrite<float[]>((end - begin) * features);
    const auto scratch = std::make_unique_for_overwrite<float[]>(2 * (features + kLanes));
    const auto value = std::make_unique_for_overwrite<float[]>(features + kLanes);
    const auto latent = std::make_unique_for_overwrite<int32_t[]>(features + kLanes);
    product_.Multiply(counts, starts.subspan(begin, end - begin), z.get());
    for (int64_t b = begin; b < end; ++b) {
      const int n = CodeOfRow(input, z.get() + (b - begin) * features, scratch.get(), latent.get(),
                              value.get());
      part.latent.insert(part.latent.end(), latent.get(), latent.get() + n);
      part.value.insert(part.value.end(), value.get(), value.get() + n);
      out.row_begin[b + 1] = n;
    }
  });
  for (int64_t b = 0; b < rows; ++b) out.row_begin[b + 1] += out.row_begin[b];
  out.latent.resize(out.row_begin.back());
  out.value.resize(out.row_begin.back());
  ForBlocks(rows, size, [&](int64_t block, int64_t begin, int64_t) {
    const int64_t at = out.row_begin[begin];
    std::copy(parts[block].latent.begin(), parts[block].latent.end(), out.latent.begin() + at);
    std::copy(parts[block].value.begin(), parts[block].value.end(), out.value.begin() + at);
  });
}

void Encoder::Decode(const Codes<float>& codes, float* out) const {
  const auto& p = model_.parameters;
  ForBlocks(codes.rows(), kBlock, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      float* row = out + b * p.outputs;
      const int64_t at = codes.row_begin[b];
      Kernels<float>().weighted_rows(p.decoder_bias.data(), p.decoder.data(), p.outputs,
                                     codes.latent.data() + at, codes.value.data() + at,
                                     static_cast<int>(codes.row_begin[b + 1] - at), p.outputs, row);
      for (int i = 0; i < p.outputs; ++i) row[i] = Activate(model_.spec.output, row[i]);
    }
  });
}

}  // namespace saed::sae

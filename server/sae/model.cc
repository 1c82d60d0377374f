#include "server/sae/model.h"

#include <algorithm>

#include "server/base/sha256.h"
#include "server/sae/architectures/architecture.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/losses.h"
#include "server/sae/parallel.h"

namespace saed::sae {
namespace {

constexpr int64_t kBlock = 16;

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
      product_(model.parameters, model.spec.subtract_bias, model.normaliser, model.S) {}

void Encoder::Encode(const CountView& counts, Starts starts, CodeRule rule,
                     Codes<float>& out) const {
  const int64_t features = model_.spec.features(), rows = static_cast<int64_t>(starts.size());
  const CodeInput input{model_.spec, model_.parameters, model_.thresholds.back(),
                        rule == CodeRule::kTopK};
  struct Part {
    std::vector<int32_t> latent;
    std::vector<float> value;
  };
  std::vector<Part> parts(BlockCount(rows, kBlock));
  std::vector<int64_t> count(rows);
  ForBlocks(rows, kBlock, [&](int64_t block, int64_t begin, int64_t end) {
    Part& part = parts[block];
    std::vector<float> z((end - begin) * features), scratch(2 * (features + kLanes));
    product_.Multiply(counts, starts.subspan(begin, end - begin), z.data());
    size_t used = 0;
    for (int64_t b = begin; b < end; ++b) {
      part.latent.resize(used + features + kLanes);
      part.value.resize(used + features + kLanes);
      count[b] = CodeOfRow(input, z.data() + (b - begin) * features, scratch.data(),
                           part.latent.data() + used, part.value.data() + used);
      used += count[b];
    }
    part.latent.resize(used);
    part.value.resize(used);
  });
  out.row_begin.assign(rows + 1, 0);
  for (int64_t b = 0; b < rows; ++b) out.row_begin[b + 1] = out.row_begin[b] + count[b];
  out.latent.clear();
  out.value.clear();
  for (const Part& part : parts) {
    out.latent.insert(out.latent.end(), part.latent.begin(), part.latent.end());
    out.value.insert(out.value.end(), part.value.begin(), part.value.end());
  }
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

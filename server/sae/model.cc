#include "server/sae/model.h"

#include <algorithm>

#include "server/base/sha256.h"
#include "server/sae/kernels/vector_ops.h"
#include "server/sae/losses.h"
#include "server/sae/parallel.h"

namespace saed::sae {

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
  return digest.Hex();
}

Encoder::Encoder(const Model& model)
    : model_(model), packed_(model.spec.features(), model.inputs()) {
  packed_.Pack(model.parameters.encoder.data(), model.parameters.encoder_bias.data());
}

void Encoder::Encode(const float* x, int64_t rows, CodeRule rule, Codes<float>& out) const {
  const int64_t features = model_.spec.features(), inputs = model_.inputs();
  std::vector<float> z(rows * features);
  ForBlocks(rows, kEncodeRows, [&](int64_t, int64_t begin, int64_t end) {
    packed_.Encode(x + begin * inputs, static_cast<int>(end - begin), z.data() + begin * features);
  });
  const int width = static_cast<int>(features);
  if (rule == CodeRule::kTopK) {
    SelectTopK(z.data(), rows, features, width, model_.spec.k(), out);
  } else {
    SelectThreshold(z.data(), rows, features, width, model_.thresholds.back(), out);
  }
}

void Encoder::Decode(const Codes<float>& codes, float* out) const {
  const auto& p = model_.parameters;
  ForBlocks(codes.rows(), 16, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      float* row = out + b * p.inputs;
      std::copy_n(p.decoder_bias.data(), p.inputs, row);
      for (int64_t e = codes.row_begin[b]; e < codes.row_begin[b + 1]; ++e) {
        AddScaled(codes.value[e], p.decoder_row(codes.latent[e]), p.inputs, row);
      }
      for (int i = 0; i < p.inputs; ++i) row[i] = Activate(model_.spec.output, row[i]);
    }
  });
}

}  // namespace saed::sae

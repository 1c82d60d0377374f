#include "server/sae/parameters.h"

#include <cmath>

#include "server/sae/architectures/architecture.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"

namespace saed::sae {

template <class T>
void NormaliseRow(T* row, int64_t n) {
  const auto& k = Kernels<T>();
  const T norm = std::sqrt(k.dot(row, row, n));
  if (norm > T(1e-12)) k.scale(1 / norm, n, row);
}

template <class T>
Parameters<T> InitialParameters(const ModelSpec& spec, int inputs, int outputs, uint64_t seed) {
  Parameters<T> p;
  p.features = spec.features();
  p.inputs = inputs;
  p.outputs = outputs;
  p.encoder.resize(static_cast<size_t>(p.features) * inputs);
  p.decoder.resize(static_cast<size_t>(p.features) * outputs);
  p.encoder_bias.assign(p.features, T(0));
  p.decoder_bias.assign(outputs, T(0));
  for (const LatentParameter& extra : LatentParameters(spec)) {
    p.extra.emplace_back(p.features, static_cast<T>(extra.start));
  }
  const CounterRandom encoder_random(seed, kEncoderStream), decoder_random(seed, kDecoderStream);
  const double sd = std::sqrt(2.0 / inputs);
  const bool tied = spec.decoder_start == DecoderStart::kTied && inputs == outputs;
  ForBlocks(p.features, 16, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t i = begin * inputs; i < end * inputs; ++i) {
      p.encoder[i] = static_cast<T>(static_cast<float>(sd * encoder_random.Normal(i)));
    }
    for (int64_t i = begin * outputs; i < end * outputs; ++i) {
      p.decoder[i] =
          tied ? p.encoder[i] : static_cast<T>(static_cast<float>(decoder_random.Normal(i)));
    }
    for (int64_t j = begin; j < end; ++j) NormaliseRow(p.decoder_row(j), outputs);
  });
  return p;
}

template void NormaliseRow<float>(float*, int64_t);
template void NormaliseRow<double>(double*, int64_t);
template Parameters<float> InitialParameters<float>(const ModelSpec&, int, int, uint64_t);
template Parameters<double> InitialParameters<double>(const ModelSpec&, int, int, uint64_t);

}  // namespace saed::sae

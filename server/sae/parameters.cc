#include "server/sae/parameters.h"

#include <Eigen/Core>
#include <cmath>

#include "server/sae/kernels/vector_ops.h"
#include "server/sae/parallel.h"
#include "server/sae/random.h"

namespace saed::sae {

template <class T>
void NormaliseRow(T* row, int64_t n) {
  const T norm = std::sqrt(Dot(row, row, n));
  if (norm > T(1e-12)) Scale(1 / norm, n, row);
}

template <class T>
Parameters<T> InitialParameters(int features, int inputs, DecoderStart start, uint64_t seed) {
  Parameters<T> p;
  p.features = features;
  p.inputs = inputs;
  const size_t size = static_cast<size_t>(features) * inputs;
  p.encoder.resize(size);
  p.decoder.resize(size);
  p.encoder_bias.assign(features, T(0));
  p.decoder_bias.assign(inputs, T(0));
  const CounterRandom encoder_random(seed, kEncoderStream), decoder_random(seed, kDecoderStream);
  const double sd = std::sqrt(2.0 / inputs);
  ForBlocks(features, 16, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t i = begin * inputs; i < end * inputs; ++i) {
      p.encoder[i] = static_cast<T>(static_cast<float>(sd * encoder_random.Normal(i)));
      p.decoder[i] = start == DecoderStart::kTied
                         ? p.encoder[i]
                         : static_cast<T>(static_cast<float>(decoder_random.Normal(i)));
    }
    for (int64_t j = begin; j < end; ++j) NormaliseRow(p.decoder_row(j), inputs);
  });
  return p;
}

template void NormaliseRow<float>(float*, int64_t);
template void NormaliseRow<double>(double*, int64_t);
template Parameters<float> InitialParameters<float>(int, int, DecoderStart, uint64_t);
template Parameters<double> InitialParameters<double>(int, int, DecoderStart, uint64_t);

}  // namespace saed::sae

// NumPy's default_rng: SeedSequence, PCG64 and the ziggurat normal, so that published simulations
// can be made again bit for bit (spikes; normals agree to about 7e-15, because the ziggurat's
// tables are computed here and not copied).
#pragma once

#include <cstdint>

namespace saed::recordings {

class NumpyRandom {
 public:
  explicit NumpyRandom(uint64_t seed);

  uint64_t Next();                                                            // 64 random bits
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }  // [0, 1)
  double Normal();

 private:
  __extension__ typedef unsigned __int128 Wide;
  Wide state_ = 0, increment_ = 0;
};

}  // namespace saed::recordings

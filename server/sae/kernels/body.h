// The kernels over sixteen lanes, compiled once per instruction set: avx2.cc and avx512.cc include
// their lanes, then this. Everything has internal linkage, so that no function of one set can be
// linked into another; for the same reason nothing of the standard library is used here.
#pragma once

#include "server/sae/kernels/body_encode.h"
#include "server/sae/kernels/body_select.h"
#include "server/sae/kernels/body_vectors.h"

namespace saed::sae {
namespace {

constexpr KernelTable<float> Table(const char* name) {
  return {name,
          Dot,
          AddScaled,
          Scale,
          Weighted<float>,
          Weighted<uint8_t>,
          Dots,
          LossSlope,
          Scores,
          ScoreWithout,
          Adam,
          Momentum,
          TopK,
          AtLeast,
          EncodeCounts,
          EncodeFloats,
          PackCounts};
}

}  // namespace
}  // namespace saed::sae

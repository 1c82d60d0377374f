// Reconstruction losses and output functions by name; small enough for the kernels to include.
#pragma once

namespace saed::sae {

// Reconstruction loss, averaged over windows, bins and units.
enum class Loss {
  kMse,      // (ŷ − y)²
  kMsle,     // (log(1+ŷ) − log(1+y))², y ≥ 0
  kPoisson,  // ŷ − y·log(ŷ + 1e-8), y ≥ 0: the likelihood of counts
};

// Output function g of the decoder.
enum class Output { kIdentity, kRelu, kSoftplus };

}  // namespace saed::sae

// The files of a SAELens directory, for what writes and what reads them.
#pragma once

#include <cstdint>
#include <vector>

namespace saed::inference {

inline constexpr const char* kConfig = "cfg.json";
inline constexpr const char* kWeights = "sae_weights.safetensors";
// In the config's metadata.
inline constexpr const char* kOutput = "saed_output";
inline constexpr const char* kLoss = "saed_loss";

// Of [rows, columns] the [columns, rows]: SAELens has encoders as [inputs, latents].
std::vector<float> Transposed(const std::vector<float>& in, int64_t rows, int64_t columns);

}  // namespace saed::inference

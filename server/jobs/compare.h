// Features of one dictionary beside those of another.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/matching.h"
#include "server/inference/engine.h"
#include "server/jobs/stores.h"

namespace saed::jobs {

enum class Likeness { kDecoder, kActivation, kTuning };

// Optimal assignment of more would take minutes and gigabytes.
inline constexpr int kMostMatched = 4096;
inline constexpr int64_t kComparedWindows = 20000;
inline constexpr int kSharedConditions = 5;

// Likeness of the latents `rows` of dictionary `a` with `columns` of `b`. INVALID_ARGUMENT where
// the two cannot be compared in this way, with what can. Works in the caller's TBB arena.
absl::StatusOr<features::LikenessMatrix> Compare(const Stores& stores, inference::Engine& engine,
                                                 const storage::DictionaryRow& a,
                                                 const std::vector<int>& rows,
                                                 const storage::DictionaryRow& b,
                                                 const std::vector<int>& columns,
                                                 Likeness likeness);

}  // namespace saed::jobs

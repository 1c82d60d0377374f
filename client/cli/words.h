// Words that flags take: one list with Python and the pages, in which batch_topk, batch_top_k and
// BATCH-TOP-K, as the protocol has it, are the same word.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace saed::cli {

// For transform(): one of these words, however its parts are joined; the flag's value becomes the
// word as it stands here.
CLI::Validator OneOf(const std::vector<std::string>& words);

}  // namespace saed::cli

// JSON from outside.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace saed {

// The value; discarded where the text is no JSON or nests deeper than any of our formats. nlohmann
// reads any depth, and then copies and writes it by recursion, until the stack ends.
nlohmann::json ParseUntrustedJson(std::string_view text);

}  // namespace saed

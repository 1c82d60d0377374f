// What a Python file assigns, without running it.
#pragma once

#include <optional>
#include <string_view>

namespace saed::recordings {

// The source of the value that the last assignment to `name` at the beginning of a line gives it,
// trimmed, without a comment; within no text (docstrings too), comment or bracket. "30000" of
// "sample_rate = 30000  # Hz". Nothing where there is none.
std::optional<std::string_view> PythonAssignment(std::string_view python, std::string_view name);

}  // namespace saed::recordings

// What a mistyped word may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace saed {

// Letters that must be added, taken away, replaced or swapped with the next to make one word of the
// other (optimal string alignment distance).
int Edits(std::string_view a, std::string_view b);

// The candidate with the fewest edits, the first of equals; empty where more than a third of the
// word's letters, but at least one, would change.
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace saed

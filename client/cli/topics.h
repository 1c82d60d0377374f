// The pages that `saectl help` prints. The build makes their text from client/topics.
#pragma once

#include <span>
#include <string_view>

namespace saed::cli {

struct Topic {
  std::string_view name;      // "conditions"
  std::string_view markdown;  // the page; its first line is "# Title"
};

std::span<const Topic> Topics();

}  // namespace saed::cli

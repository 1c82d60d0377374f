#include "client/cli/words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>

namespace saed::cli {
namespace {

std::string Plain(std::string word) {
  std::erase_if(word, [](char c) { return c == '_' || c == '-'; });
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

}  // namespace

CLI::Validator OneOf(const std::vector<std::string>& words) {
  const std::string all = fmt::format("{{{}}}", fmt::join(words, ","));
  return {[words, all](std::string& given) -> std::string {
            for (const std::string& word : words) {
              if (Plain(word) != Plain(given)) continue;
              given = word;
              return "";
            }
            return fmt::format("{} not in {}", given, all);
          },
          all};
}

}  // namespace saed::cli

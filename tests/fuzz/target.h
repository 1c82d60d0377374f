// What every fuzz target defines: libFuzzer calls it in the preset `fuzz`, replay.cc in all others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace saed::fuzz {

inline std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// One input as several: parts are separated by a line of "----".
inline std::vector<std::string> Parts(std::string_view text) {
  constexpr std::string_view kLine = "\n----\n";
  std::vector<std::string> out;
  for (size_t at; (at = text.find(kLine)) != std::string_view::npos;) {
    out.emplace_back(text.substr(0, at));
    text.remove_prefix(at + kLine.size());
  }
  out.emplace_back(text);
  return out;
}

// A finding.
inline void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace saed::fuzz

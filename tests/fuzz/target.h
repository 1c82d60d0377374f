// What every fuzz target defines: libFuzzer calls it in the preset `fuzz`, replay.cc in all others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

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

// A finding where it does not hold.
inline void Require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%d does not hold\n", file, line);
  std::abort();
}
inline void RequireOk(const absl::Status& status, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  Require(status.ok(), file, line);
}

}  // namespace saed::fuzz

#include "tests/fuzz/import_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "server/base/text.h"
#include "server/recordings/readers/registry.h"
#include "tests/tools/temp_dir.h"

namespace saed::fuzz {
namespace {

using recordings::ImportFile;
using recordings::ImportSpec;
using recordings::Role;

constexpr std::string_view kMark = "---- ";
constexpr size_t kMostName = 300;

// Takes the text up to `end`, which goes too, off the front; all of it where there is none.
std::string_view Take(std::string_view end, std::string_view& text) {
  const size_t at = std::min(text.find(end), text.size());
  const std::string_view out = text.substr(0, at);
  text.remove_prefix(std::min(at + end.size(), text.size()));
  return out;
}

// As the server lets through.
double ToRate(const std::string& text) {
  const double value = std::strtod(text.c_str(), nullptr);
  return std::isfinite(value) && value > 0 ? value : 0;
}

void SetOption(std::string_view line, const recordings::Reader& reader, ImportSpec& spec) {
  const std::string name(Take("=", line));
  const std::string value = ValidUtf8(line);
  if (name == "strict") spec.strict = true;
  if (name == "sampling_rate") spec.options.sampling_rate = ToRate(value);
  if (name == "bin_width") spec.options.bin_width = ToRate(value);
  for (const recordings::OptionInfo& option : reader.options) {
    if (option.name == name) spec.options.values[name] = value;
  }
}

ImportFile Named(std::string_view name) {
  constexpr std::pair<std::string_view, Role> kRoles[] = {
      {"intervals:", Role::kIntervals}, {"series:", Role::kSeries}, {"units:", Role::kUnits}};
  ImportFile out;
  for (const auto& [word, role] : kRoles) {
    if (!name.starts_with(word)) continue;
    name.remove_prefix(word.size());
    out.role = role;
  }
  out.name = ValidUtf8(name.substr(0, kMostName));
  return out;
}

}  // namespace

ImportInput WriteImport(std::string_view format, std::string_view input) {
  static const test_tools::TempDir folder;
  const std::string between = fmt::format("\n{}", kMark);
  ImportInput out;
  out.spec.format = format;
  const recordings::Reader& reader = **recordings::FindReader(format);
  while (!input.empty() && !input.starts_with(kMark))
    SetOption(Take("\n", input), reader, out.spec);
  input.remove_prefix(std::min(kMark.size(), input.size()));
  while (!input.empty() && out.files.size() < kMostFiles) {
    std::string_view file = Take(between, input);
    out.files.push_back(Named(Take("\n", file)));
    // Names are the user's and lead nowhere on this machine.
    out.files.back().path = folder.Write(std::to_string(out.files.size()), std::string(file));
  }
  return out;
}

}  // namespace saed::fuzz

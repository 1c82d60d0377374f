#include "server/recordings/beside.h"

#include <fmt/format.h>

#include "server/base/text.h"

namespace saed::recordings {

bool IsBeside(std::string_view name) {
  return std::any_of(kBesideFiles.begin(), kBesideFiles.end(),
                     [&](std::string_view pattern) { return MatchesPattern(name, pattern); });
}

ImportFile AsTable(const ImportFile& beside) {
  ImportFile out = beside;
  const std::string_view base = std::string_view(beside.name).substr(beside.name.rfind('/') + 1);
  const std::string_view stem = base.substr(0, base.rfind('.'));
  if (beside.name.starts_with("series/")) {
    out.role = Role::kSeries;
  } else if (beside.name.starts_with("intervals/") || stem == "trials") {
    out.role = Role::kIntervals;
  } else {
    out.role = Role::kUnits;
    return out;
  }
  out.name = stem;
  return out;
}

std::vector<std::string> PatternsOf(const Reader& reader) {
  std::vector<std::string> out = reader.files;
  if (!reader.own_tables) out.insert(out.end(), kBesideFiles.begin(), kBesideFiles.end());
  return out;
}

void SayUnread(const FileSet& files, const std::function<bool(const std::string&)>& known,
               Notes& notes) {
  std::string first;
  size_t count = 0;
  for (const std::string& name : files.Unopened()) {
    const bool table = name.ends_with(".csv") || name.ends_with(".tsv");
    if (!table || name.find('/') != std::string::npos || known(name)) continue;
    if (count++ == 0) first = name;
  }
  if (count == 0) return;
  const size_t others = count - 1;
  notes.Said(ValidUtf8(first),
             fmt::format("{} beside the data and {} not read; tables are found as units.csv, "
                         "trials.csv, intervals/NAME.csv and series/NAME.csv, and can be given "
                         "with their names",
                         others == 0 ? "lies"
                                     : fmt::format("and {} other table{} lie", others,
                                                   others == 1 ? "" : "s"),
                         others == 0 ? "is" : "are"));
}

}  // namespace saed::recordings

// Tables that lie in a recording's folder, beside its data, under names that say what they are.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "server/recordings/import.h"
#include "server/recordings/readers/file_set.h"

namespace saed::recordings {

// Patterns of such files: columns of units, interval tables, series.
inline constexpr std::array<std::string_view, 8> kBesideFiles = {
    "units.csv",       "units.tsv",       "trials.csv",   "trials.tsv",
    "intervals/*.csv", "intervals/*.tsv", "series/*.csv", "series/*.tsv"};

bool IsBeside(std::string_view name);
// Its role and its table's name: "intervals/laps.csv" is the interval table `laps`.
ImportFile AsTable(const ImportFile& beside);

// Takes the files that are such tables out of `files`; none where nothing else would be left.
template <class File>
std::vector<File> TakeBeside(std::vector<File>& files) {
  const auto first = std::stable_partition(files.begin(), files.end(),
                                           [](const File& file) { return !IsBeside(file.name); });
  if (first == files.begin()) return {};
  std::vector<File> out(std::make_move_iterator(first), std::make_move_iterator(files.end()));
  files.erase(first, files.end());
  return out;
}

// All patterns of the files that an import by this reader takes.
std::vector<std::string> PatternsOf(const Reader& reader);

// Says which tables in the folder nobody opened, and how they would be taken; those that are
// `known` by their name apart.
void SayUnread(const FileSet& files, const std::function<bool(const std::string&)>& known,
               Notes& notes);

}  // namespace saed::recordings

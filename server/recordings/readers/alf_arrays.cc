#include "server/recordings/readers/alf_arrays.h"

#include <fmt/format.h>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/npy_items.h"
#include "server/recordings/readers/text_table.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxValues = int64_t{1} << 28;

// Column c of rows of `width` values.
template <class Values>
Values ColumnOf(const Values& all, size_t width, size_t c) {
  Values out;
  out.reserve(all.size() / width);
  for (size_t at = c; at < all.size(); at += width) out.push_back(all[at]);
  return out;
}

absl::StatusOr<std::vector<AlfColumn>> ReadArray(const FileSet& files, const AlfName& name,
                                                 Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const NpyFile file, NpyFile::Open(files, name.file));
  const int64_t width = file.items().width();
  if (file.items().shape.empty() || width < 1 || width > kMaxAlfWidth) {
    return InvalidField(name.file, fmt::format("has {} dimensions and {} values in a row; must be "
                                               "[n] or [n, m] with m at most {}",
                                               file.items().shape.size(), width, kMaxAlfWidth));
  }
  SAED_ASSIGN_OR_RETURN(auto values, file.ReadAll(kMaxValues, notes));
  std::vector<AlfColumn> out;
  if (width == 1) {
    out.push_back({name.attribute, std::move(values)});
    return out;
  }
  for (size_t c = 0; c < static_cast<size_t>(width); ++c) {
    AlfColumn column{fmt::format("{}_{}", name.attribute, c), {}};
    std::visit(
        [&](const auto& all) { column.values = ColumnOf(all, static_cast<size_t>(width), c); },
        values);
    out.push_back(std::move(column));
  }
  return out;
}

absl::StatusOr<std::vector<AlfColumn>> ReadText(const FileSet& files, const AlfName& name,
                                                Notes& notes) {
  SAED_ASSIGN_OR_RETURN(const std::string bytes, files.Read(name.file, kMaxTextBytes));
  SAED_ASSIGN_OR_RETURN(TextTable text, ReadTextTable(name.file, bytes, notes));
  LeaveOutRowCount(name.file, text, notes);
  SayDoubts(name.file, text, notes);
  std::vector<AlfColumn> out;
  for (Column& column : text.table.columns) {
    if (auto* numbers = std::get_if<Numbers>(&column.values)) {
      out.push_back({column.name, std::move(*numbers)});
    } else {
      out.push_back({column.name, std::get<Texts>(std::move(column.values))});
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<AlfColumn>> ReadAlfColumns(const FileSet& files, const AlfName& name,
                                                      Notes& notes) {
  if (name.extension == "npy") return ReadArray(files, name, notes);
  if (name.extension == "csv" || name.extension == "tsv") return ReadText(files, name, notes);
  if (name.extension == "pqt") {
    return InvalidField(name.file,
                        "is a Parquet table, which is not read; export it with "
                        "pandas.read_parquet('X.pqt').to_csv('X.csv', index=False) and put the "
                        ".csv beside it");
  }
  return InvalidField(name.file, "is not read; must be a .npy, .csv or .tsv");
}

}  // namespace saed::recordings

#include "server/recordings/readers/matrix_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/array_file.h"
#include "server/recordings/readers/npz.h"
#include "server/recordings/readers/text_matrix.h"
#include "server/recordings/readers/text_table.h"

namespace saed::recordings {
namespace {

bool IsMatrixName(std::string_view name) {
  return name.ends_with(".npy") || name.ends_with(".npz") || IsTextName(name);
}

std::string_view Stem(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);
  return name.substr(0, name.rfind('.'));
}

// Files that may hold the matrix: those called `name`, or else all.
std::vector<std::string> Candidates(const FileSet& files, std::string_view name) {
  std::vector<std::string> all, called;
  for (const std::string& file : files.names()) {
    if (!IsMatrixName(file)) continue;
    all.push_back(file);
    if (Stem(file) == name) called.push_back(file);
  }
  return called.empty() ? all : called;
}

absl::StatusOr<std::string> FindFile(const FileSet& files, const std::string& array,
                                     const MatrixWords& words) {
  if (files.Has(array) && IsMatrixName(array)) return array;
  const auto candidates = Candidates(files, words.name);
  if (candidates.size() == 1) return candidates[0];
  if (candidates.empty()) {
    return InvalidField("files", fmt::format("hold no .npy, .npz, .csv or .tsv with a matrix "
                                             "[{}, {}]",
                                             words.rows, words.columns));
  }
  return InvalidField("options.array", fmt::format("must say which file is the matrix: {}",
                                                   fmt::join(candidates, ", ")));
}

// Arrays of an .npz with their shapes, in words; and the one that is a matrix if only one is.
std::string Arrays(const Npz& npz, std::string& only) {
  std::string words;
  int matrices = 0;
  for (const std::string& name : npz.names()) {
    const auto shape = npz.ShapeOf(name);
    if (shape.ok() && shape->size() == 2 && ++matrices == 1) only = name;
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", ValidUtf8(name),
                         shape.ok() ? ShapeText(*shape) : "(not of numbers)");
  }
  if (matrices != 1) only.clear();
  return words;
}

absl::StatusOr<ArrayFile> OpenNpz(const FileSet& files, const std::string& file,
                                  const std::string& array, const MatrixWords& words,
                                  std::string& taken) {
  SAED_ASSIGN_OR_RETURN(const Npz npz, Npz::Open(files, file));
  const auto take = [&](const std::string& name) {
    taken = name;
    return npz.Read(name);
  };
  if (!array.empty() && array != file) return take(array);
  if (npz.Has(words.name)) return take(words.name);
  std::string only;
  const std::string arrays = Arrays(npz, only);
  if (!only.empty()) return take(only);
  if (npz.names().size() == 1) return take(npz.names()[0]);  // which is refused with its shape
  return InvalidField("options.array", fmt::format("must say which array of {} is the matrix [{}, "
                                                   "{}]: {}",
                                                   file, words.rows, words.columns,
                                                   arrays.empty() ? "it has none" : arrays));
}

absl::StatusOr<bool> Transposed(const ImportOptions& options) {
  const std::string value = options.Get("transpose");
  if (value.empty() || value == "0" || value == "false") return false;
  if (value == "1" || value == "true") return true;
  return InvalidField("options.transpose", fmt::format("is '{}'; must be 0 or 1", value));
}

MatrixSource Turned(const MatrixSource& source) {
  auto values = std::make_shared<Numbers>(static_cast<size_t>(source.bins * source.units));
  source.read(0, *values);
  MatrixSource out = source;
  std::swap(out.bins, out.units);
  out.read = [values, bins = out.bins, units = out.units](int64_t first, std::span<double> to) {
    for (size_t i = 0; i < to.size(); ++i) {
      const int64_t bin = first + static_cast<int64_t>(i) / units;
      const int64_t unit = static_cast<int64_t>(i) % units;
      to[i] = (*values)[static_cast<size_t>(unit * bins + bin)];
    }
  };
  return out;
}

absl::StatusOr<MatrixFile> OpenText(const FileSet& files, const std::string& file, bool transpose,
                                    Notes& notes) {
  SAED_ASSIGN_OR_RETURN(TextMatrix text, ReadTextMatrix(files, file, notes));
  MatrixFile out;
  out.file = file;
  if (!transpose) {
    out.source = std::move(text.source);
    out.names = std::move(text.names);
    out.starts = std::move(text.starts);
    out.starts_title = std::move(text.starts_title);
    out.rows = std::move(text.rows);
    return out;
  }
  // What stands before the rows of a turned matrix are the units' ids.
  out.source = Turned(text.source);
  for (const double v : text.starts) out.names.push_back(NumberText(v));
  for (const int64_t v : text.rows) out.names.push_back(std::to_string(v));
  if (out.source.units > kMaxUnits) {
    return InvalidField(file, fmt::format("has {} rows, units as transpose=1 says; at most {} are "
                                          "allowed",
                                          out.source.units, kMaxUnits));
  }
  return out;
}

}  // namespace

absl::StatusOr<MatrixFile> OpenMatrix(const FileSet& files, const ImportOptions& options,
                                      const MatrixWords& words, Notes& notes) {
  const std::string given = options.Get("array");
  SAED_ASSIGN_OR_RETURN(const bool transpose, Transposed(options));
  SAED_ASSIGN_OR_RETURN(const std::string file, FindFile(files, given, words));
  if (!given.empty() && given != file && !file.ends_with(".npz")) {
    return InvalidField("options.array", fmt::format("is '{}'; must be one of {}", ValidUtf8(given),
                                                     fmt::join(Candidates(files, ""), ", ")));
  }
  if (IsTextName(file)) return OpenText(files, file, transpose, notes);
  MatrixFile out;
  out.file = file;
  const bool npz = file.ends_with(".npz");
  SAED_ASSIGN_OR_RETURN(ArrayFile array, npz ? OpenNpz(files, file, given, words, out.array)
                                             : ArrayFile::Open(files, file));
  if (transpose) array.Transpose();
  SAED_RETURN_IF_ERROR(CheckMatrix(array, words.rows, words.columns));
  out.source = SourceOf(array);
  const NpyArray& header = array.header();
  const auto bytes = static_cast<size_t>(array.size());
  if (!npz && header.kind == 'u' && header.item_size == 1 && !header.fortran_order &&
      bytes > kCountsInMemory) {
    SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(file));
    SAED_ASSIGN_OR_RETURN(out.mapped, CountFile::Open(path, array.mapped_at()));
  }
  return out;
}

absl::StatusOr<Numbers> ReadVector(const FileSet& files, const MatrixFile& matrix,
                                   const std::string& name, Notes& notes) {
  if (files.Has(name) && IsTextName(name)) {
    SAED_ASSIGN_OR_RETURN(const TextMatrix text, ReadTextMatrix(files, name, notes));
    if (!text.starts.empty()) return text.starts;
    Numbers first, row(static_cast<size_t>(text.source.units));
    for (int64_t i = 0; i < text.source.bins; ++i) {
      text.source.read(i, row);
      first.push_back(row[0]);
    }
    return first;
  }
  const auto open = [&]() -> absl::StatusOr<ArrayFile> {
    if (files.Has(name) || !matrix.file.ends_with(".npz")) return ArrayFile::Open(files, name);
    SAED_ASSIGN_OR_RETURN(const Npz npz, Npz::Open(files, matrix.file));
    return npz.Read(name);
  };
  SAED_ASSIGN_OR_RETURN(const ArrayFile array, open());
  SAED_RETURN_IF_ERROR(CheckVector(array, matrix.source.bins + 1));
  return AllDoubles(array);
}

absl::StatusOr<std::optional<Texts>> ReadUnitNames(const FileSet& files, const MatrixFile& matrix,
                                                   const std::string& name, Notes& notes) {
  constexpr const char* kDefault = "unit_ids";
  const std::string file = name.empty() ? fmt::format("{}.npy", kDefault) : name;
  if (files.Has(file) && IsTextName(file)) {
    SAED_ASSIGN_OR_RETURN(const std::string bytes, files.Read(file, kMaxTextMatrix));
    TextRules rules;
    rules.headless = true;
    rules.words = [](size_t, std::string_view) { return true; };
    SAED_ASSIGN_OR_RETURN(TextTable text, ReadTextTable(file, bytes, notes, rules));
    LeaveOutRowCount(file, text, notes);
    return std::get<Texts>(std::move(text.table.columns[0].values));
  }
  if (files.Has(file)) {
    SAED_ASSIGN_OR_RETURN(std::string bytes, files.Read(file, kMaxTextMatrix));
    if (auto texts = ParseNpyTexts(file, bytes); texts.ok()) return *std::move(texts);
    SAED_ASSIGN_OR_RETURN(const ArrayFile array, ArrayFile::Make(file, std::move(bytes)));
    SAED_RETURN_IF_ERROR(CheckVector(array, kMaxUnits));
    SAED_ASSIGN_OR_RETURN(const auto ids, AllIntegers(array));
    Texts out;
    for (const int64_t id : ids) out.push_back(std::to_string(id));
    return out;
  }
  if (matrix.file.ends_with(".npz")) {
    SAED_ASSIGN_OR_RETURN(const Npz npz, Npz::Open(files, matrix.file));
    const std::string array = name.empty() ? kDefault : name;
    if (npz.Has(array) || !name.empty()) return npz.ReadTexts(array);
  }
  if (!name.empty()) return files.PathOf(name).status();
  if (matrix.names.empty()) return std::nullopt;
  return matrix.names;
}

Match RecogniseMatrix(const FileSet& files, std::string_view name) {
  const auto candidates = Candidates(files, name);
  if (candidates.size() != 1) return Match::kNo;
  // Half of a pair that the format `spikes` would read.
  const std::string_view stem = Stem(candidates[0]);
  if (stem == "spike_times" || stem == "spike_clusters") return Match::kNo;
  const bool alone = files.names().size() == 1 || Stem(candidates[0]) == name;
  return alone ? Match::kMaybe : Match::kNo;
}

}  // namespace saed::recordings

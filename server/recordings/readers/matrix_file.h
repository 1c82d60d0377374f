// The file in which a matrix lies, found among others.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/recordings/readers/matrix.h"
#include "server/recordings/readers/reader.h"

namespace saed::recordings {

// What a matrix is of, in the words of its format.
struct MatrixWords {
  std::string name;  // of the file or the .npz array that is taken among several
  std::string rows, columns;
  // The matrix is all that its reader takes, so what lies beside it is said to be left out.
  bool alone = true;
};

struct MatrixFile {
  std::string file;        // the file's name; source.name may name an array in it
  std::string array = {};  // the array of an .npz
  MatrixSource source;
  Texts names;                // of the columns, where a text file has them
  Numbers starts;             // of the rows, s, where a text file has them
  std::string starts_title;   // of their column
  std::vector<int64_t> rows;  // numbers of the rows, likewise
  // The data of a large .npy that is [bins, units] of bytes already.
  std::shared_ptr<const CountFile> mapped = nullptr;
};

// By the options `array` and `transpose`; INVALID_ARGUMENT with the choices where there is no one
// matrix.
absl::StatusOr<MatrixFile> OpenMatrix(const FileSet& files, const ImportOptions& options,
                                      const MatrixWords& words, Notes& notes);

// Numbers [n] beside the matrix: a file of the set (of text: its only column, or the first), or an
// array of the matrix' .npz.
absl::StatusOr<Numbers> ReadVector(const FileSet& files, const MatrixFile& matrix,
                                   const std::string& name, Notes& notes);
// Likewise the ids of units, as texts: `name`, or where it is empty unit_ids, or the columns'
// names; nothing where there is none.
absl::StatusOr<std::optional<Texts>> ReadUnitNames(const FileSet& files, const MatrixFile& matrix,
                                                   const std::string& name, Notes& notes);

// kMaybe for one file that may hold a matrix, or several of which one is called `name`.
Match RecogniseMatrix(const FileSet& files, std::string_view name);

}  // namespace saed::recordings

// Tables in text files: columns of numbers and of words under a header line.
//
// What is taken is said in formats/tables.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// A cell that kept a column from being one of numbers.
struct Doubt {
  uint32_t line = 0;
  std::string cell;
};

// What a reader asks of a table beyond the usual.
struct TextRules {
  // The table may have no header; its columns are then called 0, 1, …
  bool headless = false;
  // Rows with more or fewer cells than the header refuse the table: each has its place in time.
  bool exact = false;
  // Columns that are words whatever is in them, by place and title; empty: none.
  std::function<bool(size_t place, std::string_view title)> words = {};
};

struct TextTable {
  Table table;                  // columns are Numbers (NaN: missing) or Texts (empty: missing)
  std::vector<uint32_t> lines;  // of each row in the file, from 1
  bool decimal_comma = false;
  bool headed = true;
  // The first column, called `index`, only counts the rows, as pandas writes it.
  bool counts_rows = false;
  // By name, columns of text of which more than half are numbers.
  std::map<std::string, Doubt> doubts;
};

// Reads a table with its header; `name` names the file in errors and notes. Separators (comma, tab,
// semicolon), encoding, line ends and decimal commas are found out. INVALID_ARGUMENT where there is
// no header, or it takes too much memory.
absl::StatusOr<TextTable> ReadTextTable(std::string_view name, std::string_view bytes, Notes& notes,
                                        const TextRules& rules = {});

// Leaves out a first column that only counts the rows, with a note.
void LeaveOutRowCount(std::string_view name, TextTable& table, Notes& notes);
// Says of each doubt that is still about a text column why it is none of numbers.
void SayDoubts(std::string_view name, const TextTable& table, Notes& notes);

// The column's numbers; of a column in doubt with missing values for the cells that are none, which
// are noted. Nothing where it is one of words.
std::optional<Numbers> NumbersOf(std::string_view name, const TextTable& table,
                                 const Column& column, Notes& notes);

// The most memory that the columns of one table may take.
inline constexpr int64_t kMaxTableBytes = int64_t{2} << 30;

}  // namespace saed::recordings

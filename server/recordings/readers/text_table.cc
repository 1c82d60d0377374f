#include "server/recordings/readers/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/text_cells.h"
#include "server/recordings/readers/text_encoding.h"
#include "server/recordings/readers/text_layout.h"

namespace saed::recordings {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using Cells = std::vector<std::string_view>;

// What the cells of a column are.
struct Kind {
  int64_t points = 0, commas = 0;            // numbers with a decimal point, with a decimal comma
  int64_t only_points = 0, only_commas = 0;  // of these, those that are none the other way
  int64_t thousands = 0, missing = 0, words = 0, bytes = 0;
  bool counts = true;  // 0, 1, 2, … or 1, 2, 3, …
  bool text = false;   // words whatever they are
  double first = 0;
  // The first cells that are no number, and the first that is missing but could be a word.
  Doubt no_point, no_comma, word;
};

void Look(std::string_view cell, uint32_t line, int64_t row, bool commas, Kind& kind) {
  if (IsMissing(cell) || IsTooLarge(cell)) {
    ++kind.missing;
    kind.counts = false;
    if (IsMissingWord(cell) && kind.words++ == 0) kind.word = {line, ShownCell(cell)};
    return;
  }
  kind.bytes += static_cast<int64_t>(cell.size());
  const auto point = ParseNumber(cell);
  if (row == 0) kind.first = point.value_or(-1);
  kind.counts = kind.counts && (kind.first == 0 || kind.first == 1) &&
                point == kind.first + static_cast<double>(row);
  kind.points += point.has_value();
  if (!point && kind.no_point.line == 0) kind.no_point = {line, ShownCell(cell)};
  if (!commas) return;
  const auto comma = ParseNumber(cell, true);
  kind.commas += comma.has_value();
  kind.only_points += point && !comma;
  kind.only_commas += comma && !point;
  kind.thousands += comma && LikeThousands(cell);
  if (!comma && kind.no_comma.line == 0) kind.no_comma = {line, ShownCell(cell)};
}

// The rows' cells, as many as there are columns. Rows that are too long are passed over.
class Rows {
 public:
  Rows(const TextLayout& layout, std::string_view text)
      : scanner_(layout.Rows(text)), columns_(layout.names.size()) {}

  bool Next() {
    while (scanner_.Next()) {
      cells_ = scanner_.cells();
      while (cells_.size() > columns_ && cells_.back().empty()) cells_.pop_back();
      const size_t had = cells_.size();
      const auto where = [&] {
        return fmt::format("line {}: {} cells where the header has {}", line(), had, columns_);
      };
      if (had != columns_ && fault_.empty()) fault_ = where();
      if (had > columns_) {
        dropped_.Add(where);
        continue;
      }
      if (had < columns_) padded_.Add(where);
      cells_.resize(columns_);
      return true;
    }
    return false;
  }
  const Cells& cells() const { return cells_; }
  uint32_t line() const { return scanner_.line(); }

  // Where a row had not its cells: the first one.
  absl::Status Exact(std::string_view name) const {
    return fault_.empty() ? absl::OkStatus()
                          : InvalidField(name, "has in " + fault_ + "; must be as many");
  }

  // Once, at the end.
  void Say(std::string_view name, Notes& notes) const {
    padded_.Mend(notes, name, "rows", "filled up with missing cells");
    dropped_.Mend(notes, name, "rows", "dropped");
    if (scanner_.comments() > 0) {
      notes.Said(name, fmt::format("lines among the rows that begin with # or % are taken as "
                                   "comments: {}, the first is line {}",
                                   scanner_.comments(), scanner_.first_comment()));
    }
    if (scanner_.open_quote() > 0) {
      notes.Mended(name, fmt::format("a quote in line {} is never closed and is taken as a "
                                     "character, as all behind it",
                                     scanner_.open_quote()));
    }
  }

 private:
  TextScanner scanner_;
  size_t columns_;
  Cells cells_;
  Tally padded_, dropped_;
  std::string fault_;
};

int64_t Filled(const Kind& kind, int64_t rows) { return rows - kind.missing; }

// Whether the numbers of the file have decimal commas: columns of such numbers, and none of numbers
// with points. Behind tabs a comma that could be a thousands separator says nothing.
bool HasDecimalCommas(const std::vector<Kind>& kinds, char separator, int64_t rows) {
  if (separator == ',') return false;
  bool commas = false;
  for (const Kind& kind : kinds) {
    if (kind.only_points > 0 && 2 * kind.points > Filled(kind, rows)) return false;
    const bool plain = separator == ';' || kind.thousands < kind.only_commas;
    commas = commas || (kind.only_commas > 0 && plain && 2 * kind.commas > Filled(kind, rows));
  }
  return commas;
}

// Names for columns that have none or one that is taken already.
std::vector<std::string> NameColumns(std::string_view name, const TextLayout& layout,
                                     const std::vector<Kind>& kinds, int64_t rows,
                                     std::vector<uint8_t>& kept, Notes& notes) {
  std::vector<std::string> out(layout.names.size());
  std::set<std::string> taken(layout.names.begin(), layout.names.end());
  std::set<std::string> used;
  for (size_t c = 0; c < out.size(); ++c) {
    const std::string& title = layout.names[c];
    const bool nameless = title.empty() || title.starts_with("Unnamed: ");
    if (nameless && c > 0 && kinds[c].missing == rows) {
      kept[c] = 0;  // what a separator at the end of each line makes
      continue;
    }
    std::string wanted = !nameless ? title : c == 0 ? "index" : fmt::format("column_{}", c + 1);
    const std::string base = wanted;
    for (int k = 2; used.contains(wanted) || (wanted != title && taken.contains(wanted)); ++k) {
      wanted = fmt::format("{}_{}", base, k);
    }
    if (nameless && c == 0) {
      // The index of a pandas table, which says so where it is left out or used.
    } else if (wanted != title) {
      notes.Mended(name, fmt::format("column {} is called '{}'; it is renamed to '{}'", c + 1,
                                     title, wanted));
    }
    used.insert(wanted);
    out[c] = std::move(wanted);
  }
  return out;
}

absl::Status CheckMemory(std::string_view name, const std::vector<Kind>& kinds, int64_t rows) {
  if (rows > kMaxIntervalRows) {
    return InvalidField(name, fmt::format("has more than {} rows", kMaxIntervalRows));
  }
  int64_t bytes = 0;
  for (const Kind& kind : kinds) {
    const bool numbers = !kind.text && std::max(kind.points, kind.commas) == Filled(kind, rows);
    bytes += rows * static_cast<int64_t>(numbers ? sizeof(double) : sizeof(std::string));
    bytes += numbers ? 0 : kind.bytes;
  }
  if (bytes <= kMaxTableBytes) return absl::OkStatus();
  return InvalidField(name,
                      fmt::format("has {} rows of {} columns, which take {} bytes; at most {} "
                                  "are allowed, so leave out columns or rows",
                                  rows, kinds.size(), bytes, kMaxTableBytes));
}

void AddColumn(std::string_view name, const std::string& title, const Kind& kind, int64_t rows,
               TextTable& out, Notes& notes) {
  const int64_t numbers = out.decimal_comma ? kind.commas : kind.points;
  Column& column = out.table.columns.emplace_back(Column{title, Numbers{}});
  if (!kind.text && numbers == Filled(kind, rows)) {
    std::get<Numbers>(column.values).reserve(rows);
    return;
  }
  column.values = Texts();
  std::get<Texts>(column.values).reserve(rows);
  if (kind.text) return;
  if (2 * numbers > Filled(kind, rows)) {
    out.doubts[title] = out.decimal_comma ? kind.no_comma : kind.no_point;
  }
  if (kind.words > 0) {
    notes.Said(name, fmt::format("{} cells of the column '{}' are taken as missing, the first is "
                                 "'{}' in line {}",
                                 kind.words, title, kind.word.cell, kind.word.line));
  }
}

}  // namespace

absl::StatusOr<TextTable> ReadTextTable(std::string_view name, std::string_view bytes, Notes& notes,
                                        const TextRules& rules) {
  const std::string text = DecodeText(name, bytes, notes);
  SAED_ASSIGN_OR_RETURN(const TextLayout layout, FindTextLayout(name, text, rules.headless));
  std::vector<Kind> kinds(layout.names.size());
  int64_t count = 0;
  Rows first(layout, text);
  while (first.Next() && count <= kMaxIntervalRows) {
    for (size_t c = 0; c < kinds.size(); ++c) {
      Look(first.cells()[c], first.line(), count, layout.separator != ',', kinds[c]);
    }
    ++count;
  }
  if (rules.exact) SAED_RETURN_IF_ERROR(first.Exact(name));
  for (size_t c = 0; c < kinds.size(); ++c) {
    kinds[c].text = rules.words && rules.words(c, layout.names[c]);
  }
  SAED_RETURN_IF_ERROR(CheckMemory(name, kinds, count));
  first.Say(name, notes);

  TextTable out;
  out.table.name = name;
  out.headed = layout.headed;
  out.decimal_comma = HasDecimalCommas(kinds, layout.separator, count);
  std::vector<uint8_t> kept(kinds.size(), 1);
  const auto titles = NameColumns(name, layout, kinds, count, kept, notes);
  for (size_t c = 0; c < kinds.size(); ++c) {
    if (kept[c]) AddColumn(name, titles[c], kinds[c], count, out, notes);
  }
  const bool nameless = layout.names[0].empty() || layout.names[0].starts_with("Unnamed: ");
  out.counts_rows = nameless && count > 0 && kinds[0].counts;
  out.lines.reserve(count);
  Rows second(layout, text);
  Tally rounded, too_large;
  while (second.Next()) {
    out.lines.push_back(second.line());
    size_t at = 0;
    for (size_t c = 0; c < kinds.size(); ++c) {
      if (!kept[c]) continue;
      const std::string_view cell = second.cells()[c];
      auto& values = out.table.columns[at++].values;
      if (auto* numbers = std::get_if<Numbers>(&values)) {
        numbers->push_back(ParseNumber(cell, out.decimal_comma).value_or(kNan));
        const auto where = [&] { return fmt::format("'{}' in line {}", cell, second.line()); };
        if (IsRounded(cell)) rounded.Add(where);
        if (IsTooLarge(cell)) too_large.Add(where);
      } else {
        std::get<Texts>(values).emplace_back(IsMissing(cell) ? std::string_view() : cell);
      }
    }
  }
  too_large.Mend(notes, name, "numbers", "too large for 64 bits and taken as missing");
  rounded.Mend(notes, name, "whole numbers", "above 2^53 rounded, as numbers have 53 bits here");
  return out;
}

void LeaveOutRowCount(std::string_view name, TextTable& table, Notes& notes) {
  if (!table.counts_rows || table.table.columns.size() < 2) return;
  table.table.columns.erase(table.table.columns.begin());
  table.counts_rows = false;
  notes.Mended(name, "the first column has no name and only counts the rows; it is left out");
}

void SayDoubts(std::string_view name, const TextTable& table, Notes& notes) {
  for (const auto& [title, doubt] : table.doubts) {
    const Column* column = table.table.Find(title);
    if (column == nullptr || !std::holds_alternative<Texts>(column->values)) continue;
    notes.Said(name, fmt::format("the column '{}' is one of words, as not all of its cells are "
                                 "numbers, the first is '{}' in line {}",
                                 title, doubt.cell, doubt.line));
  }
}

std::optional<Numbers> NumbersOf(std::string_view name, const TextTable& table,
                                 const Column& column, Notes& notes) {
  if (const auto* numbers = std::get_if<Numbers>(&column.values)) return *numbers;
  if (!table.doubts.contains(column.name)) return std::nullopt;
  Numbers out;
  Tally tally;
  const auto& texts = std::get<Texts>(column.values);
  out.reserve(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto value = ParseNumber(texts[i], table.decimal_comma);
    out.push_back(value.value_or(kNan));
    if (value || texts[i].empty()) continue;
    tally.Add([&] { return fmt::format("'{}' in line {}", ShownCell(texts[i]), table.lines[i]); });
  }
  tally.Mend(
      notes, name,
      fmt::format("{} of the column '{}'", tally.count() == 1 ? "cell" : "cells", column.name),
      "taken as missing, being no numbers");
  return out;
}

}  // namespace saed::recordings

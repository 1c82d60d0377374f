#include "server/recordings/readers/unit_values.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "server/base/text.h"

namespace saed::recordings {
namespace {

bool Missing(std::string_view text) {
  for (const std::string_view word :
       {"", "nan", "NaN", "NAN", "NA", "N/A", "None", "null", "<NA>"}) {
    if (text == word) return true;
  }
  return false;
}

std::optional<double> NumberOf(std::string_view text) {
  text = Trim(text);
  if (Missing(text)) return std::numeric_limits<double>::quiet_NaN();
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Set>
std::string SetFrom(Recording& recording, const std::vector<std::string_view>& names,
                    const Set& set) {
  for (const std::string_view name : names) {
    const Column* column = recording.unit_columns.Find(name);
    if (column == nullptr || column->rows() != recording.units.size()) continue;
    if (!set(*column)) continue;
    return std::string(name);
  }
  return "";
}

std::string SetTexts(Recording& recording, const std::vector<std::string_view>& names,
                     std::string Unit::*part) {
  return SetFrom(recording, names, [&](const Column& column) {
    if (std::holds_alternative<TextLists>(column.values)) return false;
    const Texts texts = std::holds_alternative<Numbers>(column.values)
                            ? TextsOf(std::get<Numbers>(column.values))
                            : TextsOf(std::get<Texts>(column.values));
    for (size_t n = 0; n < texts.size(); ++n) {
      if (!Missing(texts[n])) recording.units[n].*part = texts[n];
    }
    return true;
  });
}

}  // namespace

std::variant<Numbers, Texts> NumbersIfAll(Texts texts) {
  Numbers numbers;
  numbers.reserve(texts.size());
  for (const std::string& text : texts) {
    const auto value = NumberOf(text);
    if (!value) return texts;
    numbers.push_back(*value);
  }
  return numbers;
}

void AddUnitColumn(Recording& recording, std::string_view name,
                   std::variant<Numbers, Texts> values) {
  Column column;
  column.name = name;
  for (int n = 2; recording.unit_columns.Find(column.name) != nullptr; ++n) {
    column.name = fmt::format("{}_{}", name, n);
  }
  std::visit([&](auto& v) { column.values = std::move(v); }, values);
  recording.unit_columns.columns.push_back(std::move(column));
}

void AddColumnsById(Recording& recording, std::string_view part, const Table& table, size_t key,
                    const std::map<std::string, size_t>& units, Notes& notes) {
  const auto& ids = std::get<Texts>(table.columns[key].values);
  Tally unknown, twice;
  std::vector<size_t> row_of(recording.units.size(), ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto where = [&] {
      return fmt::format("row {}: {} '{}'", i, table.columns[key].name, ids[i]);
    };
    const auto it = units.find(ids[i]);
    if (it == units.end()) {
      unknown.Add(where);
    } else if (row_of[it->second] != ids.size()) {
      twice.Add(where);
    } else {
      row_of[it->second] = i;
    }
  }
  unknown.Mend(notes, part, "rows", "left out because no unit has their id");
  twice.Mend(notes, part, "rows", "left out because an earlier row has their id");
  for (size_t c = 0; c < table.columns.size(); ++c) {
    if (c == key) continue;
    const auto& cells = std::get<Texts>(table.columns[c].values);
    Texts values(row_of.size());
    for (size_t n = 0; n < row_of.size(); ++n) {
      if (row_of[n] < cells.size()) values[n] = cells[row_of[n]];
    }
    AddUnitColumn(recording, table.columns[c].name, NumbersIfAll(std::move(values)));
  }
}

Texts TextsOf(const std::variant<Numbers, Texts>& values) {
  if (const auto* texts = std::get_if<Texts>(&values)) return *texts;
  Texts out;
  for (const double v : std::get<Numbers>(values)) {
    out.push_back(std::isnan(v) ? std::string() : NumberText(v));
  }
  return out;
}

std::string SetLabels(Recording& recording, const std::vector<std::string_view>& names) {
  return SetTexts(recording, names, &Unit::label);
}

std::string SetRegions(Recording& recording, const std::vector<std::string_view>& names) {
  return SetTexts(recording, names, &Unit::region);
}

std::string SetDepths(Recording& recording, const std::vector<std::string_view>& names) {
  return SetFrom(recording, names, [&](const Column& column) {
    const auto* numbers = std::get_if<Numbers>(&column.values);
    if (numbers == nullptr) return false;
    for (size_t n = 0; n < numbers->size(); ++n) recording.units[n].depth = (*numbers)[n];
    return true;
  });
}

}  // namespace saed::recordings

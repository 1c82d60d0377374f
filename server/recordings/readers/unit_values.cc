#include "server/recordings/readers/unit_values.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "server/base/text.h"
#include "server/recordings/readers/text_cells.h"

namespace saed::recordings {
namespace {

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
      if (!IsMissing(texts[n])) recording.units[n].*part = texts[n];
    }
    return true;
  });
}

}  // namespace

std::variant<Numbers, Texts> NumbersIfAll(Texts texts) {
  Numbers numbers;
  numbers.reserve(texts.size());
  for (const std::string& text : texts) {
    const auto value = ParseNumber(text);
    if (!value && !IsMissing(text)) return texts;
    numbers.push_back(value.value_or(std::numeric_limits<double>::quiet_NaN()));
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
      return fmt::format("row {}: {} '{}'", i + 1, table.columns[key].name, ids[i]);
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
    if (const auto* numbers = std::get_if<Numbers>(&table.columns[c].values)) {
      Numbers values(row_of.size(), std::numeric_limits<double>::quiet_NaN());
      for (size_t n = 0; n < row_of.size(); ++n) {
        if (row_of[n] < numbers->size()) values[n] = (*numbers)[row_of[n]];
      }
      AddUnitColumn(recording, table.columns[c].name, std::move(values));
    } else if (const auto* cells = std::get_if<Texts>(&table.columns[c].values)) {
      Texts values(row_of.size());
      for (size_t n = 0; n < row_of.size(); ++n) {
        if (row_of[n] < cells->size()) values[n] = (*cells)[row_of[n]];
      }
      AddUnitColumn(recording, table.columns[c].name, std::move(values));
    }
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

// Values of units that came as arrays or text columns of whatever name, put where they belong.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Texts of which each is a number or missing (text_cells.h) become numbers, NaN where missing; a
// column of nothing but missing cells too. Others stay.
std::variant<Numbers, Texts> NumbersIfAll(Texts texts);

// Adds a column of unit_columns, one value a unit. A name that is there already gets the suffix
// `_2` and so on.
void AddUnitColumn(Recording& recording, std::string_view name,
                   std::variant<Numbers, Texts> values);

// Adds the columns of a text table to the units that its column `key` names; units without a row
// get missing cells, rows without a unit are noted on `part`.
void AddColumnsById(Recording& recording, std::string_view part, const Table& table, size_t key,
                    const std::map<std::string, size_t>& units, Notes& notes);

// The texts of a column; of numbers the shortest ones, empty for NaN.
Texts TextsOf(const std::variant<Numbers, Texts>& values);

// The label, region or depth of every unit from a column of unit_columns with the first of `names`
// that is there; the column stays. Values that are missing change nothing. Returns the name, or "".
std::string SetLabels(Recording& recording, const std::vector<std::string_view>& names);
std::string SetRegions(Recording& recording, const std::vector<std::string_view>& names);
std::string SetDepths(Recording& recording, const std::vector<std::string_view>& names);

}  // namespace saed::recordings

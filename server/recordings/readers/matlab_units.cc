#include "server/recordings/readers/matlab_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/matlab_trains.h"

namespace saed::recordings {

using Kind = MatValue::Kind;

absl::StatusOr<Texts> MatTexts(const std::string& name, const MatValue& value, Notes& notes) {
  Texts out;
  if (value.kind == Kind::kText) return value.rows;
  if (value.kind == Kind::kNumbers && value.vector()) {
    for (const int64_t v : value.exact) out.push_back(std::to_string(v));
    if (!out.empty()) return out;
    SayRounded(name, value, notes);
    for (double v : value.numbers) out.push_back(std::isnan(v) ? "" : NumberText(v));
    return out;
  }
  if (value.kind != Kind::kCell) {
    return InvalidField(name, "is " + value.Text() + "; must be a vector or a cell array of texts");
  }
  for (const MatValue& cell : value.cells) {
    SAED_ASSIGN_OR_RETURN(const Texts inner, MatTexts(name, cell, notes));
    if (inner.size() > 1) {
      return InvalidField(name, "holds a cell of " + cell.Text() + "; must be one text each");
    }
    out.push_back(inner.empty() ? "" : inner[0]);
  }
  return out;
}

void SetMatUnitIds(const std::string& name, const MatValue* given, Recording& out, Notes& notes) {
  if (given == nullptr) return;
  const auto texts = MatTexts(name, *given, notes);
  if (!texts.ok() || texts->size() != out.units.size()) {
    notes.Mended(name, fmt::format("left out: is {} for {} units; the units are numbered from 1",
                                   given->Text(), out.units.size()));
    return;
  }
  const auto whole = WholeNumbers(*given);
  const std::set<int64_t> distinct(whole.begin(), whole.end());
  if (given->kind == Kind::kNumbers && distinct.size() == out.units.size()) {
    for (size_t i = 0; i < out.units.size(); ++i) out.units[i].id = whole[i];
    return;
  }
  for (size_t i = 0; i < out.units.size(); ++i) out.units[i].id = static_cast<int64_t>(i);
  out.unit_columns.columns.push_back({"original_id", *texts});
  notes.Mended(name, fmt::format("is no distinct whole number for each unit; the {} units are "
                                 "numbered from 0, their own ids are in the column original_id",
                                 out.units.size()));
}

Texts MatUnitTexts(MatFile& file, const std::string& path, const Recording& out, Notes& notes) {
  const auto value = file.Read(path);
  const auto texts = value.ok() ? MatTexts(path, *value, notes) : value.status();
  if (!texts.ok()) {
    notes.Mended(path, "left out: " + std::string(texts.status().message()));
    return {};
  }
  if (texts->size() == out.units.size()) return *texts;
  notes.Mended(
      path, fmt::format("left out: has {} values for {} units", texts->size(), out.units.size()));
  return {};
}

}  // namespace saed::recordings

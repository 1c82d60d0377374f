#include "server/recordings/readers/unit_ids.h"

#include <fmt/format.h>

#include <charconv>
#include <set>
#include <utility>

#include "server/base/text.h"
#include "server/recordings/readers/unit_values.h"

namespace saed::recordings {

bool WholeId(std::string_view text, int64_t& id) {
  if (text.ends_with(".0")) text.remove_suffix(2);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end == text.data() + text.size();
}

void SetUnitIds(std::string_view part, const Texts& ids, Recording& recording, Notes& notes) {
  std::set<int64_t> taken;
  bool numbers = true;
  for (size_t n = 0; n < ids.size() && numbers; ++n) {
    int64_t id = 0;
    numbers = WholeId(ids[n], id) && taken.insert(id).second;
    recording.units[n].id = id;
  }
  if (numbers) return;
  for (size_t n = 0; n < ids.size(); ++n) recording.units[n].id = static_cast<int64_t>(n);
  recording.unit_columns.name = "units";
  AddUnitColumn(recording, "original_id", ids);
  notes.Mended(part, fmt::format("ids of units are not whole numbers that are all different, e.g. "
                                 "'{}': the {} units are numbered from 0, the ids are in the "
                                 "column original_id",
                                 ValidUtf8(ids[0]), ids.size()));
}

}  // namespace saed::recordings

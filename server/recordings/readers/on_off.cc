#include "server/recordings/readers/on_off.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "server/base/status_macros.h"
#include "server/recordings/readers/intervals.h"

namespace saed::recordings {

void OnOffPairs::Add(double time, int64_t state) {
  const int64_t at = seen_++;
  if (state == 0 || state > kMaxLines || state < -kMaxLines) {
    strange_.Add([&] { return fmt::format("change {} at {} s with state {}", at, time, state); });
    return;
  }
  Line& line = lines_[state < 0 ? -state : state];
  if (state < 0 && !line.on) {
    without_on_.Add([&] { return fmt::format("line {} at {} s", -state, time); });
    return;
  }
  if (state < 0) {
    line.stop.back() = time;
    line.on = false;
    return;
  }
  if (line.on) {
    without_off_.Add([&] { return fmt::format("line {} at {} s", state, line.start.back()); });
    line.start.pop_back();
    line.stop.pop_back();
  }
  line.start.push_back(time);
  line.stop.push_back(std::numeric_limits<double>::quiet_NaN());
  line.on = true;
}

void OnOffPairs::Break() {
  for (auto& [number, line] : lines_) line.on = false;
}

absl::StatusOr<std::vector<IntervalTable>> OnOffPairs::Take(std::string_view prefix,
                                                            std::string_view part, Notes& notes) {
  strange_.Mend(notes, part, "changes", fmt::format("of no line from 1 to {} dropped", kMaxLines));
  without_on_.Mend(notes, part, "changes", "to off dropped, as the line was not on");
  without_off_.Mend(notes, part, "changes",
                    "to on dropped, as the line did not go off before the "
                    "next one");
  std::vector<IntervalTable> out;
  for (auto& [number, line] : lines_) {
    Table table;
    table.columns = {{"start_time", std::move(line.start)}, {"stop_time", std::move(line.stop)}};
    SAED_ASSIGN_OR_RETURN(
        IntervalTable intervals,
        MakeIntervals(fmt::format("{}{}", prefix, number), std::move(table), notes));
    out.push_back(std::move(intervals));
  }
  *this = {};
  return out;
}

}  // namespace saed::recordings

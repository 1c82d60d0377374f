#include "server/features/offsets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "server/base/filter.h"
#include "server/recordings/table_filter.h"

namespace saed::features {
namespace {

using recordings::IntervalTable;

// The longest of the rows that the filter passes, s; 0 where there is none.
double LongestRow(const IntervalTable& table, const FilterNode* filter) {
  auto rows = filter == nullptr ? std::vector<uint8_t>(table.rows(), 1)
                                : recordings::MatchRows(table.table, *filter)
                                      .value_or(std::vector<uint8_t>(table.rows(), 0));
  double out = 0;
  for (size_t i = 0; i < table.rows(); ++i) {
    if (rows[i]) out = std::max(out, table.stop[i] - table.start[i]);
  }
  return out;
}

void Visit(const FilterNode& node, const recordings::Recording& r, std::vector<std::string>& out) {
  if (node.kind != FilterNode::Kind::kCall) {
    for (const FilterNode& child : node.children) Visit(child, r, out);
    return;
  }
  if (node.field != "around_start" && node.field != "around_stop") return;
  if (node.arguments.size() != 3) return;
  const IntervalTable* table = r.FindIntervals(node.arguments[0]);
  if (table == nullptr) return;
  const double from = std::atof(node.arguments[1].c_str());
  const double to = std::atof(node.arguments[2].c_str());
  const double reach = std::max(std::abs(from), std::abs(to));
  const double longest = LongestRow(*table, node.children.empty() ? nullptr : node.children.data());
  if (!(longest > 0) || reach <= longest) return;
  out.push_back(fmt::format(
      "{}({}, {}, {}) reaches {:.4g} s from rows of which the longest lasts "
      "{:.4g} s; are the offsets in seconds?",
      node.field, node.arguments[0], node.arguments[1], node.arguments[2], reach, longest));
}

}  // namespace

std::vector<std::string> LongOffsets(std::string_view expression,
                                     const recordings::Recording& recording) {
  std::vector<std::string> out;
  const auto node = ParseExpression(expression);
  if (node.ok()) Visit(*node, recording, out);
  return out;
}

}  // namespace saed::features

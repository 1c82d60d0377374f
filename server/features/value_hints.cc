#include "server/features/value_hints.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "server/base/filter.h"
#include "server/recordings/table_filter.h"

namespace saed::features {
namespace {

using recordings::IntervalTable;

constexpr size_t kShown = 10;

// Of one comparison with a column.
void Hint(const FilterNode& node, const IntervalTable& table, const std::string& column,
          std::vector<std::string>& out) {
  const recordings::Column* found = table.table.Find(column);
  if (found == nullptr || (node.op != "=" && node.op != ":")) return;
  FilterNode alone = node;
  alone.field = column;
  const auto rows = recordings::MatchRows(table.table, alone);
  if (!rows.ok() || std::find(rows->begin(), rows->end(), 1) != rows->end()) return;
  auto values = recordings::DistinctValues(*found, kShown + 1);
  const bool more = values.size() > kShown;
  if (more) values.resize(kShown);
  out.push_back(fmt::format("{}.{} has {}{}, not '{}'", table.table.name, column,
                            fmt::join(values, ", "), more ? " and others" : "", node.text));
}

// `table`: that of the call around; null outside of one.
void Walk(const FilterNode& node, const IntervalTable* table,
          const recordings::Recording& recording, std::vector<std::string>& out) {
  if (node.kind == FilterNode::Kind::kCompare) {
    if (table != nullptr) return Hint(node, *table, node.field, out);
    for (const IntervalTable& t : recording.intervals) {
      const std::string& name = t.table.name;
      if (node.field.starts_with(name) && node.field.size() > name.size() + 1 &&
          node.field[name.size()] == '.') {
        Hint(node, t, node.field.substr(name.size() + 1), out);
      }
    }
    return;
  }
  if (node.kind == FilterNode::Kind::kCall && !node.arguments.empty()) {
    table = recording.FindIntervals(node.arguments[0]);
  }
  for (const FilterNode& child : node.children) Walk(child, table, recording, out);
}

}  // namespace

std::vector<std::string> ValueHints(std::string_view expression,
                                    const recordings::Recording& recording) {
  std::vector<std::string> out;
  const auto node = ParseExpression(expression);
  if (node.ok()) Walk(*node, nullptr, recording, out);
  return out;
}

}  // namespace saed::features

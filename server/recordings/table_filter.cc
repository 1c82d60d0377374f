#include "server/recordings/table_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

// Of each row; in this order AND is the least, OR the most. A comparison with a missing number is
// unknown, and so is its opposite: neither chooses the row.
enum : uint8_t { kFails, kUnknown, kPasses };
using Rows = std::vector<uint8_t>;

uint8_t Decided(bool passes) { return passes ? kPasses : kFails; }

std::string ColumnNames(const Table& table) {
  std::string out;
  for (const Column& c : table.columns) out += (out.empty() ? "" : ", ") + c.name;
  return out;
}

template <class T>
bool Compare(const T& a, std::string_view op, const T& b) {
  if (op == "=" || op == ":") return a == b;
  if (op == "!=") return a != b;
  if (op == "<") return a < b;
  if (op == "<=") return a <= b;
  if (op == ">") return a > b;
  return a >= b;
}

absl::StatusOr<Rows> MatchComparison(const Table& table, const FilterNode& node) {
  const Column* column = node.is_function ? nullptr : table.Find(node.field);
  if (column == nullptr) {
    return InvalidField(
        "filter", fmt::format("names the unknown column '{}'; the table '{}' has {}", node.field,
                              table.name, ColumnNames(table)));
  }
  Rows rows(column->rows());
  if (const auto* numbers = std::get_if<Numbers>(&column->values)) {
    if (!node.is_number) {
      return InvalidField("filter",
                          fmt::format("compares the numeric column '{}' with '{}'; give a "
                                      "number",
                                      node.field, node.text));
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      const double v = (*numbers)[i];
      rows[i] = std::isnan(v) ? uint8_t{kUnknown} : Decided(Compare(v, node.op, node.number));
    }
  } else if (const auto* texts = std::get_if<Texts>(&column->values)) {
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = Decided(node.op == ":" ? (*texts)[i].find(node.text) != std::string::npos
                                       : Compare((*texts)[i], node.op, node.text));
    }
  } else {
    if (node.op != ":" && node.op != "=" && node.op != "!=") {
      return InvalidField(
          "filter",
          fmt::format("uses {} on the list column '{}'; use : = or !=", node.op, node.field));
    }
    const auto& lists = std::get<TextLists>(column->values);
    for (size_t i = 0; i < rows.size(); ++i) {
      const bool has = std::find(lists[i].begin(), lists[i].end(), node.text) != lists[i].end();
      rows[i] = Decided(has == (node.op != "!="));
    }
  }
  return rows;
}

absl::StatusOr<Rows> Match(const Table& table, const FilterNode& node) {
  if (node.kind == FilterNode::Kind::kCompare) return MatchComparison(table, node);
  if (node.kind == FilterNode::Kind::kCall) {
    return InvalidField("filter", fmt::format("calls '{}'; rows are chosen by comparisons of the "
                                              "columns {}",
                                              node.field, ColumnNames(table)));
  }
  SAED_ASSIGN_OR_RETURN(Rows rows, Match(table, node.children[0]));
  for (size_t c = 1; c < node.children.size(); ++c) {
    SAED_ASSIGN_OR_RETURN(const Rows next, Match(table, node.children[c]));
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = node.kind == FilterNode::Kind::kAnd ? std::min(rows[i], next[i])
                                                    : std::max(rows[i], next[i]);
    }
  }
  if (node.kind == FilterNode::Kind::kNot) {
    for (uint8_t& r : rows) r = kPasses - r;
  }
  return rows;
}

}  // namespace

absl::StatusOr<std::vector<uint8_t>> MatchRows(const Table& table, std::string_view filter) {
  if (Trim(filter).empty()) {
    return Rows(table.columns.empty() ? 0 : table.columns[0].rows(), 1);
  }
  SAED_ASSIGN_OR_RETURN(const FilterNode node, ParseFilter(filter));
  return MatchRows(table, node);
}

absl::StatusOr<std::vector<uint8_t>> MatchRows(const Table& table, const FilterNode& filter) {
  SAED_ASSIGN_OR_RETURN(Rows rows, Match(table, filter));
  for (uint8_t& r : rows) r = r == kPasses;
  return rows;
}

std::vector<uint8_t> AskedRows(const Table& table, const FilterNode& filter) {
  Rows rows(table.columns.empty() ? 0 : table.columns[0].rows(), 1);
  if (filter.kind != FilterNode::Kind::kCompare) {
    for (const FilterNode& child : filter.children) {
      const Rows of_child = AskedRows(table, child);
      for (size_t i = 0; i < rows.size(); ++i) rows[i] = rows[i] && of_child[i];
    }
    return rows;
  }
  const Column* column = table.Find(filter.field);
  if (column == nullptr) return rows;
  if (const auto* numbers = std::get_if<Numbers>(&column->values)) {
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = !std::isnan((*numbers)[i]);
  } else if (const auto* texts = std::get_if<Texts>(&column->values)) {
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = !(*texts)[i].empty() || filter.text.empty();
  }
  return rows;
}

Texts DistinctValues(const Column& column, size_t most) {
  Texts out;
  std::unordered_set<std::string> seen;
  const auto add = [&](const std::string& v) {
    if (!v.empty() && out.size() < most && seen.insert(v).second) out.push_back(v);
  };
  if (const auto* numbers = std::get_if<Numbers>(&column.values)) {
    for (double v : *numbers) {
      if (!std::isnan(v)) add(NumberText(v));
    }
  } else if (const auto* texts = std::get_if<Texts>(&column.values)) {
    for (const std::string& t : *texts) add(t);
  } else {
    for (const Texts& list : std::get<TextLists>(column.values)) {
      for (const std::string& t : list) add(t);
    }
  }
  return out;
}

}  // namespace saed::recordings

#include "storage/feature_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "server/base/faults.h"
#include "server/base/filter.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::storage {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kFields = {
    {{"latent", "f.latent"},
     {"density", "f.density"},
     {"mean_activation", "f.mean_activation"},
     {"max_activation", "f.max_activation"},
     {"active_windows", "f.active_windows"},
     {"top_unit", "f.top_unit"},
     {"best_auroc", "f.best_test_auroc"}}};
constexpr std::array<std::string_view, 5> kScores = {"auroc", "coverage", "specificity",
                                                     "selectivity", "precision"};

class Translator {
 public:
  Translator(const std::map<std::string, int>& conditions, FeatureSql& out)
      : conditions_(conditions), out_(out) {}

  // The SQL expression of a field or score; joins what it needs.
  absl::StatusOr<std::string> Expression(const FilterNode& node, std::string_view field) {
    if (!node.is_function) {
      for (const auto& [name, sql] : kFields) {
        if (node.field == name) return std::string(sql);
      }
      return InvalidField(field, fmt::format("names '{}'; known are latent, density, "
                                             "mean_activation, max_activation, active_windows, "
                                             "top_unit, best_auroc, best_condition, and auroc, "
                                             "coverage, specificity, selectivity, precision of a "
                                             "condition, e.g. auroc(\"{}\")",
                                             node.field, Example()));
    }
    const bool certainty = node.field == "p_value" || node.field == "q_value";
    if (!certainty && std::find(kScores.begin(), kScores.end(), node.field) == kScores.end()) {
      return InvalidField(field, fmt::format("calls '{}'; the scores are auroc, coverage, "
                                             "specificity, selectivity, precision, p_value and "
                                             "q_value",
                                             node.field));
    }
    if (certainty && node.arguments.size() > 1) {
      return InvalidField(field, fmt::format("calls {} with '{}'; it takes a condition alone, for "
                                             "held-out windows",
                                             node.field, node.arguments[1]));
    }
    const std::string side = node.arguments.size() > 1 ? node.arguments[1] : "test";
    if (node.arguments.size() > 2 || (side != "test" && side != "train")) {
      return InvalidField(field, fmt::format("calls {} with '{}'; the second argument is \"test\" "
                                             "or \"train\"",
                                             node.field, side));
    }
    SAED_ASSIGN_OR_RETURN(const int position, Position(node.arguments[0], field));
    if (certainty) return fmt::format("a{}.{}", Join(position), node.field);
    return fmt::format("a{}.{}_{}", Join(position), side, node.field);
  }

  absl::StatusOr<std::string> Condition(const FilterNode& node) {
    if (node.kind == FilterNode::Kind::kCompare) return Comparison(node);
    std::string sql;
    for (const FilterNode& child : node.children) {
      SAED_ASSIGN_OR_RETURN(const std::string part, Condition(child));
      if (node.kind == FilterNode::Kind::kNot) return "NOT " + part;
      if (!sql.empty()) sql += node.kind == FilterNode::Kind::kAnd ? " AND " : " OR ";
      sql += part;
    }
    return "(" + sql + ")";
  }

 private:
  std::string Example() const {
    return conditions_.empty() ? "table.column=value" : conditions_.begin()->first;
  }

  absl::StatusOr<int> Position(const std::string& name, std::string_view field) const {
    const auto it = conditions_.find(name);
    if (it != conditions_.end()) return it->second;
    return InvalidField(field, fmt::format("names the unknown condition '{}'; this dictionary has "
                                           "{}, e.g. '{}'",
                                           name, conditions_.size(), Example()));
  }

  // The number of the join for a condition; made at its first use.
  size_t Join(int position) {
    const auto it = std::find(joined_.begin(), joined_.end(), position);
    if (it != joined_.end()) return it - joined_.begin();
    const size_t n = joined_.size();
    joined_.push_back(position);
    out_.joins += fmt::format(
        " LEFT JOIN associations a{0} ON a{0}.dictionary_id = f.dictionary_id AND a{0}.condition = "
        "{1} AND a{0}.latent = f.latent",
        n, position);
    return n;
  }

  absl::StatusOr<std::string> Comparison(const FilterNode& node) {
    const std::string op = node.op == ":" ? "=" : node.op;
    if (!node.is_function && node.field == "best_condition") {
      if (op != "=" && op != "!=") {
        return InvalidField("filter", "compares best_condition with " + op + "; use = or !=");
      }
      SAED_ASSIGN_OR_RETURN(const int position, Position(node.text, "filter"));
      return fmt::format("(f.best_condition IS {} {})", op == "=" ? "" : "NOT", position);
    }
    SAED_ASSIGN_OR_RETURN(const std::string left, Expression(node, "filter"));
    if (!node.is_number) {
      return InvalidField(
          "filter", fmt::format("compares {} with '{}'; give a number", node.field, node.text));
    }
    out_.values.emplace_back(node.number);
    return fmt::format("coalesce({} {} ?, 0)", left, op);
  }

  const std::map<std::string, int>& conditions_;
  FeatureSql& out_;
  std::vector<int> joined_;
};

}  // namespace

absl::StatusOr<FeatureSql> FeatureQueryToSql(std::string_view filter, std::string_view order_by,
                                             const std::map<std::string, int>& conditions) {
  FeatureSql out;
  Translator translator(conditions, out);
  out.where = "1";
  if (!Trim(filter).empty()) {
    SAED_ASSIGN_OR_RETURN(const FilterNode node, ParseFilter(filter));
    SAED_ASSIGN_OR_RETURN(out.where, translator.Condition(node));
  }
  std::string order(Trim(order_by));
  if (order.empty()) order = "latent";
  if (order.ends_with(" desc")) {
    out.descending = true;
    order.resize(order.size() - 5);
  } else if (order.ends_with(" asc")) {
    order.resize(order.size() - 4);
  }
  // A comparison gives the expression its grammar.
  const auto node = ParseFilter(order + " > 0");
  if (!node.ok() || node->kind != FilterNode::Kind::kCompare || node->op != ">") {
    return InvalidField("order_by", fmt::format("is '{}'; give one field or score and asc or desc, "
                                                "e.g. density desc",
                                                order_by));
  }
  SAED_ASSIGN_OR_RETURN(const std::string expression, translator.Expression(*node, "order_by"));
  // Missing scores come last in either direction.
  out.order = fmt::format("coalesce({}, {})", expression, out.descending ? "-1e300" : "1e300");
  return out;
}

}  // namespace saed::storage

#include "storage/feature_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "server/base/faults.h"
#include "server/base/filter.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::storage {
namespace {

using Kind = NameLookup::Kind;

constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kFields = {
    {{"latent", "f.latent"},
     {"density", "f.density"},
     {"mean_activation", "f.mean_activation"},
     {"max_activation", "f.max_activation"},
     {"active_windows", "f.active_windows"},
     {"top_unit", "f.top_unit"},
     {"best_auroc", "f.best_test_auroc"},
     {"importance", "f.importance"}}};
// Compared with = and != to a resource name.
constexpr std::array<std::array<std::string_view, 3>, 3> kResources = {
    {{"dictionary", "f.dictionary_id", "dictionaries/"},
     {"model", "d.model_id", "models/"},
     {"recording", "d.recording_id", "recordings/"}}};

struct Score {
  std::string_view name;
  Kind kind;
  bool sides;  // "train" or "test" may follow
};
constexpr std::array<Score, 11> kScores = {{{"auroc", Kind::kCondition, true},
                                            {"coverage", Kind::kCondition, true},
                                            {"specificity", Kind::kCondition, true},
                                            {"selectivity", Kind::kCondition, true},
                                            {"precision", Kind::kCondition, true},
                                            {"p_value", Kind::kCondition, false},
                                            {"q_value", Kind::kCondition, false},
                                            {"spearman", Kind::kVariable, true},
                                            {"information", Kind::kVariable, true},
                                            {"spearman_p", Kind::kVariable, false},
                                            {"spearman_q", Kind::kVariable, false}}};
constexpr std::string_view kNames =
    "latent, density, mean_activation, max_activation, active_windows, top_unit, best_auroc, "
    "importance, best_condition, label, tag, dictionary, model, recording, and auroc, coverage, "
    "specificity, selectivity, precision, p_value, q_value of a condition and spearman, "
    "information, spearman_p, spearman_q of a variable";

class Translator {
 public:
  Translator(NameLookup& names, const std::string& annotated, FeatureSql& out)
      : names_(names), annotated_(annotated), out_(out) {}

  // The SQL of a field or score. `sure`: rows without it may go.
  absl::StatusOr<std::string> Expression(const FilterNode& node, std::string_view field,
                                         bool sure) {
    if (!node.is_function) {
      for (const auto& [name, sql] : kFields) {
        if (node.field == name) return std::string(sql);
      }
      return InvalidField(field, fmt::format("names '{}'; known are {}, e.g. auroc(\"{}\")",
                                             node.field, kNames, Example(Kind::kCondition)));
    }
    const auto* score = std::find_if(kScores.begin(), kScores.end(),
                                     [&](const Score& s) { return node.field == s.name; });
    if (score == kScores.end()) {
      return InvalidField(field, fmt::format("calls '{}'; known are {}", node.field, kNames));
    }
    if (!score->sides && node.arguments.size() > 1) {
      return InvalidField(field, fmt::format("calls {} with '{}'; it takes a {} alone, for "
                                             "held-out windows",
                                             node.field, node.arguments[1], Word(score->kind)));
    }
    const std::string side = node.arguments.size() > 1 ? node.arguments[1] : "test";
    if (node.arguments.size() > 2 || (side != "test" && side != "train")) {
      return InvalidField(field, fmt::format("calls {} with '{}'; the second argument is \"test\" "
                                             "or \"train\"",
                                             node.field, side));
    }
    SAED_ASSIGN_OR_RETURN(const std::string row, Join(score->kind, node.arguments[0], field, sure));
    if (node.field == "spearman_p") return fmt::format("{}.p_value", row);
    if (node.field == "spearman_q") return fmt::format("{}.q_value", row);
    if (!score->sides) return fmt::format("{}.{}", row, node.field);
    return fmt::format("{}.{}_{}", row, side, node.field);
  }

  absl::StatusOr<std::string> Condition(const FilterNode& node, bool sure) {
    if (node.kind == FilterNode::Kind::kCompare) return Comparison(node, sure);
    std::string sql;
    for (const FilterNode& child : node.children) {
      SAED_ASSIGN_OR_RETURN(const std::string part,
                            Condition(child, sure && node.kind == FilterNode::Kind::kAnd));
      if (node.kind == FilterNode::Kind::kNot) return fmt::format("NOT {}", part);
      if (!sql.empty()) sql += node.kind == FilterNode::Kind::kAnd ? " AND " : " OR ";
      sql += part;
    }
    return fmt::format("({})", sql);
  }

  // Names that a conjunct compares need no LEFT JOIN; they are known only after a first pass.
  void Sure(const FilterNode& node) {
    if (node.kind == FilterNode::Kind::kAnd) {
      for (const FilterNode& child : node.children) Sure(child);
    } else if (node.kind == FilterNode::Kind::kCompare && node.is_function) {
      sure_.insert({ScoreKind(node.field), node.arguments[0]});
    }
  }

  void Finish() {
    out_.joins = joins_;
    first_values_.insert(first_values_.end(), join_values_.begin(), join_values_.end());
    first_values_.insert(first_values_.end(), out_.values.begin(), out_.values.end());
    out_.values = std::move(first_values_);
  }

 private:
  static std::string_view Word(Kind kind) {
    return kind == Kind::kCondition ? "condition" : "variable";
  }
  static Kind ScoreKind(std::string_view name) {
    const auto* score = std::find_if(kScores.begin(), kScores.end(),
                                     [&](const Score& s) { return name == s.name; });
    return score == kScores.end() ? Kind::kCondition : score->kind;
  }
  std::string Example(Kind kind) {
    const std::string example = names_.Find(kind, "").example;
    return example.empty() ? "table.column=value" : example;
  }

  // The alias of the row of scores against a condition or variable; made at its first use.
  absl::StatusOr<std::string> Join(Kind kind, const std::string& name, std::string_view field,
                                   bool sure) {
    const auto key = std::pair(kind, name);
    const auto at = std::find(joined_.begin(), joined_.end(), key);
    const bool condition = kind == Kind::kCondition;
    const std::string alias = fmt::format("{}{}", condition ? 'a' : 't', at - joined_.begin());
    if (at != joined_.end()) return alias;
    const NameLookup::Found found = names_.Find(kind, name);
    if (!found.there) {
      const bool none = found.example.empty();
      return InvalidField(field, fmt::format("names the unknown {} '{}'; {}{}{}", Word(kind), name,
                                             none ? "there are none" : "there is, for instance, '",
                                             found.example, none ? "" : "'"));
    }
    const size_t most = found.position < 0 ? kMostNames / 2 : kMostNames;
    if (joined_.size() >= most) {
      return InvalidField(
          field,
          fmt::format("names more than {0} conditions and variables; must name at "
                      "most {0} of {1}",
                      most,
                      found.position < 0 ? "all dictionaries, or 24 of one" : "one dictionary"));
    }
    joined_.push_back(key);
    const char* how = sure || sure_.contains(key) ? "JOIN" : "LEFT JOIN";
    const char* table = condition ? "associations" : "tunings";
    const char* column = condition ? "condition" : "variable";
    std::string position = std::to_string(found.position);
    if (found.position < 0) {
      joins_ += fmt::format(
          " {0} {1} n{2} ON n{2}.name = ? AND n{2}.dictionary_id = "
          "f.dictionary_id",
          how, condition ? "conditions" : "variables", alias);
      join_values_.emplace_back(name);
      position = fmt::format("n{}.position", alias);
    }
    joins_ += fmt::format(
        " {0} {1} {2} ON {2}.dictionary_id = f.dictionary_id AND {2}.{3} = {4} "
        "AND {2}.latent = f.latent",
        how, table, alias, column, position);
    return alias;
  }

  absl::StatusOr<std::string> Comparison(const FilterNode& node, bool sure) {
    const std::string op = node.op == ":" ? "=" : node.op;
    if (!node.is_function) {
      if (node.field == "best_condition" || node.field == "label" || node.field == "tag") {
        return TextComparison(node, op, sure);
      }
      for (const auto& [name, sql, collection] : kResources) {
        if (node.field != name) continue;
        if (op != "=" && op != "!=") {
          return InvalidField("filter", fmt::format("compares {} with {}; use = or !=", name, op));
        }
        const bool prefixed = node.text.starts_with(collection);
        out_.values.emplace_back(prefixed ? node.text.substr(collection.size()) : node.text);
        return fmt::format("{} {} ?", sql, op);
      }
    }
    SAED_ASSIGN_OR_RETURN(const std::string left, Expression(node, "filter", sure));
    if (!node.is_number) {
      return InvalidField(
          "filter", fmt::format("compares {} with '{}'; give a number", node.field, node.text));
    }
    out_.values.emplace_back(node.number);
    return sure ? fmt::format("{} {} ?", left, op) : fmt::format("coalesce({} {} ?, 0)", left, op);
  }

  absl::StatusOr<std::string> TextComparison(const FilterNode& node, const std::string& op,
                                             bool sure) {
    if (op != "=" && op != "!=") {
      return InvalidField("filter",
                          fmt::format("compares {} with {}; use = or !=", node.field, op));
    }
    const char* negated = op == "=" ? "" : "NOT ";
    if (node.field == "best_condition") {
      const NameLookup::Found found = names_.Find(Kind::kCondition, node.text);
      if (!found.there) {
        return InvalidField("filter", fmt::format("names the unknown condition '{}'; there is, for "
                                                  "instance, '{}'",
                                                  node.text, found.example));
      }
      if (found.position >= 0) {
        return fmt::format("(f.best_condition IS {}{})", negated, found.position);
      }
      out_.values.emplace_back(node.text);
      return fmt::format(
          "({}coalesce((f.dictionary_id, f.best_condition) IN (SELECT dictionary_id, position FROM "
          "conditions WHERE name = ?), 0))",
          negated);
    }
    const bool part = node.op == ":" && node.field == "label";
    const std::string annotated = fmt::format(
        "(SELECT DISTINCT model_id, latent FROM annotations WHERE deleted_at IS NULL AND kind = "
        "'{}' AND {}{})",
        node.field, part ? "instr(text, ?) > 0" : "text = ?", annotated_);
    if (sure && op == "=" && out_.first.empty()) {
      out_.first = annotated;
      first_values_.emplace_back(node.text);
      return std::string("1");
    }
    out_.values.emplace_back(node.text);
    return fmt::format("({}(d.model_id, f.latent) IN {})", negated, annotated);
  }

  NameLookup& names_;
  const std::string& annotated_;
  FeatureSql& out_;
  std::vector<std::pair<Kind, std::string>> joined_;
  std::set<std::pair<Kind, std::string>> sure_;
  std::string joins_;
  std::vector<SqlValue> first_values_, join_values_;
};

}  // namespace

absl::StatusOr<FeatureSql> FeatureQueryToSql(std::string_view filter, std::string_view order_by,
                                             NameLookup& names, const std::string& annotated) {
  FeatureSql out;
  Translator translator(names, annotated, out);
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
  SAED_ASSIGN_OR_RETURN(out.order, translator.Expression(*node, "order_by", true));
  if (!Trim(filter).empty()) {
    SAED_ASSIGN_OR_RETURN(const FilterNode root, ParseFilter(filter));
    translator.Sure(root);
    SAED_ASSIGN_OR_RETURN(out.where, translator.Condition(root, true));
  }
  translator.Finish();
  return out;
}

}  // namespace saed::storage

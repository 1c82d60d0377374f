#include "storage/job_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <span>

#include "server/base/faults.h"
#include "server/base/filter.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::storage {
namespace {

constexpr std::string_view kStates[] = {"QUEUED",    "RUNNING", "PAUSED",
                                        "SUCCEEDED", "FAILED",  "CANCELLED"};
constexpr std::string_view kKinds[] = {"train", "analyse", "trial"};

// As JobRow::shown_state.
constexpr std::string_view kShown =
    "CASE WHEN state = 'QUEUED' AND paused <> '' THEN 'PAUSED' ELSE state END";

std::string Cased(std::string text, int (*to)(int)) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [&](unsigned char c) { return static_cast<char>(to(c)); });
  return text;
}

class Translator {
 public:
  explicit Translator(const IdOfThing& id) : id_(id) {}

  absl::StatusOr<std::string> Condition(const FilterNode& node) {
    if (node.kind == FilterNode::Kind::kCompare) return Comparison(node);
    std::string sql;
    for (const FilterNode& child : node.children) {
      SAED_ASSIGN_OR_RETURN(const std::string part, Condition(child));
      if (node.kind == FilterNode::Kind::kNot) return fmt::format("NOT {}", part);
      if (!sql.empty()) sql += node.kind == FilterNode::Kind::kAnd ? " AND " : " OR ";
      sql += part;
    }
    return fmt::format("({})", sql);
  }

  JobFilter out;

 private:
  absl::StatusOr<std::string> Comparison(const FilterNode& node) {
    const std::string& field = node.field;
    if (!node.is_function && field == "display_name" && node.op == ":") {
      out.values.push_back(Cased(node.text, std::tolower));
      return std::string("(instr(lower(name), ?) > 0)");
    }
    std::string column, value = node.text;
    if (!node.is_function) {
      SAED_ASSIGN_OR_RETURN(column, Column(field, value));
    }
    if (column.empty()) {
      return InvalidField(
          "filter", fmt::format("names '{}'; known are state, kind, owner, recording, sweep and "
                                "display_name, e.g. state = FAILED AND owner = \"ada\"",
                                ValidUtf8(field)));
    }
    if (node.op != "=" && node.op != "!=") {
      return InvalidField("filter",
                          fmt::format("compares {} with {}; use = or !={}", field, node.op,
                                      field == "display_name" ? ", or : (contains)" : ""));
    }
    out.values.push_back(std::move(value));
    return fmt::format("({} {} ?)", column, node.op);
  }

  // The column of a field, empty where there is none, and the value as that has it.
  absl::StatusOr<std::string> Column(const std::string& field, std::string& value) {
    const auto without = [&](std::string_view collection) {
      if (value.starts_with(collection)) value.erase(0, collection.size());
    };
    if (field == "state") {
      value = Cased(value, std::toupper);
      SAED_RETURN_IF_ERROR(OneOf(field, value, kStates));
      return std::string(kShown);
    }
    out.names_trials |= field == "kind" || field == "sweep";
    if (field == "kind") {
      value = Cased(value, std::tolower);
      SAED_RETURN_IF_ERROR(OneOf(field, value, kKinds));
      return field;
    }
    if (field == "owner") {
      without("users/");
      return field;
    }
    if (field == "recording") {
      without("recordings/");
      SAED_ASSIGN_OR_RETURN(value, id_("recordings", value));
      return std::string("recording_id");
    }
    if (field == "sweep") {
      without("sweeps/");
      SAED_ASSIGN_OR_RETURN(value, id_("sweeps", value));
      return std::string("coalesce(sweep_id, '')");
    }
    return std::string(field == "display_name" ? "name" : "");
  }

  static absl::Status OneOf(const std::string& field, const std::string& value,
                            std::span<const std::string_view> known) {
    if (std::find(known.begin(), known.end(), value) != known.end()) return absl::OkStatus();
    std::string all;
    for (const std::string_view k : known) {
      all += fmt::format("{}{}", all.empty() ? "" : k == known.back() ? " or " : ", ", k);
    }
    return InvalidField(
        "filter", fmt::format("compares {} with '{}'; must be {}", field, ValidUtf8(value), all));
  }

  const IdOfThing& id_;
};

}  // namespace

absl::StatusOr<JobFilter> ParseJobFilter(std::string_view text, const IdOfThing& id) {
  if (Trim(text).empty()) return JobFilter();
  SAED_ASSIGN_OR_RETURN(const FilterNode root, ParseFilter(text));
  Translator translator(id);
  SAED_ASSIGN_OR_RETURN(translator.out.where, translator.Condition(root));
  return std::move(translator.out);
}

}  // namespace saed::storage

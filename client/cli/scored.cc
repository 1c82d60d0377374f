#include "client/cli/scored.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// "a, b and 3 more".
std::string Some(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  const auto shown = std::min(names.size(), kShown);
  std::string out = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (names.size() > shown) out += fmt::format(" and {} more", names.size() - shown);
  return out;
}

absl::StatusOr<v1::Model> ModelOf(Session& session, const std::string& name) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_name(name);
  v1::GetModelResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->models().GetModel(&context, request, &response)));
  return response.model();
}

// What was taken from a model into an analysis: the conditions from `first` on, and perhaps the
// columns.
struct Taken {
  int first = 0;
  bool columns = false;
};

Taken Take(const v1::TrainSpec& model, v1::AnalyseSpec& spec) {
  Taken out{spec.conditions_size(), !spec.has_condition_columns()};
  std::set<std::string> given;
  for (const auto& c : spec.conditions()) given.insert(c.name());
  for (const auto& c : model.conditions()) {
    if (given.count(c.name()) == 0) *spec.add_conditions() = c;
  }
  out.columns = out.columns && model.has_condition_columns();
  if (out.columns) *spec.mutable_condition_columns() = model.condition_columns();
  return out;
}

// Takes away the i-th of a list where the field is "{list}[{i}]…" and i is at least `first`.
// Returns what it was; empty where the field is another one.
template <class List, class Name>
std::string Drop(const std::string& field, const char* name, int first, List& list,
                 const Name& name_of) {
  int i = -1;
  if (std::sscanf(field.c_str(), fmt::format("{}[%d]", name).c_str(), &i) != 1) return "";
  if (i < first || i >= list.size()) return "";
  std::string out = name_of(list.Get(i));
  list.DeleteSubrange(i, 1);
  return out;
}

// Takes away what the recording cannot have of what was taken, and says what. False where nothing
// of it is wrong.
bool LeaveOut(const grpc::Status& refused, const Taken& taken, v1::AnalyseSpec& spec,
              std::vector<std::string>& said) {
  auto wrong = client::WrongFields(refused);
  // From the last on, so that numbers stay those of the request.
  const auto number = [](const auto& fault) {
    const size_t at = fault.first.find('[');
    return at == std::string::npos ? -1 : std::atoi(fault.first.c_str() + at + 1);
  };
  std::stable_sort(wrong.begin(), wrong.end(),
                   [&](const auto& a, const auto& b) { return number(a) > number(b); });
  bool any = false;
  std::set<std::string> gone;
  for (const auto& [field, why] : wrong) {
    if (!gone.insert(field.substr(0, field.find(']'))).second) continue;
    std::string what = Drop(field, "conditions", taken.first, *spec.mutable_conditions(),
                            [](const auto& c) { return c.name(); });
    const auto same = [](const std::string& column) { return column; };
    if (what.empty() && taken.columns) {
      auto& columns = *spec.mutable_condition_columns();
      what = Drop(field, "condition_columns.only", 0, *columns.mutable_only(), same);
      if (what.empty()) {
        what = Drop(field, "condition_columns.excluded", 0, *columns.mutable_excluded(), same);
      }
    }
    if (what.empty()) continue;
    any = true;
    said.push_back(fmt::format("left out of the model's: {} ({})", what, why));
  }
  return any;
}

// Why an analysis is refused whose recording has none of the columns `only` that alone make the
// model's automatic conditions: the list without entries would mean those of every table.
absl::Status NoneLeft(const google::protobuf::RepeatedPtrField<std::string>& only,
                      const std::vector<std::string>& left_out) {
  return absl::InvalidArgumentError(
      fmt::format("the model has automatic conditions of {} alone, and the recording has none of "
                  "that\n{}\ngive the columns of this recording with --condition-columns, or "
                  "--without-model-conditions for the automatic conditions of every table",
                  Some({only.begin(), only.end()}), fmt::join(left_out, "\n")));
}

std::vector<std::string> Names(const v1::AnalyseSpec& spec, int from, int to) {
  std::vector<std::string> out;
  for (int i = from; i < to; ++i) out.push_back(spec.conditions(i).name());
  return out;
}

// Which columns make conditions by themselves.
std::string ColumnsText(const v1::AnalyseSpec& spec, bool from_model) {
  const auto& columns = spec.condition_columns();
  const auto list = [](const auto& names) {
    return Some(std::vector<std::string>(names.begin(), names.end()));
  };
  std::string out = columns.only().empty() ? "the automatic conditions of every table"
                                           : "automatic conditions of " + list(columns.only());
  if (!columns.excluded().empty()) out += " but of " + list(columns.excluded());
  const bool chosen = !columns.only().empty() || !columns.excluded().empty();
  return out + (from_model && chosen ? ", as the model" : "");
}

}  // namespace

absl::StatusOr<TakenOver> TakeOver(Session& session, v1::CreateJobRequest& request,
                                   bool from_model) {
  v1::AnalyseSpec& spec = *request.mutable_analyse();
  TakenOver out;
  Taken taken{spec.conditions_size(), false};
  if (from_model) {
    SAED_ASSIGN_OR_RETURN(const v1::Model model, ModelOf(session, spec.model()));
    taken = Take(model.spec(), spec);
    v1::CreateJobRequest check = request;
    check.set_validate_only(true);
    // What is wrong otherwise is said when the job is queued.
    grpc::Status checked;
    for (bool more = true; more;) {
      grpc::ClientContext context;
      v1::CreateJobResponse response;
      *check.mutable_analyse() = spec;
      checked = session.client->jobs().CreateJob(&context, check, &response);
      more = LeaveOut(checked, taken, spec, out.left_out);
    }
    const auto& only = model.spec().condition_columns().only();
    if (taken.columns && !only.empty() && spec.condition_columns().only().empty()) {
      SAED_RETURN_IF_ERROR(client::FromGrpc(checked));
      return NoneLeft(only, out.left_out);
    }
  }
  std::vector<std::string> parts;
  if (taken.first > 0) parts.push_back(Some(Names(spec, 0, taken.first)) + " (given here)");
  if (spec.conditions_size() > taken.first) {
    parts.push_back(Some(Names(spec, taken.first, spec.conditions_size())) + " (of the model)");
  }
  parts.push_back(ColumnsText(spec, taken.columns));
  out.scored_by = fmt::format("scored by: {}", fmt::join(parts, "; "));
  return out;
}

absl::StatusOr<std::vector<std::string>> ScoredBy(Session& session, const std::string& dictionary) {
  grpc::ClientContext context;
  v1::GetDictionaryRequest request;
  request.set_name(dictionary);
  v1::GetDictionaryResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().GetDictionary(&context, request, &response)));
  const v1::Dictionary& d = response.dictionary();
  std::vector<std::string> asked, parts;
  std::map<std::string, int> families;
  for (const auto& c : d.conditions()) {
    if (c.family().empty()) {
      asked.push_back(c.condition().name());
    } else {
      ++families[c.family()];
    }
  }
  if (!asked.empty()) parts.push_back(Some(asked) + " (asked for)");
  for (const auto& [family, count] : families) {
    parts.push_back(fmt::format("{} of the table {}", count, family));
  }
  std::vector<std::string> out = {
      d.conditions().empty()
          ? std::string("scored by no condition: the recording has no table that makes one")
          : fmt::format("scored by {} condition{}: {}", d.conditions_size(),
                        d.conditions_size() == 1 ? "" : "s", fmt::join(parts, ", "))};
  for (const std::string& warning : d.warnings()) {
    if (warning.find("left out") != warning.npos) out.push_back(warning);
  }
  return out;
}

}  // namespace saed::cli

#include "server/features/labels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "server/base/status_macros.h"
#include "server/features/expression.h"

namespace saed::features {
namespace {

std::string_view Bytes(const std::vector<WindowLabel>& label) {
  return {reinterpret_cast<const char*>(label.data()), label.size()};
}

bool Changes(const std::vector<WindowLabel>& label) {
  return std::find(label.begin(), label.end(), kHolds) != label.end() &&
         std::find(label.begin(), label.end(), kHoldsNot) != label.end();
}

// The first few, and how many more.
std::string Some(const std::vector<std::string>& names) {
  constexpr size_t kMost = 8;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMost));
  std::string out = fmt::format("{}", fmt::join(names.begin(), end, ", "));
  if (names.size() > kMost) out += fmt::format(" and {} more", names.size() - kMost);
  return out;
}

class Labeller {
 public:
  Labeller(const recordings::Recording& recording, const recordings::ViewData& view,
           const std::vector<int64_t>& starts, std::vector<std::string>& warnings)
      : recording_(recording), view_(view), starts_(starts), warnings_(warnings) {}

  absl::Status AddUser(const Condition& condition) {
    SAED_ASSIGN_OR_RETURN(auto label, Of(condition));
    HasRoom(label);  // see Validate
    Add(condition, std::move(label));
    return absl::OkStatus();
  }

  // Unless there is one like it, or it says the same of all windows.
  absl::Status AddAutomatic(const Condition& condition) {
    const auto same_name = [&](const Condition& c) { return c.name == condition.name; };
    auto& conditions = out_.conditions;
    if (conditions.size() == kMaxConditions) return absl::OkStatus();
    const auto same = std::find_if(conditions.begin(), conditions.end(), same_name);
    if (same != conditions.end()) {
      // The user's own is meant; another table's column is not.
      if (!same->family.empty()) doubles_of_name_.push_back(condition.name);
      return absl::OkStatus();
    }
    SAED_ASSIGN_OR_RETURN(auto label, Of(condition));
    if (!Changes(label)) {
      constant_.push_back(condition.name);
      return absl::OkStatus();
    }
    if (!HasRoom(label)) {
      many_.push_back(condition.name);
      return absl::OkStatus();
    }
    const auto [begin, end] = known_.equal_range(std::hash<std::string_view>()(Bytes(label)));
    for (auto at = begin; at != end; ++at) {
      // One that somebody asked for is no reason: over recordings a condition is found by its name.
      if (out_.labels[at->second] != label || out_.conditions[at->second].family.empty()) continue;
      doubles_.push_back(
          fmt::format("{} (as {})", condition.name, out_.conditions[at->second].name));
      return absl::OkStatus();
    }
    Add(condition, std::move(label));
    return absl::OkStatus();
  }

  LabelledConditions Done() {
    if (!constant_.empty()) {
      warnings_.push_back(fmt::format(
          "{} automatic conditions hold in none or in all of the windows and are left out: {}",
          constant_.size(), Some(constant_)));
    }
    if (!many_.empty()) {
      warnings_.push_back(
          fmt::format("{} automatic conditions ask of windows of their own, as columns with gaps "
                      "do, beyond the "
                      "{} sets of windows that there may be, and are left out: {}; choose columns",
                      many_.size(), kMaxScopes, Some(many_)));
    }
    if (!doubles_of_name_.empty()) {
      warnings_.push_back(fmt::format(
          "{} automatic conditions have the names of another table's and are left out: {}; give "
          "them names of your own with among()",
          doubles_of_name_.size(), Some(doubles_of_name_)));
    }
    if (!doubles_.empty()) {
      warnings_.push_back(fmt::format(
          "{} automatic conditions hold in the same windows as others and are left out: {}",
          doubles_.size(), Some(doubles_)));
    }
    return std::move(out_);
  }

 private:
  absl::StatusOr<std::vector<WindowLabel>> Of(const Condition& condition) {
    SAED_ASSIGN_OR_RETURN(const BinLabels bins, Evaluate(condition.expression, recording_, view_));
    std::vector<WindowLabel> label(starts_.size());
    int64_t unknown = 0;
    for (size_t w = 0; w < starts_.size(); ++w) {
      const int64_t bin = starts_[w] + view_.window - 1;
      label[w] = bins.At(bin);
      unknown += !bins.known.empty() && !bins.known[bin];
    }
    if (unknown > 0) {
      warnings_.push_back(
          fmt::format("condition '{}': the series has no samples in {} of {} windows, which its "
                      "scores leave out",
                      condition.name, unknown, starts_.size()));
    }
    return label;
  }

  // Whether its scope is one of those there are, or may become another.
  bool HasRoom(const std::vector<WindowLabel>& label) {
    std::string outside(label.size(), '0');
    for (size_t w = 0; w < label.size(); ++w) outside[w] += label[w] == kOutside;
    const size_t scope = std::hash<std::string>()(outside);
    if (scopes_.count(scope) > 0) return true;
    if (scopes_.size() == kMaxScopes) return false;
    scopes_.insert(scope);
    return true;
  }

  void Add(const Condition& condition, std::vector<WindowLabel> label) {
    known_.emplace(std::hash<std::string_view>()(Bytes(label)), out_.labels.size());
    out_.conditions.push_back(condition);
    out_.labels.push_back(std::move(label));
  }

  const recordings::Recording& recording_;
  const recordings::ViewData& view_;
  const std::vector<int64_t>& starts_;
  std::vector<std::string>& warnings_;
  LabelledConditions out_;
  std::unordered_multimap<size_t, size_t> known_;
  std::set<size_t> scopes_;  // hashes of what is outside
  std::vector<std::string> constant_, doubles_, doubles_of_name_, many_;
};

}  // namespace

absl::StatusOr<LabelledConditions> LabelConditions(const recordings::Recording& recording,
                                                   const recordings::ViewData& view,
                                                   const std::vector<int64_t>& starts,
                                                   const std::vector<Condition>& users,
                                                   const ConditionColumns& columns,
                                                   std::vector<std::string>& warnings) {
  Labeller labeller(recording, view, starts, warnings);
  for (const Condition& c : users) SAED_RETURN_IF_ERROR(labeller.AddUser(c));
  for (const Condition& c : AutomaticConditions(recording, columns, warnings)) {
    SAED_RETURN_IF_ERROR(labeller.AddAutomatic(c));
  }
  return labeller.Done();
}

}  // namespace saed::features

// From an AIP-160 filter over features to SQL.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace saed::storage {

using SqlValue = std::variant<double, std::string>;

struct FeatureSql {
  std::string joins;  // of associations, one per condition used
  std::string where;  // "1" where there is no filter
  std::string order;  // expression
  bool descending = false;
  std::vector<SqlValue> values;  // of joins, then where, then order, in the order of their "?"
};

// `conditions`: position by name. The feature row is `f`; ?1 is not used here. INVALID_ARGUMENT on
// "filter" or "order_by" with what would be right.
absl::StatusOr<FeatureSql> FeatureQueryToSql(std::string_view filter, std::string_view order_by,
                                             const std::map<std::string, int>& conditions);

}  // namespace saed::storage

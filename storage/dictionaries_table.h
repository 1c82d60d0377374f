// Feature dictionaries: features, conditions and the scores of every pair.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/database.h"

namespace saed::storage {

struct DictionaryRow {
  std::string id, model_id, recording_id;
  int64_t created_at = 0;  // µs since 1970
  int features = 0;
  int64_t train_windows = 0, test_windows = 0;
  std::string warnings = "[]";  // JSON array
};

struct ConditionRow {
  int position = 0;
  std::string name, spec;  // spec is JSON
  int64_t train_positive = 0, test_positive = 0;
  // The single unit with the highest training AUROC.
  std::optional<int64_t> best_unit;
  std::optional<double> best_unit_train_auroc, best_unit_test_auroc;
};

struct FeatureRow {
  int latent = 0;
  double density = 0, mean_activation = 0, max_activation = 0;
  int64_t active_windows = 0;
  std::optional<int64_t> top_unit;
  std::optional<int> best_condition;
  std::optional<double> best_train_auroc, best_test_auroc;
  std::vector<float> decoder, trace_map;  // [S, N]
  std::string details = "{}";             // JSON
};

// Scores on one side of the split; empty where undefined (no positive or no negative window).
struct ScoreRow {
  std::optional<double> coverage, specificity, selectivity, precision, prevalence, auroc;
};

struct AssociationRow {
  int condition = 0, latent = 0;
  ScoreRow train, test;
  std::optional<double> p_value, q_value, auroc_low, auroc_high;  // of the held-out AUROC
};

// A page of features. `filter` after AIP-160 on: latent, density, mean_activation, max_activation,
// active_windows, top_unit, best_auroc (held-out AUROC of the condition with the best training
// AUROC), best_condition; and the functions auroc, coverage, specificity, selectivity, precision
// of a quoted condition name and, optionally, "train" instead of "test"; p_value and q_value of a
// condition name. `order_by` is one of those followed by " desc" or " asc".
struct FeatureQuery {
  std::string dictionary_id, filter, order_by;
  int limit = 50;
  bool has_after = false;  // keyset: start after this row
  double after_key = 0;
  int after_latent = 0;
};

struct ListedFeature {
  FeatureRow feature;  // without decoder and trace map
  double key = 0;      // value of order_by, for the next page
  std::string best_condition_name;
};

// Thread-safe.
class DictionariesTable {
 public:
  explicit DictionariesTable(Database& db) : db_(db) {}

  // The whole dictionary in one transaction; one that is there already stays.
  absl::Status Insert(const DictionaryRow& row, const std::vector<ConditionRow>& conditions,
                      const std::vector<FeatureRow>& features,
                      const std::vector<AssociationRow>& associations);
  absl::StatusOr<DictionaryRow> Get(const std::string& id);
  absl::StatusOr<std::vector<DictionaryRow>> List(const std::string& model_id, int limit,
                                                  int64_t after_created_at,
                                                  const std::string& after_id);
  absl::StatusOr<std::vector<ConditionRow>> Conditions(const std::string& id);
  absl::StatusOr<std::vector<ListedFeature>> ListFeatures(const FeatureQuery& query);
  absl::StatusOr<FeatureRow> GetFeature(const std::string& id, int latent);
  // All conditions of one feature, best held-out AUROC first.
  absl::StatusOr<std::vector<AssociationRow>> Associations(const std::string& id, int latent);

 private:
  Database& db_;
};

}  // namespace saed::storage

// Feature dictionaries: features, conditions and the scores of every pair.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/access.h"
#include "storage/attempt.h"
#include "storage/database.h"

namespace saed::storage {

struct DictionaryRow {
  std::string id, model_id, recording_id;
  int64_t created_at = 0;  // µs since 1970
  int features = 0;
  int64_t train_windows = 0, test_windows = 0;
  std::string warnings = "[]";  // JSON array
  std::string spectra = "{}";   // JSON
  std::string details = "{}";   // JSON, what is only shown
};

struct ConditionRow {
  int position = 0;
  std::string name, spec;  // spec is JSON
  int64_t train_positive = 0, test_positive = 0;
  // The single unit with the highest training AUROC, of its count or its negative.
  std::optional<int64_t> best_unit;
  bool best_unit_falls = false;
  std::optional<double> best_unit_train_auroc, best_unit_test_auroc;
  std::optional<double> random_train_auroc, random_test_auroc;  // the best of random rows
  std::optional<int> best_feature;                              // latent, by training AUROC
  std::optional<double> probe_one, probe_all, probe_counts;     // held-out balanced accuracy
  // The best feature's held-out AUROC less the best unit's, and the difference's interval.
  std::optional<double> over_unit, over_unit_low, over_unit_high;
  std::string feature_set;     // JSON; may be empty
  std::string details = "{}";  // JSON, what is only shown
  // Of the best feature; read only.
  std::optional<double> best_feature_train_auroc, best_feature_test_auroc;
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
  std::optional<double> importance;       // ablation
};

// Scores on one side of the split; empty where undefined (no positive or no negative window).
struct ScoreRow {
  std::optional<double> coverage, specificity, selectivity, precision, prevalence, auroc;
};

struct AssociationRow {
  int condition = 0, latent = 0;
  ScoreRow train, test;
  std::optional<double> p_value, q_value, auroc_low, auroc_high;  // of the held-out AUROC
  std::string evidence;  // the kind by which the AUROCs of train and test are; empty: the code
  bool falls = false;    // they are of its negative
  std::optional<double> code_train_auroc, code_test_auroc;
  std::string units;  // JSON: [id, drive, share] of the units that make it so; may be empty
};

struct VariableRow {
  int position = 0;
  std::string name, details = "{}";  // JSON: edges, windows per tuning bin
  std::optional<int64_t> best_unit;  // the single unit with the highest training |Spearman|
  std::optional<double> best_unit_train, best_unit_test;
};

struct TuningRow {
  int variable = 0, latent = 0;
  std::optional<double> train_spearman, test_spearman, train_information, test_information;
  std::optional<double> p_value, q_value;  // of the held-out Spearman
  std::vector<float> curves;               // [2, tuning bins]: training, held-out
  std::string details = "{}";              // JSON, what is only shown
};

struct ResponseRow {
  int latent = 0, condition = 0;
  int64_t events = 0;
  int before = 0;             // bins
  double latency = 0;         // s
  std::vector<float> curves;  // [2, lags]: mean, s.e.m.
};

// All rows of one dictionary.
struct DictionaryRows {
  DictionaryRow dictionary;
  std::vector<ConditionRow> conditions;
  std::vector<FeatureRow> features;
  std::vector<AssociationRow> associations;
  std::vector<VariableRow> variables;
  std::vector<TuningRow> tunings;
  std::vector<ResponseRow> responses;
};

// A page of features of one dictionary or, where `dictionary_id` is empty, of all. `filter` after
// AIP-160 on: latent, density, mean_activation, max_activation, active_windows, top_unit,
// best_auroc (held-out AUROC of the condition with the best training AUROC), importance,
// best_condition, label, tag, dictionary, model, recording; the functions auroc, coverage,
// specificity, selectivity, precision of a quoted condition name and, optionally, "train" instead
// of "test"; p_value and q_value of a condition; spearman and information of a variable, optionally
// "train"; spearman_p and spearman_q of a variable. `order_by` is a number among those followed by
// " desc" or " asc"; features without it are left out.
struct FeatureQuery {
  std::string dictionary_id, filter, order_by;
  int limit = 50;
  bool has_after = false;  // keyset: start after this row
  double after_key = 0;
  std::string after_dictionary;
  int after_latent = 0;
  Viewer viewer;  // of queries over all dictionaries
};

struct ListedFeature {
  FeatureRow feature;  // without decoder, trace map and, in its details, exemplars
  double key = 0;      // value of order_by, for the next page
  std::string dictionary_id, best_condition_name;
  std::string label;              // empty: none
  std::vector<std::string> tags;  // alphabetical
};

struct ConditionPlace {
  std::string dictionary_id, model_id, recording_id, recording_name;
  bool newest = true;  // of the recording's dictionaries that have the condition
  ConditionRow condition;
};

// Thread-safe.
class DictionariesTable {
 public:
  explicit DictionariesTable(Database& db) : db_(db) {}

  // Writes the dictionary in pieces of about a megabyte, between which others may write; nobody
  // sees any of it before all of it is there. One that is there already stays; what an attempt
  // before left unfinished is written anew. What an attempt made is fenced (attempt.h).
  // NOT_FOUND where the model is deleted meanwhile, CANCELLED where `stop` is set.
  absl::Status Insert(const DictionaryRows& rows,
                      const std::optional<Attempt>& attempt = std::nullopt,
                      const std::atomic<bool>* stop = nullptr);
  // In pieces; nobody sees any of it from the beginning on. What is left where one fails another
  // call removes, and where the server dies in between its next start. FAILED_PRECONDITION while
  // the job that made it has not ended.
  absl::Status Delete(const std::string& id);
  // Removes what the attempt's job left of a dictionary that it did not finish, in pieces.
  absl::Status Discard(const Attempt& attempt);
  // At start-up, when nothing writes: those of all. Returns how many there were.
  absl::StatusOr<int64_t> DiscardUnfinished();
  absl::StatusOr<DictionaryRow> Get(const std::string& id);
  absl::StatusOr<std::vector<DictionaryRow>> List(const std::string& model_id, int limit,
                                                  int64_t after_created_at,
                                                  const std::string& after_id,
                                                  const Viewer& viewer = {});
  absl::StatusOr<std::vector<ConditionRow>> Conditions(const std::string& id);
  absl::StatusOr<std::vector<ListedFeature>> ListFeatures(const FeatureQuery& query);
  absl::StatusOr<FeatureRow> GetFeature(const std::string& id, int latent);
  // All conditions of one feature, best held-out AUROC first.
  absl::StatusOr<std::vector<AssociationRow>> Associations(const std::string& id, int latent);
  // Where a condition of that name is: the newest dictionary of each recording, or all; the newest
  // first.
  absl::StatusOr<std::vector<ConditionPlace>> WhereCondition(const std::string& name, bool all,
                                                             int limit, const Viewer& viewer);
  // One of them; empty where the pair has none.
  absl::StatusOr<std::optional<AssociationRow>> Association(const std::string& id, int latent,
                                                            int condition);
  absl::StatusOr<std::vector<VariableRow>> Variables(const std::string& id);
  // Of one feature, in the variables' order.
  absl::StatusOr<std::vector<TuningRow>> Tunings(const std::string& id, int latent);
  absl::StatusOr<std::vector<ResponseRow>> Responses(const std::string& id, int latent);
  // Latents that are active in some window, ascending.
  absl::StatusOr<std::vector<int>> ActiveLatents(const std::string& id);
  // (latent, held-out AUROC) of all features that have one for a condition.
  absl::StatusOr<std::vector<std::pair<int, double>>> TestAurocs(const std::string& id,
                                                                 int condition);
  // What SQLite says it would do for a query, a line a step; for tests.
  absl::StatusOr<std::vector<std::string>> Explain(const FeatureQuery& query);

 private:
  Database& db_;
};

}  // namespace saed::storage

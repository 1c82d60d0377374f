// Writing a dictionary.
#include "storage/dictionaries_table.h"
#include "storage/sql_values.h"

namespace saed::storage {
namespace {

void InsertConditions(SQLite::Database& db, const std::string& id,
                      const std::vector<ConditionRow>& conditions) {
  SQLite::Statement s(db,
                      "INSERT INTO conditions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (const ConditionRow& c : conditions) {
    s.reset();
    SQLite::bind(s, id, c.position, c.name, c.spec, c.train_positive, c.test_positive);
    Bind(s, 7, c.best_unit);
    Bind(s, 8, c.best_unit_train_auroc);
    Bind(s, 9, c.best_unit_test_auroc);
    Bind(s, 10, c.best_feature);
    Bind(s, 11, c.probe_one);
    Bind(s, 12, c.probe_all);
    Bind(s, 13, c.probe_counts);
    s.bind(14, static_cast<int>(c.best_unit_falls));
    Bind(s, 15, c.random_train_auroc);
    Bind(s, 16, c.random_test_auroc);
    Bind(s, 17, c.over_unit);
    Bind(s, 18, c.over_unit_low);
    Bind(s, 19, c.over_unit_high);
    s.bind(20, c.feature_set);
    s.bind(21, c.details);
    s.exec();
  }
}

void InsertFeatures(SQLite::Database& db, const std::string& id,
                    const std::vector<FeatureRow>& features) {
  SQLite::Statement s(db, "INSERT INTO features VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (const FeatureRow& f : features) {
    s.reset();
    s.bind(1, id);
    s.bind(2, f.latent);
    s.bind(3, f.density);
    s.bind(4, f.mean_activation);
    s.bind(5, f.max_activation);
    s.bind(6, f.active_windows);
    Bind(s, 7, f.top_unit);
    Bind(s, 8, f.best_condition);
    Bind(s, 9, f.best_train_auroc);
    Bind(s, 10, f.best_test_auroc);
    BindFloats(s, 11, f.decoder);
    BindFloats(s, 12, f.trace_map);
    s.bind(13, f.details);
    Bind(s, 14, f.importance);
    s.exec();
  }
}

void InsertAssociations(SQLite::Database& db, const std::string& id,
                        const std::vector<AssociationRow>& associations) {
  SQLite::Statement s(
      db, "INSERT INTO associations VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  for (const AssociationRow& a : associations) {
    s.reset();
    s.bind(1, id);
    s.bind(2, a.condition);
    s.bind(3, a.latent);
    int at = 4;
    for (const ScoreRow* side : {&a.train, &a.test}) {
      for (const auto* score : {&side->coverage, &side->specificity, &side->selectivity,
                                &side->precision, &side->prevalence, &side->auroc}) {
        Bind(s, at++, *score);
      }
    }
    for (const auto* v : {&a.p_value, &a.q_value, &a.auroc_low, &a.auroc_high}) Bind(s, at++, *v);
    s.bind(at++, a.evidence);
    s.bind(at++, static_cast<int>(a.falls));
    Bind(s, at++, a.code_train_auroc);
    Bind(s, at++, a.code_test_auroc);
    s.bind(at++, a.units);
    s.exec();
  }
}

void InsertVariables(SQLite::Database& db, const std::string& id, const DictionaryRows& rows) {
  SQLite::Statement variable(db, "INSERT INTO variables VALUES (?,?,?,?,?,?,?)");
  for (const VariableRow& v : rows.variables) {
    variable.reset();
    SQLite::bind(variable, id, v.position, v.name, v.details);
    Bind(variable, 5, v.best_unit);
    Bind(variable, 6, v.best_unit_train);
    Bind(variable, 7, v.best_unit_test);
    variable.exec();
  }
  SQLite::Statement tuning(db, "INSERT INTO tunings VALUES (?,?,?,?,?,?,?,?,?,?,?)");
  for (const TuningRow& t : rows.tunings) {
    tuning.reset();
    SQLite::bind(tuning, id, t.variable, t.latent);
    int at = 4;
    for (const auto* v : {&t.train_spearman, &t.test_spearman, &t.train_information,
                          &t.test_information, &t.p_value, &t.q_value}) {
      Bind(tuning, at++, *v);
    }
    BindFloats(tuning, at++, t.curves);
    tuning.bind(at, t.details);
    tuning.exec();
  }
  SQLite::Statement response(db, "INSERT INTO responses VALUES (?,?,?,?,?,?,?)");
  for (const ResponseRow& r : rows.responses) {
    response.reset();
    SQLite::bind(response, id, r.latent, r.condition, r.events, r.before, r.latency);
    BindFloats(response, 7, r.curves);
    response.exec();
  }
}

}  // namespace

absl::Status DictionariesTable::Insert(const DictionaryRows& rows) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    const DictionaryRow& row = rows.dictionary;
    SQLite::Statement s(
        db,
        "INSERT INTO dictionaries (id, model_id, recording_id, created_at, features, "
        "train_windows, test_windows, warnings, spectra, details, owner) VALUES "
        "(?1,?,?,?,?,?,?,?,?,?, "
        "coalesce((SELECT owner FROM jobs WHERE id = ?1), '')) "
        "ON CONFLICT (id) DO NOTHING");
    SQLite::bind(s, row.id, row.model_id, row.recording_id, row.created_at, row.features,
                 row.train_windows, row.test_windows, row.warnings, row.spectra, row.details);
    if (s.exec() == 0) return absl::OkStatus();
    InsertConditions(db, row.id, rows.conditions);
    InsertFeatures(db, row.id, rows.features);
    InsertAssociations(db, row.id, rows.associations);
    InsertVariables(db, row.id, rows);
    return absl::OkStatus();
  });
}

}  // namespace saed::storage

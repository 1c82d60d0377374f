// Writing a dictionary.
#include <fmt/format.h>

#include <span>

#include "storage/dictionaries_table.h"
#include "storage/dictionary_remove.h"
#include "storage/sql_values.h"

namespace saed::storage {
namespace {

void InsertConditions(SQLite::Database& db, const std::string& id,
                      std::span<const ConditionRow> conditions) {
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
                    std::span<const FeatureRow> features) {
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
                        std::span<const AssociationRow> associations) {
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

void InsertVariables(SQLite::Database& db, const std::string& id,
                     std::span<const VariableRow> variables) {
  SQLite::Statement s(db, "INSERT INTO variables VALUES (?,?,?,?,?,?,?)");
  for (const VariableRow& v : variables) {
    s.reset();
    SQLite::bind(s, id, v.position, v.name, v.details);
    Bind(s, 5, v.best_unit);
    Bind(s, 6, v.best_unit_train);
    Bind(s, 7, v.best_unit_test);
    s.exec();
  }
}

void InsertTunings(SQLite::Database& db, const std::string& id,
                   std::span<const TuningRow> tunings) {
  SQLite::Statement s(db, "INSERT INTO tunings VALUES (?,?,?,?,?,?,?,?,?,?,?)");
  for (const TuningRow& t : tunings) {
    s.reset();
    SQLite::bind(s, id, t.variable, t.latent);
    int at = 4;
    for (const auto* v : {&t.train_spearman, &t.test_spearman, &t.train_information,
                          &t.test_information, &t.p_value, &t.q_value}) {
      Bind(s, at++, *v);
    }
    BindFloats(s, at++, t.curves);
    s.bind(at, t.details);
    s.exec();
  }
}

void InsertResponses(SQLite::Database& db, const std::string& id,
                     std::span<const ResponseRow> responses) {
  SQLite::Statement s(db, "INSERT INTO responses VALUES (?,?,?,?,?,?,?)");
  for (const ResponseRow& r : responses) {
    s.reset();
    SQLite::bind(s, id, r.latent, r.condition, r.events, r.before, r.latency);
    BindFloats(s, 7, r.curves);
    s.exec();
  }
}

// About how many bytes a row takes.
constexpr size_t kRow = 256;
size_t Size(const ConditionRow& c) {
  return kRow + c.spec.size() + c.details.size() + c.feature_set.size();
}
size_t Size(const FeatureRow& f) {
  return kRow + f.details.size() + sizeof(float) * (f.decoder.size() + f.trace_map.size());
}
size_t Size(const AssociationRow& a) { return kRow + a.units.size(); }
size_t Size(const VariableRow& v) { return kRow + v.details.size(); }
size_t Size(const TuningRow& t) {
  return kRow + t.details.size() + sizeof(float) * t.curves.size();
}
size_t Size(const ResponseRow& r) { return kRow + sizeof(float) * r.curves.size(); }

constexpr size_t kPiece = 1 << 20;  // bytes of one transaction; some 30 ms

// How many rows from the first on are a piece; at least one of them.
template <class Row>
size_t Piece(std::span<const Row> rows) {
  size_t bytes = 0, count = 0;
  while (count < rows.size() && (count == 0 || bytes < kPiece)) bytes += Size(rows[count++]);
  return count;
}

// OK where the attempt may go on with the dictionary that it began.
absl::Status MayGoOn(SQLite::Database& db, const DictionaryRow& row,
                     const std::optional<Attempt>& attempt) {
  if (attempt) {
    if (auto fence = FenceResult(db, *attempt); !fence.ok()) return fence;
  }
  SQLite::Statement s(db, "SELECT 1 FROM dictionaries WHERE id = ? AND complete = 0");
  s.bind(1, row.id);
  if (s.executeStep()) return absl::OkStatus();
  return absl::NotFoundError(
      fmt::format("models/{} was deleted while its dictionary was written", row.model_id));
}

struct Writing {
  Database& db;
  const DictionaryRow& row;
  const std::optional<Attempt>& attempt;
  const std::atomic<bool>* stop;
};

template <class Row, class Insert>
absl::Status InPieces(const Writing& w, std::span<const Row> rows, Insert insert) {
  while (!rows.empty()) {
    if (w.stop != nullptr && w.stop->load(std::memory_order_relaxed)) {
      return absl::CancelledError("stopped while storing the dictionary");
    }
    const size_t count = Piece(rows);
    const absl::Status written = w.db.Write([&](SQLite::Database& db) -> absl::Status {
      if (auto may = MayGoOn(db, w.row, w.attempt); !may.ok()) return may;
      insert(db, w.row.id, rows.first(count));
      return absl::OkStatus();
    });
    if (!written.ok()) return written;
    rows = rows.subspan(count);
  }
  return absl::OkStatus();
}

enum class There { kNew, kUnfinished, kWhole };

absl::StatusOr<There> Begin(SQLite::Database& db, const DictionaryRow& row) {
  SQLite::Statement s(
      db,
      "INSERT INTO dictionaries (id, model_id, recording_id, created_at, features, "
      "train_windows, test_windows, warnings, spectra, details, owner, complete) VALUES "
      "(?1,?,?,?,?,?,?,?,?,?, coalesce((SELECT owner FROM jobs WHERE id = ?1), ''), 0) "
      "ON CONFLICT (id) DO NOTHING");
  SQLite::bind(s, row.id, row.model_id, row.recording_id, row.created_at, row.features,
               row.train_windows, row.test_windows, row.warnings, row.spectra, row.details);
  if (s.exec() == 1) return There::kNew;
  SQLite::Statement whole(db, "SELECT complete FROM dictionaries WHERE id = ?");
  whole.bind(1, row.id);
  whole.executeStep();
  return whole.getColumn(0).getInt() != 0 ? There::kWhole : There::kUnfinished;
}

}  // namespace

absl::Status DictionariesTable::Insert(const DictionaryRows& rows,
                                       const std::optional<Attempt>& attempt,
                                       const std::atomic<bool>* stop) {
  const DictionaryRow& row = rows.dictionary;
  const auto begin = [&] {
    return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<There> {
      if (attempt) {
        if (auto fence = FenceResult(db, *attempt); !fence.ok()) return fence;
      }
      return Begin(db, row);
    });
  };
  auto there = begin();
  if (there.ok() && *there == There::kUnfinished) {
    if (auto removed = RemoveDictionary(db_, row.id, attempt); !removed.ok()) return removed;
    there = begin();
  }
  if (!there.ok()) return there.status();
  if (*there == There::kWhole) return absl::OkStatus();
  const Writing w{db_, row, attempt, stop};
  absl::Status s = InPieces(w, std::span(rows.conditions), InsertConditions);
  if (s.ok()) s = InPieces(w, std::span(rows.features), InsertFeatures);
  if (s.ok()) s = InPieces(w, std::span(rows.associations), InsertAssociations);
  if (s.ok()) s = InPieces(w, std::span(rows.variables), InsertVariables);
  if (s.ok()) s = InPieces(w, std::span(rows.tunings), InsertTunings);
  if (s.ok()) s = InPieces(w, std::span(rows.responses), InsertResponses);
  if (!s.ok()) return s;
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    if (auto may = MayGoOn(db, row, attempt); !may.ok()) return may;
    SQLite::Statement whole(db, "UPDATE dictionaries SET complete = 1 WHERE id = ?");
    whole.bind(1, row.id);
    whole.exec();
    return absl::OkStatus();
  });
}

}  // namespace saed::storage

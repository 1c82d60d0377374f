#include "storage/dictionaries_table.h"

#include <fmt/format.h>

#include <cstring>
#include <map>

#include "server/base/status_macros.h"
#include "storage/feature_query.h"

namespace saed::storage {
namespace {

constexpr const char* kDictionaryColumns =
    "id, model_id, recording_id, created_at, features, train_windows, test_windows, warnings";
constexpr const char* kFeatureColumns =
    "f.latent, f.density, f.mean_activation, f.max_activation, f.active_windows, f.top_unit, "
    "f.best_condition, f.best_train_auroc, f.best_test_auroc, f.details";

DictionaryRow Dictionary(SQLite::Statement& s) {
  DictionaryRow r;
  r.id = s.getColumn(0).getString();
  r.model_id = s.getColumn(1).getString();
  r.recording_id = s.getColumn(2).getString();
  r.created_at = s.getColumn(3).getInt64();
  r.features = s.getColumn(4).getInt();
  r.train_windows = s.getColumn(5).getInt64();
  r.test_windows = s.getColumn(6).getInt64();
  r.warnings = s.getColumn(7).getString();
  return r;
}

std::optional<int64_t> Integer(const SQLite::Column& c) {
  if (c.isNull()) return std::nullopt;
  return c.getInt64();
}

std::optional<double> Real(const SQLite::Column& c) {
  if (c.isNull()) return std::nullopt;
  return c.getDouble();
}

template <class T>
void Bind(SQLite::Statement& s, int at, const std::optional<T>& value) {
  if (value) {
    s.bind(at, *value);
  } else {
    s.bind(at);
  }
}

FeatureRow Feature(SQLite::Statement& s) {
  FeatureRow r;
  r.latent = s.getColumn(0).getInt();
  r.density = s.getColumn(1).getDouble();
  r.mean_activation = s.getColumn(2).getDouble();
  r.max_activation = s.getColumn(3).getDouble();
  r.active_windows = s.getColumn(4).getInt64();
  if (!s.getColumn(5).isNull()) r.top_unit = s.getColumn(5).getInt64();
  if (!s.getColumn(6).isNull()) r.best_condition = s.getColumn(6).getInt();
  r.best_train_auroc = Real(s.getColumn(7));
  r.best_test_auroc = Real(s.getColumn(8));
  r.details = s.getColumn(9).getString();
  return r;
}

std::vector<float> Floats(const SQLite::Column& c) {
  std::vector<float> out(static_cast<size_t>(c.getBytes()) / sizeof(float));
  if (!out.empty()) std::memcpy(out.data(), c.getBlob(), out.size() * sizeof(float));
  return out;
}

absl::Status Missing(const std::string& id) {
  return absl::NotFoundError(
      fmt::format("there is no dictionary 'dictionaries/{}'; list them with ListDictionaries", id));
}

absl::Status CheckThere(SQLite::Database& db, const std::string& id) {
  SQLite::Statement s(db, "SELECT 1 FROM dictionaries WHERE id = ?");
  s.bind(1, id);
  return s.executeStep() ? absl::OkStatus() : Missing(id);
}

std::vector<ConditionRow> AllConditions(SQLite::Database& db, const std::string& id) {
  SQLite::Statement s(db,
                      "SELECT position, name, spec, train_positive, test_positive, best_unit, "
                      "best_unit_train_auroc, best_unit_test_auroc FROM conditions "
                      "WHERE dictionary_id = ? ORDER BY position");
  s.bind(1, id);
  std::vector<ConditionRow> out;
  while (s.executeStep()) {
    out.push_back({s.getColumn(0).getInt(), s.getColumn(1).getString(), s.getColumn(2).getString(),
                   s.getColumn(3).getInt64(), s.getColumn(4).getInt64(), Integer(s.getColumn(5)),
                   Real(s.getColumn(6)), Real(s.getColumn(7))});
  }
  return out;
}

void InsertFeatures(SQLite::Database& db, const std::string& id,
                    const std::vector<FeatureRow>& features) {
  SQLite::Statement s(db, "INSERT INTO features VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)");
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
    s.bindNoCopy(11, f.decoder.data(), static_cast<int>(f.decoder.size() * sizeof(float)));
    s.bindNoCopy(12, f.trace_map.data(), static_cast<int>(f.trace_map.size() * sizeof(float)));
    s.bind(13, f.details);
    s.exec();
  }
}

constexpr int kScoreColumns = 6;

void InsertAssociations(SQLite::Database& db, const std::string& id,
                        const std::vector<AssociationRow>& associations) {
  SQLite::Statement s(db,
                      "INSERT INTO associations VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
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
    s.exec();
  }
}

ScoreRow Scores(SQLite::Statement& s, int at) {
  return {Real(s.getColumn(at)),     Real(s.getColumn(at + 1)), Real(s.getColumn(at + 2)),
          Real(s.getColumn(at + 3)), Real(s.getColumn(at + 4)), Real(s.getColumn(at + 5))};
}

}  // namespace

absl::Status DictionariesTable::Insert(const DictionaryRow& row,
                                       const std::vector<ConditionRow>& conditions,
                                       const std::vector<FeatureRow>& features,
                                       const std::vector<AssociationRow>& associations) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db, fmt::format("INSERT INTO dictionaries ({}) VALUES (?,?,?,?,?,?,?,?) ON "
                                        "CONFLICT (id) DO NOTHING",
                                        kDictionaryColumns));
    SQLite::bind(s, row.id, row.model_id, row.recording_id, row.created_at, row.features,
                 row.train_windows, row.test_windows, row.warnings);
    if (s.exec() == 0) return absl::OkStatus();
    SQLite::Statement condition(db, "INSERT INTO conditions VALUES (?,?,?,?,?,?,?,?,?)");
    for (const ConditionRow& c : conditions) {
      condition.reset();
      SQLite::bind(condition, row.id, c.position, c.name, c.spec, c.train_positive,
                   c.test_positive);
      Bind(condition, 7, c.best_unit);
      Bind(condition, 8, c.best_unit_train_auroc);
      Bind(condition, 9, c.best_unit_test_auroc);
      condition.exec();
    }
    InsertFeatures(db, row.id, features);
    InsertAssociations(db, row.id, associations);
    return absl::OkStatus();
  });
}

absl::StatusOr<DictionaryRow> DictionariesTable::Get(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<DictionaryRow> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM dictionaries WHERE id = ?", kDictionaryColumns));
    s.bind(1, id);
    if (!s.executeStep()) return Missing(id);
    return Dictionary(s);
  });
}

absl::StatusOr<std::vector<DictionaryRow>> DictionariesTable::List(const std::string& model_id,
                                                                   int limit,
                                                                   int64_t after_created_at,
                                                                   const std::string& after_id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<DictionaryRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM dictionaries WHERE (?1 = '' OR model_id = ?1) AND (?3 = '' "
                        "OR (created_at, id) < (?2, ?3)) ORDER BY created_at DESC, id DESC LIMIT "
                        "?4",
                        kDictionaryColumns));
    SQLite::bind(s, model_id, after_created_at, after_id, limit);
    std::vector<DictionaryRow> out;
    while (s.executeStep()) out.push_back(Dictionary(s));
    return out;
  });
}

absl::StatusOr<std::vector<ConditionRow>> DictionariesTable::Conditions(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<ConditionRow>> {
    SAED_RETURN_IF_ERROR(CheckThere(db, id));
    return AllConditions(db, id);
  });
}

absl::StatusOr<std::vector<ListedFeature>> DictionariesTable::ListFeatures(
    const FeatureQuery& query) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<ListedFeature>> {
    SAED_RETURN_IF_ERROR(CheckThere(db, query.dictionary_id));
    std::map<std::string, int> positions;
    std::map<int, std::string> names;
    for (const ConditionRow& c : AllConditions(db, query.dictionary_id)) {
      positions[c.name] = c.position;
      names[c.position] = c.name;
    }
    SAED_ASSIGN_OR_RETURN(const FeatureSql sql,
                          FeatureQueryToSql(query.filter, query.order_by, positions));
    const char* direction = sql.descending ? "DESC" : "ASC";
    // Keyset: strictly after (key, latent) in the page's order; latents always ascend.
    const std::string after = query.has_after
                                  ? fmt::format(" AND ({0} {1} ? OR ({0} = ? AND f.latent > ?))",
                                                sql.order, sql.descending ? "<" : ">")
                                  : "";
    SQLite::Statement s(
        db, fmt::format("SELECT {}, {} FROM features f{} WHERE f.dictionary_id = ? AND {}{} ORDER "
                        "BY 11 {}, f.latent LIMIT ?",
                        kFeatureColumns, sql.order, sql.joins, sql.where, after, direction));
    int at = 1;
    s.bind(at++, query.dictionary_id);
    for (const SqlValue& v : sql.values) {
      if (const double* number = std::get_if<double>(&v)) {
        s.bind(at++, *number);
      } else {
        s.bind(at++, std::get<std::string>(v));
      }
    }
    if (query.has_after) {
      s.bind(at++, query.after_key);
      s.bind(at++, query.after_key);
      s.bind(at++, query.after_latent);
    }
    s.bind(at, query.limit);
    std::vector<ListedFeature> out;
    while (s.executeStep()) {
      ListedFeature f{Feature(s), s.getColumn(10).getDouble(), ""};
      if (f.feature.best_condition) f.best_condition_name = names[*f.feature.best_condition];
      out.push_back(std::move(f));
    }
    return out;
  });
}

absl::StatusOr<FeatureRow> DictionariesTable::GetFeature(const std::string& id, int latent) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<FeatureRow> {
    SAED_RETURN_IF_ERROR(CheckThere(db, id));
    SQLite::Statement s(db, fmt::format("SELECT {}, f.decoder, f.trace_map FROM features f WHERE "
                                        "f.dictionary_id = ? AND f.latent = ?",
                                        kFeatureColumns));
    SQLite::bind(s, id, latent);
    if (!s.executeStep()) {
      return absl::NotFoundError(fmt::format("dictionaries/{} has no feature {}", id, latent));
    }
    FeatureRow f = Feature(s);
    f.decoder = Floats(s.getColumn(10));
    f.trace_map = Floats(s.getColumn(11));
    return f;
  });
}

absl::StatusOr<std::vector<AssociationRow>> DictionariesTable::Associations(const std::string& id,
                                                                            int latent) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<AssociationRow>> {
    SQLite::Statement s(db,
                        "SELECT condition, latent, train_coverage, train_specificity, "
                        "train_selectivity, train_precision, train_prevalence, train_auroc, "
                        "test_coverage, test_specificity, test_selectivity, test_precision, "
                        "test_prevalence, test_auroc, p_value, q_value, auroc_low, auroc_high "
                        "FROM associations WHERE dictionary_id = ? AND "
                        "latent = ? ORDER BY test_auroc DESC, condition");
    SQLite::bind(s, id, latent);
    std::vector<AssociationRow> out;
    while (s.executeStep()) {
      out.push_back({s.getColumn(0).getInt(), s.getColumn(1).getInt(), Scores(s, 2),
                     Scores(s, 2 + kScoreColumns), Real(s.getColumn(14)), Real(s.getColumn(15)),
                     Real(s.getColumn(16)), Real(s.getColumn(17))});
    }
    return out;
  });
}

}  // namespace saed::storage

#include "storage/dictionaries_table.h"

#include <fmt/format.h>

#include <memory>

#include "server/base/status_macros.h"
#include "storage/feature_query.h"
#include "storage/sql_values.h"

namespace saed::storage {
namespace {

constexpr const char* kDictionaryColumns =
    "id, model_id, recording_id, created_at, features, train_windows, test_windows, warnings, "
    "spectra, details";
constexpr const char* kFeatureColumns =
    "f.latent, f.density, f.mean_activation, f.max_activation, f.active_windows, f.top_unit, "
    "f.best_condition, f.best_train_auroc, f.best_test_auroc, f.details, f.importance";
// Lists leave out the exemplars and maps, which are most of the details.
constexpr const char* kListedColumns =
    "f.latent, f.density, f.mean_activation, f.max_activation, f.active_windows, f.top_unit, "
    "f.best_condition, f.best_train_auroc, f.best_test_auroc, "
    "json_remove(f.details, '$.exemplars', '$.places'), f.importance";

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
  r.spectra = s.getColumn(8).getString();
  r.details = s.getColumn(9).getString();
  return r;
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
  r.importance = Real(s.getColumn(10));
  return r;
}

absl::Status Missing(const std::string& id) {
  return absl::NotFoundError(
      fmt::format("there is no dictionary 'dictionaries/{}'; list them with ListDictionaries", id));
}

absl::Status CheckThere(SQLite::Database& db, const std::string& id) {
  SQLite::Statement s(db, "SELECT 1 FROM whole_dictionaries WHERE id = ?");
  s.bind(1, id);
  return s.executeStep() ? absl::OkStatus() : Missing(id);
}

// Of all, or of the one of that name.
std::vector<ConditionRow> AllConditions(SQLite::Database& db, const std::string& id,
                                        const std::optional<std::string>& name = {}) {
  SQLite::Statement s(db,
                      "SELECT c.position, c.name, c.spec, c.train_positive, c.test_positive, "
                      "c.best_unit, c.best_unit_train_auroc, c.best_unit_test_auroc, "
                      "c.best_feature, c.probe_one, c.probe_all, c.probe_counts, a.train_auroc, "
                      "a.test_auroc, c.best_unit_falls, c.random_train_auroc, c.random_test_auroc, "
                      "c.over_unit, c.over_unit_low, c.over_unit_high, c.feature_set, c.details "
                      "FROM conditions c LEFT JOIN associations a ON a.dictionary_id = "
                      "c.dictionary_id AND a.condition = c.position AND a.latent = c.best_feature "
                      "WHERE c.dictionary_id = ?1 AND (?2 IS NULL OR c.name = ?2) "
                      "ORDER BY c.position");
  s.bind(1, id);
  if (name) s.bind(2, *name);
  std::vector<ConditionRow> out;
  while (s.executeStep()) {
    ConditionRow& c = out.emplace_back();
    c.position = s.getColumn(0).getInt();
    c.name = s.getColumn(1).getString();
    c.spec = s.getColumn(2).getString();
    c.train_positive = s.getColumn(3).getInt64();
    c.test_positive = s.getColumn(4).getInt64();
    c.best_unit = Integer(s.getColumn(5));
    c.best_unit_train_auroc = Real(s.getColumn(6));
    c.best_unit_test_auroc = Real(s.getColumn(7));
    if (!s.getColumn(8).isNull()) c.best_feature = s.getColumn(8).getInt();
    c.probe_one = Real(s.getColumn(9));
    c.probe_all = Real(s.getColumn(10));
    c.probe_counts = Real(s.getColumn(11));
    c.best_feature_train_auroc = Real(s.getColumn(12));
    c.best_feature_test_auroc = Real(s.getColumn(13));
    c.best_unit_falls = s.getColumn(14).getInt() != 0;
    c.random_train_auroc = Real(s.getColumn(15));
    c.random_test_auroc = Real(s.getColumn(16));
    c.over_unit = Real(s.getColumn(17));
    c.over_unit_low = Real(s.getColumn(18));
    c.over_unit_high = Real(s.getColumn(19));
    c.feature_set = s.getColumn(20).getString();
    c.details = s.getColumn(21).getString();
  }
  return out;
}

constexpr int kScoreColumns = 6;

class Lookup : public NameLookup {
 public:
  Lookup(SQLite::Database& db, const std::string& dictionary, const Viewer& viewer)
      : db_(db), dictionary_(dictionary), viewer_(viewer) {}

  Found Find(Kind kind, const std::string& name) override {
    const char* table = kind == Kind::kCondition ? "conditions" : "variables";
    const std::string among = dictionary_.empty()
                                  ? "?2 = ''" + Visible(viewer_, "dictionaries", "dictionary_id")
                                  : "dictionary_id = ?2";
    SQLite::Statement s(
        db_, fmt::format("SELECT position FROM {} WHERE name = ?1 AND {} LIMIT 1", table, among));
    SQLite::bind(s, name, dictionary_);
    if (s.executeStep()) return {true, dictionary_.empty() ? -1 : s.getColumn(0).getInt(), ""};
    SQLite::Statement any(
        db_, fmt::format("SELECT name FROM {} WHERE ?1 = ?1 AND {} LIMIT 1", table, among));
    SQLite::bind(any, name, dictionary_);
    return {false, -1, any.executeStep() ? any.getColumn(0).getString() : ""};
  }

 private:
  SQLite::Database& db_;
  const std::string& dictionary_;
  const Viewer& viewer_;
};

// The statement of a query, bound.
absl::StatusOr<std::unique_ptr<SQLite::Statement>> Prepare(SQLite::Database& db,
                                                           const FeatureQuery& query,
                                                           const char* prefix) {
  const bool all = query.dictionary_id.empty();
  if (!all) SAED_RETURN_IF_ERROR(CheckThere(db, query.dictionary_id));
  Lookup names(db, query.dictionary_id, query.viewer);
  SAED_ASSIGN_OR_RETURN(const FeatureSql sql, FeatureQueryToSql(query.filter, query.order_by, names,
                                                                VisibleAnnotation(query.viewer)));
  // Keyset: strictly after (key, dictionary, latent) in the page's direction, as the indexes have
  // it.
  std::string where = fmt::format("{} AND {} IS NOT NULL", sql.where, sql.order);
  const char* direction = sql.descending ? "DESC" : "ASC";
  if (query.has_after) {
    where +=
        fmt::format(" AND ({}, {}f.latent) {} (?, {}?)", sql.order, all ? "f.dictionary_id, " : "",
                    sql.descending ? "<" : ">", all ? "?, " : "");
  }
  if (!all) where += " AND f.dictionary_id = ?";
  if (all) where += Visible(query.viewer, "dictionaries", "d.id");
  // CROSS JOIN keeps SQLite to this order.
  const std::string from =
      sql.first.empty()
          ? "features f JOIN whole_dictionaries d ON d.id = f.dictionary_id"
          : fmt::format(
                "{} g CROSS JOIN whole_dictionaries d ON d.model_id = g.model_id CROSS JOIN "
                "features f ON f.dictionary_id = d.id AND f.latent = g.latent",
                sql.first);
  auto s = std::make_unique<SQLite::Statement>(
      db,
      fmt::format("{}SELECT {}, {}, f.dictionary_id, (SELECT name FROM conditions WHERE "
                  "dictionary_id = f.dictionary_id AND position = f.best_condition) FROM "
                  "{}{} WHERE {} ORDER BY {} {}, {}f.latent {} LIMIT ?",
                  prefix, kListedColumns, sql.order, from, sql.joins, where, sql.order, direction,
                  all ? fmt::format("f.dictionary_id {}, ", direction) : "", direction));
  int at = 1;
  for (const SqlValue& v : sql.values) {
    std::visit([&](const auto& value) { s->bind(at++, value); }, v);
  }
  if (query.has_after) {
    s->bind(at++, query.after_key);
    if (all) s->bind(at++, query.after_dictionary);
    s->bind(at++, query.after_latent);
  }
  if (!all) s->bind(at++, query.dictionary_id);
  s->bind(at, query.limit);
  return s;
}

void AddAnnotations(SQLite::Database& db, const Viewer& viewer,
                    std::vector<ListedFeature>& features) {
  // Of several labels, which have other audiences, the last one.
  SQLite::Statement s(
      db,
      fmt::format("SELECT kind, text FROM annotations JOIN whole_dictionaries d ON d.model_id = "
                  "annotations.model_id WHERE d.id = ? AND latent = ? AND deleted_at IS NULL "
                  "AND kind IN ('label', 'tag'){} ORDER BY kind, CASE kind WHEN 'tag' THEN "
                  "text END, annotations.id",
                  VisibleAnnotation(viewer)));
  for (ListedFeature& f : features) {
    s.reset();
    SQLite::bind(s, f.dictionary_id, f.feature.latent);
    while (s.executeStep()) {
      const std::string text = s.getColumn(1).getString();
      if (s.getColumn(0).getString() == "label") {
        f.label = text;
      } else if (f.tags.empty() || f.tags.back() != text) {
        f.tags.push_back(text);
      }
    }
  }
}

ScoreRow Scores(SQLite::Statement& s, int at) {
  return {Real(s.getColumn(at)),     Real(s.getColumn(at + 1)), Real(s.getColumn(at + 2)),
          Real(s.getColumn(at + 3)), Real(s.getColumn(at + 4)), Real(s.getColumn(at + 5))};
}

}  // namespace

absl::StatusOr<DictionaryRow> DictionariesTable::Get(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<DictionaryRow> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM whole_dictionaries WHERE id = ?", kDictionaryColumns));
    s.bind(1, id);
    if (!s.executeStep()) return Missing(id);
    return Dictionary(s);
  });
}

absl::StatusOr<std::vector<DictionaryRow>> DictionariesTable::List(const std::string& model_id,
                                                                   int limit,
                                                                   int64_t after_created_at,
                                                                   const std::string& after_id,
                                                                   const Viewer& viewer) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<DictionaryRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM whole_dictionaries d WHERE (?1 = '' OR model_id = ?1) AND "
                        "(?3 = '' OR (created_at, id) < (?2, ?3)){} ORDER BY created_at DESC, id "
                        "DESC LIMIT ?4",
                        kDictionaryColumns, Visible(viewer, "dictionaries", "d.id")));
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
  const char* field = query.filter.empty() ? "order_by" : "filter";
  return db_.Search(field, [&](SQLite::Database& db) -> absl::StatusOr<std::vector<ListedFeature>> {
    SAED_ASSIGN_OR_RETURN(const auto s, Prepare(db, query, ""));
    std::vector<ListedFeature> out;
    while (s->executeStep()) {
      ListedFeature f;
      f.feature = Feature(*s);
      f.key = s->getColumn(11).getDouble();
      f.dictionary_id = s->getColumn(12).getString();
      if (!s->getColumn(13).isNull()) f.best_condition_name = s->getColumn(13).getString();
      out.push_back(std::move(f));
    }
    AddAnnotations(db, query.viewer, out);
    return out;
  });
}

absl::StatusOr<std::vector<std::string>> DictionariesTable::Explain(const FeatureQuery& query) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<std::string>> {
    SAED_ASSIGN_OR_RETURN(const auto s, Prepare(db, query, "EXPLAIN QUERY PLAN "));
    std::vector<std::string> out;
    while (s->executeStep()) out.push_back(s->getColumn(3).getString());
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
      SQLite::Statement all(db, "SELECT MAX(latent) FROM features WHERE dictionary_id = ?");
      SQLite::bind(all, id);
      all.executeStep();
      return absl::NotFoundError(fmt::format("dictionaries/{} has no feature {}; it has 0 to {}",
                                             id, latent, all.getColumn(0).getInt()));
    }
    FeatureRow f = Feature(s);
    f.decoder = Floats(s.getColumn(11));
    f.trace_map = Floats(s.getColumn(12));
    return f;
  });
}

namespace {

constexpr char kAssociation[] =
    "SELECT condition, latent, train_coverage, train_specificity, train_selectivity, "
    "train_precision, train_prevalence, train_auroc, test_coverage, test_specificity, "
    "test_selectivity, test_precision, test_prevalence, test_auroc, p_value, q_value, auroc_low, "
    "auroc_high, evidence, falls, code_train_auroc, code_test_auroc, units FROM associations ";

AssociationRow ToAssociation(SQLite::Statement& s) {
  return {s.getColumn(0).getInt(),       s.getColumn(1).getInt(), Scores(s, 2),
          Scores(s, 2 + kScoreColumns),  Real(s.getColumn(14)),   Real(s.getColumn(15)),
          Real(s.getColumn(16)),         Real(s.getColumn(17)),   s.getColumn(18).getString(),
          s.getColumn(19).getInt() != 0, Real(s.getColumn(20)),   Real(s.getColumn(21)),
          s.getColumn(22).getString()};
}

}  // namespace

absl::StatusOr<std::vector<AssociationRow>> DictionariesTable::Associations(const std::string& id,
                                                                            int latent) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<AssociationRow>> {
    SQLite::Statement s(db, std::string(kAssociation) +
                                "INDEXED BY associations_by_latent WHERE dictionary_id = ? AND "
                                "latent = ? ORDER BY test_auroc DESC, condition");
    SQLite::bind(s, id, latent);
    std::vector<AssociationRow> out;
    while (s.executeStep()) out.push_back(ToAssociation(s));
    return out;
  });
}

absl::StatusOr<std::vector<ConditionPlace>> DictionariesTable::WhereCondition(
    const std::string& name, bool all, int limit, const Viewer& viewer) {
  return db_.Search(
      "condition", [&](SQLite::Database& db) -> absl::StatusOr<std::vector<ConditionPlace>> {
        SQLite::Statement s(
            db,
            fmt::format("SELECT id, model_id, recording_id, name, place FROM (SELECT d.id, "
                        "d.model_id, d.recording_id, r.name, d.created_at, ROW_NUMBER() OVER "
                        "(PARTITION BY d.recording_id ORDER BY d.created_at DESC, d.id DESC) AS "
                        "place FROM whole_dictionaries d CROSS JOIN conditions c ON "
                        "c.dictionary_id = d.id AND c.name = ?1 JOIN recordings r ON r.id = "
                        "d.recording_id WHERE 1{}) WHERE place = 1 OR ?2 ORDER BY created_at DESC, "
                        "id DESC LIMIT ?3",
                        Visible(viewer, "dictionaries", "d.id")));
        SQLite::bind(s, name, static_cast<int>(all), limit);
        std::vector<ConditionPlace> out;
        while (s.executeStep()) {
          ConditionPlace& place = out.emplace_back();
          place.dictionary_id = s.getColumn(0).getString();
          place.model_id = s.getColumn(1).getString();
          place.recording_id = s.getColumn(2).getString();
          place.recording_name = s.getColumn(3).getString();
          place.newest = s.getColumn(4).getInt() == 1;
          place.condition = AllConditions(db, place.dictionary_id, name).at(0);
        }
        return out;
      });
}

absl::StatusOr<std::optional<AssociationRow>> DictionariesTable::Association(const std::string& id,
                                                                             int latent,
                                                                             int condition) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::optional<AssociationRow>> {
    SQLite::Statement s(
        db, std::string(kAssociation) + "WHERE dictionary_id = ? AND condition = ? AND latent = ?");
    SQLite::bind(s, id, condition, latent);
    if (!s.executeStep()) return std::nullopt;
    return ToAssociation(s);
  });
}

absl::StatusOr<std::vector<VariableRow>> DictionariesTable::Variables(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<VariableRow>> {
    SQLite::Statement s(db,
                        "SELECT position, name, details, best_unit, best_unit_train, "
                        "best_unit_test FROM variables WHERE dictionary_id = ? ORDER BY position");
    s.bind(1, id);
    std::vector<VariableRow> out;
    while (s.executeStep()) {
      out.push_back({s.getColumn(0).getInt(), s.getColumn(1).getString(),
                     s.getColumn(2).getString(), Integer(s.getColumn(3)), Real(s.getColumn(4)),
                     Real(s.getColumn(5))});
    }
    return out;
  });
}

absl::StatusOr<std::vector<TuningRow>> DictionariesTable::Tunings(const std::string& id,
                                                                  int latent) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<TuningRow>> {
    // Left alone, SQLite walks all tunings of the dictionary in the order that is asked for.
    SQLite::Statement s(
        db,
        "SELECT variable, train_spearman, test_spearman, train_information, "
        "test_information, p_value, q_value, curves, details FROM tunings INDEXED BY "
        "tunings_by_latent WHERE dictionary_id = ? AND latent = ? ORDER BY variable");
    SQLite::bind(s, id, latent);
    std::vector<TuningRow> out;
    while (s.executeStep()) {
      out.push_back({s.getColumn(0).getInt(), latent, Real(s.getColumn(1)), Real(s.getColumn(2)),
                     Real(s.getColumn(3)), Real(s.getColumn(4)), Real(s.getColumn(5)),
                     Real(s.getColumn(6)), Floats(s.getColumn(7)), s.getColumn(8).getString()});
    }
    return out;
  });
}

absl::StatusOr<std::vector<ResponseRow>> DictionariesTable::Responses(const std::string& id,
                                                                      int latent) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<ResponseRow>> {
    SQLite::Statement s(db,
                        "SELECT condition, events, before, latency, curves FROM responses WHERE "
                        "dictionary_id = ? AND latent = ? ORDER BY condition");
    SQLite::bind(s, id, latent);
    std::vector<ResponseRow> out;
    while (s.executeStep()) {
      out.push_back({latent, s.getColumn(0).getInt(), s.getColumn(1).getInt64(),
                     s.getColumn(2).getInt(), s.getColumn(3).getDouble(), Floats(s.getColumn(4))});
    }
    return out;
  });
}

absl::StatusOr<std::vector<int>> DictionariesTable::ActiveLatents(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<int>> {
    SQLite::Statement s(
        db,
        "SELECT latent FROM features WHERE dictionary_id = ? AND active_windows > 0 "
        "ORDER BY latent");
    s.bind(1, id);
    std::vector<int> out;
    while (s.executeStep()) out.push_back(s.getColumn(0).getInt());
    return out;
  });
}

absl::StatusOr<std::vector<std::pair<int, double>>> DictionariesTable::TestAurocs(
    const std::string& id, int condition) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<std::pair<int, double>>> {
    SQLite::Statement s(db,
                        "SELECT latent, test_auroc FROM associations WHERE dictionary_id = ? AND "
                        "condition = ? AND test_auroc IS NOT NULL");
    SQLite::bind(s, id, condition);
    std::vector<std::pair<int, double>> out;
    while (s.executeStep()) out.emplace_back(s.getColumn(0).getInt(), s.getColumn(1).getDouble());
    return out;
  });
}

}  // namespace saed::storage

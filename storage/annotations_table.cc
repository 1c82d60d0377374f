#include "storage/annotations_table.h"

#include <fmt/format.h>

#include "storage/sql_values.h"

namespace saed::storage {
namespace {

constexpr const char* kColumns =
    "id, model_id, latent, kind, text, author, created_at, deleted_at, deleted_by, recording_id";

AnnotationRow Row(SQLite::Statement& s) {
  AnnotationRow r;
  r.id = s.getColumn(0).getInt64();
  r.model_id = s.getColumn(1).getString();
  r.latent = s.getColumn(2).getInt();
  r.kind = s.getColumn(3).getString();
  r.text = s.getColumn(4).getString();
  r.author = s.getColumn(5).getString();
  r.created_at = s.getColumn(6).getInt64();
  r.deleted_at = Integer(s.getColumn(7));
  if (!s.getColumn(8).isNull()) r.deleted_by = s.getColumn(8).getString();
  r.recording_id = s.getColumn(9).getString();
  return r;
}

}  // namespace

absl::StatusOr<AnnotationRow> AnnotationsTable::Add(AnnotationRow row, const Viewer& viewer) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<AnnotationRow> {
    SQLite::Statement model(db, "SELECT features FROM models WHERE id = ?");
    model.bind(1, row.model_id);
    if (!model.executeStep() || row.latent < 0 || row.latent >= model.getColumn(0).getInt()) {
      return absl::NotFoundError(
          fmt::format("models/{} has no latent {}", row.model_id, row.latent));
    }
    if (row.kind == "tag") {
      SQLite::Statement same(db, fmt::format("SELECT {} FROM annotations WHERE model_id = ? AND "
                                             "latent = ? AND kind = 'tag' AND text = ? AND "
                                             "deleted_at IS NULL{}",
                                             kColumns, VisibleAnnotation(viewer)));
      SQLite::bind(same, row.model_id, row.latent, row.text);
      if (same.executeStep()) return Row(same);
    }
    if (row.kind == "label") {
      SQLite::Statement replace(
          db, fmt::format("UPDATE annotations SET deleted_at = ?, deleted_by = ? WHERE model_id = "
                          "?3 AND latent = ?4 AND kind = 'label' AND deleted_at IS NULL AND "
                          "(recording_id IS ?5 OR NOT EXISTS (SELECT 1 FROM recordings WHERE id = "
                          "?5 AND private <> 0)){}",
                          VisibleAnnotation(viewer)));
      // What only some can see takes nothing away from the others.
      SQLite::bind(replace, row.created_at, row.author, row.model_id, row.latent, row.recording_id);
      replace.exec();
    }
    SQLite::Statement s(db,
                        "INSERT INTO annotations (model_id, latent, kind, text, author, "
                        "created_at, recording_id) VALUES (?,?,?,?,?,?,nullif(?, ''))");
    SQLite::bind(s, row.model_id, row.latent, row.kind, row.text, row.author, row.created_at,
                 row.recording_id);
    s.exec();
    row.id = db.getLastInsertRowid();
    return row;
  });
}

absl::Status AnnotationsTable::Delete(const std::string& model_id, int latent, int64_t id,
                                      const std::string& by, int64_t now, const Viewer& viewer) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement find(db,
                           fmt::format("SELECT author FROM annotations WHERE id = ? AND model_id = "
                                       "? AND latent = ? AND deleted_at IS NULL{}",
                                       VisibleAnnotation(viewer)));
    SQLite::bind(find, id, model_id, latent);
    if (!find.executeStep()) {
      return absl::NotFoundError(
          fmt::format("latent {} of models/{} has no annotation {}; list them with ListAnnotations",
                      latent, model_id, id));
    }
    const std::string author = find.getColumn(0).getString();
    if (!viewer.all && author != viewer.user) {
      return absl::PermissionDeniedError(
          fmt::format("annotation {} is of '{}'; only its author and administrators may delete it",
                      id, author));
    }
    SQLite::Statement s(db, "UPDATE annotations SET deleted_at = ?, deleted_by = ? WHERE id = ?");
    SQLite::bind(s, now, by, id);
    s.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<AnnotationRow>> AnnotationsTable::List(const std::string& model_id,
                                                                  int latent, bool deleted,
                                                                  const Viewer& viewer, int limit,
                                                                  int64_t after) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<AnnotationRow>> {
    SQLite::Statement s(db,
                        fmt::format("SELECT {} FROM annotations WHERE model_id = ? AND latent "
                                    "= ? AND (?3 OR deleted_at IS NULL) AND id > ?4{} ORDER BY id "
                                    "LIMIT ?5",
                                    kColumns, VisibleAnnotation(viewer)));
    SQLite::bind(s, model_id, latent, deleted ? 1 : 0, after, limit);
    std::vector<AnnotationRow> out;
    while (s.executeStep()) out.push_back(Row(s));
    return out;
  });
}

absl::StatusOr<FeatureNames> AnnotationsTable::Names(const std::string& model_id, int latent,
                                                     const Viewer& viewer) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<FeatureNames> {
    FeatureNames out;
    SQLite::Statement s(db, fmt::format("SELECT kind, text FROM annotations WHERE model_id = ? AND "
                                        "latent = ? AND deleted_at IS NULL AND kind IN ('label', "
                                        "'tag'){} ORDER BY kind, CASE kind WHEN 'tag' THEN text "
                                        "END, id",
                                        VisibleAnnotation(viewer)));
    SQLite::bind(s, model_id, latent);
    while (s.executeStep()) {
      const std::string text = s.getColumn(1).getString();
      // Of several labels, which have other audiences, the last one.
      if (s.getColumn(0).getString() == "label") {
        out.label = text;
      } else if (out.tags.empty() || out.tags.back() != text) {
        out.tags.push_back(text);
      }
    }
    return out;
  });
}

}  // namespace saed::storage

#include "storage/models_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "storage/dictionary_remove.h"

namespace saed::storage {
namespace {

constexpr const char* kColumns =
    "id, recording_id, name, created_at, features, window, units, digest, spec, evaluation, "
    "provenance";

ModelRow Row(SQLite::Statement& s) {
  ModelRow r;
  r.id = s.getColumn(0).getString();
  r.recording_id = s.getColumn(1).getString();
  r.name = s.getColumn(2).getString();
  r.created_at = s.getColumn(3).getInt64();
  r.features = s.getColumn(4).getInt();
  r.window = s.getColumn(5).getInt();
  r.units = s.getColumn(6).getInt();
  r.digest = s.getColumn(7).getString();
  r.spec = s.getColumn(8).getString();
  r.evaluation = s.getColumn(9).getString();
  r.provenance = s.getColumn(10).getString();
  return r;
}

absl::Status Missing(const std::string& id) {
  return absl::NotFoundError(
      fmt::format("there is no model 'models/{}'; list them with ListModels", id));
}

bool Any(SQLite::Statement& s) {
  s.executeStep();
  return s.getColumn(0).getInt64() > 0;
}

// Not OK while a job would store the model again or reads it, and where dictionaries of others hang
// on it, which the viewer may not even see.
absl::Status Unused(SQLite::Database& db, const std::string& id, const Viewer& viewer) {
  SQLite::Statement jobs(
      db,
      "SELECT count(*) FROM jobs WHERE state IN ('QUEUED', 'RUNNING') AND (id = ?1 OR "
      "(kind = 'analyse' AND json_extract(spec, '$.model_id') = ?1))");
  jobs.bind(1, id);
  if (Any(jobs)) {
    return absl::FailedPreconditionError(
        fmt::format("a job that has not ended uses models/{}; cancel it first, or wait", id));
  }
  SQLite::Statement others(
      db, "SELECT count(*) FROM dictionaries WHERE model_id = ? AND owner NOT IN ('', ?)");
  SQLite::bind(others, id, viewer.user);
  if (!viewer.all && Any(others)) {
    return absl::FailedPreconditionError(fmt::format(
        "others have dictionaries of models/{}, which would go with it; ask an administrator", id));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ModelsTable::Insert(const ModelRow& row, const std::vector<TensorRow>& tensors,
                                 const std::optional<Attempt>& attempt, const std::string& owner) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    if (auto fence = attempt ? FenceResult(db, *attempt) : absl::OkStatus(); !fence.ok()) {
      return fence;
    }
    SQLite::Statement s(db,
                        fmt::format("INSERT INTO models ({}, owner) VALUES (?1,?,?,?,?,?,?,?,?,?,"
                                    "?, coalesce((SELECT owner FROM jobs WHERE id = ?1), ?)) "
                                    "ON CONFLICT (id) DO NOTHING",
                                    kColumns));
    std::string name = row.name;
    if (attempt) {
      SQLite::Statement job(db, "SELECT name FROM jobs WHERE id = ?");
      job.bind(1, attempt->job);
      if (job.executeStep()) name = job.getColumn(0).getString();
    }
    SQLite::bind(s, row.id, row.recording_id, name, row.created_at, row.features, row.window,
                 row.units, row.digest, row.spec, row.evaluation, row.provenance, owner);
    if (s.exec() == 0) return absl::OkStatus();
    SQLite::Statement tensor(db, "INSERT INTO model_tensors VALUES (?,?,?,?)");
    for (const TensorRow& t : tensors) {
      tensor.reset();
      tensor.bind(1, row.id);
      tensor.bind(2, t.name);
      tensor.bind(3, fmt::format("[{}]", fmt::join(t.shape, ",")));
      tensor.bindNoCopy(4, t.data.data(), static_cast<int>(t.data.size() * sizeof(float)));
      tensor.exec();
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<ModelRow> ModelsTable::Get(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<ModelRow> {
    SQLite::Statement s(db, fmt::format("SELECT {} FROM models WHERE id = ?", kColumns));
    s.bind(1, id);
    if (!s.executeStep()) return Missing(id);
    return Row(s);
  });
}

absl::StatusOr<std::vector<TensorRow>> ModelsTable::Tensors(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<TensorRow>> {
    SQLite::Statement s(db,
                        "SELECT name, shape, data FROM model_tensors WHERE model_id = ? ORDER BY "
                        "name");
    s.bind(1, id);
    std::vector<TensorRow> out;
    while (s.executeStep()) {
      TensorRow t;
      t.name = s.getColumn(0).getString();
      t.shape = nlohmann::json::parse(s.getColumn(1).getString()).get<std::vector<int64_t>>();
      const SQLite::Column data = s.getColumn(2);
      t.data.resize(static_cast<size_t>(data.getBytes()) / sizeof(float));
      if (!t.data.empty()) {
        std::memcpy(t.data.data(), data.getBlob(), t.data.size() * sizeof(float));
      }
      out.push_back(std::move(t));
    }
    if (out.empty()) return Missing(id);
    return out;
  });
}

absl::StatusOr<std::vector<ModelRow>> ModelsTable::List(const std::string& recording_id, int limit,
                                                        int64_t after_created_at,
                                                        const std::string& after_id,
                                                        const Viewer& viewer) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<ModelRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM models WHERE (?1 = '' OR recording_id = ?1) AND (?3 = '' "
                        "OR (created_at, id) < (?2, ?3)){} ORDER BY created_at DESC, id DESC LIMIT "
                        "?4",
                        kColumns, Visible(viewer, "models", "models.id")));
    SQLite::bind(s, recording_id, after_created_at, after_id, limit);
    std::vector<ModelRow> out;
    while (s.executeStep()) out.push_back(Row(s));
    return out;
  });
}

absl::Status ModelsTable::SetName(const std::string& id, const std::string& display_name) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db, "UPDATE models SET name = ? WHERE id = ?");
    SQLite::bind(s, display_name, id);
    return s.exec() == 1 ? absl::OkStatus() : Missing(id);
  });
}

absl::Status ModelsTable::Delete(const std::string& id, const Viewer& viewer) {
  // Hidden first, then removed in pieces, which may be long.
  const auto dictionaries =
      db_.Write([&](SQLite::Database& db) -> absl::StatusOr<std::vector<std::string>> {
        if (absl::Status s = Unused(db, id, viewer); !s.ok()) return s;
        SQLite::Statement hide(db, "UPDATE dictionaries SET complete = 0 WHERE model_id = ?");
        hide.bind(1, id);
        hide.exec();
        SQLite::Statement s(db, "SELECT id FROM dictionaries WHERE model_id = ?");
        s.bind(1, id);
        std::vector<std::string> out;
        while (s.executeStep()) out.push_back(s.getColumn(0).getString());
        return out;
      });
  if (!dictionaries.ok()) return dictionaries.status();
  for (const std::string& dictionary : *dictionaries) {
    if (auto removed = RemoveDictionary(db_, dictionary); !removed.ok()) return removed;
  }
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db, "DELETE FROM models WHERE id = ?");
    s.bind(1, id);
    return s.exec() == 1 ? absl::OkStatus() : Missing(id);
  });
}

}  // namespace saed::storage

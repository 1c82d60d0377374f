// The schema, as numbered migrations. A migration, once released, never changes.
#include <fmt/format.h>

#include "storage/database.h"

namespace saed::storage {
namespace {

// Times are microseconds since 1970. JSON columns hold what is never searched.
constexpr const char* kMigrations[] = {
    R"sql(
CREATE TABLE recordings (
  id TEXT PRIMARY KEY,           -- the first 16 digits of `digest`
  digest TEXT NOT NULL UNIQUE,   -- SHA-256 of the stored form; names the object file
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  duration REAL NOT NULL,        -- s
  unit_count INTEGER NOT NULL,
  spike_count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  summary TEXT NOT NULL          -- JSON: sampling rate, tables, series, warnings
) STRICT;

CREATE TABLE units (
  recording_id TEXT NOT NULL REFERENCES recordings(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  id INTEGER NOT NULL,
  label TEXT NOT NULL,
  region TEXT NOT NULL,
  depth REAL,                    -- µm
  spike_count INTEGER NOT NULL,
  columns TEXT NOT NULL,         -- JSON: further columns, as text
  PRIMARY KEY (recording_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL UNIQUE,  -- order of submission
  request_id TEXT UNIQUE,
  request_digest TEXT NOT NULL,    -- SHA-256 of what the request asked for
  kind TEXT NOT NULL,              -- train, analyse
  state TEXT NOT NULL CHECK (state IN ('QUEUED','RUNNING','SUCCEEDED','FAILED','CANCELLED')),
  recording_id TEXT NOT NULL REFERENCES recordings(id),
  name TEXT NOT NULL,
  spec TEXT NOT NULL,              -- JSON
  threads INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  attempt INTEGER NOT NULL DEFAULT 0,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  error_code INTEGER NOT NULL DEFAULT 0,
  error_message TEXT NOT NULL DEFAULT '',
  checkpoint TEXT,                 -- digest of the object with the trainer's state
  checkpoint_step INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_by_state ON jobs(state, number);
CREATE INDEX jobs_by_recording ON jobs(recording_id);

CREATE TABLE job_progress (
  job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  body TEXT NOT NULL,              -- JSON
  PRIMARY KEY (job_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  id TEXT PRIMARY KEY,             -- that of its train job
  recording_id TEXT NOT NULL REFERENCES recordings(id),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  features INTEGER NOT NULL,
  window INTEGER NOT NULL,
  units INTEGER NOT NULL,
  digest TEXT NOT NULL,            -- SHA-256 of the tensors
  spec TEXT NOT NULL,              -- JSON
  evaluation TEXT NOT NULL,        -- JSON
  provenance TEXT NOT NULL         -- JSON
) STRICT;
CREATE INDEX models_by_recording ON models(recording_id);

CREATE TABLE model_tensors (
  model_id TEXT NOT NULL REFERENCES models(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  shape TEXT NOT NULL,             -- JSON array
  data BLOB NOT NULL,              -- little-endian float32
  PRIMARY KEY (model_id, name)
) STRICT;

CREATE TABLE dictionaries (
  id TEXT PRIMARY KEY,             -- that of the job that built it
  model_id TEXT NOT NULL REFERENCES models(id) ON DELETE CASCADE,
  recording_id TEXT NOT NULL REFERENCES recordings(id),
  created_at INTEGER NOT NULL,
  features INTEGER NOT NULL,
  train_windows INTEGER NOT NULL,
  test_windows INTEGER NOT NULL,
  warnings TEXT NOT NULL           -- JSON array
) STRICT;
CREATE INDEX dictionaries_by_model ON dictionaries(model_id);
CREATE INDEX dictionaries_by_recording ON dictionaries(recording_id);

CREATE TABLE conditions (
  dictionary_id TEXT NOT NULL REFERENCES dictionaries(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  spec TEXT NOT NULL,              -- JSON
  train_positive INTEGER NOT NULL, -- windows
  test_positive INTEGER NOT NULL,
  PRIMARY KEY (dictionary_id, position),
  UNIQUE (dictionary_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE features (
  dictionary_id TEXT NOT NULL REFERENCES dictionaries(id) ON DELETE CASCADE,
  latent INTEGER NOT NULL,
  density REAL NOT NULL,           -- fraction of windows active
  mean_activation REAL NOT NULL,   -- over active windows
  max_activation REAL NOT NULL,
  active_windows INTEGER NOT NULL,
  top_unit INTEGER,                -- unit id
  best_condition INTEGER,          -- highest AUROC on training rows
  best_train_auroc REAL,
  best_test_auroc REAL,            -- of that same condition
  decoder BLOB NOT NULL,           -- float32 [S, N]
  trace_map BLOB NOT NULL,         -- float32 [S, N]: mean gradient × input while active
  details TEXT NOT NULL,           -- JSON: top units, exemplars
  PRIMARY KEY (dictionary_id, latent)
) STRICT;

CREATE TABLE associations (
  dictionary_id TEXT NOT NULL REFERENCES dictionaries(id) ON DELETE CASCADE,
  condition INTEGER NOT NULL,
  latent INTEGER NOT NULL,
  train_coverage REAL, train_specificity REAL, train_selectivity REAL, train_precision REAL,
  train_prevalence REAL, train_auroc REAL,
  test_coverage REAL, test_specificity REAL, test_selectivity REAL, test_precision REAL,
  test_prevalence REAL, test_auroc REAL,
  PRIMARY KEY (dictionary_id, condition, latent)
) STRICT, WITHOUT ROWID;
CREATE INDEX associations_by_test_auroc ON associations(dictionary_id, condition, test_auroc);
CREATE INDEX associations_by_latent ON associations(dictionary_id, latent);
)sql",
    // 2: how sure scores are, and the best single unit.
    R"sql(
ALTER TABLE associations ADD COLUMN p_value REAL; -- of the held-out AUROC, circular shifts
ALTER TABLE associations ADD COLUMN q_value REAL; -- after Benjamini & Hochberg
ALTER TABLE associations ADD COLUMN auroc_low REAL; -- held-out, 95 %, blocks of time
ALTER TABLE associations ADD COLUMN auroc_high REAL;
ALTER TABLE conditions ADD COLUMN best_unit INTEGER; -- unit id
ALTER TABLE conditions ADD COLUMN best_unit_train_auroc REAL;
ALTER TABLE conditions ADD COLUMN best_unit_test_auroc REAL;
)sql",
    // 3: continuous variables, responses to events, probes, ablation; what people say about
    // features; queries over all dictionaries from indexes.
    R"sql(
ALTER TABLE conditions ADD COLUMN best_feature INTEGER; -- latent, highest training AUROC
ALTER TABLE conditions ADD COLUMN probe_one REAL;       -- held-out balanced accuracy
ALTER TABLE conditions ADD COLUMN probe_all REAL;
ALTER TABLE conditions ADD COLUMN probe_counts REAL;
ALTER TABLE features ADD COLUMN importance REAL;        -- ablation
ALTER TABLE dictionaries ADD COLUMN spectra TEXT NOT NULL DEFAULT '{}'; -- JSON

CREATE TABLE variables (
  dictionary_id TEXT NOT NULL REFERENCES dictionaries(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  details TEXT NOT NULL,           -- JSON: edges of the tuning bins, their windows
  best_unit INTEGER,               -- unit id, highest training |Spearman|
  best_unit_train REAL, best_unit_test REAL,
  PRIMARY KEY (dictionary_id, position),
  UNIQUE (dictionary_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX variables_by_name ON variables(name);

CREATE TABLE tunings (
  dictionary_id TEXT NOT NULL REFERENCES dictionaries(id) ON DELETE CASCADE,
  variable INTEGER NOT NULL,
  latent INTEGER NOT NULL,
  train_spearman REAL, test_spearman REAL,
  train_information REAL, test_information REAL, -- bits
  p_value REAL, q_value REAL,                    -- of the held-out Spearman
  curves BLOB NOT NULL,            -- float32 [2, tuning bins]: training, held-out; NaN: no windows
  PRIMARY KEY (dictionary_id, variable, latent)
) STRICT, WITHOUT ROWID;
CREATE INDEX tunings_by_latent ON tunings(dictionary_id, latent);
CREATE INDEX tunings_by_test_spearman ON tunings(dictionary_id, variable, test_spearman);
CREATE INDEX tunings_by_test_information ON tunings(dictionary_id, variable, test_information);

CREATE TABLE responses (
  dictionary_id TEXT NOT NULL REFERENCES dictionaries(id) ON DELETE CASCADE,
  latent INTEGER NOT NULL,
  condition INTEGER NOT NULL,
  events INTEGER NOT NULL,
  before INTEGER NOT NULL,         -- bins before the event
  latency REAL NOT NULL,           -- s
  curves BLOB NOT NULL,            -- float32 [2, lags]: mean, s.e.m.; NaN: no windows
  PRIMARY KEY (dictionary_id, latent, condition)
) STRICT, WITHOUT ROWID;

CREATE TABLE annotations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  model_id TEXT NOT NULL REFERENCES models(id) ON DELETE CASCADE,
  latent INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('label', 'tag', 'note')),
  text TEXT NOT NULL,
  author TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER,              -- a label is deleted by the next one
  deleted_by TEXT
) STRICT;
CREATE INDEX annotations_by_feature ON annotations(model_id, latent);
CREATE INDEX annotations_by_text ON annotations(kind, text) WHERE deleted_at IS NULL;

CREATE INDEX conditions_by_name ON conditions(name);
CREATE INDEX associations_by_train_auroc ON associations(dictionary_id, condition, train_auroc);
CREATE INDEX associations_by_selectivity
  ON associations(dictionary_id, condition, test_selectivity);
CREATE INDEX associations_by_q ON associations(dictionary_id, condition, q_value);
CREATE INDEX features_by_density ON features(dictionary_id, density, latent);
CREATE INDEX features_by_mean ON features(dictionary_id, mean_activation, latent);
CREATE INDEX features_by_max ON features(dictionary_id, max_activation, latent);
CREATE INDEX features_by_windows ON features(dictionary_id, active_windows, latent);
CREATE INDEX features_by_unit ON features(dictionary_id, top_unit, latent);
CREATE INDEX features_by_best ON features(dictionary_id, best_test_auroc, latent);
CREATE INDEX features_by_best_condition ON features(dictionary_id, best_condition, latent);
CREATE INDEX features_by_importance ON features(dictionary_id, importance, latent);
CREATE INDEX all_features_by_best ON features(best_test_auroc, dictionary_id, latent);
CREATE INDEX all_features_by_density ON features(density, dictionary_id, latent);
CREATE INDEX all_features_by_mean ON features(mean_activation, dictionary_id, latent);
CREATE INDEX all_features_by_max ON features(max_activation, dictionary_id, latent);
CREATE INDEX all_features_by_windows ON features(active_windows, dictionary_id, latent);
CREATE INDEX all_features_by_importance ON features(importance, dictionary_id, latent);
)sql",
    // 4: a queue that is shared: owners, priorities, pauses, retries; what users have computed.
    R"sql(
ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0; -- -1 low to 2 urgent
ALTER TABLE jobs ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;   -- bytes it is thought to need
ALTER TABLE jobs ADD COLUMN queued_at INTEGER NOT NULL DEFAULT 0; -- began to wait
ALTER TABLE jobs ADD COLUMN paused TEXT NOT NULL DEFAULT '';     -- '', or by what: user, sweep
ALTER TABLE jobs ADD COLUMN dependencies TEXT NOT NULL DEFAULT '[]'; -- JSON array of job ids
ALTER TABLE jobs ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN failures INTEGER NOT NULL DEFAULT 0; -- that may pass, so far
ALTER TABLE jobs ADD COLUMN time_limit REAL NOT NULL DEFAULT 0;  -- s of running; 0: none
ALTER TABLE jobs ADD COLUMN run_seconds REAL NOT NULL DEFAULT 0; -- of all attempts
UPDATE jobs SET queued_at = created_at;

CREATE TABLE usage (
  user TEXT PRIMARY KEY,
  core_seconds REAL NOT NULL,      -- at that time; they halve with every half-life
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql",
    // 5: sweeps.
    R"sql(
CREATE TABLE sweeps (
  id TEXT PRIMARY KEY,
  number INTEGER NOT NULL UNIQUE,  -- order of submission
  request_id TEXT UNIQUE,
  request_digest TEXT NOT NULL,
  owner TEXT NOT NULL,
  name TEXT NOT NULL,
  recording_id TEXT NOT NULL REFERENCES recordings(id),
  state TEXT NOT NULL CHECK (state IN ('RUNNING','SUCCEEDED','FAILED','CANCELLED')),
  spec TEXT NOT NULL,              -- JSON
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  error_message TEXT NOT NULL DEFAULT '',
  best_trial INTEGER,
  best_job TEXT                    -- trains the best settings on all training windows
) STRICT;
CREATE INDEX sweeps_by_state ON sweeps(state, number);
CREATE INDEX sweeps_by_recording ON sweeps(recording_id);

CREATE TABLE trials (
  sweep_id TEXT NOT NULL REFERENCES sweeps(id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  point TEXT NOT NULL,             -- JSON array, in the unit cube
  settings TEXT NOT NULL,          -- JSON
  PRIMARY KEY (sweep_id, number)
) STRICT, WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN sweep_id TEXT REFERENCES sweeps(id);
ALTER TABLE jobs ADD COLUMN trial INTEGER;
ALTER TABLE jobs ADD COLUMN rung INTEGER NOT NULL DEFAULT 0; -- where a trial stops next
CREATE INDEX jobs_by_sweep ON jobs(sweep_id, trial) WHERE sweep_id IS NOT NULL;

CREATE TABLE trial_evaluations (
  job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  rung INTEGER NOT NULL,
  body TEXT NOT NULL,              -- JSON
  PRIMARY KEY (job_id, rung)
) STRICT, WITHOUT ROWID;
)sql",
    // 6: users, tokens, owners, the audit log.
    R"sql(
CREATE TABLE users (
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('reader', 'member', 'admin')),
  share REAL NOT NULL DEFAULT 1,
  disabled INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,             -- the public part of the token
  user TEXT NOT NULL REFERENCES users(name),
  note TEXT NOT NULL,
  salt TEXT NOT NULL,              -- hex
  hash TEXT NOT NULL,              -- hex: SHA-256(salt + secret)
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_user ON tokens(user);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  user TEXT NOT NULL,
  method TEXT NOT NULL,
  resource TEXT NOT NULL,
  outcome TEXT NOT NULL,           -- allowed, or a canonical code
  peer TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_user ON audit(user, id);

ALTER TABLE recordings ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE recordings ADD COLUMN private INTEGER NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE dictionaries ADD COLUMN owner TEXT NOT NULL DEFAULT '';
CREATE INDEX recordings_by_owner ON recordings(owner);
)sql",
    // 7: users' own limits; when the keeper's work was last done.
    R"sql(
ALTER TABLE users ADD COLUMN most_threads INTEGER;         -- NULL: as everyone; 0: no limit
ALTER TABLE users ADD COLUMN most_running_jobs INTEGER;
ALTER TABLE users ADD COLUMN most_unfinished_jobs INTEGER;
ALTER TABLE users ADD COLUMN most_bytes INTEGER;
ALTER TABLE users ADD COLUMN most_requests REAL;           -- a second

CREATE TABLE chores (
  name TEXT PRIMARY KEY,           -- backup
  done_at INTEGER NOT NULL         -- with success
) STRICT, WITHOUT ROWID;
)sql",
    // 8: what pairs are judged by; the random control.
    R"sql(
ALTER TABLE associations ADD COLUMN evidence TEXT NOT NULL DEFAULT ''; -- kind; '': the code
ALTER TABLE associations ADD COLUMN falls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE associations ADD COLUMN code_train_auroc REAL;
ALTER TABLE associations ADD COLUMN code_test_auroc REAL;
ALTER TABLE associations ADD COLUMN units TEXT NOT NULL DEFAULT ''; -- JSON: id, drive, share
ALTER TABLE conditions ADD COLUMN best_unit_falls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conditions ADD COLUMN random_train_auroc REAL;
ALTER TABLE conditions ADD COLUMN random_test_auroc REAL;
)sql",
    // 9: what a condition's feature is worth beside the best unit; sets of features.
    R"sql(
ALTER TABLE conditions ADD COLUMN over_unit REAL;
ALTER TABLE conditions ADD COLUMN over_unit_low REAL;
ALTER TABLE conditions ADD COLUMN over_unit_high REAL;
ALTER TABLE conditions ADD COLUMN feature_set TEXT NOT NULL DEFAULT ''; -- JSON; '': none
)sql",
    // 10: what is only shown: of dictionaries, conditions and tunings.
    R"sql(
ALTER TABLE dictionaries ADD COLUMN details TEXT NOT NULL DEFAULT '{}'; -- JSON
ALTER TABLE conditions ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tunings ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
)sql",
    // 11: what everything was made from, which decides who may see it. Several users may hold the
    // same content, each for themselves.
    R"sql(
CREATE TABLE recordings_now (
  id TEXT PRIMARY KEY,
  digest TEXT NOT NULL,          -- SHA-256 of the stored form; names the object file
  name TEXT NOT NULL,
  source TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  duration REAL NOT NULL,        -- s
  unit_count INTEGER NOT NULL,
  spike_count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  summary TEXT NOT NULL,         -- JSON: sampling rate, tables, series, warnings
  owner TEXT NOT NULL DEFAULT '',
  private INTEGER NOT NULL DEFAULT 0,
  UNIQUE (digest, owner)
) STRICT;
INSERT INTO recordings_now SELECT id, digest, name, source, created_at, duration, unit_count,
  spike_count, bytes, summary, owner, private FROM recordings;
DROP TABLE recordings;
ALTER TABLE recordings_now RENAME TO recordings;
CREATE INDEX recordings_by_owner ON recordings(owner);

CREATE TABLE made_from (
  collection TEXT NOT NULL,      -- jobs, sweeps, models, dictionaries
  id TEXT NOT NULL,
  recording_id TEXT NOT NULL REFERENCES recordings(id),
  PRIMARY KEY (collection, id, recording_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX made_from_by_recording ON made_from(recording_id);

-- Specs name further recordings: of a paired population, of the model that is analysed.
CREATE VIEW named_recordings AS
  SELECT 'models' AS collection, id, recording_id FROM models
  UNION ALL SELECT 'models', id, json_extract(spec, '$.target.recording_id') FROM models
    WHERE json_valid(spec)
  UNION ALL SELECT 'jobs', id, recording_id FROM jobs
  UNION ALL SELECT 'jobs', id, json_extract(spec, '$.target.recording_id') FROM jobs
    WHERE json_valid(spec)
  UNION ALL SELECT 'jobs', id, json_extract(spec, '$.train.target.recording_id') FROM jobs
    WHERE json_valid(spec)
  UNION ALL SELECT 'jobs', j.id, m.recording_id FROM jobs j JOIN made_from m ON m.collection =
    'models' AND m.id = json_extract(j.spec, '$.model_id') WHERE json_valid(j.spec)
  UNION ALL SELECT 'sweeps', id, recording_id FROM sweeps
  UNION ALL SELECT 'sweeps', id, json_extract(spec, '$.base.target.recording_id') FROM sweeps
    WHERE json_valid(spec)
  UNION ALL SELECT 'dictionaries', id, recording_id FROM dictionaries
  UNION ALL SELECT 'dictionaries', d.id, m.recording_id FROM dictionaries d JOIN made_from m ON
    m.collection = 'models' AND m.id = d.model_id;

INSERT OR IGNORE INTO made_from SELECT * FROM named_recordings WHERE collection = 'models' AND
  recording_id IN (SELECT id FROM recordings);
INSERT OR IGNORE INTO made_from SELECT * FROM named_recordings WHERE collection <> 'models' AND
  recording_id IN (SELECT id FROM recordings);

CREATE TRIGGER models_are_made AFTER INSERT ON models BEGIN
  INSERT OR IGNORE INTO made_from SELECT * FROM named_recordings WHERE collection = 'models' AND
    id = new.id AND recording_id IN (SELECT id FROM recordings);
END;
CREATE TRIGGER jobs_are_made AFTER INSERT ON jobs BEGIN
  INSERT OR IGNORE INTO made_from SELECT * FROM named_recordings WHERE collection = 'jobs' AND
    id = new.id AND recording_id IN (SELECT id FROM recordings);
END;
CREATE TRIGGER sweeps_are_made AFTER INSERT ON sweeps BEGIN
  INSERT OR IGNORE INTO made_from SELECT * FROM named_recordings WHERE collection = 'sweeps' AND
    id = new.id AND recording_id IN (SELECT id FROM recordings);
END;
CREATE TRIGGER dictionaries_are_made AFTER INSERT ON dictionaries BEGIN
  INSERT OR IGNORE INTO made_from SELECT * FROM named_recordings WHERE collection = 'dictionaries'
    AND id = new.id AND recording_id IN (SELECT id FROM recordings);
END;
CREATE TRIGGER models_are_gone AFTER DELETE ON models BEGIN
  DELETE FROM made_from WHERE collection = 'models' AND id = old.id;
END;
CREATE TRIGGER jobs_are_gone AFTER DELETE ON jobs BEGIN
  DELETE FROM made_from WHERE collection = 'jobs' AND id = old.id;
END;
CREATE TRIGGER sweeps_are_gone AFTER DELETE ON sweeps BEGIN
  DELETE FROM made_from WHERE collection = 'sweeps' AND id = old.id;
END;
CREATE TRIGGER dictionaries_are_gone AFTER DELETE ON dictionaries BEGIN
  DELETE FROM made_from WHERE collection = 'dictionaries' AND id = old.id;
END;

-- Of the dictionary through which it was written; NULL: what the model is made from is enough.
ALTER TABLE annotations ADD COLUMN recording_id TEXT;

)sql",
    // 12: what attempts and long writes leave where the server dies; jobs also paused by
    // "user+sweep", and request ids by who uses them (request_keys.h).
    R"sql(
ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0; -- of the server, in a row
ALTER TABLE dictionaries ADD COLUMN complete INTEGER NOT NULL DEFAULT 1; -- all rows are there
UPDATE jobs SET request_id = CASE
    WHEN kind = 'trial' OR EXISTS (SELECT 1 FROM sweeps s WHERE s.owner = jobs.owner AND
         jobs.request_id = 'sweep ' || s.id || ' best') THEN 'server:' || request_id
    ELSE 'user:' || owner || ':' || request_id END
  WHERE request_id IS NOT NULL;
UPDATE sweeps SET request_id = 'user:' || owner || ':' || request_id WHERE request_id IS NOT NULL;
CREATE VIEW whole_dictionaries AS SELECT * FROM dictionaries WHERE complete;
)sql",
    // 13: nothing.
    "",
    // 14: who left, and with which token a user made another. The row of who left stays, so that
    // nobody gets the name again and with it what is kept by name; what still comes under it, as
    // from an upload or a job that was running, is the heir's.
    R"sql(
ALTER TABLE users ADD COLUMN deleted_at INTEGER;
ALTER TABLE users ADD COLUMN heir TEXT NOT NULL DEFAULT ''; -- '': nobody
ALTER TABLE tokens ADD COLUMN made_with TEXT;               -- NULL: an administrator made it
CREATE TRIGGER recordings_are_inherited AFTER INSERT ON recordings
    WHEN EXISTS (SELECT 1 FROM users WHERE name = new.owner AND deleted_at IS NOT NULL) BEGIN
  UPDATE recordings SET owner = (SELECT heir FROM users WHERE name = new.owner) WHERE id = new.id;
END;
CREATE TRIGGER jobs_are_inherited AFTER INSERT ON jobs
    WHEN EXISTS (SELECT 1 FROM users WHERE name = new.owner AND deleted_at IS NOT NULL) BEGIN
  UPDATE jobs SET owner = (SELECT heir FROM users WHERE name = new.owner) WHERE id = new.id;
END;
CREATE TRIGGER sweeps_are_inherited AFTER INSERT ON sweeps
    WHEN EXISTS (SELECT 1 FROM users WHERE name = new.owner AND deleted_at IS NOT NULL) BEGIN
  UPDATE sweeps SET owner = (SELECT heir FROM users WHERE name = new.owner) WHERE id = new.id;
END;
CREATE TRIGGER models_are_inherited AFTER INSERT ON models
    WHEN EXISTS (SELECT 1 FROM users WHERE name = new.owner AND deleted_at IS NOT NULL) BEGIN
  UPDATE models SET owner = (SELECT heir FROM users WHERE name = new.owner) WHERE id = new.id;
END;
)sql"};

static_assert(std::size(kMigrations) == kSchemaVersion);

}  // namespace

absl::StatusOr<int> Migrate(SQLite::Database& db) {
  const int version = db.execAndGet("PRAGMA user_version").getInt();
  if (version > kSchemaVersion) {
    return absl::FailedPreconditionError(
        fmt::format("the database has schema {}, this saed knows {}; it was written by a newer "
                    "saed, so install that one",
                    version, kSchemaVersion));
  }
  // A table that others refer to is replaced whole; that no reference dangles is asked in the end.
  db.exec("PRAGMA foreign_keys = OFF");
  for (int v = version; v < kSchemaVersion; ++v) {
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    db.exec(kMigrations[v]);
    if (SQLite::Statement(db, "PRAGMA foreign_key_check").executeStep()) {
      return absl::DataLossError(fmt::format(
          "the database refers to rows that it lacks, so that it cannot become schema {}; nothing "
          "was changed, restore a backup",
          v + 1));
    }
    db.exec(fmt::format("PRAGMA user_version = {}", v + 1));
    transaction.commit();
  }
  db.exec("PRAGMA foreign_keys = ON");
  return version;
}

}  // namespace saed::storage

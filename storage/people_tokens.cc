// PeopleTable: tokens that are made, with which others, and revoked.
#include <fmt/format.h>

#include "storage/people_table.h"

namespace saed::storage {
namespace {

// That the token with which the call came is still in force: it may have waited behind the one that
// revoked it.
absl::Status StillIn(SQLite::Database& db, const std::string& token, int64_t now) {
  SQLite::Statement s(db,
                      "SELECT t.revoked_at IS NOT NULL, coalesce(t.expires_at <= ?, 0), u.disabled "
                      "FROM tokens t JOIN users u ON u.name = t.user WHERE t.id = ?");
  SQLite::bind(s, now, token);
  if (!s.executeStep()) return absl::UnauthenticatedError("the token is not known");
  if (s.getColumn(0).getInt() != 0) return absl::UnauthenticatedError("the token was revoked");
  if (s.getColumn(1).getInt() != 0) return absl::UnauthenticatedError("the token has expired");
  if (s.getColumn(2).getInt() != 0) return absl::UnauthenticatedError("the user is disabled");
  return absl::OkStatus();
}

absl::Status CheckRoom(SQLite::Database& db, const std::string& user, int64_t now) {
  SQLite::Statement others(
      db,
      "SELECT count(*) FROM tokens WHERE user = ? AND revoked_at IS NULL AND (expires_at IS NULL "
      "OR expires_at > ?)");
  SQLite::bind(others, user, now);
  others.executeStep();
  if (others.getColumn(0).getInt() < kMostTokens) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "'{}' has {} tokens in force, as many as one user may; revoke some", user, kMostTokens));
}

// Drops the oldest that are not in force. One that made a token in force stays, so that both can be
// revoked by it; what others made becomes that of the one which made them, so that no chain breaks.
void DropOld(SQLite::Database& db, const std::string& user, int64_t now) {
  constexpr int kKept = 100;  // of one user
  std::vector<std::string> old;
  SQLite::Statement find(
      db,
      "SELECT id FROM tokens WHERE user = ?1 AND (revoked_at IS NOT NULL OR expires_at <= ?2) AND "
      "id NOT IN (SELECT made_with FROM tokens WHERE made_with IS NOT NULL AND revoked_at IS NULL "
      "AND (expires_at IS NULL OR expires_at > ?2)) ORDER BY created_at DESC LIMIT -1 OFFSET ?3");
  SQLite::bind(find, user, now, kKept);
  while (find.executeStep()) old.push_back(find.getColumn(0).getString());
  SQLite::Statement bridge(db,
                           "UPDATE tokens SET made_with = (SELECT made_with FROM tokens WHERE id = "
                           "?1) WHERE made_with = ?1");
  SQLite::Statement drop(db, "DELETE FROM tokens WHERE id = ?");
  for (const std::string& id : old) {
    for (SQLite::Statement* s : {&bridge, &drop}) {
      s->reset();
      s->bind(1, id);
      s->exec();
    }
  }
}

}  // namespace

absl::Status PeopleTable::InsertToken(const TokenRow& t) {
  return Change([&](SQLite::Database& db) -> absl::Status {
    absl::Status can =
        t.made_with.empty() ? absl::OkStatus() : StillIn(db, t.made_with, t.created_at);
    // Tokens of others are for administrators.
    if (can.ok() && t.maker != t.user) can = StillAdministrator(db, t.maker);
    if (!can.ok()) return can;
    SQLite::Statement user(db, "SELECT 1 FROM users WHERE name = ? AND deleted_at IS NULL");
    user.bind(1, t.user);
    if (!user.executeStep()) return NoUser(t.user);
    can = CheckRoom(db, t.user, t.created_at);
    if (!can.ok()) return can;
    DropOld(db, t.user, t.created_at);
    SQLite::Statement s(db,
                        "INSERT INTO tokens (id, user, note, salt, hash, created_at, expires_at, "
                        "made_with) VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, ''))");
    s.bind(1, t.id);
    s.bind(2, t.user);
    s.bind(3, t.note);
    s.bind(4, t.salt);
    s.bind(5, t.hash);
    s.bind(6, t.created_at);
    if (t.expires_at) s.bind(7, *t.expires_at);
    s.bind(8, t.made_with);
    s.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<int> PeopleTable::Revoke(const std::string& id, int64_t now, bool with_made,
                                        const std::string& of) {
  int revoked = 0;
  const absl::Status status = Change([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement there(db, "SELECT 1 FROM tokens WHERE id = ?");
    there.bind(1, id);
    if (!there.executeStep()) return NoToken(id);
    SQLite::Statement s(
        db,
        "WITH RECURSIVE these(id) AS (SELECT ?1 UNION SELECT t.id FROM these JOIN tokens t ON "
        "t.made_with = these.id WHERE ?3 AND (?4 = '' OR t.user = ?4)) UPDATE tokens SET "
        "revoked_at = ?2 WHERE revoked_at IS NULL AND id IN (SELECT id FROM these)");
    SQLite::bind(s, id, now, static_cast<int>(with_made), of);
    revoked = s.exec();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return revoked;
}

}  // namespace saed::storage

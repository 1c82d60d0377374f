#include "storage/people_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/base/on_behalf.h"

namespace saed::storage {
namespace {

std::optional<int64_t> Number(const SQLite::Column& c) {
  if (c.isNull()) return std::nullopt;
  return c.getInt64();
}

constexpr const char* kUser =
    "name, role, share, disabled, created_at, most_threads, most_running_jobs, "
    "most_unfinished_jobs, most_bytes, most_requests";

UserRow ToUser(SQLite::Statement& s) {
  UserRow user{s.getColumn(0).getString(),
               s.getColumn(1).getString(),
               s.getColumn(2).getDouble(),
               s.getColumn(3).getInt() != 0,
               s.getColumn(4).getInt64(),
               {Number(s.getColumn(5)), Number(s.getColumn(6)), Number(s.getColumn(7)),
                Number(s.getColumn(8)), std::nullopt}};
  if (!s.getColumn(9).isNull()) user.quota.requests_per_second = s.getColumn(9).getDouble();
  return user;
}

// Binds the five columns from `first` on; what is empty stays NULL.
void Bind(SQLite::Statement& s, int first, const Quota& quota) {
  for (const auto& limit :
       {quota.threads, quota.running_jobs, quota.unfinished_jobs, quota.bytes}) {
    if (limit) s.bind(first, *limit);
    ++first;
  }
  if (quota.requests_per_second) s.bind(first, *quota.requests_per_second);
}

constexpr const char* kToken =
    "id, user, note, salt, hash, created_at, expires_at, last_used_at, revoked_at, made_with, "
    "(SELECT m.user FROM tokens m WHERE m.id = tokens.made_with)";

TokenRow ToToken(SQLite::Statement& s) {
  TokenRow t;
  t.id = s.getColumn(0).getString();
  t.user = s.getColumn(1).getString();
  t.note = s.getColumn(2).getString();
  t.salt = s.getColumn(3).getString();
  t.hash = s.getColumn(4).getString();
  t.created_at = s.getColumn(5).getInt64();
  t.expires_at = Number(s.getColumn(6));
  t.last_used_at = Number(s.getColumn(7));
  t.revoked_at = Number(s.getColumn(8));
  t.made_with = s.getColumn(9).getString();
  t.maker = s.getColumn(10).getString();
  return t;
}

std::shared_ptr<const People> Everyone(SQLite::Database& db) {
  auto out = std::make_shared<People>();
  SQLite::Statement users(db, fmt::format("SELECT {} FROM users WHERE deleted_at IS NULL", kUser));
  while (users.executeStep()) {
    UserRow user = ToUser(users);
    out->users.emplace(user.name, user);
  }
  SQLite::Statement tokens(db, fmt::format("SELECT {} FROM tokens", kToken));
  while (tokens.executeStep()) {
    TokenRow token = ToToken(tokens);
    out->tokens.try_emplace(token.id, token);
  }
  return out;
}

}  // namespace

absl::Status NoUser(const std::string& name) {
  return absl::NotFoundError(fmt::format("there is no user '{}'; list them with ListUsers", name));
}

absl::Status NoToken(const std::string& id) {
  return absl::NotFoundError(
      fmt::format("there is no token 'tokens/{}'; list them with ListTokens", id));
}

absl::Status AdministratorLeft(SQLite::Database& db, const std::string& name) {
  SQLite::Statement left(
      db,
      "SELECT 1 FROM users WHERE role = 'admin' AND disabled = 0 AND deleted_at IS NULL LIMIT 1");
  if (left.executeStep()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("'{}' is the last administrator; make another one first", name));
}

absl::Status StillAdministrator(SQLite::Database& db, const std::string& user) {
  if (user.empty()) return absl::OkStatus();
  SQLite::Statement s(db,
                      "SELECT 1 FROM users WHERE name = ? AND role = 'admin' AND disabled = 0 AND "
                      "deleted_at IS NULL");
  s.bind(1, user);
  if (s.executeStep()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      fmt::format("'{}' is no administrator any more, since a moment ago", user));
}

absl::Status PeopleTable::Change(const std::function<absl::Status(SQLite::Database&)>& fn) {
  const std::lock_guard one(changes_);
  std::shared_ptr<const People> people;
  const absl::Status status = db_.Write([&](SQLite::Database& db) -> absl::Status {
    absl::Status changed = fn(db);
    if (changed.ok()) people = Everyone(db);
    return changed;
  });
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  known_ = std::move(people);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const People>> PeopleTable::Known() {
  {
    const std::lock_guard lock(mutex_);
    if (known_ != nullptr) return known_;
  }
  const std::lock_guard one(changes_);
  using Result = absl::StatusOr<std::shared_ptr<const People>>;
  Result read = db_.Read([&](SQLite::Database& db) -> Result { return Everyone(db); });
  if (!read.ok()) return read;
  const std::lock_guard lock(mutex_);
  if (known_ == nullptr) known_ = *read;
  return known_;
}

absl::StatusOr<bool> PeopleTable::AnyToken() {
  const auto known = Known();
  if (!known.ok()) return known.status();
  return !(*known)->tokens.empty();
}

absl::Status PeopleTable::InsertUser(const UserRow& user) {
  // The administrator who asks was let in before, and may be none by now.
  const OnBehalf* call = OnBehalf::Current();
  const std::string by = call == nullptr ? "" : call->who();
  return Change([&](SQLite::Database& db) -> absl::Status {
    if (const absl::Status may = StillAdministrator(db, by); !may.ok()) return may;
    SQLite::Statement s(db,
                        fmt::format("INSERT INTO users ({}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                                    "ON CONFLICT (name) DO NOTHING",
                                    kUser));
    SQLite::bind(s, user.name, user.role, user.share, static_cast<int>(user.disabled),
                 user.created_at);
    Bind(s, 6, user.quota);
    if (s.exec() == 1) return absl::OkStatus();
    SQLite::Statement there(db, "SELECT deleted_at IS NULL FROM users WHERE name = ?");
    there.bind(1, user.name);
    there.executeStep();
    if (there.getColumn(0).getInt() != 0) {
      return absl::AlreadyExistsError(fmt::format("there is a user '{}' already", user.name));
    }
    return absl::AlreadyExistsError(
        fmt::format("'{}' was a user who was deleted; nobody gets the name again, or they would "
                    "inherit what is kept under it; choose another",
                    user.name));
  });
}

absl::StatusOr<UserRow> PeopleTable::User(const std::string& name) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<UserRow> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM users WHERE name = ? AND deleted_at IS NULL", kUser));
    s.bind(1, name);
    if (!s.executeStep()) return NoUser(name);
    return ToUser(s);
  });
}

absl::StatusOr<std::vector<UserRow>> PeopleTable::Users(int limit, const std::string& after) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<UserRow>> {
    SQLite::Statement s(db, fmt::format("SELECT {} FROM users WHERE deleted_at IS NULL AND name > "
                                        "? ORDER BY name LIMIT ?",
                                        kUser));
    SQLite::bind(s, after, limit);
    std::vector<UserRow> out;
    while (s.executeStep()) out.push_back(ToUser(s));
    return out;
  });
}

absl::StatusOr<UserRow> PeopleTable::UpdateUser(const std::string& name,
                                                const std::function<absl::Status(UserRow&)>& change,
                                                const std::string& by) {
  UserRow user;
  const absl::Status updated = Change([&](SQLite::Database& db) -> absl::Status {
    if (const absl::Status may = StillAdministrator(db, by); !may.ok()) return may;
    SQLite::Statement find(
        db, fmt::format("SELECT {} FROM users WHERE name = ? AND deleted_at IS NULL", kUser));
    find.bind(1, name);
    if (!find.executeStep()) return NoUser(name);
    user = ToUser(find);
    const int64_t created_at = user.created_at;
    if (const absl::Status status = change(user); !status.ok()) return status;
    user.name = name;
    user.created_at = created_at;
    SQLite::Statement s(db,
                        "UPDATE users SET role = ?, share = ?, disabled = ?, most_threads = ?5, "
                        "most_running_jobs = ?6, most_unfinished_jobs = ?7, most_bytes = ?8, "
                        "most_requests = ?9 WHERE name = ?4");
    SQLite::bind(s, user.role, user.share, static_cast<int>(user.disabled), user.name);
    Bind(s, 5, user.quota);
    s.exec();
    return AdministratorLeft(db, user.name);
  });
  if (!updated.ok()) return updated;
  return user;
}

absl::StatusOr<TokenRow> PeopleTable::Token(const std::string& id) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<TokenRow> {
    SQLite::Statement s(db, fmt::format("SELECT {} FROM tokens WHERE id = ?", kToken));
    s.bind(1, id);
    if (!s.executeStep()) return NoToken(id);
    return Noted(ToToken(s));
  });
}

absl::StatusOr<std::vector<TokenRow>> PeopleTable::Tokens(const std::string& user, int limit,
                                                          int64_t before,
                                                          const std::string& after) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<TokenRow>> {
    SQLite::Statement s(
        db, fmt::format("SELECT {} FROM tokens WHERE (?1 = '' OR user = ?1) AND (created_at < ?2 "
                        "OR (created_at = ?2 AND id > ?3)) ORDER BY created_at DESC, id LIMIT ?4",
                        kToken));
    SQLite::bind(s, user, before, after, limit);
    std::vector<TokenRow> out;
    while (s.executeStep()) out.push_back(Noted(ToToken(s)));
    return out;
  });
}

void PeopleTable::Used(const std::string& id, int64_t now) {
  const std::lock_guard lock(mutex_);
  used_[id] = std::max(used_[id], now);
}

TokenRow PeopleTable::Noted(TokenRow token) const {
  const std::lock_guard lock(mutex_);
  const auto it = used_.find(token.id);
  if (it != used_.end()) token.last_used_at = std::max(it->second, token.last_used_at.value_or(0));
  return token;
}

absl::Status PeopleTable::SaveUsed() {
  std::map<std::string, int64_t> used;
  {
    const std::lock_guard lock(mutex_);
    used = used_;
  }
  if (used.empty()) return absl::OkStatus();
  const absl::Status saved = db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db, "UPDATE tokens SET last_used_at = ? WHERE id = ?");
    for (const auto& [id, at] : used) {
      SQLite::bind(s, at, id);
      s.exec();
      s.reset();
    }
    return absl::OkStatus();
  });
  if (!saved.ok()) return saved;
  const std::lock_guard lock(mutex_);
  std::erase_if(used_, [&](const auto& noted) {
    const auto it = used.find(noted.first);
    return it != used.end() && it->second == noted.second;
  });
  return absl::OkStatus();
}

absl::StatusOr<int64_t> PeopleTable::Audit(const AuditRow& row) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<int64_t> {
    SQLite::Statement s(db,
                        "INSERT INTO audit (at, user, method, resource, outcome, peer) VALUES (?, "
                        "?, ?, ?, ?, ?)");
    SQLite::bind(s, row.at, row.user, row.method, row.resource, row.outcome, row.peer);
    s.exec();
    return db.getLastInsertRowid();
  });
}

absl::Status PeopleTable::SetOutcome(int64_t id, const std::string& outcome) {
  return db_.Write([&](SQLite::Database& db) -> absl::Status {
    SQLite::Statement s(db, "UPDATE audit SET outcome = ? WHERE id = ?");
    SQLite::bind(s, outcome, id);
    s.exec();
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<AuditRow>> PeopleTable::AuditLog(const std::string& user, int limit,
                                                            int64_t before) {
  return db_.Read([&](SQLite::Database& db) -> absl::StatusOr<std::vector<AuditRow>> {
    SQLite::Statement s(
        db,
        "SELECT id, at, user, method, resource, outcome, peer FROM audit WHERE id < "
        "?1 AND (?2 = '' OR user = ?2) ORDER BY id DESC LIMIT ?3");
    SQLite::bind(s, before, user, limit);
    std::vector<AuditRow> out;
    while (s.executeStep()) {
      out.push_back({s.getColumn(0).getInt64(), s.getColumn(1).getInt64(),
                     s.getColumn(2).getString(), s.getColumn(3).getString(),
                     s.getColumn(4).getString(), s.getColumn(5).getString(),
                     s.getColumn(6).getString()});
    }
    return out;
  });
}

absl::StatusOr<int64_t> PeopleTable::DropAudit(int64_t before) {
  return db_.Write([&](SQLite::Database& db) -> absl::StatusOr<int64_t> {
    SQLite::Statement s(db, "DELETE FROM audit WHERE at < ?");
    s.bind(1, before);
    return s.exec();
  });
}

}  // namespace saed::storage

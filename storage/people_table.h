// Users, their tokens, and the audit log.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/database.h"

namespace saed::storage {

// What one user may have. Empty: as much as everyone on this server; 0: not limited.
struct Quota {
  std::optional<int64_t> threads, running_jobs;  // of running jobs
  std::optional<int64_t> unfinished_jobs;        // queued and running
  std::optional<int64_t> bytes;                  // of recordings, models and dictionaries
  std::optional<double> requests_per_second;
};

struct UserRow {
  std::string name;
  std::string role;  // reader, member, admin
  double share = 1;  // in the queue
  bool disabled = false;
  int64_t created_at = 0;  // µs since 1970
  Quota quota;
};

struct TokenRow {
  std::string id;  // public part of the token
  std::string user, note;
  std::string salt, hash;  // hex; hash = SHA-256(salt + secret)
  int64_t created_at = 0;  // µs since 1970
  std::optional<int64_t> expires_at, last_used_at, revoked_at;
  std::string made_with;  // id of the token that asked for it; empty: none did
  std::string maker;      // whose made_with is; empty: no longer known

  bool InForce(int64_t now) const { return !revoked_at && (!expires_at || *expires_at > now); }
};

// What is a user's.
struct Holdings {
  int64_t recordings = 0, jobs = 0, sweeps = 0, models = 0, dictionaries = 0;
  int64_t running_jobs = 0, threads = 0;  // of running jobs
  int64_t unfinished_jobs = 0;            // queued and running
};

inline constexpr int kMostTokens = 50;  // of one user, in force

struct AuditRow {
  int64_t id = 0;
  int64_t at = 0;  // µs since 1970
  std::string user, method, resource;
  std::string outcome;  // allowed, or a canonical code
  std::string peer;
};

// What is said of a name that no user has.
absl::Status NoUser(const std::string& name);
// The same of a token.
absl::Status NoToken(const std::string& id);
// FAILED_PRECONDITION where no administrator is left, but for `name`.
absl::Status AdministratorLeft(SQLite::Database& db, const std::string& name);
// PERMISSION_DENIED where the user is no administrator, as when it was taken from them a moment
// ago; OK for an empty one.
absl::Status StillAdministrator(SQLite::Database& db, const std::string& user);

// Everyone and their tokens, as they were after some change.
struct People {
  struct Token {
    explicit Token(TokenRow token) : row(std::move(token)), used(row.last_used_at.value_or(0)) {}
    TokenRow row;
    mutable std::atomic<int64_t> used;  // µs since 1970; what was last written down
  };
  std::map<std::string, UserRow> users;  // by name
  std::map<std::string, Token> tokens;   // by id
};

// Thread-safe. One process writes the tables, through one object.
class PeopleTable {
 public:
  explicit PeopleTable(Database& db) : db_(db) {}

  // From memory, and exact: a change that was answered is in it.
  absl::StatusOr<std::shared_ptr<const People>> Known();
  // Whether anyone was ever given a token.
  absl::StatusOr<bool> AnyToken();
  // ALREADY_EXISTS where the name is taken.
  absl::Status InsertUser(const UserRow& user);
  absl::StatusOr<UserRow> User(const std::string& name);
  // By name, those after `after`.
  absl::StatusOr<std::vector<UserRow>> Users(int limit = -1, const std::string& after = "");
  // Lets `change` change role, share, quota and whether disabled of what is there; its error is the
  // answer. FAILED_PRECONDITION where no administrator would be left. `by`: the administrator who
  // asks; PERMISSION_DENIED where they are none any more, as when two take it from each other at
  // once. Empty: nobody is asked who they are.
  absl::StatusOr<UserRow> UpdateUser(const std::string& name,
                                     const std::function<absl::Status(UserRow&)>& change,
                                     const std::string& by = "");
  absl::StatusOr<Holdings> HeldBy(const std::string& user);
  // Takes a user away for good, with all their tokens, and gives what is theirs to `heir`; returns
  // what that was. The name is never given again. INVALID_ARGUMENT on reassign_to where that is
  // nobody who could have it; FAILED_PRECONDITION where nobody is named and something is theirs,
  // where both have a recording of the same content, and for the last administrator. `by`: as of
  // UpdateUser.
  absl::StatusOr<Holdings> DeleteUser(const std::string& name, const std::string& heir, int64_t now,
                                      const std::string& by = "");

  // RESOURCE_EXHAUSTED where the user has kMostTokens in force; UNAUTHENTICATED, with no more than
  // why, where made_with is not. Of those that are not, the newest are kept and those that made one
  // in force; what the others made counts as made with what made them.
  absl::Status InsertToken(const TokenRow& token);
  absl::StatusOr<TokenRow> Token(const std::string& id);
  // Of one user, or of all where the name is empty; newest first, those after the one made at
  // `before` with the id `after`.
  absl::StatusOr<std::vector<TokenRow>> Tokens(const std::string& user, int limit = -1,
                                               int64_t before = std::numeric_limits<int64_t>::max(),
                                               const std::string& after = "");
  // Returns how many that were not revoked before. with_made: those made with it, too, and with
  // those; of the user `of` alone where it is not empty.
  absl::StatusOr<int> Revoke(const std::string& id, int64_t now, bool with_made = false,
                             const std::string& of = "");
  // Notes when a token was last used, and waits for nobody: what was noted shows at once, and is
  // stored by SaveUsed.
  void Used(const std::string& id, int64_t now);
  absl::Status SaveUsed();

  // Writes it down and returns its id.
  absl::StatusOr<int64_t> Audit(const AuditRow& row);
  // What an act that was let in came to.
  absl::Status SetOutcome(int64_t id, const std::string& outcome);
  // Newest first, those with id < before; of one user where the name is not empty.
  absl::StatusOr<std::vector<AuditRow>> AuditLog(const std::string& user, int limit,
                                                 int64_t before);
  // Drops what is older; returns how many.
  absl::StatusOr<int64_t> DropAudit(int64_t before);

 private:
  // With what was noted and is not stored yet.
  TokenRow Noted(TokenRow token) const;

  // Runs fn in a transaction; then all know what changed.
  absl::Status Change(const std::function<absl::Status(SQLite::Database&)>& fn);

  Database& db_;
  std::mutex changes_;        // held over a change and what is read after it
  mutable std::mutex mutex_;  // of what follows
  std::shared_ptr<const People> known_;
  std::map<std::string, int64_t> used_;  // token → µs since 1970
};

}  // namespace saed::storage

// Users, their tokens, and the audit log.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
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
};

struct AuditRow {
  int64_t id = 0;
  int64_t at = 0;  // µs since 1970
  std::string user, method, resource;
  std::string outcome;  // allowed, or a canonical code
  std::string peer;
};

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
  absl::StatusOr<std::vector<UserRow>> Users();
  // Lets `change` change role, share, quota and whether disabled of what is there; its error is the
  // answer. FAILED_PRECONDITION where no administrator would be left.
  absl::StatusOr<UserRow> UpdateUser(const std::string& name,
                                     const std::function<absl::Status(UserRow&)>& change);

  absl::Status InsertToken(const TokenRow& token);
  absl::StatusOr<TokenRow> Token(const std::string& id);
  // Of one user, or of all where the name is empty; newest first.
  absl::StatusOr<std::vector<TokenRow>> Tokens(const std::string& user);
  absl::Status Revoke(const std::string& id, int64_t now);
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

  // Runs fn(SQLite::Database&) -> absl::Status in a transaction; then all know what changed.
  template <class Fn>
  absl::Status Change(Fn fn);

  Database& db_;
  std::mutex changes_;        // held over a change and what is read after it
  mutable std::mutex mutex_;  // of what follows
  std::shared_ptr<const People> known_;
  std::map<std::string, int64_t> used_;  // token → µs since 1970
};

}  // namespace saed::storage

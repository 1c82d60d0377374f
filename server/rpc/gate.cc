#include "server/rpc/gate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <tuple>
#include <vector>

#include "server/base/display_name.h"
#include "server/base/faults.h"
#include "server/base/sha256.h"
#include "server/base/shared_steps.h"
#include "server/base/status_macros.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int64_t kMinute = 60'000'000;     // µs
constexpr int kCallsRetry = 1;              // s
constexpr int kMostJobWatchers = 8;         // of one user at once
constexpr int kWatchersRetry = 5;           // s; streams stay, so places come free seldom
constexpr int64_t kLeastMemory = 64 << 10;  // of any call: its thread's stack, buffers, answer
constexpr int kMostNamed = 100;             // things that one field may name otherwise than by ids
constexpr size_t kMostWritten = 1000;       // bytes of names that a record has, or a little more
constexpr std::string_view kBearer = "Bearer ", kPrefix = "saed_";

std::vector<std::string> Split(std::string_view text, char by) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == by) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

// Texts of the field at `path`, through messages and lists.
void Collect(const Message& message, std::vector<std::string> path, std::vector<std::string>& out) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(path.front());
  if (field == nullptr) return;
  const auto* reflection = message.GetReflection();
  path.erase(path.begin());
  if (path.empty() && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    if (field->is_repeated()) {
      for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
        out.push_back(reflection->GetRepeatedString(message, field, i));
      }
    } else {
      out.push_back(reflection->GetString(message, field));
    }
  } else if (!path.empty() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
             !field->is_repeated() && reflection->HasField(message, field)) {
    Collect(reflection->GetMessage(message, field), path, out);
  }
}

std::vector<std::string> Named(const Rule& rule, const Message& message) {
  std::vector<std::string> out;
  if (rule.fields.empty()) return out;
  for (const std::string& field : Split(rule.fields, ' ')) Collect(message, Split(field, '.'), out);
  std::erase(out, "");
  return out;
}

// The collection whose things the rule's field names; empty where they have no display names.
std::string CollectionOf(const Rule& rule, const std::string& path) {
  const std::string leaf = path.substr(path.rfind('.') + 1);
  if (leaf == "recording") return "recordings";
  if (leaf == "model") return "models";
  if (leaf == "dependencies") return "jobs";
  if (leaf == "dictionary" || leaf == "others" || leaf == "sets") return "dictionaries";
  for (const auto& [service, collection] : {std::pair("RecordingService.", "recordings"),
                                            {"JobService.", "jobs"},
                                            {"ModelService.", "models"},
                                            {"SweepService.", "sweeps"},
                                            {"FeatureService.", "dictionaries"}}) {
    if (rule.method.starts_with(service)) return collection;
  }
  return "";
}

// "{collection}/{id or name}{rest}", also without the collection, where people write a name alone.
struct Mention {
  bool whole = false;      // with its collection
  std::string text, rest;  // rest: "/features/7", say
};

Mention MentionOf(const std::string& collection, const std::string& value) {
  Mention out;
  const std::string prefix = collection + "/";
  out.whole = value.starts_with(prefix);
  out.text = out.whole ? value.substr(prefix.size()) : value;
  if (collection != "dictionaries") return out;
  const size_t end = std::min(out.text.find("/features/"), out.text.find("/conditions/"));
  if (end == out.text.npos) return out;
  out.rest = out.text.substr(end);
  out.text.resize(end);
  return out;
}

// The message that holds the field at `path`, which becomes the field's own name; null where a
// message on the way is not set.
Message* Holder(Message& message, std::string& path) {
  Message* at = &message;
  for (size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
    const auto* field = at->GetDescriptor()->FindFieldByName(path.substr(0, dot));
    if (field == nullptr || !at->GetReflection()->HasField(*at, field)) return nullptr;
    at = at->GetReflection()->MutableMessage(at, field);
    path.erase(0, dot + 1);
  }
  return at;
}

std::string Random(size_t bytes) {
  std::vector<unsigned char> raw(bytes);
  if (RAND_bytes(raw.data(), static_cast<int>(bytes)) != 1) std::abort();
  std::string out;
  for (const unsigned char b : raw) out += fmt::format("{:02x}", b);
  return out;
}

bool Equal(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

absl::Status NoToken(std::string_view why) {
  return absl::UnauthenticatedError(
      fmt::format("{}; ask the keeper of the server for a token and give it as SAED_TOKEN, or as "
                  "the metadata 'authorization: Bearer saed_…'",
                  why));
}

// Whether the call's client still waits.
absl::Status Wanted(const grpc::ServerContext& server) {
  if (server.deadline() <= std::chrono::system_clock::now()) {
    return absl::DeadlineExceededError("the call's deadline passed before its work was done");
  }
  if (server.IsCancelled()) return absl::CancelledError("the caller went away");
  return absl::OkStatus();
}

// "tokens/{id}" of the token that a call came with, by the public part of it; empty where it has no
// such form.
std::string TokenName(const grpc::ServerContext& server) {
  constexpr size_t kIdDigits = 12;
  const auto& metadata = server.client_metadata();
  const auto it = metadata.find("authorization");
  if (it == metadata.end()) return "";
  std::string_view text(it->second.data(), it->second.size());
  if (!text.starts_with(kBearer)) return "";
  text.remove_prefix(kBearer.size());
  if (!text.starts_with(kPrefix)) return "";
  text.remove_prefix(kPrefix.size());
  const std::string_view id = text.substr(0, text.find('_'));
  const bool known_form =
      id.size() == kIdDigits && id.find_first_not_of("0123456789abcdef") == id.npos;
  return known_form ? fmt::format("tokens/{}", id) : "";
}

}  // namespace

jobs::UserTerms TermsOf(const storage::UserRow& user) {
  return {user.share, user.quota.threads, user.quota.running_jobs, user.quota.unfinished_jobs};
}

absl::StatusOr<Role> ParseRole(std::string_view name) {
  if (name == "reader") return Role::kReader;
  if (name == "member") return Role::kMember;
  if (name == "admin") return Role::kAdmin;
  return InvalidField("role", fmt::format("is '{}'; must be reader, member or admin", name));
}

std::string_view RoleName(Role role) {
  return role == Role::kReader ? "reader" : role == Role::kMember ? "member" : "admin";
}

absl::StatusOr<Caller> Gate::Identify(const grpc::ServerContext& server) {
  SAED_ASSIGN_OR_RETURN(const auto known, people_.Known());
  if (known->tokens.empty()) return Caller{};
  const auto& metadata = server.client_metadata();
  const auto it = metadata.find("authorization");
  if (it == metadata.end()) return NoToken("this server wants a token");
  std::string_view text(it->second.data(), it->second.size());
  if (!text.starts_with(kBearer)) return NoToken("the authorization is no bearer token");
  text.remove_prefix(kBearer.size());
  // saed_<id>_<secret>
  const std::vector<std::string> parts = Split(text, '_');
  if (parts.size() != 3 || !text.starts_with(kPrefix)) return NoToken("the token is malformed");
  const auto token = known->tokens.find(parts[1]);
  if (token == known->tokens.end() ||
      !Equal(Sha256Hex(token->second.row.salt + parts[2]), token->second.row.hash)) {
    return NoToken("the token is not known");
  }
  const storage::TokenRow& row = token->second.row;
  const int64_t now = clock_.NowMicros();
  if (row.revoked_at) return NoToken("the token was revoked");
  if (row.expires_at && *row.expires_at <= now) return NoToken("the token has expired");
  const auto user = known->users.find(row.user);
  if (user == known->users.end() || user->second.disabled) return NoToken("the user is disabled");
  int64_t used = token->second.used;
  if (now - used > kMinute && token->second.used.compare_exchange_strong(used, now)) {
    people_.Used(row.id, now);
  }
  SAED_ASSIGN_OR_RETURN(const Role role, ParseRole(user->second.role));
  return Caller{user->second.name, role, user->second.quota, row.id, nullptr, nullptr, nullptr};
}

absl::Status Gate::Rate(const Caller& caller) {
  const double rate = caller.quota.requests_per_second.value_or(options_.requests_per_second);
  if (rate <= 0) return absl::OkStatus();
  const std::lock_guard lock(mutex_);
  const double most = 2 * rate, now = clock_.MonotonicSeconds();
  const auto [it, fresh] = buckets_.try_emplace(caller.user, Bucket{most, now});
  Bucket& bucket = it->second;
  bucket.left = std::min(most, bucket.left + (now - bucket.at) * rate);
  bucket.at = now;
  if (bucket.left < 1) {
    return absl::ResourceExhaustedError(
        fmt::format("more than {} requests a second, as many as you may; slow down", rate));
  }
  bucket.left -= 1;
  return absl::OkStatus();
}

absl::StatusOr<MemoryBudget::Hold> Gate::Arrive(const grpc::ServerContext& server,
                                                std::string_view method) {
  const auto caller = Identify(server);
  // Refused by the one who writes refusals down.
  if (!caller.ok()) {
    const auto entered = Enter(server, method, nullptr);
    return entered.ok() ? caller.status() : entered.status();
  }
  if (!caller->known()) return MemoryBudget::Hold();
  const std::string& user = caller->user;
  const std::lock_guard lock(mutex_);
  int& calls = calls_[user];
  if (calls >= options_.user_calls) {
    return WithRetryAfter(
        absl::ResourceExhaustedError(fmt::format(
            "'{}' has {} calls open, as many as one user may have, so that others find a place; "
            "end some, or try again in a moment",
            user, calls)),
        kCallsRetry);
  }
  ++calls;
  return MemoryBudget::Hold(this, [this, user](const void*) {
    const std::lock_guard held(mutex_);
    if (--calls_[user] == 0) calls_.erase(user);
  });
}

void Gate::NoteRefused(const grpc::ServerContext& server, const std::string& user,
                       std::string_view method, const absl::Status& status) {
  constexpr int kMostNoted = 30;  // a minute
  const int64_t now = clock_.NowMicros();
  std::string resource = TokenName(server);
  {
    const std::lock_guard lock(mutex_);
    Refusals& r = refusals_[user];
    if (r.minute != now / kMinute) r = {now / kMinute, 0, r.left_out};
    if (r.written >= kMostNoted) {
      ++r.left_out;
      return;
    }
    ++r.written;
    if (r.left_out > 0) {
      resource += fmt::format("{}and {} more before", resource.empty() ? "" : " ", r.left_out);
    }
    r.left_out = 0;
  }
  // Refused it is anyway.
  (void)people_.Audit({0, now, user, std::string(method), resource,
                       absl::StatusCodeToString(status.code()), server.peer()});
}

void Gate::Ended(const grpc::ServerContextBase* server, const std::string& code) {
  int64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto at = acts_.find(server);
    if (at == acts_.end()) return;
    id = at->second;
    acts_.erase(at);
  }
  if (code == "OK") return;
  if (const auto s = people_.SetOutcome(id, code); !s.ok()) {
    spdlog::warn("cannot write down how an act ended error=\"{}\"", std::string(s.message()));
  }
}

OnBehalf::Wanted Gate::StillIn(const grpc::ServerContext& server, const Caller& caller) {
  if (!caller.known()) return [&server] { return Wanted(server); };
  constexpr double kAsked = 1;  // s between two looks at the token
  const auto next = std::make_shared<double>(clock_.MonotonicSeconds() + kAsked);
  return [this, &server, next] {
    SAED_RETURN_IF_ERROR(Wanted(server));
    const double now = clock_.MonotonicSeconds();
    if (now < *next) return absl::OkStatus();
    *next = now + kAsked;
    return Identify(server).status();
  };
}

absl::StatusOr<Caller> Gate::Enter(const grpc::ServerContext& server, std::string_view method,
                                   const Message* request) {
  const Rule* rule = FindRule(method);
  if (rule == nullptr) return absl::InternalError(fmt::format("{} has no rule", method));
  auto identified = Identify(server);
  if (!identified.ok()) {
    if (absl::IsUnauthenticated(identified.status())) {
      NoteRefused(server, "", method, identified.status());
    }
    return identified.status();
  }
  Caller caller = *std::move(identified);
  caller.call = std::make_shared<OnBehalf>(caller.user, StillIn(server, caller));
  absl::Status status = Rate(caller);
  if (!status.ok()) {
    NoteRefused(server, caller.user, method, status);
    return status;
  }
  if (caller.role < rule->least) {
    status = absl::PermissionDeniedError(fmt::format("this is for {}s and '{}' is a {} ({})",
                                                     RoleName(rule->least), caller.user,
                                                     RoleName(caller.role), method));
  } else if (request != nullptr) {
    status = Resources(caller, method, *request);
  }
  if (caller.known() && (rule->audited || !status.ok())) {
    std::string resources;
    if (request != nullptr) {
      for (const auto& name : Named(*rule, *request)) {
        if (resources.size() > kMostWritten) {
          resources += " …";
          break;
        }
        if (!resources.empty()) resources += ' ';
        resources += name.substr(0, 200);
      }
    }
    const auto written = people_.Audit(
        {0, clock_.NowMicros(), caller.user, std::string(method), resources,
         status.ok() ? "allowed" : absl::StatusCodeToString(status.code()), server.peer()});
    // What cannot be written down is not done.
    if (!written.ok() && rule->audited) return written.status();
    if (written.ok() && status.ok()) {
      const std::lock_guard lock(mutex_);
      acts_[&server] = *written;
    }
  }
  SAED_RETURN_IF_ERROR(status);
  SAED_RETURN_IF_ERROR(Admit(*rule, request, caller));
  return caller;
}

absl::Status Gate::Admit(const Rule& rule, const Message* request, Caller& caller) {
  // What is read from a message takes about as much again.
  const auto size = request == nullptr ? 0 : static_cast<int64_t>(2 * request->SpaceUsedLong());
  SAED_ASSIGN_OR_RETURN(caller.memory, memory_.Take(std::max(size, kLeastMemory)));
  if (!rule.stays) return absl::OkStatus();
  // Counted up first, so that two cannot both take the last place.
  caller.place = {watchers_.get(), [count = watchers_](const void*) { --*count; }};
  if (++*watchers_ <= options_.watchers) return WatchesJobs(rule, caller);
  return WithRetryAfter(absl::ResourceExhaustedError(fmt::format(
                            "{} streams watch already, load or send, as many as the server takes, "
                            "so that others find a "
                            "place; ask now and then instead, or watch again in a moment",
                            options_.watchers)),
                        kWatchersRetry);
}

absl::Status Gate::WatchesJobs(const Rule& rule, Caller& caller) {
  if (rule.method != "JobService.WatchJobs" || !caller.known()) return absl::OkStatus();
  const std::string& user = caller.user;
  const std::lock_guard lock(mutex_);
  int& open = watching_[user];
  if (open >= kMostJobWatchers) {
    return WithRetryAfter(
        absl::ResourceExhaustedError(fmt::format(
            "'{}' watches all jobs {} times already, as often as one user may, as each looks at "
            "them again and again; end one, or let one tell the others",
            user, open)),
        kWatchersRetry);
  }
  ++open;
  caller.place = {this, [this, user, place = caller.place](const void*) {
                    const std::lock_guard held(mutex_);
                    if (--watching_[user] == 0) watching_.erase(user);
                  }};
  return absl::OkStatus();
}

absl::StatusOr<std::string> Gate::Resolved(const Caller& caller, const std::string& collection,
                                           const std::string& path, const std::string& value) {
  const Mention mention = MentionOf(collection, value);
  const std::string& text = mention.text;
  // What looks like an id is one, or it would mean another thing once its own is gone. What cannot
  // be a name is refused by the method, in its own words.
  if (!DisplayNameFault(text).empty()) return value;
  const auto called = access_.Called(collection, text, caller.viewer());
  if (absl::IsInvalidArgument(called.status())) {
    return InvalidField(
        path, fmt::format("is '{}', and to find what is called so the server would look at more "
                          "rows than one call may; must be an id: {}/{{id}}",
                          text, collection));
  }
  SAED_RETURN_IF_ERROR(called.status());
  const std::vector<std::string>& ids = *called;
  if (ids.size() == 1) return fmt::format("{}/{}{}", collection, ids[0], mention.rest);
  if (ids.size() > 1) {
    return InvalidField(path, fmt::format("is '{}', as several {} are called; say which by its id: "
                                          "{}/{}",
                                          text, collection, collection,
                                          fmt::join(ids, fmt::format(", {}/", collection))));
  }
  const bool name = mention.whole && !GoodId(text) && text.find('/') == text.npos;
  return name ? storage::NoSuch(collection, text) : absl::StatusOr<std::string>(value);
}

absl::Status Gate::ResolveNames(const Caller& caller, const Rule& rule, Message& message) {
  if (rule.fields.empty()) return absl::OkStatus();
  const SharedSteps all;
  for (const std::string& path : Split(rule.fields, ' ')) {
    const std::string collection = CollectionOf(rule, path);
    std::string name = path;
    Message* holder = collection.empty() ? nullptr : Holder(message, name);
    if (holder == nullptr) continue;
    const auto* field = holder->GetDescriptor()->FindFieldByName(name);
    const auto* reflection = holder->GetReflection();
    if (!field->is_repeated()) {
      SAED_ASSIGN_OR_RETURN(std::string value, Resolved(caller, collection, path,
                                                        reflection->GetString(*holder, field)));
      reflection->SetString(holder, field, std::move(value));
      continue;
    }
    for (int i = 0; i < std::min(kMostNamed, reflection->FieldSize(*holder, field)); ++i) {
      SAED_ASSIGN_OR_RETURN(std::string value,
                            Resolved(caller, collection, fmt::format("{}[{}]", path, i),
                                     reflection->GetRepeatedString(*holder, field, i)));
      reflection->SetRepeatedString(holder, field, i, std::move(value));
    }
  }
  return absl::OkStatus();
}

absl::Status Gate::OwnName(const Caller& caller, const std::vector<std::string>& parts) {
  // Malformed names are refused by the method itself, in its own words.
  if (parts.size() != 2 || parts[1].empty()) return absl::OkStatus();
  if (parts[0] == "users") {
    return parts[1] == caller.user ? absl::OkStatus() : storage::NoUser(parts[1]);
  }
  if (parts[0] != "tokens") return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(const auto known, people_.Known());
  const auto token = known->tokens.find(parts[1]);
  const bool own = token != known->tokens.end() && token->second.row.user == caller.user;
  return own ? absl::OkStatus() : storage::NoToken(parts[1]);
}

absl::Status Gate::Resources(const Caller& caller, std::string_view method,
                             const Message& message) {
  const Rule* rule = FindRule(method);
  if (rule == nullptr) return absl::InternalError(fmt::format("{} has no rule", method));
  // gRPC hands over a message of the call's own, though as const.
  SAED_RETURN_IF_ERROR(ResolveNames(caller, *rule, const_cast<Message&>(message)));
  if (rule->needs == Rule::Needs::kRole || caller.role == Role::kAdmin) return absl::OkStatus();
  for (const std::string& name : Named(*rule, message)) {
    const std::vector<std::string> parts = Split(name, '/');
    if (rule->needs == Rule::Needs::kSelf) {
      SAED_RETURN_IF_ERROR(OwnName(caller, parts));
      continue;
    }
    // Malformed names are refused by the method itself, in its own words; "dictionaries/-" shows
    // what the caller may see. What is missing is refused here, as what is hidden is, before
    // anything else of the request could tell the two apart.
    if (parts.size() < 2 || parts[1] == "-") continue;
    if (!GoodId(parts[1])) continue;
    if (!storage::HasOwners(parts[0])) continue;  // no collection of this rule
    const auto owner = access_.OwnerOf(parts[0], parts[1], caller.viewer());
    if (absl::IsNotFound(owner.status()) && parts[0] == "models" && rule->trains &&
        access_.OwnerOf("jobs", parts[1], caller.viewer()).ok()) {
      continue;  // the method says how far its job is
    }
    if (absl::IsNotFound(owner.status()) && rule->removes) {
      SAED_ASSIGN_OR_RETURN(const bool own, access_.Owns(parts[0], parts[1], caller.user));
      if (own) continue;
    }
    SAED_RETURN_IF_ERROR(owner.status());
    if (rule->needs == Rule::Needs::kChange && *owner != caller.user) {
      return absl::PermissionDeniedError(
          fmt::format("{}/{} is {}; only its owner and administrators may change it", parts[0],
                      parts[1], owner->empty() ? "nobody's" : fmt::format("of '{}'", *owner)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<storage::TokenRow, std::string>> Gate::MakeToken(const std::string& user,
                                                                          const std::string& note,
                                                                          int valid_days,
                                                                          const Caller& by) {
  constexpr int64_t kDay = 24 * 60 * kMinute;
  constexpr int kMostDays = 3650, kUsualDays = 365;
  Faults faults;
  if (note.size() > 200) faults.Add("note", "is longer than 200 bytes");
  if (valid_days < 0 || valid_days > kMostDays) {
    faults.Add("valid_days", fmt::format("is {}; must be 1 to {}", valid_days, kMostDays));
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  const int64_t now = clock_.NowMicros();
  int64_t longest = now + kMostDays * kDay;
  const bool own = by.known() && by.user == user;
  if (own && by.role != Role::kAdmin) {
    SAED_ASSIGN_OR_RETURN(const storage::TokenRow with, people_.Token(by.token));
    longest = std::min(longest, with.expires_at.value_or(longest));
  }
  const int64_t expires = std::min(now + int64_t{valid_days == 0 ? kUsualDays : valid_days} * kDay,
                                   valid_days == 0 ? longest : std::numeric_limits<int64_t>::max());
  if (expires > longest) {
    const int64_t left = (longest - now) / kDay;
    return InvalidField(
        "valid_days",
        fmt::format("is {}, longer than the token lasts with which you ask ({} "
                    "days); must be {}; administrators may make longer ones",
                    valid_days, left,
                    left < 1 ? "left out" : fmt::format("1 to {}, or left out", left)));
  }
  SAED_ASSIGN_OR_RETURN(const storage::UserRow whose, people_.User(user));
  SAED_ASSIGN_OR_RETURN(const bool closed, people_.AnyToken());
  if (!closed && whose.role != "admin") {
    return absl::FailedPreconditionError(
        "the first token must be an administrator's: from then on every call needs one");
  }
  const std::string secret = Random(24);
  storage::TokenRow row;
  row.id = Random(6);
  row.user = user;
  row.note = note;
  row.salt = Random(16);
  row.hash = Sha256Hex(row.salt + secret);
  row.created_at = now;
  row.expires_at = expires;
  row.made_with = by.token;
  row.maker = by.user;
  const absl::Status made = people_.InsertToken(row);
  if (absl::IsUnauthenticated(made)) return NoToken(std::string(made.message()));
  SAED_RETURN_IF_ERROR(made);
  return std::pair(row, fmt::format("{}{}_{}", kPrefix, row.id, secret));
}

absl::Status Gate::MakeUser(const storage::UserRow& user) {
  Faults faults;
  if (!GoodUser(user.name)) {
    faults.Add("user.name", fmt::format("is '{}'; must be 1 to 40 of a-z, 0-9, '.', '_' and '-'",
                                        user.name.substr(0, 100)));
  }
  faults.Merge(ParseRole(user.role).status(), "user");
  faults.Merge(CheckTerms(user));
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  return people_.InsertUser(user);
}

absl::Status Gate::CheckTerms(const storage::UserRow& user) {
  Faults faults;
  if (!(user.share > 0 && user.share <= 1000)) {
    faults.Add("user.share", fmt::format("is {}; must be above 0 and at most 1000", user.share));
  }
  const storage::Quota& q = user.quota;
  constexpr int64_t kMany = 1'000'000;
  for (const auto& [name, value, most] :
       {std::tuple("threads", q.threads, kMany),
        {"running_jobs", q.running_jobs, kMany},
        {"unfinished_jobs", q.unfinished_jobs, kMany},
        {"stored_bytes", q.bytes, std::numeric_limits<int64_t>::max()}}) {
    if (value && (*value < 0 || *value > most)) {
      faults.Add(fmt::format("user.quota.{}", name),
                 fmt::format("is {}; must be 0 (no limit) to {}", *value, most));
    }
  }
  // With less nobody could ever ask for more.
  constexpr double kFewest = 0.01, kMost = 1e6;
  const double rate = q.requests_per_second.value_or(0);
  if (rate != 0 && !(rate >= kFewest && rate <= kMost)) {
    faults.Add("user.quota.requests_per_second",
               fmt::format("is {}; must be 0 (no limit) or {} to a million", rate, kFewest));
  }
  return faults.ToStatus();
}

int64_t Gate::MostBytes(Role role, const storage::Quota& quota) const {
  return role == Role::kAdmin ? 0 : quota.bytes.value_or(options_.user_bytes);
}

storage::Quota Gate::LimitsOf(const storage::UserRow& user) const {
  storage::Quota out = user.quota;
  out.bytes = MostBytes(user.role == "admin" ? Role::kAdmin : Role::kMember, user.quota);
  out.requests_per_second = user.quota.requests_per_second.value_or(options_.requests_per_second);
  return out;
}

absl::Status Gate::Room(const Caller& caller, int64_t more) {
  const int64_t most = MostBytes(caller.role, caller.quota);
  if (most <= 0) return absl::OkStatus();
  SAED_ASSIGN_OR_RETURN(const int64_t used, access_.Bytes(caller.user));
  if (used <= most && more <= most - used) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "your recordings, models and dictionaries have {:.1f} MB of the {:.1f} that you may store{}; "
      "delete some",
      1e-6 * static_cast<double>(used), 1e-6 * static_cast<double>(most),
      more > 0 ? fmt::format(" and this needs {:.1f} more", 1e-6 * static_cast<double>(more))
               : ""));
}

absl::StatusOr<MemoryBudget::Hold> Gate::Arriving(const Caller& caller, int64_t bytes) {
  if (MostBytes(caller.role, caller.quota) <= 0) return MemoryBudget::Hold();
  const std::string& user = caller.user;
  int64_t all = 0;
  {
    const std::lock_guard lock(mutex_);
    all = arriving_[user] += bytes;  // first, so that two cannot both take what is left
  }
  MemoryBudget::Hold hold(this, [this, user, bytes](const void*) {
    const std::lock_guard held(mutex_);
    if ((arriving_[user] -= bytes) <= 0) arriving_.erase(user);
  });
  SAED_RETURN_IF_ERROR(Room(caller, all));
  return hold;
}

absl::Status Gate::TakenBy(const Caller& caller, const std::string& collection,
                           const std::string& id, const absl::Status& conflict) {
  const auto owner = access_.OwnerOf(collection, id, caller.viewer());
  if (!absl::IsNotFound(owner.status())) return conflict;
  return absl::NotFoundError(
      fmt::format("the request_id was used for {}/{}, which is not there for you any more, as what "
                  "it is made from was hidden; give each new one a new request_id",
                  collection, id));
}

}  // namespace saed::rpc

// Who may call what: one rule for every method of the interface. A test compares the table with the
// service descriptors, so that a method without a rule fails.
#pragma once

#include <span>
#include <string_view>

namespace saed::rpc {

enum class Role { kReader, kMember, kAdmin };

struct Rule {
  std::string_view method;  // "JobService.CancelJob"
  Role least = Role::kReader;
  enum class Needs {
    kRole,    // nothing more; lists show what the caller may see
    kSee,     // the resources that the request names are shared or the caller's
    kChange,  // they are the caller's, or the caller is an administrator
    kSelf,    // users and tokens that it names are the caller's own, or the caller is an
              // administrator; others do not exist for them
  } needs = Needs::kRole;
  // Fields of the request with resource names, separated by spaces; a path goes through messages
  // and lists.
  std::string_view fields;
  bool audited = false;  // a call that was allowed is written down; refused ones always are
  bool stays = false;    // a stream that is open for as long as its client wants
  bool trains = false;   // a model may also be one that a job still trains
  // Ends or removes something, which an owner may also where they see it no more: what was made
  // from a recording that was hidden since, or a dictionary that is half removed.
  bool removes = false;
};

std::span<const Rule> Rules();
// Null where there is none.
const Rule* FindRule(std::string_view method);

}  // namespace saed::rpc

// Under which name the store knows a request, so that the same one again finds what it made.
//
// Each user's request ids are their own; the server's, for what a sweep begins, are nobody's:
// whatever a user asks for, it never meets them, nor another user's.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace saed::storage {

struct JobRow;

inline std::string UserRequest(const std::string& user, const std::string& request_id) {
  return request_id.empty() ? "" : fmt::format("user:{}:{}", user, request_id);
}
inline std::string ServerRequest(const std::string& what) { return "server:" + what; }

// A job's request_digest, of which a job that was given another name has a second line, the name
// that was asked for.
struct AskedFor {
  std::string_view digest;
  std::optional<std::string_view> name;
};
AskedFor WasAskedFor(std::string_view request_digest);

// OK where `asked`, which has the key of `known`, asks for the same; else ALREADY_EXISTS, which
// names the field that differs, if it is one of how the job is queued.
absl::Status SameRequest(const JobRow& known, const JobRow& asked);

}  // namespace saed::storage

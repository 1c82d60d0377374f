#include "storage/request_keys.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "server/base/sha256.h"
#include "storage/jobs_table.h"

namespace saed::storage {
namespace {

std::string Priority(int level) {
  constexpr std::array kNames = {"low", "normal", "high", "urgent"};
  return kNames.at(static_cast<size_t>(std::clamp(level, -1, 2) + 1));
}

std::string Limit(double seconds) {
  return seconds > 0 ? fmt::format("{} s", seconds) : std::string("none");
}

std::vector<std::string> Sorted(std::vector<std::string> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::string Names(const std::vector<std::string>& ids) {
  return ids.empty() ? "none" : fmt::format("jobs/{}", fmt::join(ids, ", jobs/"));
}

}  // namespace

AskedFor WasAskedFor(std::string_view request_digest) {
  const size_t end = request_digest.find('\n');
  if (end == std::string_view::npos) return {request_digest, std::nullopt};
  return {request_digest.substr(0, end), request_digest.substr(end + 1)};
}

absl::Status SameRequest(const JobRow& known, const JobRow& asked) {
  // Nobody but the server has the key.
  if (asked.request_id.starts_with(ServerRequest(""))) return absl::OkStatus();
  const size_t prefix = fmt::format("user:{}:", asked.owner).size();
  const std::string id = asked.request_id.substr(std::min(prefix, asked.request_id.size()));
  const auto conflict = [&](const std::string& difference) {
    return absl::AlreadyExistsError(
        fmt::format("request_id '{}' was used for jobs/{}, {}; give each new job a new request_id",
                    id, known.id, difference));
  };
  const auto other = [&](const char* field, const std::string& was, const std::string& is) {
    return conflict(fmt::format("whose {} is {} and not {}", field, was, is));
  };
  // Before schema 12 the digest was that of what the server had made of the request.
  const auto [digest, first_name] = WasAskedFor(known.request_digest);
  if (digest != asked.request_digest && digest != Sha256Hex(asked.spec)) {
    return conflict("which asks for something else");
  }
  const std::string name(first_name.value_or(known.name));
  if (name != asked.name) {
    return other("display_name", fmt::format("'{}'", name), fmt::format("'{}'", asked.name));
  }
  if (known.priority != asked.priority) {
    return other("priority", Priority(known.priority), Priority(asked.priority));
  }
  if (known.time_limit != asked.time_limit) {
    return other("time_limit_seconds", Limit(known.time_limit), Limit(asked.time_limit));
  }
  const auto was = Sorted(known.dependencies), is = Sorted(asked.dependencies);
  if (was != is) return other("dependencies", Names(was), Names(is));
  return absl::OkStatus();
}

}  // namespace saed::storage

#include "server/base/faults.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/strings/cord.h"

namespace saed {
namespace {

constexpr char kFaultsUrl[] = "saed/field-faults";
constexpr char kReasonUrl[] = "saed/reason";
constexpr char kRetryUrl[] = "saed/retry-seconds";

// Length and bytes: descriptions quote what came from outside, so no byte can be a separator.
void Append(std::string& out, const std::string& text) {
  out += std::to_string(text.size()) + ':' + text;
}

std::string Take(std::string_view& from) {
  const size_t colon = from.find(':');
  const size_t size = std::stoul(std::string(from.substr(0, colon)));
  std::string out(from.substr(colon + 1, size));
  from.remove_prefix(colon + 1 + size);
  return out;
}

}  // namespace

void Faults::Add(std::string_view field, std::string_view description) {
  faults_.push_back({std::string(field), std::string(description)});
}

void Faults::Merge(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return;
  auto join = [&](const std::string& field) {
    if (prefix.empty()) return field;
    return std::string(prefix) + (field.empty() ? "" : "." + field);
  };
  auto carried = FaultsOf(status);
  if (carried.empty()) carried.push_back({"", std::string(status.message())});
  for (auto& fault : carried) faults_.push_back({join(fault.field), fault.description});
}

absl::Status Faults::ToStatus() const {
  if (faults_.empty()) return absl::OkStatus();
  std::string message, payload;
  for (const auto& f : faults_) {
    if (!message.empty()) message += "; ";
    message += (f.field.empty() ? "" : f.field + ": ") + f.description;
    Append(payload, f.field);
    Append(payload, f.description);
  }
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kFaultsUrl, absl::Cord(payload));
  return status;
}

absl::Status InvalidField(std::string_view field, std::string_view description) {
  Faults faults;
  faults.Add(field, description);
  return faults.ToStatus();
}

std::vector<FieldFault> FaultsOf(const absl::Status& status) {
  std::vector<FieldFault> out;
  auto payload = status.GetPayload(kFaultsUrl);
  if (!payload) return out;
  const std::string text(*payload);
  for (std::string_view left = text; !left.empty();) {
    const std::string field = Take(left);
    out.push_back({field, Take(left)});
  }
  return out;
}

absl::Status WithReason(absl::Status status, std::string_view reason) {
  if (!status.ok()) status.SetPayload(kReasonUrl, absl::Cord(std::string(reason)));
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  if (auto payload = status.GetPayload(kReasonUrl)) return std::string(*payload);
  return absl::StatusCodeToString(status.code());
}

absl::Status WithRetryAfter(absl::Status status, int seconds) {
  status.SetPayload(kRetryUrl, absl::Cord(std::to_string(seconds)));
  return status;
}

int RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryUrl);
  return payload ? std::atoi(std::string(*payload).c_str()) : 1;
}

}  // namespace saed

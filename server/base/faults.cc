#include "server/base/faults.h"

#include "absl/strings/cord.h"

namespace saed {
namespace {

constexpr char kFaultsUrl[] = "saed/field-faults";
constexpr char kReasonUrl[] = "saed/reason";
constexpr char kFieldEnd = '\x1f';
constexpr char kFaultEnd = '\x1e';

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
    payload += f.field + kFieldEnd + f.description + kFaultEnd;
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
  for (size_t at = 0; at < text.size();) {
    const size_t middle = text.find(kFieldEnd, at), end = text.find(kFaultEnd, middle);
    out.push_back({text.substr(at, middle - at), text.substr(middle + 1, end - middle - 1)});
    at = end + 1;
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

}  // namespace saed

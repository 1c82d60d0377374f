#include "server/rpc/status.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/faults.h"

namespace saed::rpc {

namespace {

// Clients take 8 kB of metadata. The message is there as it is and, in the details, once more in
// base64 beside the faults that it is made of.
constexpr size_t kMostText = 1900, kLeastText = 120;

// Bytes as metadata has them.
size_t Sent(char c) { return c >= ' ' && c <= '~' && c != '%' ? 1 : 3; }

// At most so many bytes of UTF-8 text as metadata has them, or a little more.
std::string Cut(std::string_view text, size_t most) {
  size_t sent = 0, end = 0;
  while (end < text.size() && sent <= most) sent += Sent(text[end++]);
  if (end == text.size()) return std::string(text);
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

google::rpc::BadRequest FieldsOf(const std::vector<FieldFault>& faults) {
  google::rpc::BadRequest out;
  const size_t each = std::max(kLeastText, kMostText / std::max<size_t>(1, faults.size()));
  size_t left = faults.size(), sent = 0;
  for (const FieldFault& fault : faults) {
    if (sent > kMostText) break;
    auto* violation = out.add_field_violations();
    violation->set_field(Cut(fault.field, kLeastText));
    violation->set_description(Cut(fault.description, each));
    sent += violation->field().size() + violation->description().size();
    --left;
  }
  if (left > 0) {
    auto* last = out.mutable_field_violations(out.field_violations_size() - 1);
    last->set_description(last->description() + " (and " + std::to_string(left) +
                          " more wrong fields)");
  }
  return out;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message = Cut(std::string(status.message()), kMostText);
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  const google::rpc::BadRequest bad = FieldsOf(FaultsOf(status));
  if (bad.field_violations_size() > 0) details.add_details()->PackFrom(bad);
  google::rpc::ErrorInfo info;
  info.set_reason(ReasonOf(status));
  info.set_domain("saed");
  details.add_details()->PackFrom(info);
  if (status.code() == absl::StatusCode::kUnavailable ||
      status.code() == absl::StatusCode::kResourceExhausted) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(RetryAfter(status));
    details.add_details()->PackFrom(retry);
  }
  return {static_cast<grpc::StatusCode>(status.code()), message, details.SerializeAsString()};
}

}  // namespace saed::rpc

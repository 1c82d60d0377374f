#include "server/rpc/import_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/recordings/readers/registry.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

absl::Status CheckLines(const google::protobuf::RepeatedPtrField<std::string>& lines) {
  constexpr int kMostLines = 20;
  constexpr size_t kLongestLine = 1500;
  const auto wrong = [](const std::string& line) {
    return line.size() > kLongestLine || std::any_of(line.begin(), line.end(), [](char c) {
             return (c >= 0 && c < ' ') || c == 0x7f;
           });
  };
  if (lines.size() <= kMostLines && std::none_of(lines.begin(), lines.end(), wrong)) {
    return absl::OkStatus();
  }
  return InvalidField("header.left_out",
                      fmt::format("must be at most {} lines of at most {} bytes without control "
                                  "characters",
                                  kMostLines, kLongestLine));
}

}  // namespace

absl::StatusOr<recordings::ImportSpec> ImportSpecOf(const v1::ImportHeader& header) {
  recordings::ImportSpec spec;
  spec.format = header.format_name();
  switch (header.format()) {
    case v1::FORMAT_NWB:
      spec.format = "nwb";
      break;
    case v1::FORMAT_PHY:
      spec.format = "phy";
      break;
    case v1::FORMAT_SPIKES_NPY:
      spec.format = "spikes";
      break;
    case v1::FORMAT_COUNTS_NPY:
      spec.format = "counts";
      break;
    default:
      break;
  }
  if (!spec.format.empty()) {
    const auto reader = recordings::FindReader(spec.format);
    if (!reader.ok()) return reader.status();
  }
  if (!header.display_name().empty()) {
    SAED_RETURN_IF_ERROR(CheckDisplayName(header.display_name(), "header.display_name"));
  }
  spec.options.sampling_rate = header.sampling_rate();
  spec.options.bin_width = header.bin_width();
  spec.options.values = {header.options().begin(), header.options().end()};
  spec.strict = header.strict();
  SAED_RETURN_IF_ERROR(CheckLines(header.left_out()));
  spec.not_sent = {header.left_out().begin(), header.left_out().end()};
  return spec;
}

absl::Status InWordsOfTheHeader(const absl::Status& status) {
  const std::vector<FieldFault> found = FaultsOf(status);
  if (found.empty()) return status;
  Faults faults;
  for (const FieldFault& fault : found) {
    const bool header = fault.field == "format" || fault.field == "sampling_rate" ||
                        fault.field == "bin_width" || fault.field == "server_path" ||
                        fault.field.starts_with("options.");
    faults.Add((header ? "header." : "") + fault.field, fault.description);
  }
  return WithReason(faults.ToStatus(), ReasonOf(status));
}

}  // namespace saed::rpc

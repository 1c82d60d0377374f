#include "server/recordings/readers/sample_rate.h"

#include <fmt/format.h>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/python_assignment.h"
#include "server/recordings/readers/rates.h"
#include "server/recordings/readers/text_cells.h"
#include "server/recordings/readers/text_layout.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxParamsBytes = int64_t{1} << 20;

}  // namespace

std::optional<double> PythonNumber(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits += text[i];
      continue;
    }
    const auto digit = [&](size_t at) {
      return at < text.size() && text[at] >= '0' && text[at] <= '9';
    };
    if (i == 0 || !digit(i - 1) || !digit(i + 1)) return std::nullopt;
  }
  // No infinities: those are names in Python.
  if (digits.find_first_of("iInN") != std::string::npos) return std::nullopt;
  return ParseNumber(digits);
}

absl::StatusOr<double> FindSampleRate(const ImportOptions& options, const FileSet& files,
                                      const std::string& params, Notes& notes) {
  std::optional<std::string_view> assigned;
  std::string text;
  if (files.Has(params)) {
    SAED_ASSIGN_OR_RETURN(text, files.Read(params, kMaxParamsBytes));
    assigned = PythonAssignment(text, "sample_rate");
  }
  // 0, which is no rate, for what is no number.
  const double there = assigned ? PythonNumber(*assigned).value_or(0) : 0;
  if (options.sampling_rate != 0) {
    SAED_RETURN_IF_ERROR(CheckRate("sampling_rate", options.sampling_rate));
    if (there != 0 && there != options.sampling_rate) {
      notes.Said(params, fmt::format("has sample_rate = {}; {} Hz are taken, as they were given",
                                     ShownCell(*assigned), options.sampling_rate));
    }
    return options.sampling_rate;
  }
  if (!assigned) {
    return InvalidField("sampling_rate",
                        "is not given and there is no params.py with sample_rate; the spike times "
                        "are sample numbers, so give the rate in Hz, e.g. 30000");
  }
  if (!IsRate(there)) {
    return InvalidField(params,
                        fmt::format("has sample_rate = {}; must be a number from {} to {} "
                                    "(Hz): mend it, or give the sampling rate with the "
                                    "import, e.g. 30000",
                                    ValidUtf8(ShownCell(*assigned)), kLeastRate, kMostRate));
  }
  return there;
}

}  // namespace saed::recordings

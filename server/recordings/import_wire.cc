#include "server/recordings/import_wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/base/wire.h"

namespace saed::recordings {
namespace {

constexpr size_t kMostFaults = 1000, kMostWarnings = 1000, kMostText = size_t{64} << 10;

// How an import may end. Others would have the server's callers believe what is not the case.
constexpr std::array kEndings = {
    absl::StatusCode::kInvalidArgument,  absl::StatusCode::kNotFound,
    absl::StatusCode::kOutOfRange,       absl::StatusCode::kFailedPrecondition,
    absl::StatusCode::kPermissionDenied, absl::StatusCode::kResourceExhausted,
    absl::StatusCode::kUnavailable,      absl::StatusCode::kUnimplemented,
    absl::StatusCode::kDataLoss,         absl::StatusCode::kInternal};

std::string Bounded(const std::string& text) {
  return ValidUtf8(std::string_view(text).substr(0, kMostText));
}

bool IsReason(std::string_view text) {
  return text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
         });
}

}  // namespace

std::string ToBytes(const Question& question) {
  const ImportSpec& spec = question.spec;
  WireWriter out;
  out.Text(spec.format);
  out.Value(spec.options.sampling_rate);
  out.Value(spec.options.bin_width);
  out.Value<uint64_t>(spec.options.values.size());
  for (const auto& [name, value] : spec.options.values) {
    out.Text(name);
    out.Text(value);
  }
  out.Value<uint8_t>(spec.strict);
  out.Value<uint64_t>(spec.left_out.size());
  for (const std::string& link : spec.left_out) out.Text(link);
  out.Value<uint64_t>(spec.not_sent.size());
  for (const std::string& line : spec.not_sent) out.Text(line);
  out.Value<uint64_t>(question.files.size());
  for (const ImportFile& file : question.files) {
    out.Value(static_cast<int32_t>(file.role));
    out.Text(file.name);
    out.Text(file.path);
    out.Text(file.beneath);
  }
  return out.Take();
}

absl::StatusOr<Question> ToQuestion(const std::string& bytes) {
  WireReader in(bytes);
  Question out;
  out.spec.format = in.Text();
  out.spec.options.sampling_rate = in.Value<double>();
  out.spec.options.bin_width = in.Value<double>();
  for (size_t n = in.Count(16); n > 0; --n) {
    const std::string name = in.Text();
    out.spec.options.values[name] = in.Text();
  }
  out.spec.strict = in.Value<uint8_t>() != 0;
  out.spec.left_out.resize(in.Count(8));
  for (std::string& link : out.spec.left_out) link = in.Text();
  out.spec.not_sent.resize(in.Count(8));
  for (std::string& line : out.spec.not_sent) line = in.Text();
  out.files.resize(in.Count(28));
  for (ImportFile& file : out.files) {
    file.role = static_cast<Role>(in.Value<int32_t>());
    file.name = in.Text();
    file.path = in.Text();
    file.beneath = in.Text();
  }
  if (!in.done()) return absl::InternalError("the question is not whole");
  return out;
}

std::string ToAnswer(const absl::Status& status, const Texts& warnings) {
  WireWriter out;
  out.Value(static_cast<int32_t>(status.code()));
  out.Text(std::string(status.message()));
  out.Text(status.ok() ? "" : ReasonOf(status));
  const auto faults = FaultsOf(status);
  out.Value<uint64_t>(faults.size());
  for (const FieldFault& fault : faults) {
    out.Text(fault.field);
    out.Text(fault.description);
  }
  out.Value<uint64_t>(warnings.size());
  for (const std::string& warning : warnings) out.Text(warning);
  return out.Take();
}

absl::Status ReadAnswer(const std::string& bytes, Texts& warnings) {
  const absl::Status none = absl::InternalError("the reading process left no proper answer");
  WireReader in(bytes);
  const auto code = static_cast<absl::StatusCode>(in.Value<int32_t>());
  const std::string message = Bounded(in.Text()), reason = in.Text();
  const size_t fault_count = in.Count(16);
  Faults faults;
  for (size_t i = 0; i < fault_count; ++i) {
    const std::string field = Bounded(in.Text()), description = Bounded(in.Text());
    if (i < kMostFaults) faults.Add(field, description);
  }
  const size_t warning_count = in.Count(8);
  for (size_t i = 0; i < warning_count; ++i) {
    std::string warning = Bounded(in.Text());
    if (i < kMostWarnings) warnings.push_back(std::move(warning));
  }
  if (!in.done() || !IsReason(reason)) return none;
  if (code == absl::StatusCode::kOk) return absl::OkStatus();
  if (std::find(kEndings.begin(), kEndings.end(), code) == kEndings.end()) return none;
  return WithReason(faults.empty() ? absl::Status(code, message) : faults.ToStatus(), reason);
}

absl::Status Save(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) return absl::OkStatus();
  return absl::ResourceExhaustedError("cannot store what was read: is the disk full?");
}

}  // namespace saed::recordings

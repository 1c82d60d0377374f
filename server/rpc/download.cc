#include "server/rpc/download.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/store_format.h"

namespace saed::rpc {
namespace {

using recordings::Recording;

// Bytes of a mapped file after which its pages are given back.
constexpr size_t kReleased = size_t{64} << 20;

// Cuts what is to be sent into chunks.
class Sender {
 public:
  Sender(grpc::ServerWriter<v1::DownloadRecordingResponse>& stream, StallGuard::Stream& moving)
      : stream_(stream), moving_(moving) {}

  absl::Status Header(const v1::DownloadHeader& header) {
    v1::DownloadRecordingResponse message;
    *message.mutable_header() = header;
    return Write(message);
  }

  absl::Status Bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t n = std::min(bytes.size(), static_cast<size_t>(kChunk) - waiting_.size());
      waiting_.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
      if (waiting_.size() == static_cast<size_t>(kChunk)) SAED_RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  // Numbers as they lie in memory; `release` gives back what is mapped.
  template <class Release>
  absl::Status Numbers(const void* data, size_t bytes, const Release& release) {
    for (size_t at = 0; at < bytes; at += kReleased) {
      SAED_RETURN_IF_ERROR(
          Bytes({static_cast<const char*>(data) + at, std::min(kReleased, bytes - at)}));
      release();
    }
    return absl::OkStatus();
  }
  absl::Status Numbers(const std::vector<double>& values) {
    return Numbers(values.data(), values.size() * sizeof(double), [] {});
  }

  absl::Status End() {
    SAED_RETURN_IF_ERROR(Flush());
    v1::DownloadRecordingResponse last;
    last.set_sha256(digest_.Hex());
    return Write(last);
  }

 private:
  absl::Status Flush() {
    if (waiting_.empty()) return absl::OkStatus();
    digest_.Update(waiting_);
    v1::DownloadRecordingResponse message;
    message.mutable_chunk()->swap(waiting_);
    waiting_.clear();
    return Write(message);
  }

  absl::Status Write(const v1::DownloadRecordingResponse& message) {
    SAED_RETURN_IF_ERROR(StillWanted());
    if (!stream_.Write(message)) return absl::CancelledError("the client went away");
    moving_.Moved();
    return absl::OkStatus();
  }

  grpc::ServerWriter<v1::DownloadRecordingResponse>& stream_;
  StallGuard::Stream& moving_;
  std::string waiting_;
  Sha256 digest_;
};

std::string_view DtypeName(DType dtype) {
  return dtype == DType::kU8 ? "u8" : dtype == DType::kU16 ? "u16" : "f32";
}

absl::Status SendCounts(const Recording& recording, v1::DownloadHeader& header, Sender& sender) {
  const recordings::CountMatrix& counts = recording.counts;
  header.set_counts_dtype(std::string(DtypeName(counts.dtype)));
  header.set_bins(counts.bins);
  header.set_bin_width(counts.bin_width);
  SAED_RETURN_IF_ERROR(sender.Header(header));
  const size_t row = recording.units.size() * SizeOf(counts.dtype);
  return sender.Numbers(counts.data(), static_cast<size_t>(counts.bins) * row, [&] {
    if (counts.file) counts.file->Release();
  });
}

absl::Status SendActivity(const Recording& recording, Sender& sender) {
  v1::DownloadHeader header;
  for (const auto& unit : recording.units) header.add_unit_ids(unit.id);
  if (recording.counts.present()) return SendCounts(recording, header, sender);
  for (const auto& unit : recording.units) {
    header.add_spike_counts(static_cast<int64_t>(unit.spike_times.size()));
  }
  SAED_RETURN_IF_ERROR(sender.Header(header));
  for (const auto& unit : recording.units) {
    const recordings::SpikeTrain& train = unit.spike_times;
    SAED_RETURN_IF_ERROR(
        sender.Numbers(train.data(), train.size() * sizeof(double), [&] { train.Release(); }));
  }
  return absl::OkStatus();
}

std::string JsonText(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// JSON has no infinities; they are texts, as in protobuf's JSON.
std::string JsonNumber(double value) {
  if (std::isnan(value)) return "null";
  if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  return NumberText(value);
}

std::string JsonCell(const recordings::Column& column, size_t row) {
  if (const auto* numbers = std::get_if<recordings::Numbers>(&column.values)) {
    return JsonNumber((*numbers)[row]);
  }
  if (const auto* texts = std::get_if<recordings::Texts>(&column.values)) {
    return JsonText((*texts)[row]);
  }
  std::string out = "[";
  for (const auto& text : std::get<recordings::TextLists>(column.values)[row]) {
    if (out.size() > 1) out += ',';
    out += JsonText(text);
  }
  return out + "]";
}

absl::Status SendTable(const recordings::Table& table, Sender& sender) {
  v1::DownloadHeader header;
  header.set_table(true);
  header.set_table_name(table.name);
  constexpr std::array kKinds = {"number", "text", "list"};
  for (const auto& column : table.columns) header.add_column_kinds(kKinds[column.values.index()]);
  SAED_RETURN_IF_ERROR(sender.Header(header));
  SAED_RETURN_IF_ERROR(sender.Bytes("{"));
  for (const auto& column : table.columns) {
    const bool first = &column == table.columns.data();
    SAED_RETURN_IF_ERROR(
        sender.Bytes(fmt::format("{}{}:[", first ? "" : ",", JsonText(column.name))));
    for (size_t row = 0; row < column.rows(); ++row) {
      if (row > 0) SAED_RETURN_IF_ERROR(sender.Bytes(","));
      SAED_RETURN_IF_ERROR(sender.Bytes(JsonCell(column, row)));
    }
    SAED_RETURN_IF_ERROR(sender.Bytes("]"));
  }
  return sender.Bytes("}");
}

absl::Status SendSeries(const recordings::Series& series, Sender& sender) {
  v1::DownloadHeader header;
  auto* summary = header.mutable_series();
  summary->set_name(series.name);
  summary->set_unit(series.unit);
  summary->set_samples(static_cast<int64_t>(series.timestamps.size()));
  for (const auto& channel : series.channels) summary->add_channels(channel);
  SAED_RETURN_IF_ERROR(sender.Header(header));
  SAED_RETURN_IF_ERROR(sender.Numbers(series.timestamps));
  return sender.Numbers(series.values);
}

// What was observed of all, and of units that have times of their own.
recordings::Table ObservedTable(const Recording& recording) {
  recordings::Texts units;
  recordings::Numbers starts, stops;
  const auto add = [&](const std::string& unit, const recordings::Observed& observed) {
    if (!observed) return;
    // A row without length stands for never.
    const recordings::Spans never = {{0, 0}};
    for (const auto& [start, stop] : observed->empty() ? never : *observed) {
      units.push_back(unit);
      starts.push_back(start);
      stops.push_back(stop);
    }
  };
  add("", recording.observed);
  for (const auto& unit : recording.units) add(std::to_string(unit.id), unit.observed);
  return {"observed", {{"unit", units}, {"start_time", starts}, {"stop_time", stops}}};
}

absl::Status NoPart(std::string_view kind, const std::string& asked,
                    const std::vector<std::string>& names) {
  return absl::NotFoundError(
      fmt::format("the recording has no {} '{}'; it has {}", kind, ValidUtf8(asked),
                  names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

absl::Status SendTableCalled(const Recording& recording, const std::string& name, Sender& sender) {
  if (const auto* found = recording.FindIntervals(name)) return SendTable(found->table, sender);
  std::vector<std::string> names;
  for (const auto& t : recording.intervals) names.push_back(t.table.name);
  return NoPart("interval table", name, names);
}

absl::Status SendSeriesCalled(const Recording& recording, const std::string& name, Sender& sender) {
  std::vector<std::string> names;
  for (const auto& series : recording.series) {
    if (series.name == name) return SendSeries(series, sender);
    names.push_back(series.name);
  }
  return NoPart("series", name, names);
}

}  // namespace

absl::Status SendRecording(Context& context, const std::string& id,
                           const v1::DownloadRecordingRequest& request, grpc::ServerContext& server,
                           grpc::ServerWriter<v1::DownloadRecordingResponse>& stream) {
  const auto part = request.part();
  if (!request.interval_table().empty() + !request.series().empty() + (part != 0) > 1) {
    return InvalidField("series",
                        "is given beside interval_table or part; give at most one of "
                        "them");
  }
  if (!v1::DownloadRecordingRequest::Part_IsValid(part)) {
    return InvalidField("part", fmt::format("is {}, which this server does not know", int{part}));
  }
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.recordings.Get(id));
  // What is large stays in the file; the rest takes about twice its stored size.
  SAED_ASSIGN_OR_RETURN(const auto memory, context.gate.memory().Take(2 * row.bytes));
  SAED_ASSIGN_OR_RETURN(const std::string path, context.stores.objects.File(row.digest));
  SAED_ASSIGN_OR_RETURN(const Recording recording, recordings::ParseFile(path));
  StallGuard::Stream moving(context.stalls, server);
  Sender sender(stream, moving);
  if (!request.interval_table().empty()) {
    SAED_RETURN_IF_ERROR(SendTableCalled(recording, request.interval_table(), sender));
  } else if (!request.series().empty()) {
    SAED_RETURN_IF_ERROR(SendSeriesCalled(recording, request.series(), sender));
  } else if (part == v1::DownloadRecordingRequest::PART_UNIT_COLUMNS) {
    SAED_RETURN_IF_ERROR(SendTable(recording.unit_columns, sender));
  } else if (part == v1::DownloadRecordingRequest::PART_ELECTRODES) {
    SAED_RETURN_IF_ERROR(SendTable(recording.electrodes, sender));
  } else if (part == v1::DownloadRecordingRequest::PART_OBSERVED) {
    SAED_RETURN_IF_ERROR(SendTable(ObservedTable(recording), sender));
  } else {
    SAED_RETURN_IF_ERROR(SendActivity(recording, sender));
  }
  return sender.End();
}

}  // namespace saed::rpc

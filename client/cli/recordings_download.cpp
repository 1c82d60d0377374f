#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/npy.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::cli {
namespace {

namespace fs = std::filesystem;

absl::Status Unwritable(const fs::path& file) {
  return absl::ResourceExhaustedError(fmt::format("cannot write {}", file.string()));
}

// A table's name as a file's.
std::string FileName(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name + ".csv";
}

std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// A text, a number, what is missing, or a list.
std::string CsvCell(const nlohmann::ordered_json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return CsvCell(value.get<std::string>());
  if (value.is_number()) return NumberText(value.get<double>());
  std::string list;
  for (const auto& text : value) list += (list.empty() ? "" : ",") + text.get<std::string>();
  return CsvCell(list);
}

// Spike times with the unit of each, or counts: .npy files as the formats `spikes` and `counts`
// have them.
class Activity {
 public:
  explicit Activity(fs::path folder) : folder_(std::move(folder)) {}

  absl::Status Begin(const v1::DownloadHeader& header) {
    const auto units = static_cast<int64_t>(header.unit_ids_size());
    if (!header.counts_dtype().empty()) {
      bin_width_ = header.bin_width();
      const std::string& dtype = header.counts_dtype();
      const std::string_view descr = dtype == "u8" ? "|u1" : dtype == "u16" ? "<u2" : "<f4";
      const int64_t size = dtype == "u8" ? 1 : dtype == "u16" ? 2 : 4;
      total_ = header.bins() * units * size;
      return Open("counts.npy", NpyHeader(descr, {header.bins(), units}));
    }
    int64_t spikes = 0;
    for (const int64_t n : header.spike_counts()) spikes += n;
    total_ = spikes * static_cast<int64_t>(sizeof(double));
    std::ofstream clusters(folder_ / "spike_clusters.npy", std::ios::binary);
    clusters << NpyHeader("<i8", {spikes});
    for (int i = 0; i < header.spike_counts_size(); ++i) {
      const int64_t id = header.unit_ids(i);
      for (int64_t n = 0; n < header.spike_counts(i); ++n) {
        clusters.write(reinterpret_cast<const char*>(&id), sizeof id);
      }
    }
    clusters.close();
    if (!clusters) return Unwritable(folder_ / "spike_clusters.npy");
    return Open("spike_times.npy", NpyHeader("<f8", {spikes}));
  }

  absl::Status Chunk(const std::string& bytes) {
    out_ << bytes;
    got_ += static_cast<int64_t>(bytes.size());
    line_.Show(static_cast<double>(got_) / static_cast<double>(std::max<int64_t>(total_, 1)),
               fmt::format("downloaded {} of {}", Bytes(static_cast<double>(got_)),
                           Bytes(static_cast<double>(total_))));
    return out_ ? absl::OkStatus() : Unwritable(folder_);
  }

  absl::Status End() {
    line_.End();
    out_.close();
    return out_ ? absl::OkStatus() : Unwritable(folder_);
  }

  double bin_width() const { return bin_width_; }  // s; 0 of spikes

 private:
  absl::Status Open(const char* name, const std::string& header) {
    out_.open(folder_ / name, std::ios::binary);
    out_ << header;
    return out_ ? absl::OkStatus() : Unwritable(folder_ / name);
  }

  fs::path folder_;
  std::ofstream out_;
  ProgressLine line_;
  int64_t total_ = 0, got_ = 0;
  double bin_width_ = 0;
};

// All bytes of a table or series.
absl::StatusOr<std::string> Part(Session& session, const v1::DownloadRecordingRequest& request) {
  std::string bytes;
  SAED_RETURN_IF_ERROR(session.client->Download(
      request, [](const v1::DownloadHeader&) { return absl::OkStatus(); },
      [&](const std::string& chunk) {
        bytes += chunk;
        return absl::OkStatus();
      }));
  return bytes;
}

absl::Status WriteTable(Session& session, const v1::Recording& r, const std::string& name,
                        const fs::path& file) {
  v1::DownloadRecordingRequest request;
  request.set_name(r.name());
  request.set_interval_table(name);
  SAED_ASSIGN_OR_RETURN(const std::string bytes, Part(session, request));
  const auto table = nlohmann::ordered_json::parse(bytes, nullptr, false);
  if (!table.is_object()) return absl::DataLossError(fmt::format("the table {} is damaged", name));
  std::ofstream out(file);
  std::vector<std::string> line;
  size_t rows = 0;
  for (const auto& [column, values] : table.items()) {
    line.push_back(CsvCell(column));
    rows = std::max(rows, values.size());
  }
  fmt::format_to(std::ostreambuf_iterator<char>(out), "{}\n", fmt::join(line, ","));
  for (size_t row = 0; row < rows; ++row) {
    line.clear();
    for (const auto& [column, values] : table.items()) line.push_back(CsvCell(values.at(row)));
    fmt::format_to(std::ostreambuf_iterator<char>(out), "{}\n", fmt::join(line, ","));
  }
  out.close();
  return out ? absl::OkStatus() : Unwritable(file);
}

absl::Status WriteSeries(Session& session, const v1::Recording& r, const v1::SeriesSummary& series,
                         const fs::path& file) {
  v1::DownloadRecordingRequest request;
  request.set_name(r.name());
  request.set_series(series.name());
  SAED_ASSIGN_OR_RETURN(const std::string bytes, Part(session, request));
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
  const auto samples = static_cast<size_t>(series.samples());
  const auto channels = static_cast<size_t>(series.channels_size());
  if (numbers.size() != samples * (1 + channels)) {
    return absl::DataLossError(fmt::format("the series {} is damaged", series.name()));
  }
  std::ofstream out(file);
  out << "time";
  for (const auto& channel : series.channels()) out << "," << CsvCell(channel);
  out << "\n";
  for (size_t i = 0; i < samples; ++i) {
    out << NumberText(numbers[i]);
    for (size_t c = 0; c < channels; ++c) {
      const double value = numbers[samples + i * channels + c];
      out << "," << (std::isnan(value) ? "" : NumberText(value));
    }
    out << "\n";
  }
  out.close();
  return out ? absl::OkStatus() : Unwritable(file);
}

absl::Status WriteUnits(Session& session, const v1::Recording& r, const fs::path& file) {
  v1::ListUnitsRequest request;
  request.set_parent(r.name());
  request.set_page_size(1000);
  std::ofstream out(file);
  out << "id,label,region,depth";
  for (const auto& column : r.unit_columns()) out << "," << CsvCell(column);
  out << "\n";
  do {
    grpc::ClientContext context;
    v1::ListUnitsResponse page;
    SAED_RETURN_IF_ERROR(
        client::FromGrpc(session.client->recordings().ListUnits(&context, request, &page)));
    for (const auto& unit : page.units()) {
      out << unit.id() << "," << CsvCell(unit.label()) << "," << CsvCell(unit.region()) << ","
          << (unit.has_depth() ? NumberText(unit.depth()) : "");
      for (const auto& column : r.unit_columns()) {
        const auto it = unit.columns().find(column);
        out << "," << (it == unit.columns().end() ? "" : CsvCell(it->second));
      }
      out << "\n";
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  out.close();
  return out ? absl::OkStatus() : Unwritable(file);
}

// An empty folder, made where there is none.
absl::Status Prepare(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    return absl::InvalidArgumentError(fmt::format(
        "--to is '{}', which is there and not empty; name a new folder", folder.string()));
  }
  fs::create_directories(folder, error);
  return error ? Unwritable(folder) : absl::OkStatus();
}

std::string Quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("_-./=", c) != nullptr;
  });
  if (plain && !text.empty()) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

absl::Status Download(Session& session, const std::string& name, const std::string& to) {
  grpc::ClientContext context;
  v1::GetRecordingRequest get;
  get.set_name(FullName("recordings", name));
  v1::GetRecordingResponse got;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().GetRecording(&context, get, &got)));
  const v1::Recording& r = got.recording();
  const fs::path folder = to.empty() ? fs::path(r.name()).filename() : fs::path(to);
  SAED_RETURN_IF_ERROR(Prepare(folder));
  Activity activity(folder);
  v1::DownloadRecordingRequest request;
  request.set_name(r.name());
  SAED_RETURN_IF_ERROR(session.client->Download(
      request, [&](const v1::DownloadHeader& header) { return activity.Begin(header); },
      [&](const std::string& bytes) { return activity.Chunk(bytes); }));
  SAED_RETURN_IF_ERROR(activity.End());
  SAED_RETURN_IF_ERROR(WriteUnits(session, r, folder / "units.csv"));
  std::string back =
      activity.bin_width() > 0
          ? fmt::format("saectl recordings import {} --format counts --bin {}",
                        Quoted((folder / "counts.npy").string()), NumberText(activity.bin_width()))
          : fmt::format("saectl recordings import {} --format spikes", Quoted(folder.string()));
  back += " --units " + Quoted((folder / "units.csv").string());
  std::error_code error;
  for (const auto& table : r.interval_tables()) {
    fs::create_directories(folder / "intervals", error);
    const fs::path file = folder / "intervals" / FileName(table);
    SAED_RETURN_IF_ERROR(WriteTable(session, r, table, file));
    back += " --intervals " + Quoted(table + "=" + file.string());
  }
  for (const auto& series : r.series()) {
    fs::create_directories(folder / "series", error);
    const fs::path file = folder / "series" / FileName(series.name());
    SAED_RETURN_IF_ERROR(WriteSeries(session, r, series, file));
    back += " --series " + Quoted(series.name() + "=" + file.string());
  }
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  fmt::print("{} is in {}\n\nTo import it again:\n  {}\n", r.name(), folder.string(),
             WrappedCommand(back, std::clamp(TerminalWidth(), 40, 120)));
  return absl::OkStatus();
}

}  // namespace

void AddDownloadCommand(CLI::App& group, Session& session) {
  auto* c = group.add_subcommand(
      "download", "Write spike times or counts as .npy, units, tables and series as CSV");
  struct Flags {
    std::string recording, to;
  };
  auto f = std::make_shared<Flags>();
  c->add_option("recording", f->recording, "Its name or id")->required();
  c->add_option("--to", f->to, "A new folder; default: the id, here");
  Run(c, session, [&session, f] { return Download(session, f->recording, f->to); });
}

}  // namespace saed::cli

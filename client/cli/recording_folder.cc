#include "client/cli/recording_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "client/cli/output.h"
#include "server/base/npy.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using Request = v1::DownloadRecordingRequest;

constexpr size_t kMaxFileName = 120;  // bytes, without what is put behind it

absl::Status Unwritable(const fs::path& file) {
  return absl::ResourceExhaustedError(fmt::format("cannot write {}", file.string()));
}

std::string CsvCell(const std::string& text) {
  const bool plain = text.find_first_of(",;\t\"\r\n") == std::string::npos && Trim(text) == text &&
                     !text.starts_with('#') && !text.starts_with('%');
  if (plain) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// A text, a number, what is missing, or a list as JSON.
std::string CsvCell(const ordered_json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return CsvCell(value.get<std::string>());
  if (value.is_number()) return NumberText(value.get<double>());
  return CsvCell(value.dump());
}

// The first of "name", "name_2", … that is free, which it is then no more.
std::string Free(const std::string& name, std::set<std::string>& taken) {
  std::string out = name.empty() ? "column" : name;
  for (int n = 2; !taken.insert(out).second; ++n) out = fmt::format("{}_{}", name, n);
  return out;
}

// The text cut to at most `bytes`, between letters.
std::string Cut(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

// "session/trials" as the name of a file that no other has, short enough for every file system and
// for the way back; the manifest has the whole name.
std::string FileName(const char* folder, std::string name, std::set<std::string>& taken) {
  for (char& c : name) {
    if (c == '/' || static_cast<unsigned char>(c) < ' ') c = '_';
  }
  if (name.starts_with('.')) name.insert(0, "_");
  return fmt::format("{}/{}.csv", folder, Free(Cut(ValidUtf8(name), kMaxFileName), taken));
}

// Spike times with the unit of each, or counts, as .npy files.
class Activity {
 public:
  explicit Activity(fs::path folder) : folder_(std::move(folder)) {}

  absl::Status Begin(const v1::DownloadHeader& header) {
    const auto units = static_cast<int64_t>(header.unit_ids_size());
    if (!header.counts_dtype().empty()) {
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
};

class Writer {
 public:
  Writer(Session& session, const v1::Recording& recording, fs::path folder)
      : session_(session), recording_(recording), folder_(std::move(folder)) {
    manifest_ = {{"saed_recording", 1},
                 {"name", recording.display_name()},
                 {"source", recording.source()},
                 {"sampling_rate", recording.sampling_rate()},
                 {"bin_width", recording.bin_width()},
                 {"duration", recording.duration()}};
  }

  absl::Status Write() {
    SAED_RETURN_IF_ERROR(WriteActivity());
    SAED_RETURN_IF_ERROR(WriteUnits());
    SAED_RETURN_IF_ERROR(WriteParts());
    for (const auto& table : recording_.interval_tables()) {
      SAED_RETURN_IF_ERROR(WriteIntervals(table));
    }
    for (const auto& series : recording_.series()) SAED_RETURN_IF_ERROR(WriteSeries(series));
    std::ofstream out(folder_ / "recording.json");
    out << manifest_.dump(1) << "\n";
    out.close();
    return out ? absl::OkStatus() : Unwritable(folder_ / "recording.json");
  }

 private:
  // A table with what the manifest says of it.
  struct Fetched {
    ordered_json cells, about;
    size_t rows = 0;
  };

  Request RequestOf() const {
    Request request;
    request.set_name(recording_.name());
    return request;
  }

  // All bytes of a table or series.
  absl::StatusOr<std::string> Part(const Request& request, v1::DownloadHeader& header) {
    std::string bytes;
    SAED_RETURN_IF_ERROR(session_.client->Download(
        request,
        [&](const v1::DownloadHeader& h) {
          header = h;
          return absl::OkStatus();
        },
        [&](const std::string& chunk) {
          bytes += chunk;
          return absl::OkStatus();
        }));
    return bytes;
  }

  // `taken`: titles that its columns may not have.
  absl::StatusOr<Fetched> Fetch(const Request& request, std::set<std::string> taken) {
    v1::DownloadHeader header;
    SAED_ASSIGN_OR_RETURN(const std::string bytes, Part(request, header));
    Fetched out;
    out.cells = ordered_json::parse(bytes, nullptr, false);
    if (!out.cells.is_object()) return absl::DataLossError("a table came damaged");
    ordered_json columns = ordered_json::array();
    int at = 0;
    for (const auto& [name, values] : out.cells.items()) {
      if (!values.is_array() || (at > 0 && values.size() != out.rows)) {
        return absl::DataLossError("a table came with columns of several lengths");
      }
      const bool told = at < header.column_kinds_size();
      columns.push_back({{"title", Free(name, taken)},
                         {"name", name},
                         {"kind", told ? header.column_kinds(at) : ""}});
      out.rows = std::max(out.rows, values.size());
      ++at;
    }
    out.about = {{"name", header.table_name()}, {"columns", columns}};
    return out;
  }

  static std::string Titles(const Fetched& table) {
    std::string out;
    for (const auto& column : table.about["columns"]) {
      out += (out.empty() ? "" : ",") + CsvCell(column["title"]);
    }
    return out;
  }

  absl::Status WriteTable(const Fetched& table, const std::string& file) {
    std::error_code error;
    fs::create_directories((folder_ / file).parent_path(), error);
    std::ofstream out(folder_ / file);
    out << Titles(table) << "\n";
    std::vector<std::string> line;
    for (size_t row = 0; row < table.rows; ++row) {
      line.clear();
      for (const auto& [column, values] : table.cells.items()) {
        line.push_back(CsvCell(values[row]));
      }
      out << fmt::format("{}\n", fmt::join(line, ","));
    }
    out.close();
    return out ? absl::OkStatus() : Unwritable(folder_ / file);
  }

  absl::Status WriteActivity() {
    Activity activity(folder_);
    SAED_RETURN_IF_ERROR(session_.client->Download(
        RequestOf(), [&](const v1::DownloadHeader& header) { return activity.Begin(header); },
        [&](const std::string& bytes) { return activity.Chunk(bytes); }));
    return activity.End();
  }

  absl::Status WriteUnits() {
    Request part = RequestOf();
    part.set_part(Request::PART_UNIT_COLUMNS);
    SAED_ASSIGN_OR_RETURN(const Fetched columns, Fetch(part, {"id", "label", "region", "depth"}));
    manifest_["units"] = columns.about;
    const fs::path file = folder_ / "units.csv";
    std::ofstream out(file);
    const std::string titles = Titles(columns);
    out << "id,label,region,depth" << (titles.empty() ? "" : ",") << titles << "\n";
    v1::ListUnitsRequest request;
    request.set_parent(recording_.name());
    request.set_page_size(1000);
    size_t row = 0;
    do {
      grpc::ClientContext context;
      v1::ListUnitsResponse page;
      SAED_RETURN_IF_ERROR(
          client::FromGrpc(session_.client->recordings().ListUnits(&context, request, &page)));
      for (const auto& unit : page.units()) {
        out << unit.id() << "," << CsvCell(unit.label()) << "," << CsvCell(unit.region()) << ","
            << (unit.has_depth() ? NumberText(unit.depth()) : "");
        for (const auto& [name, values] : columns.cells.items()) {
          if (row >= values.size()) return absl::DataLossError("the table of units came cut");
          out << "," << CsvCell(values[row]);
        }
        out << "\n";
        ++row;
      }
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    out.close();
    return out ? absl::OkStatus() : Unwritable(file);
  }

  // Electrodes and what was observed, where there are any.
  absl::Status WriteParts() {
    Request part = RequestOf();
    part.set_part(Request::PART_OBSERVED);
    SAED_ASSIGN_OR_RETURN(const Fetched observed, Fetch(part, {}));
    if (observed.rows > 0) SAED_RETURN_IF_ERROR(WriteTable(observed, "observed.csv"));
    part.set_part(Request::PART_ELECTRODES);
    SAED_ASSIGN_OR_RETURN(const Fetched electrodes, Fetch(part, {}));
    manifest_["electrodes"] = electrodes.about;
    return electrodes.cells.empty() ? absl::OkStatus() : WriteTable(electrodes, "electrodes.csv");
  }

  absl::Status WriteIntervals(const std::string& name) {
    Request request = RequestOf();
    request.set_interval_table(name);
    SAED_ASSIGN_OR_RETURN(Fetched table, Fetch(request, {}));
    const std::string file = FileName("intervals", name, tables_);
    table.about["name"] = name;
    table.about["file"] = file;
    manifest_["intervals"].push_back(table.about);
    return WriteTable(table, file);
  }

  absl::Status WriteSeries(const v1::SeriesSummary& series) {
    Request request = RequestOf();
    request.set_series(series.name());
    v1::DownloadHeader header;
    SAED_ASSIGN_OR_RETURN(const std::string bytes, Part(request, header));
    std::vector<double> numbers(bytes.size() / sizeof(double));
    std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
    const auto samples = static_cast<size_t>(series.samples());
    const auto channels = static_cast<size_t>(series.channels_size());
    if (numbers.size() != samples * (1 + channels)) {
      return absl::DataLossError(fmt::format("the series {} came damaged", series.name()));
    }
    const std::string name = FileName("series", series.name(), series_);
    manifest_["series"].push_back(
        {{"name", series.name()},
         {"file", name},
         {"unit", series.unit()},
         {"channels",
          std::vector<std::string>(series.channels().begin(), series.channels().end())}});
    std::error_code error;
    fs::create_directories(folder_ / "series", error);
    std::ofstream out(folder_ / name);
    out << "time";
    std::set<std::string> taken = {"time"};
    for (const auto& channel : series.channels()) out << "," << CsvCell(Free(channel, taken));
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
    return out ? absl::OkStatus() : Unwritable(folder_ / name);
  }

  Session& session_;
  const v1::Recording& recording_;
  fs::path folder_;
  ordered_json manifest_;
  std::set<std::string> tables_, series_;  // names that are taken
};

}  // namespace

absl::Status WriteRecording(Session& session, const v1::Recording& recording,
                            const fs::path& folder) {
  return Writer(session, recording, folder).Write();
}

}  // namespace saed::cli

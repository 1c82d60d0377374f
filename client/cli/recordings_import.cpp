#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/cli/show_recording.h"
#include "client/cpp/choose.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

namespace fs = std::filesystem;

struct ImportFlags {
  std::string path, format, name, server_path, units;
  double sampling_rate = 0, bin_width = 0;
  bool strict = false, is_private = false;
  std::vector<std::string> intervals, series, options;
};

// "NAME=VALUE" in two.
absl::StatusOr<std::pair<std::string, std::string>> Pair(const std::string& text, const char* flag,
                                                         const char* example) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) {
    return absl::InvalidArgumentError(
        fmt::format("{} is '{}'; must be NAME=VALUE, e.g. {} {}", flag, text, flag, example));
  }
  return std::pair(text.substr(0, at), text.substr(at + 1));
}

// The flag that sets a field of the header; the field itself where none does.
std::string FlagOf(const std::string& field) {
  constexpr std::string_view kHeader = "header.", kOption = "options.";
  const std::string own = field.starts_with(kHeader) ? field.substr(kHeader.size()) : field;
  const std::pair<std::string_view, std::string_view> flags[] = {
      {"format", "--format"},
      {"bin_width", "--bin"},
      {"sampling_rate", "--sampling-rate"},
      {"display_name", "--name"},
      {"server_path", "--server-path"},
      {"file.name", "the name of a file"},
      {"file.size", "the size"}};
  for (const auto& [name, flag] : flags) {
    if (own == name) return std::string(flag);
  }
  if (own.starts_with(kOption)) return "--option " + own.substr(kOption.size());
  return own;
}

// The server's words, each fault with the flag it is about.
absl::Status InFlags(const absl::Status& status) {
  if (status.ok()) return status;
  std::string out, line;
  std::istringstream lines{std::string(status.message())};
  while (std::getline(lines, line)) {
    const size_t space = std::min(line.find(' '), line.size());
    out += (out.empty() ? "" : "\n") + FlagOf(line.substr(0, space)) + line.substr(space);
  }
  return {status.code(), out};
}

// Of a folder that holds several recordings, with the command that takes the first of them.
absl::Status NamingOne(const absl::Status& status, const std::string& path) {
  const std::string text(status.message());
  for (const std::string_view begin : {" hold one: ", " recordings: ", "name one:\n  "}) {
    const size_t at = text.find(begin);
    if (at == std::string::npos) continue;
    const size_t first = at + begin.size();
    // Names end with what they hold, in brackets, with a comma or with the line.
    const size_t end = std::min({text.find(" (", first), text.find(", ", first),
                                 text.find("; ", first), text.find('\n', first), text.size()});
    const std::string one = (fs::path(path) / text.substr(first, end - first)).string();
    return {status.code(),
            fmt::format("{}, e.g.\n  saectl recordings import {}", text, Quoted(one))};
  }
  return status;
}

// The name, or nothing where it looks like an id.
std::string NoId(const std::string& name) {
  const bool id = name.size() == 16 && name.find_first_not_of("0123456789abcdef") == name.npos;
  return id ? "" : name;
}

// What a downloaded recording was called, else the name of the file or folder.
std::string DefaultName(const std::string& path) {
  std::error_code error;
  const fs::path whole = fs::weakly_canonical(path, error);
  if (std::ifstream in(whole / "recording.json"); in) {
    const auto manifest = nlohmann::json::parse(in, nullptr, false);
    const auto name = manifest.is_object() ? manifest.find("name") : manifest.end();
    if (name != manifest.end() && name->is_string()) return name->get<std::string>();
  }
  return NoId((fs::is_directory(whole, error) ? whole.filename() : whole.stem()).string());
}

// What of the flags an import of what was there already has not done.
void SayIgnored(const ImportFlags& flags, const v1::Recording& r) {
  fmt::print("already there:\n");
  if (!flags.name.empty() && flags.name != r.display_name()) {
    fmt::print("  It keeps its name. To change it:\n    saectl recordings rename {} {}\n",
               r.name().substr(r.name().find('/') + 1), Quoted(flags.name));
  }
  if (flags.is_private && !r.private_()) {
    fmt::print("  It stays shared: --private is for recordings that are new.\n");
  }
}

// Says that the name is another recording's too, and so no good in commands.
void SayShared(Session& session, const v1::Recording& r) {
  grpc::ClientContext context;
  v1::GetRecordingRequest request;
  request.set_name("recordings/" + r.display_name());
  v1::GetRecordingResponse response;
  const auto called = session.client->recordings().GetRecording(&context, request, &response);
  if (called.error_code() != grpc::StatusCode::INVALID_ARGUMENT) return;
  const std::string id = r.name().substr(r.name().find('/') + 1);
  fmt::print("  {:<11}{}\n", "note",
             Wrapped(fmt::format("other recordings are called '{}' too: use the id {} in commands, "
                                 "or give it a name with saectl recordings rename",
                                 r.display_name(), id),
                     std::clamp(TerminalWidth(), 40, 120), 13));
}

absl::StatusOr<v1::ImportHeader> HeaderOf(const ImportFlags& flags) {
  v1::ImportHeader header;
  header.set_format_name(flags.format);
  header.set_display_name(!flags.name.empty()  ? flags.name
                          : flags.path.empty() ? NoId(fs::path(flags.server_path).stem().string())
                                               : DefaultName(flags.path));
  header.set_sampling_rate(flags.sampling_rate);
  header.set_bin_width(flags.bin_width);
  header.set_server_path(flags.server_path);
  header.set_strict(flags.strict);
  header.set_private_(flags.is_private);
  for (const std::string& text : flags.options) {
    SAED_ASSIGN_OR_RETURN(const auto option,
                          Pair(text, "--option", "units_table=processing/ecephys/units"));
    (*header.mutable_options())[option.first] = option.second;
  }
  return header;
}

// Tables and series that come beside the recording.
absl::Status AddNamed(const std::vector<std::string>& texts, const char* flag, const char* example,
                      v1::FileHeader::Role role, std::vector<client::UploadFile>& files) {
  for (const std::string& text : texts) {
    SAED_ASSIGN_OR_RETURN(const auto named, Pair(text, flag, example));
    files.push_back({role, named.first, named.second});
  }
  return absl::OkStatus();
}

// The files of the path; their format and what was left out go to the header.
absl::StatusOr<client::Choice> ChosenBy(Session& session, const ImportFlags& flags,
                                        v1::ImportHeader& header) {
  if (flags.path.empty()) return client::Choice();
  auto chosen = client::ChooseFiles(*session.client, flags.path, flags.format);
  if (!chosen.ok()) return NamingOne(chosen.status(), flags.path);
  for (const std::string& line : chosen->left_out) header.add_left_out(line);
  header.set_format_name(chosen->format);
  return chosen;
}

// Files that flags name.
absl::StatusOr<std::vector<client::UploadFile>> GivenBy(const ImportFlags& flags) {
  std::vector<client::UploadFile> files;
  SAED_RETURN_IF_ERROR(AddNamed(flags.intervals, "--intervals", "trials=trials.csv",
                                v1::FileHeader::ROLE_INTERVALS, files));
  SAED_RETURN_IF_ERROR(AddNamed(flags.series, "--series", "position=position.csv",
                                v1::FileHeader::ROLE_SERIES, files));
  if (!flags.units.empty()) {
    files.push_back(
        {v1::FileHeader::ROLE_UNITS, fs::path(flags.units).filename().string(), flags.units});
  }
  return files;
}

absl::Status Import(Session& session, const ImportFlags& flags) {
  if (flags.path.empty() == flags.server_path.empty()) {
    return absl::InvalidArgumentError("give either a path to upload or --server-path");
  }
  SAED_ASSIGN_OR_RETURN(auto header, HeaderOf(flags));
  const auto chosen = ChosenBy(session, flags, header);
  SAED_RETURN_IF_ERROR(InFlags(chosen.status()));
  SAED_ASSIGN_OR_RETURN(const auto given, GivenBy(flags));
  std::vector<client::UploadFile> files = chosen->files;
  files.insert(files.end(), given.begin(), given.end());
  ProgressLine line;
  const auto response = session.client->Import(header, files, [&](int64_t sent, int64_t total) {
    line.Show(total > 0 ? static_cast<double>(sent) / static_cast<double>(total) : 1,
              fmt::format("uploaded {} of {}", Bytes(static_cast<double>(sent)),
                          Bytes(static_cast<double>(total))));
  });
  line.End();
  SAED_RETURN_IF_ERROR(InFlags(response.status()));
  if (const auto unread = client::Unread(*chosen, given, response->recording()); !unread.empty()) {
    fmt::print(stderr, "{}\n", unread);
  }
  if (session.json) {
    fmt::print("{}", Json(*response));
    return absl::OkStatus();
  }
  if (!response->created()) SayIgnored(flags, response->recording());
  PrintRecording(response->recording());
  SayShared(session, response->recording());
  PrintFirstCommand(response->recording());
  return absl::OkStatus();
}

// All formats, or the one called `name`.
absl::Status Formats(Session& session, const std::string& name) {
  grpc::ClientContext context;
  v1::ListFormatsResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->recordings().ListFormats(&context, {}, &response)));
  if (!name.empty()) {
    v1::ListFormatsResponse one;
    std::string names;
    for (const auto& format : response.formats()) {
      if (format.name() == name) *one.add_formats() = format;
      names += (names.empty() ? "" : ", ") + format.name();
    }
    if (one.formats().empty()) {
      return absl::InvalidArgumentError(
          fmt::format("the format is '{}'; must be one of {}", name, names));
    }
    response = one;
  }
  if (session.json) {
    fmt::print("{}", Json(response));
    return absl::OkStatus();
  }
  const int width = std::clamp(TerminalWidth(), 40, 100);
  for (const auto& format : response.formats()) {
    fmt::print("{}\n  {}\n  needs {}\n", format.name(), Wrapped(format.title(), width, 2),
               Wrapped(format.needs(), width, 8));
    for (const auto& option : format.options()) {
      fmt::print("  --option {}={}\n      {}\n", option.name(), option.example(),
                 Wrapped(option.help(), width, 6));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void AddImportCommand(CLI::App& group, Session& session) {
  auto* import = group.add_subcommand(
      "import",
      "Upload a recording: a file or folder of any format that saectl recordings formats "
      "lists. Tables in the folder are found as units.csv, trials.csv, intervals/NAME.csv and "
      "series/NAME.csv");
  auto flags = std::make_shared<ImportFlags>();
  import->add_option("path", flags->path, "File or folder to upload");
  import->add_option("--server-path", flags->server_path,
                     "Import this path below the server's data root instead");
  import->add_option("--format", flags->format, "Default: what the files are");
  import->add_option("--name", flags->name, "Name for people");
  import->add_option("--sampling-rate", flags->sampling_rate,
                     "Hz, of times in samples or of frames, where no file says it");
  import->add_option("--bin", flags->bin_width, "s, of the bins of a count matrix");
  import->add_option("--option", flags->options,
                     "NAME=VALUE, e.g. which variable of a MATLAB file holds what; "
                     "saectl recordings formats FORMAT lists them (repeatable)");
  import->add_option("--intervals", flags->intervals, "Interval table: NAME=FILE.csv (repeatable)");
  import->add_option("--series", flags->series, "Behavioural series: NAME=FILE.csv (repeatable)");
  import->add_option("--units", flags->units,
                     "Columns by unit id: FILE.csv; units without spikes may be declared there");
  import->add_flag("--strict", flags->strict, "Refuse instead of leaving out or mending anything");
  import->add_flag("--private", flags->is_private, "Only you and administrators see it");
  Run(import, session, [&session, flags] { return Import(session, *flags); });
}

void AddFormatsCommand(CLI::App& group, Session& session) {
  auto* formats =
      group.add_subcommand("formats", "What can be imported, with what each format needs");
  auto name = std::make_shared<std::string>();
  formats->add_option("format", *name, "Only this one");
  Run(formats, session, [&session, name] { return Formats(session, *name); });
}

}  // namespace saed::cli

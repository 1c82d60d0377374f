#include "client/cpp/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "server/base/glob.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::client {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 100'000;                     // that a folder may hold
constexpr size_t kMostNames = 32u << 20;                   // bytes of all names
constexpr size_t kMostSent = 20'000;                       // files of one recording
constexpr size_t kLongestName = 1000, kLongestPart = 200;  // bytes, of what the server takes
constexpr size_t kShown = 20;                              // names of files that no format reads
constexpr size_t kSketch = 4096;                           // bytes at either end
constexpr size_t kSketched = 8u << 20;                     // bytes of all ends together

struct Found {
  std::string name, path;
  int64_t size = 0;
};

// Hidden files are the system's, but for what Zarr keeps its shapes in.
bool Hidden(const fs::path& file) {
  const std::string base = file.filename().string();
  return base.starts_with('.') && !base.starts_with(".z");
}

bool IsControl(char c) { return (c >= 0 && c < ' ') || c == 0x7f; }

// What is left out, counted by its kind.
class LeftOut {
 public:
  void Add(const char* kind, const std::string& name) {
    Kind& it = kinds_[kind];
    if (it.count++ > 0) return;
    it.first = ValidUtf8(name);
    // What replaces a byte has three, and the cut must not be within a letter.
    if (it.first.size() > kLongestName) it.first = ValidUtf8(it.first.substr(0, kLongestName - 2));
    std::replace_if(it.first.begin(), it.first.end(), IsControl, '?');
  }

  std::vector<std::string> Lines() const {
    std::vector<std::string> out;
    for (const auto& [kind, it] : kinds_) {
      std::string things = kind;
      if (it.count == 1) things.erase(things.find("s "), 1);
      out.push_back(fmt::format("{} {} left out, the first is {}", it.count, things, it.first));
    }
    return out;
  }

 private:
  struct Kind {
    int count = 0;
    std::string first;
  };
  std::map<std::string, Kind> kinds_;
};

// Why a file cannot be sent under this name; null where it can.
const char* WrongName(const std::string& name) {
  if (ValidUtf8(name) != name) return "files with a name that is not UTF-8";
  if (std::any_of(name.begin(), name.end(), IsControl)) {
    return "files with control characters in the name";
  }
  size_t part = 0, longest = 0;
  for (const char c : name) {
    part = c == '/' ? 0 : part + 1;
    longest = std::max(longest, part);
  }
  return name.size() > kLongestName || longest > kLongestPart ? "files with a name that is too long"
                                                              : nullptr;
}

// Why an entry that is not hidden is no file to send; null where it is one. Folders are walked into
// and need no reason.
const char* WhyNot(const fs::directory_entry& entry, const std::string& root) {
  std::error_code error;
  if (entry.is_symlink(error)) {
    const std::string target = fs::canonical(entry.path(), error).string();
    if (error) return "links to nowhere";
    if (!target.starts_with(root)) return "links out of the folder";
    if (fs::is_directory(target, error)) return "links to folders";
  }
  return entry.is_regular_file(error) ? nullptr : "files without content (FIFO, socket, device)";
}

absl::Status TooMany(const fs::path& folder, const std::string& what) {
  return absl::InvalidArgumentError(
      fmt::format("{} holds {}; name the folder of one recording", folder.string(), what));
}

absl::StatusOr<std::vector<Found>> Walk(const fs::path& folder, LeftOut& left_out) {
  std::error_code error, ignored;
  const std::string root = (fs::canonical(folder, error) / "").string();
  std::vector<Found> out;
  size_t bytes = 0;
  auto it = fs::recursive_directory_iterator(folder, error);
  for (; !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    if (Hidden(it->path())) {
      if (it->is_directory(ignored)) it.disable_recursion_pending();
      continue;
    }
    if (it->is_directory(ignored) && !it->is_symlink(ignored)) continue;
    const std::string name = it->path().lexically_relative(folder).generic_string();
    const char* why = WhyNot(*it, root);
    if (why == nullptr) why = WrongName(name);
    if (why != nullptr) {
      left_out.Add(why, name);
      continue;
    }
    out.push_back({name, it->path().string(), static_cast<int64_t>(it->file_size(ignored))});
    bytes += name.size();
    if (out.size() > kMostFiles || bytes > kMostNames) {
      return TooMany(folder, fmt::format("more than {} files, or more than {} MB of names",
                                         kMostFiles, kMostNames >> 20));
    }
  }
  if (error) {
    return absl::NotFoundError(fmt::format("cannot read {}: {}", folder.string(), error.message()));
  }
  // Files that lie higher are looked at first.
  std::sort(out.begin(), out.end(), [](const Found& a, const Found& b) {
    const auto depth = [](const Found& f) { return std::count(f.name.begin(), f.name.end(), '/'); };
    return std::pair(depth(a), a.name) < std::pair(depth(b), b.name);
  });
  return out;
}

bool Matches(const std::string& name, const v1::FormatInfo& format) {
  return std::any_of(format.files().begin(), format.files().end(),
                     [&](const std::string& pattern) { return MatchesGlob(name, pattern); });
}

// Both ends of a file, as long as there is room for them.
void AddEnds(const Found& file, size_t& room, v1::FileSketch& out) {
  const auto part = std::min<size_t>(kSketch, static_cast<size_t>(file.size));
  if (2 * part > room) return;
  std::ifstream in(file.path, std::ios::binary);
  out.mutable_head()->resize(part);
  in.read(out.mutable_head()->data(), static_cast<std::streamsize>(part));
  out.mutable_tail()->resize(part);
  in.seekg(file.size - static_cast<int64_t>(part));
  in.read(out.mutable_tail()->data(), static_cast<std::streamsize>(part));
  if (in) {
    room -= 2 * part;
  } else {
    out.clear_head();
    out.clear_tail();
  }
}

v1::DetectFormatRequest Sketches(const std::vector<Found>& files,
                                 const v1::ListFormatsResponse& formats) {
  v1::DetectFormatRequest out;
  size_t room = kSketched, others = 0;
  for (const Found& file : files) {
    const bool read =
        std::any_of(formats.formats().begin(), formats.formats().end(),
                    [&](const v1::FormatInfo& format) { return Matches(file.name, format); });
    if (!read && ++others > kShown && files.size() > 1) continue;
    auto* sketch = out.add_files();
    sketch->set_name(file.name);
    sketch->set_size(file.size);
    if (read || files.size() == 1) AddEnds(file, room, *sketch);
  }
  return out;
}

// A folder of several NWB files is several recordings.
absl::Status OneNwb(const std::vector<Found>& files) {
  std::string names;
  int count = 0;
  for (const Found& file : files) {
    if (!file.name.ends_with(".nwb")) continue;
    if (++count <= 10) names += "\n  " + file.name;
  }
  if (count < 2) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("the folder holds {} recordings, each an NWB file of its own; name one:{}{}",
                  count, names, count > 10 ? "\n  …" : ""));
}

// Tables in the folder that are not sent.
void FindTables(const std::vector<Found>& files, const std::set<std::string>& wanted, Choice& out) {
  for (const Found& file : files) {
    const bool table = file.name.ends_with(".csv") || file.name.ends_with(".tsv");
    if (!table || file.name.find('/') != std::string::npos || wanted.contains(file.name)) continue;
    out.tables.push_back(file.path);
  }
}

void Take(const std::vector<Found>& files, const std::set<std::string>& wanted, Choice& out) {
  for (const Found& file : files) {
    if (wanted.contains(file.name)) {
      out.files.push_back({v1::FileHeader::ROLE_MAIN, file.name, file.path});
    }
  }
}

}  // namespace

absl::StatusOr<Choice> ChooseFiles(Client& client, const std::string& path,
                                   const std::string& format) {
  Choice out;
  std::error_code error;
  const bool folder = fs::is_directory(path, error);
  std::vector<Found> files;
  if (folder) {
    LeftOut left_out;
    SAED_ASSIGN_OR_RETURN(files, Walk(path, left_out));
    out.left_out = left_out.Lines();
  } else if (fs::is_regular_file(path, error)) {
    files = {{fs::path(path).filename().string(), path,
              static_cast<int64_t>(fs::file_size(path, error))}};
  } else {
    return absl::NotFoundError(fmt::format("cannot read {}: it is no file or folder", path));
  }
  v1::ListFormatsResponse formats;
  {
    grpc::ClientContext context;
    SAED_RETURN_IF_ERROR(FromGrpc(client.recordings().ListFormats(&context, {}, &formats)));
  }
  std::set<std::string> wanted;
  out.format = format;
  if (!format.empty()) {
    // One that the server does not know is refused by it, with those it knows.
    for (const auto& info : formats.formats()) {
      if (info.name() != format) continue;
      if (format == "nwb") SAED_RETURN_IF_ERROR(OneNwb(files));
      for (const Found& file : files) {
        if (!folder || Matches(file.name, info)) wanted.insert(file.name);
      }
    }
  } else {
    SAED_RETURN_IF_ERROR(OneNwb(files));
    grpc::ClientContext context;
    v1::DetectFormatResponse detected;
    SAED_RETURN_IF_ERROR(
        FromGrpc(client.recordings().DetectFormat(&context, Sketches(files, formats), &detected)));
    out.format = detected.format().name();
    wanted.insert(detected.files().begin(), detected.files().end());
    if (!folder) wanted.insert(files[0].name);
  }
  if (!wanted.empty()) FindTables(files, wanted, out);
  Take(files, wanted, out);
  if (out.files.size() > kMostSent) {
    return TooMany(path, fmt::format("{} files of the format {}, of which at most {} are sent",
                                     out.files.size(), out.format, kMostSent));
  }
  return out;
}

std::string Unread(const Choice& choice, const std::vector<UploadFile>& given,
                   const v1::Recording& recording) {
  std::set<std::string> known(recording.interval_tables().begin(),
                              recording.interval_tables().end());
  for (const auto& series : recording.series()) known.insert(series.name());
  std::vector<std::string> names;
  for (const std::string& table : choice.tables) {
    std::error_code error;
    const bool is_given = std::any_of(given.begin(), given.end(), [&](const UploadFile& file) {
      return fs::equivalent(file.path, table, error);
    });
    const fs::path path(table);
    if (!is_given && !known.contains(path.stem().string())) names.push_back(path.filename());
  }
  if (names.empty()) return "";
  const size_t others = names.size() - 1;
  return fmt::format(
      "{} beside the data and {} not read; tables are found as units.csv, trials.csv, "
      "intervals/NAME.csv and series/NAME.csv, or given with --units, --intervals, --series",
      others == 0
          ? names[0] + " lies"
          : fmt::format("{} and {} other table{} lie", names[0], others, others == 1 ? "" : "s"),
      others == 0 ? "is" : "are");
}

}  // namespace saed::client

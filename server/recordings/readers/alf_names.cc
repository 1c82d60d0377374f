#include "server/recordings/readers/alf_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "server/base/text.h"

namespace saed::recordings {
namespace {

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Attributes that are times: only on these a suffix names a clock. A value such as
// visualStim_contrastLeft is the same on every clock.
size_t ClockAt(const std::string& attribute) {
  for (const std::string_view word : {"timestamps", "times", "intervals"}) {
    for (size_t at = 0; (at = attribute.find(word, at)) != std::string::npos; at += word.size()) {
      const bool begins = at == 0 || attribute[at - 1] == '_';
      const size_t end = at + word.size();
      if (begins && end < attribute.size() && attribute[end] == '_') return end;
    }
  }
  return std::string::npos;
}

// Servers of datasets put a UUID into the names of files.
bool IsUuid(const std::string& part) {
  return part.size() == 36 && std::count(part.begin(), part.end(), '-') == 4 &&
         std::all_of(part.begin(), part.end(),
                     [](unsigned char c) { return std::isxdigit(c) || c == '-'; });
}

void ParseFolders(const std::vector<std::string>& folders, AlfName& out) {
  for (const std::string& folder : folders) {
    if (folder.size() > 2 && folder.starts_with('#') && folder.ends_with('#')) {
      out.revision = folder.substr(1, folder.size() - 2);
    } else {
      out.collection += (out.collection.empty() ? "" : "/") + folder;
    }
  }
}

std::string RevisionText(const AlfName& name) {
  return name.revision.empty() ? "the one without revision" : "#" + name.revision + "#";
}

}  // namespace

AlfName ParseAlfName(std::string_view file) {
  AlfName out;
  out.file = file;
  auto folders = Split(file, '/');
  auto parts = Split(folders.back(), '.');
  folders.pop_back();
  std::erase_if(parts, IsUuid);
  if (parts.size() != 3 || parts[0].empty() || parts[1].empty()) return out;
  ParseFolders(folders, out);
  std::string& object = parts[0];
  if (object.starts_with('_')) {
    const size_t end = object.find('_', 1);
    if (end == std::string::npos || end + 1 == object.size()) return out;
    object.erase(0, end + 1);
  }
  std::string& attribute = parts[1];
  // An attribute may have a namespace of its own: clusters._phy_annotation.
  if (attribute.starts_with('_')) attribute.erase(0, 1);
  if (attribute.empty()) return out;
  if (const size_t clock = ClockAt(attribute); clock != std::string::npos) {
    out.timescale = attribute.substr(clock + 1);
    attribute.resize(clock);
  }
  out.object = ValidUtf8(object);
  out.attribute = ValidUtf8(attribute);
  out.extension = parts[2];
  return out;
}

std::map<std::string, std::map<std::string, AlfObject>> AlfObjects(const FileSet& files,
                                                                   Notes& notes) {
  std::map<std::string, std::map<std::string, AlfObject>> out;
  size_t several = 0;
  std::string first;
  for (const std::string& file : files.names()) {
    AlfName name = ParseAlfName(file);
    if (name.object.empty()) continue;
    if (!name.timescale.empty()) {
      notes.Mended(file, fmt::format("left out because it is on another clock, '{}'",
                                     ValidUtf8(name.timescale)));
      continue;
    }
    // A table that is exported beside its parquet file is another attribute.
    const std::string key = name.attribute + (name.extension == "pqt" ? ".pqt" : "");
    auto [it, added] = out[name.collection][name.object].emplace(key, name);
    if (added) continue;
    AlfName& kept = it->second;
    const bool newer = name.revision > kept.revision;
    if (newer) std::swap(kept, name);
    if (name.revision == kept.revision) {
      notes.Mended(name.file,
                   fmt::format("left out because {} has the same object and attribute", kept.file));
      continue;
    }
    if (several++ == 0) {
      first = fmt::format("{} instead of {}", kept.file, RevisionText(name));
    }
  }
  if (several > 0) {
    notes.Said("revisions", fmt::format("the newest by name is taken of {} files, the first is {}",
                                        several, first));
  }
  return out;
}

}  // namespace saed::recordings

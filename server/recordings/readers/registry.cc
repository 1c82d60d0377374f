#include "server/recordings/readers/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/recordings/readers/text_matrix.h"
#include "server/recordings/readers/text_sketch.h"

namespace saed::recordings {
namespace {

std::string Names(const std::vector<const Reader*>& readers) {
  std::string out;
  for (const Reader* r : readers) out += (out.empty() ? "" : ", ") + r->name;
  return out;
}

// The first names, in words.
std::string Seen(const FileSet& files) {
  constexpr size_t kShownColumns = 10;
  constexpr size_t kShown = 12;
  if (files.names().empty()) return "nothing";
  std::string out;
  for (size_t i = 0; i < files.names().size() && i < kShown; ++i) {
    const std::string& name = files.names()[i];
    out += (i == 0 ? "" : ", ") + ValidUtf8(name);
    if (!IsTextName(name)) continue;
    const TextSketch text = SketchText(files.Sketch(name));
    if (text.headed && !text.names.empty()) {
      const size_t shown = std::min(kShownColumns, text.names.size());
      out += fmt::format(" (with the columns {}{})",
                         ValidUtf8(fmt::format("{}", fmt::join(text.names.begin(),
                                                               text.names.begin() + shown, ", "))),
                         shown < text.names.size() ? ", …" : "");
    }
  }
  if (files.names().size() > kShown) {
    out += fmt::format(" and {} more", files.names().size() - kShown);
  }
  return out;
}

// Who reads a set of files.
struct Recognition {
  std::vector<const Reader*> sure, maybe;
  bool alone = false;  // one of the sure ones bears no other beside it; it is the first

  const Reader* one() const {
    if (!sure.empty()) return alone && sure.size() > 1 ? nullptr : sure[0];
    return maybe.size() == 1 ? maybe[0] : nullptr;
  }
};

Recognition Recognise(const FileSet& files) {
  Recognition out;
  for (const Reader* reader : Readers()) {
    const Match match = reader->recognise(files);
    if (match == Match::kYes) out.sure.push_back(reader);
    if (match == Match::kYesAlone) {
      out.sure.insert(out.sure.begin(), reader);
      out.alone = true;
    }
    if (match == Match::kMaybe) out.maybe.push_back(reader);
  }
  return out;
}

// The files and folders right in the folder that are recordings by themselves, with their formats.
std::vector<std::string> RecordingsIn(const FileSet& files) {
  constexpr size_t kLookedAt = 200;
  std::map<std::string, std::vector<FileSketch>> entries;
  for (const std::string& name : files.names()) {
    const size_t slash = name.find('/');
    const std::string entry = name.substr(0, slash);
    if (entries.size() == kLookedAt && !entries.contains(entry)) break;
    FileSketch sketch = files.Sketch(name);
    if (slash != name.npos) sketch.name = name.substr(slash + 1);
    entries[entry].push_back(std::move(sketch));
  }
  std::vector<std::string> out, doubtful;
  for (auto& [entry, sketches] : entries) {
    const bool folder = sketches.size() > 1 || sketches[0].name != entry;
    const Recognition found = Recognise(FileSet(std::move(sketches)));
    if (found.sure.empty() && found.maybe.empty()) continue;
    const Reader* one = found.one();
    const auto readers = one != nullptr       ? std::vector<const Reader*>{one}
                         : found.sure.empty() ? found.maybe
                                              : found.sure;
    // A file that some format could read need not be a recording.
    const bool sure = folder || !found.sure.empty();
    (sure ? out : doubtful).push_back(fmt::format("{} ({})", ValidUtf8(entry), Names(readers)));
  }
  if (out.empty() && doubtful.size() == 1) return doubtful;
  return out;
}

}  // namespace

const std::vector<const Reader*>& Readers() {
#define SAED_LIST(name) &formats::name(),
  static const std::vector<const Reader*> readers = {SAED_FORMATS(SAED_LIST)};
#undef SAED_LIST
  return readers;
}

absl::StatusOr<const Reader*> FindReader(std::string_view name) {
  for (const Reader* reader : Readers()) {
    if (reader->name == name) return reader;
  }
  return InvalidField("format",
                      fmt::format("is '{}'; must be one of {}", ValidUtf8(name), Names(Readers())));
}

absl::StatusOr<const Reader*> RecogniseReader(const FileSet& files) {
  const Recognition found = Recognise(files);
  if (const Reader* reader = found.one()) return reader;
  if (!found.sure.empty()) {
    std::string held;
    for (const Reader* reader : found.sure) {
      held += fmt::format("\n  {}: {}", reader->name, reader->needs);
    }
    return InvalidField("format", fmt::format("is not given and the files hold what several read: "
                                              "{}. Say which of {}:{}",
                                              Seen(files), Names(found.sure), held));
  }
  if (!found.maybe.empty()) {
    return InvalidField("format", fmt::format("is not given and the files could be any of {}; say "
                                              "which",
                                              Names(found.maybe)));
  }
  if (files.names().size() > 1) {
    const std::vector<std::string> within = RecordingsIn(files);
    if (within.size() == 1) {
      return InvalidField("files",
                          fmt::format("are no recording, but hold one: {}; name it", within[0]));
    }
    if (within.size() > 1) {
      constexpr size_t kShown = 12;
      const std::vector<std::string> shown(within.begin(),
                                           within.begin() + std::min(within.size(), kShown));
      return InvalidField("files",
                          fmt::format("hold {} recordings: {}{}; name one", within.size(),
                                      fmt::join(shown, ", "), within.size() > kShown ? ", …" : ""));
    }
  }
  std::string needs;
  for (const Reader* reader : Readers()) {
    needs += fmt::format("\n  {}: {}", reader->name, reader->needs);
  }
  return InvalidField("format", fmt::format("is not given, and no format knows these files: {}. "
                                            "What each needs:{}",
                                            Seen(files), needs));
}

}  // namespace saed::recordings

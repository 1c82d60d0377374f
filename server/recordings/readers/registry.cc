#include "server/recordings/readers/registry.h"

#include <fmt/format.h>

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
  std::vector<const Reader*> sure, alone, maybe;
  for (const Reader* reader : Readers()) {
    const Match match = reader->recognise(files);
    if (match == Match::kYes) sure.push_back(reader);
    if (match == Match::kYesAlone) alone.push_back(reader);
    if (match == Match::kMaybe) maybe.push_back(reader);
  }
  if (!alone.empty() && sure.size() + alone.size() > 1) {
    alone.insert(alone.end(), sure.begin(), sure.end());
    std::string held;
    for (const Reader* reader : alone) {
      held += fmt::format("\n  {}: {}", reader->name, reader->needs);
    }
    return InvalidField("format", fmt::format("is not given and the files hold what several read: "
                                              "{}. Say which of {}:{}",
                                              Seen(files), Names(alone), held));
  }
  if (!sure.empty()) return sure[0];
  if (!alone.empty()) return alone[0];
  if (maybe.size() == 1) return maybe[0];
  if (!maybe.empty()) {
    return InvalidField("format", fmt::format("is not given and the files could be any of {}; say "
                                              "which",
                                              Names(maybe)));
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

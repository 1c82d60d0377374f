#include "server/recordings/readers/text_sketch.h"

#include "server/recordings/readers/notes.h"
#include "server/recordings/readers/text_encoding.h"
#include "server/recordings/readers/text_layout.h"

namespace saed::recordings {

TextSketch SketchText(const FileSketch& file) {
  TextSketch out;
  Notes none;
  std::string text = DecodeText(file.name, file.head, none);
  // The last line may be cut.
  if (file.size > static_cast<int64_t>(file.head.size())) {
    text.resize(text.rfind('\n') == std::string::npos ? text.size() : text.rfind('\n') + 1);
  }
  const auto layout = FindTextLayout(file.name, text, true);
  if (!layout.ok()) return out;
  out.names = layout->names;
  out.headed = layout->headed;
  TextScanner rows = layout->Rows(text);
  while (rows.Next()) out.rows.emplace_back(rows.cells().begin(), rows.cells().end());
  return out;
}

}  // namespace saed::recordings

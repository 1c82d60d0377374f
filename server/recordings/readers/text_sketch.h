// What a text table looks like from its first bytes, before it is read.
#pragma once

#include <string>
#include <vector>

#include "server/recordings/readers/file_set.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

struct TextSketch {
  Texts names;  // of the columns; "0", "1", … where there is no header; empty: no table
  bool headed = true;
  std::vector<Texts> rows;  // the first ones, as they are written
};

TextSketch SketchText(const FileSketch& file);

}  // namespace saed::recordings

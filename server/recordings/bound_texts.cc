#include "server/recordings/bound_texts.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/base/text.h"
#include "server/recordings/readers/notes.h"

namespace saed::recordings {
namespace {

class Cutter {
 public:
  Cutter(std::string_view part, Notes& notes) : part_(part), notes_(notes) {}
  ~Cutter() { cut_.Mend(notes_, part_, "texts", fmt::format("cut to {} bytes", kLongestText)); }
  Cutter(const Cutter&) = delete;
  Cutter& operator=(const Cutter&) = delete;

  void Cut(std::string& text) {
    if (text.size() <= kLongestText) return;
    text = CutText(text, kLongestText);
    cut_.Add([&] { return fmt::format("'{}...'", CutText(text, 40)); });
  }

 private:
  std::string_view part_;
  Notes& notes_;
  Tally cut_;
};

size_t NameBytes(const Table& table) {
  size_t out = table.name.size();
  for (const Column& column : table.columns) out += column.name.size();
  return out;
}

size_t NameBytes(const Series& series) {
  size_t out = series.name.size() + series.unit.size();
  for (const std::string& channel : series.channels) out += channel.size();
  return out;
}

}  // namespace

std::string CutText(const std::string& text, size_t most) {
  if (text.size() <= most) return text;
  size_t size = most;
  // Not between the bytes of a letter.
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

void BoundTexts(Recording& r, Notes& notes) {
  {
    Cutter units("units", notes), tables("intervals", notes), series("series", notes);
    for (Unit& unit : r.units) {
      units.Cut(unit.label);
      units.Cut(unit.region);
    }
    for (Column& column : r.electrodes.columns) units.Cut(column.name);
    for (IntervalTable& t : r.intervals) {
      tables.Cut(t.table.name);
      for (Column& column : t.table.columns) tables.Cut(column.name);
    }
    for (Series& s : r.series) {
      series.Cut(s.name);
      series.Cut(s.unit);
      for (std::string& channel : s.channels) series.Cut(channel);
    }
  }
  size_t bytes = 0;
  const auto too_much = [&](const char* part, const std::string& name, size_t own) {
    bytes += own;
    if (bytes <= kMostNames) return false;
    bytes -= own;
    notes.Mended(part, fmt::format("'{}' left out, as the names of tables, series and what they "
                                   "hold take more than {} MB with it",
                                   name, kMostNames >> 20));
    return true;
  };
  std::erase_if(r.intervals, [&](const IntervalTable& t) {
    return too_much("intervals", t.table.name, NameBytes(t.table));
  });
  std::erase_if(r.series,
                [&](const Series& s) { return too_much("series", s.name, NameBytes(s)); });
}

}  // namespace saed::recordings

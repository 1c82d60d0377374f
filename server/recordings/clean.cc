#include "server/recordings/clean.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <span>
#include <string>

#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/observed.h"

namespace saed::recordings {
namespace {

// The values of the rows that are kept.
void KeepRows(const std::vector<uint8_t>& keep, Column& column) {
  const auto filter = [&](auto& values) {
    size_t kept = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      if (!keep[i]) continue;
      if (kept != i) values[kept] = std::move(values[i]);
      ++kept;
    }
    values.resize(kept);
  };
  std::visit(filter, column.values);
}

void KeepRows(const std::vector<uint8_t>& keep, Numbers& values, size_t width = 1) {
  size_t kept = 0;
  for (size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                values.begin() + static_cast<std::ptrdiff_t>(kept++ * width));
  }
  values.resize(kept * width);
}

void CleanColumns(const std::string& name, size_t rows, Table& table, Notes& notes) {
  std::erase_if(table.columns, [&](const Column& c) {
    if (c.rows() == rows) return false;
    notes.Mended(name + "/" + c.name,
                 fmt::format("left out, as it has {} values for {} rows", c.rows(), rows));
    return true;
  });
}

// False where the table has to be left out.
bool CleanRows(IntervalTable& t, Notes& notes) {
  const std::string& name = t.table.name;
  if (t.start.size() != t.stop.size()) {
    notes.Mended(name, fmt::format("left out, as it has {} starts and {} stops", t.start.size(),
                                   t.stop.size()));
    return false;
  }
  NameColumnsApart(name, t.table, notes);
  CleanColumns(name, t.rows(), t.table, notes);
  Tally bad;
  std::vector<uint8_t> keep(t.rows(), 1);
  for (size_t i = 0; i < keep.size(); ++i) {
    if (std::isfinite(t.start[i]) && std::isfinite(t.stop[i]) && t.stop[i] >= t.start[i]) continue;
    keep[i] = 0;
    bad.Add([&] { return fmt::format("row {} from {} to {} s", i + 1, t.start[i], t.stop[i]); });
  }
  if (bad.count() == 0) return true;
  bad.Mend(notes, name, "rows", "dropped, as they have no start or a stop before it");
  for (Column& c : t.table.columns) KeepRows(keep, c);
  KeepRows(keep, t.start);
  KeepRows(keep, t.stop);
  return true;
}

// "name", or where it is taken the first free of "name_2", "name_3", …
std::string FreeName(const std::string& name, const std::set<std::string>& taken) {
  if (!taken.contains(name)) return name;
  for (int n = 2;; ++n) {
    std::string out = fmt::format("{}_{}", name, n);
    if (!taken.contains(out)) return out;
  }
}

// `within`: what they belong to and a slash, for the notes. Bytes that are no text make no
// difference, as names are told without them.
template <class Things, class Name>
void NameApart(const std::string& within, std::string_view kind, Things& things,
               const Name& name_of, Notes& notes) {
  std::set<std::string> all, taken;
  for (auto& thing : things) {
    std::string& name = name_of(thing);
    name = ValidUtf8(name);
    all.insert(name);
  }
  for (auto& thing : things) {
    std::string& name = name_of(thing);
    if (taken.insert(name).second) continue;
    const std::string free = FreeName(name, all);
    notes.Mended(within + name,
                 fmt::format("is the name of two {}; the later one is called {}", kind, free));
    name = free;
    all.insert(free);
    taken.insert(free);
  }
}

// 1 for the samples of a longest run of finite times from 0 of which none is before the one before:
// the fewest are left out, and of as few the later ones, which went backward (patience sorting from
// the end, Schensted 1961).
std::vector<uint8_t> LongestAscending(const Numbers& times) {
  constexpr size_t kNone = SIZE_MAX;
  std::vector<size_t> first, after(times.size(), kNone);  // first: of the best run of each length
  for (size_t i = times.size(); i-- > 0;) {
    if (!std::isfinite(times[i]) || times[i] < 0) continue;
    const auto at = std::upper_bound(first.begin(), first.end(), times[i],
                                     [&](double t, size_t j) { return times[j] < t; });
    if (at != first.begin()) after[i] = *(at - 1);
    if (at == first.end()) {
      first.push_back(i);
    } else {
      *at = i;
    }
  }
  std::vector<uint8_t> keep(times.size(), 0);
  for (size_t i = first.empty() ? kNone : first.back(); i != kNone; i = after[i]) keep[i] = 1;
  return keep;
}

bool AscendingFromZero(const Numbers& times) {
  double latest = 0;
  for (double t : times) {
    if (!std::isfinite(t) || t < latest) return false;
    latest = t;
  }
  return true;
}

// The spans that are some, in order and within the recording; counts those that are none.
Spans Clean(const Spans& spans, double duration, const std::string& part, Tally& bad) {
  Spans out;
  for (size_t i = 0; i < spans.size(); ++i) {
    const double start = spans[i].first, stop = spans[i].second;
    if (start < stop) {
      out.push_back(spans[i]);
    } else {
      bad.Add([&] { return fmt::format("{} {} from {} to {} s", part, i + 1, start, stop); });
    }
  }
  return Intersect(Merge(std::move(out)), {{0, duration}});
}

void SayNeverObserved(const Recording& r, Notes& notes) {
  if (r.observed && r.observed->empty()) {
    notes.Said("observed",
               "the recording was never observed, by what its files say; no view has a bin of it");
    return;
  }
  int64_t never = 0, spiking = 0, first = 0;
  for (const Unit& unit : r.units) {
    if (!NeverObserved(r, unit)) continue;
    if (never++ == 0) first = unit.id;
    spiking += unit.spike_times.empty() ? 0 : 1;
  }
  if (never == 0) return;
  notes.Said(
      "observed",
      fmt::format(
          "{} unit{} never observed, by what the files say, the first is unit {}; "
          "views leave them out unless unit_ids names them, which leaves no "
          "bin{}",
          never, never == 1 ? " was" : "s were", first,
          spiking == 0 ? "" : fmt::format(" ({} of them with spikes, which are kept)", spiking)));
}

constexpr size_t kLongestName = 200;                   // bytes, of a unit's column
constexpr size_t kMostColumnBytes = size_t{64} << 20;  // of all units' columns, names repeated
constexpr size_t kNumberBytes = 24;                    // of a number as text

size_t TextBytes(const Column& column) {
  size_t out = column.rows() * (column.name.size() + kNumberBytes);
  if (const auto* texts = std::get_if<Texts>(&column.values)) {
    for (const std::string& text : *texts) out += text.size();
  } else if (const auto* lists = std::get_if<TextLists>(&column.values)) {
    for (const Texts& list : *lists) {
      for (const std::string& text : list) out += text.size() + 1;
    }
  }
  return out;
}

// Every unit is stored and told with its columns as text, their names with each.
void BoundUnitColumns(Table& table, Notes& notes) {
  size_t bytes = 0;
  std::erase_if(table.columns, [&](const Column& column) {
    const std::string name = ValidUtf8(column.name.substr(0, kLongestName));
    if (column.name.size() > kLongestName) {
      notes.Mended("units",
                   fmt::format("the column '{}...' left out, as its name has {} bytes; must "
                               "be at most {}",
                               ValidUtf8(name.substr(0, 40)), column.name.size(), kLongestName));
      return true;
    }
    const size_t own = TextBytes(column);
    if (own > kMostColumnBytes - bytes) {
      notes.Mended("units", fmt::format("the column '{}' left out, as the units' columns take more "
                                        "than {} MB with it",
                                        name, kMostColumnBytes >> 20));
      return true;
    }
    bytes += own;
    return false;
  });
}

}  // namespace

bool CleanSamples(std::string_view part, Series& s, Notes& notes) {
  const size_t samples = s.timestamps.size(), channels = s.channels.size();
  if (channels == 0 || s.values.size() / channels != samples || s.values.size() % channels != 0) {
    notes.Mended(part, fmt::format("left out, as it has {} values for {} samples of {} channels",
                                   s.values.size(), samples, channels));
    return false;
  }
  if (AscendingFromZero(s.timestamps)) return true;
  const std::vector<uint8_t> keep = LongestAscending(s.timestamps);
  Tally bad, early;
  for (size_t i = 0; i < samples; ++i) {
    if (keep[i]) continue;
    const double t = s.timestamps[i];
    (std::isfinite(t) && t < 0 ? early : bad).Add([&] {
      return fmt::format("sample {} at {} s", i + 1, t);
    });
  }
  const auto lost = static_cast<size_t>(bad.count()), before = static_cast<size_t>(early.count());
  if (2 * lost > samples - before || lost + before == samples) {
    Tally& why = lost > 0 ? bad : early;
    why.Mend(notes, part, fmt::format("of {} times", samples),
             lost > 0 ? "are no numbers or go backward, so it was left out"
                      : "lie before the recording, so it was left out");
    return false;
  }
  bad.Mend(notes, part, "samples", "dropped, as their times are no numbers or out of order");
  early.Mend(notes, part, "samples", "before the recording dropped");
  KeepRows(keep, s.timestamps);
  KeepRows(keep, s.values, channels);
  return true;
}

void CleanUnitIds(Recording& r, Notes& notes) {
  std::set<int64_t> ids;
  Tally twice;
  for (const Unit& unit : r.units) {
    if (!ids.insert(unit.id).second) twice.Add([&] { return fmt::format("{}", unit.id); });
  }
  if (twice.count() == 0) return;
  std::set<std::string> columns;
  for (const Column& c : r.unit_columns.columns) columns.insert(c.name);
  const std::string name = FreeName("original_id", columns);
  twice.Mend(
      notes, "units", "ids come again",
      fmt::format("and all units were numbered from 0, with their own ids in the column {}", name));
  Texts own;
  for (size_t n = 0; n < r.units.size(); ++n) {
    own.push_back(fmt::format("{}", r.units[n].id));
    r.units[n].id = static_cast<int64_t>(n);
  }
  r.unit_columns.columns.push_back({name, std::move(own)});
}

void OneNan(Recording& r) {
  const auto make = [](Numbers& values) {
    for (double& v : values) {
      if (std::isnan(v)) v = std::numeric_limits<double>::quiet_NaN();
    }
  };
  const auto columns = [&](Table& table) {
    for (Column& column : table.columns) {
      if (auto* values = std::get_if<Numbers>(&column.values)) make(*values);
    }
  };
  columns(r.unit_columns);
  columns(r.electrodes);
  for (IntervalTable& t : r.intervals) columns(t.table);
  for (Series& s : r.series) make(s.values);
  for (Unit& unit : r.units) {
    if (std::isnan(unit.depth)) unit.depth = std::numeric_limits<double>::quiet_NaN();
  }
}

void NameColumnsApart(const std::string& part, Table& table, Notes& notes) {
  NameApart(
      part + "/", "columns", table.columns, [](Column& c) -> std::string& { return c.name; },
      notes);
}

void CleanTables(Recording& r, Notes& notes) {
  NameColumnsApart("units", r.unit_columns, notes);
  CleanColumns("units", r.units.size(), r.unit_columns, notes);
  BoundUnitColumns(r.unit_columns, notes);
  if (!r.electrodes.columns.empty()) {
    NameColumnsApart("electrodes", r.electrodes, notes);
    CleanColumns("electrodes", r.electrodes.columns[0].rows(), r.electrodes, notes);
  }
  std::erase_if(r.intervals, [&](IntervalTable& t) { return !CleanRows(t, notes); });
  NameApart(
      "", "tables", r.intervals, [](IntervalTable& t) -> std::string& { return t.table.name; },
      notes);
}

void CleanSeries(Recording& r, Notes& notes) {
  std::erase_if(r.series, [&](Series& s) { return !CleanSamples(s.name, s, notes); });
  NameApart(
      "", "series", r.series, [](Series& s) -> std::string& { return s.name; }, notes);
}

void CleanObserved(Recording& r, Notes& notes) {
  Tally bad, none;
  const auto clean = [&](const std::string& part, Observed& spans) {
    if (!spans || spans->empty()) return;
    spans = Clean(*spans, r.duration, part, bad);
    if (spans->empty()) none.Add([&] { return part; });
  };
  clean("observed span", r.observed);
  for (Unit& unit : r.units) {
    clean(fmt::format("observed span of unit {}", unit.id), unit.observed);
  }
  bad.Mend(notes, "observed", "spans", "left out, as they do not begin before they stop");
  none.Mend(notes, "observed", "lists of spans",
            "left with none, as nothing in them lies within the recording; that counts as never "
            "observed");
  SayNeverObserved(r, notes);
}

}  // namespace saed::recordings

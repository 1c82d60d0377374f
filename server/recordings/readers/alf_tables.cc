#include "server/recordings/readers/alf_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "server/recordings/readers/alf_arrays.h"
#include "server/recordings/readers/intervals.h"
#include "server/recordings/readers/left_out.h"

namespace saed::recordings {
namespace {

constexpr std::string_view kOfTheSorting[] = {"spikes",    "clusters",      "channels",
                                              "templates", "spikes_subset", "whitening"};

// An object's columns, those of its times apart.
struct Content {
  std::string part;     // a file of it, for notes
  Numbers start, stop;  // of intervals
  Numbers times;        // else
  std::vector<AlfColumn> columns;
};

bool IsTimes(const std::string& attribute) {
  return attribute == "times" || attribute == "timestamps";
}

// Times at which a few samples were seen, [m, 2] of sample and time: all samples by interpolation.
Numbers Interpolated(const std::vector<AlfColumn>& columns, size_t samples) {
  const auto* x = std::get_if<Numbers>(&columns[0].values);
  const auto* y = std::get_if<Numbers>(&columns[1].values);
  if (x == nullptr || y == nullptr || x->size() < 2 || !std::is_sorted(x->begin(), x->end())) {
    return {};
  }
  Numbers out;
  out.reserve(samples);
  size_t at = 0;
  for (size_t i = 0; i < samples; ++i) {
    const auto sample = static_cast<double>(i);
    while (at + 2 < x->size() && (*x)[at + 1] < sample) ++at;
    const double step = (*x)[at + 1] - (*x)[at];
    if (!(step > 0)) return {};
    out.push_back((*y)[at] + (sample - (*x)[at]) * ((*y)[at + 1] - (*y)[at]) / step);
  }
  return out;
}

const AlfColumn* FindColumn(const std::vector<AlfColumn>& columns, std::string_view name) {
  for (const AlfColumn& c : columns) {
    if (c.name == name) return &c;
  }
  return nullptr;
}

// Moves the columns NAME_0 and NAME_1 into starts and stops.
bool TakeIntervals(std::vector<AlfColumn>& columns, Content& out) {
  const AlfColumn* first = FindColumn(columns, "intervals_0");
  const AlfColumn* second = FindColumn(columns, "intervals_1");
  if (first == nullptr || second == nullptr) return false;
  const auto* start = std::get_if<Numbers>(&first->values);
  const auto* stop = std::get_if<Numbers>(&second->values);
  if (start == nullptr || stop == nullptr) return false;
  out.start = *start;
  out.stop = *stop;
  std::erase_if(columns, [](const AlfColumn& c) {
    return c.name == "intervals_0" || c.name == "intervals_1" || c.name == "index";
  });
  return true;
}

Content ReadObject(const FileSet& files, const AlfObject& object, Notes& notes) {
  Content out;
  std::vector<AlfColumn> sparse;  // times of some samples
  for (const auto& [attribute, name] : object) {
    out.part = name.file;
    // A table that was exported stands for its Parquet file.
    if (name.extension == "pqt" && object.contains(name.attribute)) continue;
    auto columns = ReadAlfColumns(files, name, notes);
    if (!columns.ok()) {
      LeaveOut(name.file, columns.status(), notes);
      continue;
    }
    if ((attribute == "intervals" || attribute == "table") && TakeIntervals(*columns, out)) {
      if (attribute == "intervals") continue;
    } else if (IsTimes(attribute) && columns->size() == 2) {
      sparse = *std::move(columns);
      continue;
    } else if (IsTimes(attribute) && columns->size() == 1) {
      auto* times = std::get_if<Numbers>(&columns->front().values);
      if (times != nullptr) {
        out.times = std::move(*times);
        continue;
      }
    }
    for (AlfColumn& column : *columns) out.columns.push_back(std::move(column));
  }
  if (out.times.empty() && !sparse.empty() && !out.columns.empty()) {
    out.times = Interpolated(sparse, out.columns[0].rows());
  }
  return out;
}

// Leaves out the columns that have not a value for each row.
void KeepRows(size_t rows, Content& content, Notes& notes) {
  for (const AlfColumn& c : content.columns) {
    if (c.rows() == rows) continue;
    notes.Mended(content.part.substr(0, content.part.rfind('/') + 1) + c.name,
                 fmt::format("left out: has {} rows; must have {} as its times", c.rows(), rows));
  }
  std::erase_if(content.columns, [&](const AlfColumn& c) { return c.rows() != rows; });
}

void AddIntervals(const std::string& name, Content content, Recording& recording, Notes& notes) {
  KeepRows(content.start.size(), content, notes);
  Table table;
  table.columns.push_back({"start_time", std::move(content.start)});
  table.columns.push_back({"stop_time", std::move(content.stop)});
  for (AlfColumn& c : content.columns) {
    if (table.Find(c.name) != nullptr) c.name = fmt::format("{}_2", c.name);
    Column column;
    column.name = c.name;
    std::visit([&](auto& v) { column.values = std::move(v); }, c.values);
    table.columns.push_back(std::move(column));
  }
  auto made = MakeIntervals(name, std::move(table), notes);
  if (made.ok()) {
    recording.intervals.push_back(*std::move(made));
  } else {
    LeaveOut(name, made.status(), notes);
  }
}

// Samples with a NaN or backward time are dropped; a signal that mostly has such is left out.
void AddSeries(const std::string& name, const Content& content, Recording& recording,
               Notes& notes) {
  Series out;
  out.name = name;
  std::vector<const Numbers*> channels;
  for (const AlfColumn& c : content.columns) {
    out.channels.push_back(c.name);
    channels.push_back(&std::get<Numbers>(c.values));
  }
  Tally dropped;
  double last = -INFINITY;
  for (size_t i = 0; i < content.times.size(); ++i) {
    const double t = content.times[i];
    if (!std::isfinite(t) || t < last) {
      dropped.Add([&] { return fmt::format("sample {} at {} s after {} s", i + 1, t, last); });
      continue;
    }
    last = t;
    out.timestamps.push_back(t);
    for (const Numbers* channel : channels) out.values.push_back((*channel)[i]);
  }
  if (out.timestamps.size() * 2 < content.times.size() || out.timestamps.empty()) {
    notes.Mended(name, fmt::format("left out: the times of {} of its {} samples do not ascend",
                                   dropped.count(), content.times.size()));
    return;
  }
  dropped.Mend(notes, name, "samples", "dropped because their time is not finite or goes back");
  recording.series.push_back(std::move(out));
}

bool IsText(const AlfColumn& c) { return std::holds_alternative<Texts>(c.values); }

void AddObject(const FileSet& files, const std::string& name, const AlfObject& object,
               Recording& recording, Notes& notes) {
  Content content = ReadObject(files, object, notes);
  if (!content.start.empty()) {
    if (!content.times.empty()) content.columns.push_back({"times", std::move(content.times)});
    AddIntervals(name, std::move(content), recording, notes);
    return;
  }
  if (content.times.empty()) {
    if (content.columns.empty()) return;  // empty, or left out with a note
    notes.Mended(name, fmt::format("left out: has no intervals [n, 2], times or timestamps that "
                                   "its {} columns would belong to",
                                   content.columns.size()));
    return;
  }
  KeepRows(content.times.size(), content, notes);
  if (content.columns.empty() ||
      std::any_of(content.columns.begin(), content.columns.end(), IsText)) {
    content.start = content.stop = content.times;
    AddIntervals(name, std::move(content), recording, notes);
    return;
  }
  AddSeries(name, content, recording, notes);
}

// "trials", or "trials_task_01" where several collections have trials; no name comes twice.
std::string NameOf(const std::string& object, const std::string& collection, bool several,
                   std::set<std::string>& taken) {
  std::string name = object;
  if (several && !collection.empty()) {
    name = fmt::format("{}_{}", object, collection.substr(collection.rfind('/') + 1));
  }
  const std::string base = name;
  for (int n = 2; !taken.insert(name).second; ++n) name = fmt::format("{}_{}", base, n);
  return name;
}

}  // namespace

void AddAlfTables(const FileSet& files,
                  const std::map<std::string, std::map<std::string, AlfObject>>& objects,
                  Recording& recording, Notes& notes) {
  std::map<std::string, int> collections;
  for (const auto& [collection, held] : objects) {
    for (const auto& [object, attributes] : held) ++collections[object];
  }
  std::set<std::string> taken;
  for (const auto& [collection, held] : objects) {
    for (const auto& [object, attributes] : held) {
      if (std::find(std::begin(kOfTheSorting), std::end(kOfTheSorting), object) !=
          std::end(kOfTheSorting)) {
        continue;
      }
      const std::string name = NameOf(object, collection, collections[object] > 1, taken);
      AddObject(files, name, attributes, recording, notes);
    }
  }
}

}  // namespace saed::recordings

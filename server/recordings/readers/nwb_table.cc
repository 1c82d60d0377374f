#include "server/recordings/readers/nwb_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <variant>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/clean.h"
#include "server/recordings/readers/nwb_tree.h"

namespace saed::recordings {
namespace {

// Of a ragged column that describes rows; more is data of its own.
constexpr int64_t kMaxRaggedValues = 5'000'000;

struct Listing {
  std::vector<std::string> names;  // columns in the order of the file
  size_t listed = 0;               // of them, those in colnames
};

Listing ColumnsOf(const Hierarchy& file, const std::string& path) {
  Listing out;
  for (const std::string& name : file.TextAttribute(path, "colnames")) {
    if (!name.empty() && std::find(out.names.begin(), out.names.end(), name) == out.names.end()) {
      out.names.push_back(name);
    }
  }
  out.listed = out.names.size();
  for (const std::string& child : file.Children(path)) {
    const std::string at = path + "/" + child;
    const bool index = child.ends_with("_index") && file.Exists(at.substr(0, at.size() - 6));
    if (child == "id" || index || file.IsGroup(at) ||
        std::find(out.names.begin(), out.names.end(), child) != out.names.end()) {
      continue;
    }
    out.names.push_back(child);
  }
  if (out.listed == 0) out.listed = out.names.size();
  return out;
}

class TableReader {
 public:
  TableReader(const Hierarchy& file, const NwbTableSpec& spec, Notes& notes)
      : file_(file), spec_(spec), notes_(notes), rows_(spec.rows) {}

  Table Read() {
    if (rows_ < 0 && file_.Exists(spec_.path + "/id")) {
      if (const auto info = file_.Describe(spec_.path + "/id"); info.ok()) rows_ = FlatSize(*info);
    }
    table_.name = ValidUtf8(BaseName(spec_.path));
    const Listing listing = ColumnsOf(file_, spec_.path);
    for (size_t i = 0; i < listing.names.size(); ++i) {
      if (!spec_.skip.count(listing.names[i])) Add(listing.names[i], i < listing.listed);
    }
    if (!per_spike_.empty()) {
      notes_.Said(spec_.path, per_spike_ + ": a value per spike, which is not read");
    }
    NameColumnsApart(ValidUtf8(spec_.path), table_, notes_);
    return std::move(table_);
  }

 private:
  void Add(const std::string& name, bool listed) {
    const std::string path = spec_.path + "/" + name;
    auto column = ReadColumn(path, name);
    if (!column.ok()) {
      notes_.Mended(ValidUtf8(path), "left out: " + FaultText(column.status(), path));
      return;
    }
    if (!column->has_value()) return;
    const auto rows = static_cast<int64_t>((*column)->rows());
    if (rows_ < 0) rows_ = rows;
    if (rows != rows_) {
      notes_.Mended(ValidUtf8(path),
                    fmt::format("left out: has {} rows; the table has {}", rows, rows_));
      return;
    }
    if (!listed)
      notes_.Said(ValidUtf8(path), "is not among the table's colnames; read all the same");
    table_.columns.push_back(**std::move(column));
  }

  // Nothing for a column with a value per spike.
  absl::StatusOr<std::optional<Column>> ReadColumn(const std::string& path,
                                                   const std::string& name) {
    if (!file_.Exists(path)) return InvalidField(path, "is among the colnames but missing");
    SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file_.Describe(path));
    Column column;
    column.name = ValidUtf8(name);
    if (file_.Exists(path + "_index")) {
      if (file_.Exists(path + "_index_index")) {
        return InvalidField(path, "is a list of lists in each row; lists are read");
      }
      SAED_ASSIGN_OR_RETURN(const auto ends, ReadIndex(file_, path + "_index",
                                                       info.shape.empty() ? 0 : info.shape[0]));
      if (spec_.spike_ends != nullptr && ends == *spec_.spike_ends && !ends.empty() &&
          ends.back() > static_cast<int64_t>(ends.size())) {
        per_spike_ += (per_spike_.empty() ? "" : ", ") + column.name;
        return std::nullopt;
      }
      SAED_ASSIGN_OR_RETURN(column.values, ReadLists(path, info, ends));
      return column;
    }
    const int64_t size = FlatSize(info);
    if (size < 0) {
      return InvalidField(path, fmt::format("has {} dimensions; one is read", info.shape.size()));
    }
    if (rows_ >= 0 && size != rows_) {
      return InvalidField(path, fmt::format("has {} rows; the table has {}", size, rows_));
    }
    SAED_ASSIGN_OR_RETURN(auto values, file_.Read(path));
    if (auto* numbers = std::get_if<Numbers>(&values)) {
      SayRounded(file_, path, info, *numbers, notes_);
      column.values = std::move(*numbers);
    } else {
      column.values = std::get<Texts>(std::move(values));
    }
    return column;
  }

  absl::StatusOr<TextLists> ReadLists(const std::string& path, const ArrayInfo& info,
                                      const std::vector<int64_t>& ends) {
    const int64_t size = FlatSize(info);
    if (size < 0) {
      return InvalidField(
          path, fmt::format("has lists of {} dimensions; one is read", info.shape.size()));
    }
    if (size > kMaxRaggedValues) {
      return InvalidField(
          path, fmt::format("has {} values; at most {} are read", size, kMaxRaggedValues));
    }
    SAED_ASSIGN_OR_RETURN(const auto values, file_.Read(path));
    Texts texts = AsTexts(values);
    if (info.kind == ArrayInfo::Kind::kInteger || info.kind == ArrayInfo::Kind::kUnsigned) {
      // As texts they keep digits that doubles do not have.
      const auto write = [](auto v) { return std::to_string(v); };
      if (const auto exact = file_.ReadIntegers(path); exact.ok()) {
        std::transform(exact->begin(), exact->end(), texts.begin(), write);
      } else if (const auto all = file_.ReadUnsigned(path); all.ok()) {
        std::transform(all->begin(), all->end(), texts.begin(), write);
      } else {
        SayRounded(file_, path, info, std::get<Numbers>(values), notes_);
      }
    }
    TextLists lists;
    int64_t begin = 0;
    for (int64_t end : ends) {
      lists.emplace_back(texts.begin() + begin, texts.begin() + end);
      begin = end;
    }
    return lists;
  }

  const Hierarchy& file_;
  const NwbTableSpec& spec_;
  Notes& notes_;
  int64_t rows_;
  Table table_;
  std::string per_spike_;  // names
};

}  // namespace

absl::StatusOr<std::vector<int64_t>> ReadIndex(const Hierarchy& file, const std::string& path,
                                               int64_t values) {
  SAED_ASSIGN_OR_RETURN(auto ends, file.ReadIntegers(path));
  int64_t previous = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    if (ends[i] < previous || ends[i] > values) {
      return InvalidField(path,
                          fmt::format("[{}] is {}; must be between the row before it ({}) and the "
                                      "number of values ({})",
                                      i, ends[i], previous, values));
    }
    previous = ends[i];
  }
  return ends;
}

void SayRounded(const Hierarchy& file, const std::string& path, const ArrayInfo& info,
                const Numbers& numbers, Notes& notes) {
  const bool whole =
      info.kind == ArrayInfo::Kind::kInteger || info.kind == ArrayInfo::Kind::kUnsigned;
  const auto large = [](double v) { return std::abs(v) >= 0x1p53; };
  if (!whole || std::none_of(numbers.begin(), numbers.end(), large)) return;
  const auto exact = file.ReadIntegers(path);
  const auto unsigned_ones = file.ReadUnsigned(path);
  Tally rounded;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double v = numbers[i];
    const bool kept = !large(v) ||
                      (exact.ok() && v < 0x1p63 && static_cast<int64_t>(v) == (*exact)[i]) ||
                      (unsigned_ones.ok() && v >= 0 && v < 0x1p64 &&
                       static_cast<uint64_t>(v) == (*unsigned_ones)[i]);
    if (!kept) rounded.Add([&] { return fmt::format("[{}]: {:.0f}", i, v); });
  }
  rounded.Mend(notes, ValidUtf8(path), "values",
               "above 2^53 rounded, as numbers have 53 bits here");
}

Table ReadNwbTable(const Hierarchy& file, const NwbTableSpec& spec, Notes& notes) {
  return TableReader(file, spec, notes).Read();
}

int64_t FlatSize(const ArrayInfo& info) {
  int64_t size = 1;
  for (int64_t s : info.shape) {
    if (s == 1) continue;
    if (size != 1) return -1;
    size = s;
  }
  return size;
}

const Texts* TextsOf(const Table& table, std::string_view name) {
  const Column* c = table.Find(name);
  return c == nullptr ? nullptr : std::get_if<Texts>(&c->values);
}

const Numbers* NumbersOf(const Table& table, std::string_view name) {
  const Column* c = table.Find(name);
  return c == nullptr ? nullptr : std::get_if<Numbers>(&c->values);
}

Texts AsTexts(const std::variant<Numbers, Texts>& values) {
  if (const auto* texts = std::get_if<Texts>(&values)) return *texts;
  Texts out;
  for (double v : std::get<Numbers>(values)) out.push_back(NumberText(v));
  return out;
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace saed::recordings

#include "server/recordings/store_format.h"

#include <algorithm>
#include <fstream>

#include "server/base/status_macros.h"
#include "server/base/wire.h"

namespace saed::recordings {
namespace {

// The second form has observed times behind the head of the first.
constexpr std::string_view kMagic = "SAEDREC1", kMagic2 = "SAEDREC2";
constexpr size_t kWritten = size_t{16} << 20;  // bytes of counts that are written at once

void Write(const Texts& texts, WireWriter& out) {
  out.Value<uint64_t>(texts.size());
  for (const std::string& t : texts) out.Text(t);
}

Texts ReadTexts(WireReader& in) {
  Texts out(in.Count(8));
  for (std::string& t : out) t = in.Text();
  return out;
}

void Write(const Table& table, WireWriter& out) {
  out.Text(table.name);
  out.Value<uint64_t>(table.columns.size());
  for (const Column& column : table.columns) {
    out.Text(column.name);
    out.Value(static_cast<uint8_t>(column.values.index()));
    if (const auto* numbers = std::get_if<Numbers>(&column.values)) {
      out.Array(*numbers);
    } else if (const auto* texts = std::get_if<Texts>(&column.values)) {
      Write(*texts, out);
    } else {
      const auto& lists = std::get<TextLists>(column.values);
      out.Value<uint64_t>(lists.size());
      for (const Texts& list : lists) Write(list, out);
    }
  }
}

Table ReadTable(WireReader& in) {
  Table table;
  table.name = in.Text();
  table.columns.resize(in.Count(17));
  for (Column& column : table.columns) {
    column.name = in.Text();
    const auto tag = in.Value<uint8_t>();
    if (tag == 0) {
      column.values = in.Array<double>();
    } else if (tag == 1) {
      column.values = ReadTexts(in);
    } else {
      TextLists lists(in.Count(8));
      for (Texts& list : lists) list = ReadTexts(in);
      column.values = std::move(lists);
    }
  }
  return table;
}

void Write(const Spans& spans, WireWriter& out) {
  Numbers flat;
  for (const auto& [start, stop] : spans) flat.insert(flat.end(), {start, stop});
  out.Array(flat);
}

Spans ReadSpans(WireReader& in) {
  const auto flat = in.Array<double>();
  Spans out;
  for (size_t i = 0; i + 1 < flat.size(); i += 2) out.emplace_back(flat[i], flat[i + 1]);
  return out;
}

bool HasObserved(const Recording& r) {
  return !r.observed.empty() || std::any_of(r.units.begin(), r.units.end(),
                                            [](const Unit& u) { return !u.observed.empty(); });
}

size_t CountBytes(const Recording& r) {
  return static_cast<size_t>(r.counts.bins) * r.units.size() * SizeOf(r.counts.dtype);
}

// All before the counts themselves, which come last.
std::string Head(const Recording& r) {
  WireWriter out;
  out.Text(HasObserved(r) ? kMagic2 : kMagic);
  out.Text(r.source);
  out.Value(r.sampling_rate);
  out.Value(r.duration);
  out.Value<uint64_t>(r.units.size());
  for (const Unit& unit : r.units) {
    out.Value(unit.id);
    out.Text(unit.label);
    out.Text(unit.region);
    out.Value(unit.depth);
    out.Array(unit.spike_times);
  }
  Write(r.unit_columns, out);
  Write(r.electrodes, out);
  out.Value<uint64_t>(r.intervals.size());
  for (const IntervalTable& t : r.intervals) {
    Write(t.table, out);
    out.Array(t.start);
    out.Array(t.stop);
  }
  out.Value<uint64_t>(r.series.size());
  for (const Series& s : r.series) {
    out.Text(s.name);
    out.Text(s.unit);
    Write(s.channels, out);
    out.Array(s.timestamps);
    out.Array(s.values);
  }
  out.Value(r.counts.bin_width);
  out.Value(static_cast<uint8_t>(r.counts.dtype));
  out.Value(r.counts.bins);
  if (HasObserved(r)) {
    Write(r.observed, out);
    for (const Unit& unit : r.units) Write(unit.observed, out);
  }
  out.Value<uint64_t>(r.counts.present() ? CountBytes(r) : 0);
  return out.Take();
}

absl::Status Damaged() { return absl::DataLossError("the stored recording is damaged"); }

absl::StatusOr<Recording> ParseHead(WireReader& in) {
  Recording r;
  const std::string magic = in.Text();
  if (magic != kMagic && magic != kMagic2) return Damaged();
  r.source = in.Text();
  r.sampling_rate = in.Value<double>();
  r.duration = in.Value<double>();
  r.units.resize(in.Count(40));
  for (Unit& unit : r.units) {
    unit.id = in.Value<int64_t>();
    unit.label = in.Text();
    unit.region = in.Text();
    unit.depth = in.Value<double>();
    unit.spike_times = in.Array<double>();
  }
  r.unit_columns = ReadTable(in);
  r.electrodes = ReadTable(in);
  r.intervals.resize(in.Count(32));
  for (IntervalTable& t : r.intervals) {
    t.table = ReadTable(in);
    t.start = in.Array<double>();
    t.stop = in.Array<double>();
  }
  r.series.resize(in.Count(40));
  for (Series& s : r.series) {
    s.name = in.Text();
    s.unit = in.Text();
    s.channels = ReadTexts(in);
    s.timestamps = in.Array<double>();
    s.values = in.Array<double>();
  }
  r.counts.bin_width = in.Value<double>();
  r.counts.dtype = static_cast<DType>(in.Value<uint8_t>());
  r.counts.bins = in.Value<int64_t>();
  if (magic == kMagic2) {
    r.observed = ReadSpans(in);
    for (Unit& unit : r.units) unit.observed = ReadSpans(in);
  }
  if (in.failed()) return Damaged();
  return r;
}

}  // namespace

std::string Serialise(const Recording& r) {
  std::string out = Head(r);
  if (r.counts.present()) {
    out.append(reinterpret_cast<const char*>(r.counts.data()), CountBytes(r));
  }
  return out;
}

absl::Status SerialiseTo(const std::string& path, const Recording& r) {
  std::ofstream out(path, std::ios::binary);
  const std::string head = Head(r);
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  const size_t size = r.counts.present() ? CountBytes(r) : 0;
  for (size_t at = 0; at < size; at += kWritten) {
    out.write(reinterpret_cast<const char*>(r.counts.data()) + at,
              static_cast<std::streamsize>(std::min(kWritten, size - at)));
    if (r.counts.file) r.counts.file->Release();
  }
  out.close();
  if (out) return absl::OkStatus();
  return absl::ResourceExhaustedError("cannot store what was read: is the disk full?");
}

absl::StatusOr<Recording> Parse(std::string_view bytes) {
  WireReader in(bytes);
  SAED_ASSIGN_OR_RETURN(Recording r, ParseHead(in));
  r.counts.bytes = in.Array<uint8_t>();
  if (!in.done()) return Damaged();
  return r;
}

absl::StatusOr<Recording> ParseFile(const std::string& path) {
  SAED_ASSIGN_OR_RETURN(const auto file, CountFile::Open(path, 0));
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  WireReader in(bytes);
  SAED_ASSIGN_OR_RETURN(Recording r, ParseHead(in));
  const auto size = in.Value<uint64_t>();
  if (size <= kCountsInMemory) return Parse(bytes);
  if (size != in.rest() || !r.counts.present() || size != CountBytes(r)) return Damaged();
  SAED_ASSIGN_OR_RETURN(r.counts.file, CountFile::Open(path, bytes.size() - size));
  return r;
}

}  // namespace saed::recordings

#include "server/recordings/store_format.h"

#include "server/base/wire.h"

namespace saed::recordings {
namespace {

constexpr std::string_view kMagic = "SAEDREC1";

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

}  // namespace

std::string Serialise(const Recording& r) {
  WireWriter out;
  out.Text(kMagic);
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
  out.Array(r.counts.bytes);
  return out.Take();
}

absl::StatusOr<Recording> Parse(std::string_view bytes) {
  WireReader in(bytes);
  Recording r;
  const auto damaged = [] { return absl::DataLossError("the stored recording is damaged"); };
  if (in.Text() != kMagic) return damaged();
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
  r.counts.bytes = in.Array<uint8_t>();
  if (!in.done()) return damaged();
  return r;
}

}  // namespace saed::recordings

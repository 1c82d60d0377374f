#include "server/recordings/store_format.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "server/base/status_macros.h"
#include "server/base/wire.h"

namespace saed::recordings {
namespace {

constexpr std::string_view kMagic = "SAEDREC1", kMagic2 = "SAEDREC2";
constexpr size_t kAligned = sizeof(double);    // of the spikes in the second form
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

size_t SpikeBytes(const Recording& r) {
  size_t spikes = 0;
  for (const Unit& unit : r.units) spikes += unit.spike_times.size();
  return spikes * sizeof(double);
}

bool SecondForm(const Recording& r) {
  return SpikeBytes(r) > kSpikesInMemory || !r.observed.empty() ||
         std::any_of(r.units.begin(), r.units.end(),
                     [](const Unit& u) { return !u.observed.empty(); });
}

size_t CountBytes(const Recording& r) {
  return static_cast<size_t>(r.counts.bins) * r.units.size() * SizeOf(r.counts.dtype);
}

// All before the counts or spikes that come last.
std::string Head(const Recording& r) {
  WireWriter out;
  const bool second = SecondForm(r);
  out.Text(second ? kMagic2 : kMagic);
  out.Text(r.source);
  out.Value(r.sampling_rate);
  out.Value(r.duration);
  out.Value<uint64_t>(r.units.size());
  for (const Unit& unit : r.units) {
    out.Value(unit.id);
    out.Text(unit.label);
    out.Text(unit.region);
    out.Value(unit.depth);
    if (second) {
      out.Value<uint64_t>(unit.spike_times.size());
    } else {
      out.Array(Numbers(unit.spike_times.begin(), unit.spike_times.end()));
    }
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
  if (second) {
    Write(r.observed, out);
    for (const Unit& unit : r.units) Write(unit.observed, out);
  }
  out.Value<uint64_t>(r.counts.present() ? CountBytes(r) : 0);
  std::string head = out.Take();
  if (second) head.resize((head.size() + kAligned - 1) / kAligned * kAligned);
  return head;
}

absl::Status Damaged() { return absl::DataLossError("the stored recording is damaged"); }

// A recording without what comes last.
struct Parsed {
  Recording recording;
  bool second = false;
  std::vector<uint64_t> spikes;  // of each unit, in the second form
  uint64_t count_bytes = 0;
};

absl::StatusOr<Parsed> ParseHead(WireReader& in) {
  Parsed out;
  Recording& r = out.recording;
  const std::string magic = in.Text();
  out.second = magic == kMagic2;
  if (!out.second && magic != kMagic) return Damaged();
  r.source = in.Text();
  r.sampling_rate = in.Value<double>();
  r.duration = in.Value<double>();
  r.units.resize(in.Count(40));
  for (Unit& unit : r.units) {
    unit.id = in.Value<int64_t>();
    unit.label = in.Text();
    unit.region = in.Text();
    unit.depth = in.Value<double>();
    if (out.second) {
      out.spikes.push_back(in.Value<uint64_t>());
    } else {
      unit.spike_times = in.Array<double>();
    }
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
  if (out.second) {
    r.observed = ReadSpans(in);
    for (Unit& unit : r.units) unit.observed = ReadSpans(in);
  }
  out.count_bytes = in.Value<uint64_t>();
  if (in.failed() || (!r.counts.present() && out.count_bytes != 0)) return Damaged();
  return out;
}

// Where the spikes of the second form begin; DATA_LOSS where they are not just what the file ends
// with.
absl::StatusOr<size_t> SpikesAt(const Parsed& parsed, size_t size, size_t rest) {
  const size_t at = (size - rest + kAligned - 1) / kAligned * kAligned;
  if (at > size) return Damaged();
  uint64_t room = (size - at) / sizeof(double);
  for (uint64_t n : parsed.spikes) {
    if (n > room) return Damaged();
    room -= n;
  }
  if (room != 0 || (size - at) % sizeof(double) != 0) return Damaged();
  return at;
}

}  // namespace

std::string Serialise(const Recording& r) {
  std::string out = Head(r);
  if (r.counts.present()) {
    out.append(reinterpret_cast<const char*>(r.counts.data()), CountBytes(r));
  } else if (SecondForm(r)) {
    for (const Unit& unit : r.units) {
      out.append(reinterpret_cast<const char*>(unit.spike_times.data()),
                 unit.spike_times.size() * sizeof(double));
    }
  }
  return out;
}

absl::Status SerialiseTo(const std::string& path, const Recording& r) {
  std::ofstream out(path, std::ios::binary);
  // In pieces, each given back once it is written.
  const auto write = [&](const void* data, size_t size, const auto& release) {
    for (size_t at = 0; at < size; at += kWritten) {
      out.write(static_cast<const char*>(data) + at,
                static_cast<std::streamsize>(std::min(kWritten, size - at)));
      release();
    }
  };
  const std::string head = Head(r);
  out.write(head.data(), static_cast<std::streamsize>(head.size()));
  if (r.counts.present()) {
    write(r.counts.data(), CountBytes(r), [&] {
      if (r.counts.file) r.counts.file->Release();
    });
  } else if (SecondForm(r)) {
    for (const Unit& unit : r.units) {
      const SpikeTrain& train = unit.spike_times;
      write(train.data(), train.size() * sizeof(double), [&] { train.Release(); });
    }
  }
  out.close();
  if (out) return absl::OkStatus();
  return absl::ResourceExhaustedError("cannot store what was read: is the disk full?");
}

absl::StatusOr<Recording> Parse(std::string_view bytes) {
  WireReader in(bytes);
  SAED_ASSIGN_OR_RETURN(Parsed parsed, ParseHead(in));
  Recording& r = parsed.recording;
  if (r.counts.present() || !parsed.second) {
    const size_t begin = parsed.second
                             ? (bytes.size() - in.rest() + kAligned - 1) / kAligned * kAligned
                             : bytes.size() - in.rest();
    if (begin > bytes.size() || bytes.size() - begin != parsed.count_bytes) return Damaged();
    r.counts.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.end());
    return std::move(r);
  }
  SAED_ASSIGN_OR_RETURN(size_t at, SpikesAt(parsed, bytes.size(), in.rest()));
  for (size_t n = 0; n < r.units.size(); ++n) {
    Numbers times(parsed.spikes[n]);
    if (!times.empty()) {
      std::memcpy(times.data(), bytes.data() + at, times.size() * sizeof(double));
    }
    at += times.size() * sizeof(double);
    r.units[n].spike_times = std::move(times);
  }
  return std::move(r);
}

absl::StatusOr<Recording> ParseFile(const std::string& path) {
  SAED_ASSIGN_OR_RETURN(const auto file, CountFile::Open(path, 0));
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  WireReader in(bytes);
  SAED_ASSIGN_OR_RETURN(Parsed parsed, ParseHead(in));
  Recording& r = parsed.recording;
  if (!r.counts.present() && parsed.second && in.rest() > kSpikesInMemory) {
    SAED_ASSIGN_OR_RETURN(size_t at, SpikesAt(parsed, bytes.size(), in.rest()));
    for (size_t n = 0; n < r.units.size(); ++n) {
      r.units[n].spike_times = SpikeTrain(file, at, parsed.spikes[n]);
      at += parsed.spikes[n] * sizeof(double);
    }
    file->Release();
    return std::move(r);
  }
  if (parsed.count_bytes <= kCountsInMemory) return Parse(bytes);
  if (!r.counts.present() || parsed.count_bytes != CountBytes(r) ||
      parsed.count_bytes > in.rest() || in.rest() - parsed.count_bytes >= kAligned) {
    return Damaged();
  }
  SAED_ASSIGN_OR_RETURN(r.counts.file, CountFile::Open(path, bytes.size() - parsed.count_bytes));
  return std::move(r);
}

}  // namespace saed::recordings

#include "server/recordings/store_format.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "server/base/status_macros.h"
#include "server/base/wire.h"

namespace saed::recordings {
namespace {

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

// Without a value no span is written; never observed is the span [0, 0), which is none otherwise.
void Write(const Observed& observed, WireWriter& out) {
  Numbers flat;
  for (const auto& [start, stop] : observed.value_or(Spans{})) {
    flat.insert(flat.end(), {start, stop});
  }
  if (observed && observed->empty()) flat = {0, 0};
  out.Array(flat);
}

Observed ReadObserved(WireReader& in) {
  const auto flat = in.Array<double>();
  if (flat.empty()) return {};
  if (flat == Numbers{0, 0}) return Spans{};
  Spans out;
  out.reserve(flat.size() / 2);
  for (size_t i = 0; i + 1 < flat.size(); i += 2) out.emplace_back(flat[i], flat[i + 1]);
  return out;
}

size_t SpikeBytes(const Recording& r) {
  size_t spikes = 0;
  for (const Unit& unit : r.units) spikes += unit.spike_times.size();
  return spikes * sizeof(double);
}

enum class Form { kFirst, kSecond, kThird };

Form FormOf(const Recording& r) {
  if (SpikeBytes(r) > kSpikesInMemory) return Form::kThird;
  const bool observed =
      r.observed.has_value() || std::any_of(r.units.begin(), r.units.end(),
                                            [](const Unit& u) { return u.observed.has_value(); });
  return observed ? Form::kSecond : Form::kFirst;
}

size_t CountBytes(const Recording& r) {
  return static_cast<size_t>(r.counts.bins) * r.units.size() * SizeOf(r.counts.dtype);
}

// The members: texts and tables, and where `numbers`, of the spikes only how many there are.
void WriteMembers(const Recording& r, bool numbers, WireWriter& out) {
  out.Text(r.source);
  out.Value(r.sampling_rate);
  out.Value(r.duration);
  out.Value<uint64_t>(r.units.size());
  for (const Unit& unit : r.units) {
    out.Value(unit.id);
    out.Text(unit.label);
    out.Text(unit.region);
    out.Value(unit.depth);
    if (numbers) {
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
  if (numbers) {
    Write(r.observed, out);
    for (const Unit& unit : r.units) Write(unit.observed, out);
  }
  out.Value<uint64_t>(r.counts.present() ? CountBytes(r) : 0);
}

// What comes before and behind the counts or spikes.
struct Ends {
  std::string before, behind;
};

Ends EndsOf(const Recording& r) {
  Ends out;
  const Form form = FormOf(r);
  WireWriter before, behind;
  before.Text(form == Form::kFirst    ? kFirstMagic
              : form == Form::kSecond ? kSecondMagic
                                      : kThirdMagic);
  WriteMembers(r, form != Form::kFirst, form == Form::kThird ? behind : before);
  if (form == Form::kThird) before.Value<uint64_t>(kSpikesAt + SpikeBytes(r));
  out.before = before.Take();
  out.behind = behind.Take();
  const size_t aligned = form == Form::kThird ? kSpikesAt : form == Form::kSecond ? kAligned : 1;
  out.before.resize((out.before.size() + aligned - 1) / aligned * aligned);
  return out;
}

// The file in which the spikes lie as they are to be stored; null where there is none.
SpikeFile* InPlace(const Recording& r) {
  SpikeFile* file = nullptr;
  size_t next = 0;
  for (const Unit& unit : r.units) {
    const SpikeTrain& train = unit.spike_times;
    if (train.empty()) continue;
    if (file == nullptr) file = train.gathered().get();
    if (file == nullptr || train.gathered().get() != file || train.offset() != next) return nullptr;
    next += train.size() * sizeof(double);
  }
  return file != nullptr && file->keeps() && next == file->spikes() * sizeof(double) ? file
                                                                                     : nullptr;
}

absl::Status Damaged() { return absl::DataLossError("the stored recording is damaged"); }

// A recording without what comes last.
struct Parsed {
  Recording recording;
  bool second = false;           // or third
  std::vector<uint64_t> spikes;  // of each unit, but in the first form
  uint64_t count_bytes = 0;
};

absl::StatusOr<Parsed> ParseMembers(WireReader& in, Form form) {
  Parsed out;
  Recording& r = out.recording;
  out.second = form != Form::kFirst;
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
    r.observed = ReadObserved(in);
    for (Unit& unit : r.units) unit.observed = ReadObserved(in);
  }
  out.count_bytes = in.Value<uint64_t>();
  if (in.failed() || (!r.counts.present() && out.count_bytes != 0)) return Damaged();
  return out;
}

absl::StatusOr<Parsed> ParseHead(WireReader& in) {
  const std::string magic = in.Text();
  if (magic != kFirstMagic && magic != kSecondMagic) return Damaged();
  return ParseMembers(in, magic == kFirstMagic ? Form::kFirst : Form::kSecond);
}

// Whether the numbers of spikes are just those of so many bytes.
bool Fill(const std::vector<uint64_t>& spikes, size_t bytes) {
  uint64_t room = bytes / sizeof(double);
  for (uint64_t n : spikes) {
    if (n > room) return false;
    room -= n;
  }
  return room == 0 && bytes % sizeof(double) == 0;
}

bool IsThird(std::string_view bytes) {
  WireReader in(bytes);
  return in.TextView() == kThirdMagic;
}

// Without the spikes, which lie from kSpikesAt on.
absl::StatusOr<Parsed> ParseThird(std::string_view bytes) {
  WireReader start(bytes);
  start.Text();
  const auto at = start.Value<uint64_t>();
  if (start.failed() || at < kSpikesAt || at > bytes.size()) return Damaged();
  WireReader in(bytes.substr(at));
  SAED_ASSIGN_OR_RETURN(Parsed parsed, ParseMembers(in, Form::kThird));
  if (in.rest() != 0 || parsed.count_bytes != 0 || parsed.recording.counts.present() ||
      !Fill(parsed.spikes, at - kSpikesAt)) {
    return Damaged();
  }
  return parsed;
}

// Where the spikes of the second form begin; DATA_LOSS where they are not just what the file ends
// with.
absl::StatusOr<size_t> SpikesAt(const Parsed& parsed, size_t size, size_t rest) {
  const size_t at = (size - rest + kAligned - 1) / kAligned * kAligned;
  if (at > size || !Fill(parsed.spikes, size - at)) return Damaged();
  return at;
}

// The spikes that lie from `at` on, into memory.
void CopySpikes(std::string_view bytes, size_t at, Parsed& parsed) {
  for (size_t n = 0; n < parsed.spikes.size(); ++n) {
    Numbers times(parsed.spikes[n]);
    const size_t size = times.size() * sizeof(double);
    if (size > 0) std::memcpy(times.data(), bytes.data() + at, size);
    at += size;
    parsed.recording.units[n].spike_times = std::move(times);
  }
}

// Left in the file.
Recording WithSpikes(Parsed parsed, const std::shared_ptr<const CountFile>& file, size_t at) {
  Recording& r = parsed.recording;
  for (size_t n = 0; n < r.units.size(); ++n) {
    r.units[n].spike_times = SpikeTrain(file, at, parsed.spikes[n]);
    at += parsed.spikes[n] * sizeof(double);
  }
  file->Release();
  return std::move(r);
}

// What comes last, into memory.
absl::Status ParseRest(std::string_view bytes, size_t rest, Parsed& parsed) {
  Recording& r = parsed.recording;
  if (r.counts.present() || !parsed.second) {
    const size_t begin = parsed.second ? (bytes.size() - rest + kAligned - 1) / kAligned * kAligned
                                       : bytes.size() - rest;
    if (begin > bytes.size() || bytes.size() - begin != parsed.count_bytes) return Damaged();
    r.counts.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.end());
    return absl::OkStatus();
  }
  SAED_ASSIGN_OR_RETURN(const size_t at, SpikesAt(parsed, bytes.size(), rest));
  CopySpikes(bytes, at, parsed);
  return absl::OkStatus();
}

}  // namespace

std::string Serialise(const Recording& r) {
  Ends ends = EndsOf(r);
  std::string out = std::move(ends.before);
  if (r.counts.present()) {
    out.append(reinterpret_cast<const char*>(r.counts.data()), CountBytes(r));
  } else if (FormOf(r) != Form::kFirst) {
    for (const Unit& unit : r.units) {
      out.append(reinterpret_cast<const char*>(unit.spike_times.data()),
                 unit.spike_times.size() * sizeof(double));
    }
  }
  return out + ends.behind;
}

absl::StatusOr<bool> CompleteInPlace(const Recording& r) {
  SpikeFile* const file = InPlace(r);
  if (file == nullptr || FormOf(r) != Form::kThird) return false;
  const Ends ends = EndsOf(r);
  SAED_RETURN_IF_ERROR(file->Complete(ends.before, ends.behind));
  return true;
}

absl::Status SerialiseTo(const std::string& path, const Recording& r) {
  const Ends ends = EndsOf(r);
  std::ofstream out(path, std::ios::binary);
  // In pieces, each given back once it is written.
  const auto write = [&](const void* data, size_t size, const auto& release) {
    for (size_t at = 0; at < size; at += kWritten) {
      out.write(static_cast<const char*>(data) + at,
                static_cast<std::streamsize>(std::min(kWritten, size - at)));
      release();
    }
  };
  const auto keep = [] {};
  write(ends.before.data(), ends.before.size(), keep);
  if (r.counts.present()) {
    write(r.counts.data(), CountBytes(r), [&] {
      if (r.counts.file) r.counts.file->Release();
    });
  } else if (FormOf(r) != Form::kFirst) {
    for (const Unit& unit : r.units) {
      const SpikeTrain& train = unit.spike_times;
      write(train.data(), train.size() * sizeof(double), [&] { train.Release(); });
    }
  }
  write(ends.behind.data(), ends.behind.size(), keep);
  out.close();
  if (out) return absl::OkStatus();
  return absl::ResourceExhaustedError("cannot store what was read: is the disk full?");
}

absl::StatusOr<Recording> Parse(std::string_view bytes) {
  if (IsThird(bytes)) {
    SAED_ASSIGN_OR_RETURN(Parsed parsed, ParseThird(bytes));
    CopySpikes(bytes, kSpikesAt, parsed);
    return std::move(parsed.recording);
  }
  WireReader in(bytes);
  SAED_ASSIGN_OR_RETURN(Parsed parsed, ParseHead(in));
  SAED_RETURN_IF_ERROR(ParseRest(bytes, in.rest(), parsed));
  return std::move(parsed.recording);
}

absl::StatusOr<Recording> ParseFile(const std::string& path) {
  SAED_ASSIGN_OR_RETURN(const auto file, CountFile::Open(path, 0));
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  if (IsThird(bytes)) {
    SAED_ASSIGN_OR_RETURN(Parsed parsed, ParseThird(bytes));
    return WithSpikes(std::move(parsed), file, kSpikesAt);
  }
  WireReader in(bytes);
  SAED_ASSIGN_OR_RETURN(Parsed parsed, ParseHead(in));
  Recording& r = parsed.recording;
  if (!r.counts.present() && parsed.second && in.rest() > kSpikesInMemory) {
    SAED_ASSIGN_OR_RETURN(const size_t at, SpikesAt(parsed, bytes.size(), in.rest()));
    return WithSpikes(std::move(parsed), file, at);
  }
  if (parsed.count_bytes <= kCountsInMemory) {
    SAED_RETURN_IF_ERROR(ParseRest(bytes, in.rest(), parsed));
    return std::move(r);
  }
  if (!r.counts.present() || parsed.count_bytes != CountBytes(r) ||
      parsed.count_bytes > in.rest() || in.rest() - parsed.count_bytes >= kAligned) {
    return Damaged();
  }
  SAED_ASSIGN_OR_RETURN(r.counts.file, CountFile::Open(path, bytes.size() - parsed.count_bytes));
  return std::move(r);
}

}  // namespace saed::recordings

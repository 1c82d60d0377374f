// Spike arrays (Phy folders and plain .npy pairs) and count matrices.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <span>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/csv.h"
#include "server/recordings/import.h"

namespace saed::recordings {
namespace {

const ImportFile* FindMain(const std::vector<ImportFile>& files, std::string_view name) {
  for (const ImportFile& f : files) {
    if (f.role == Role::kMain && f.name == name) return &f;
  }
  return nullptr;
}

absl::StatusOr<NpyArray> ReadArray(const std::vector<ImportFile>& files, std::string_view name) {
  const ImportFile* file = FindMain(files, name);
  if (file == nullptr) {
    return InvalidField("files", fmt::format("holds no {}; a spike sorting needs spike_times.npy "
                                             "and spike_clusters.npy",
                                             name));
  }
  SAED_ASSIGN_OR_RETURN(std::string bytes, ReadFile(file->path));
  return ParseNpy(name, std::move(bytes));
}

// [n] or [n, 1].
absl::Status CheckVector(std::string_view name, const NpyArray& a) {
  const bool vector = a.shape.size() == 1 || (a.shape.size() == 2 && a.shape[1] == 1);
  if (!vector || a.size() > kMaxSpikes) {
    return InvalidField(name, fmt::format("has {} dimensions and {} items; must be [n] or [n, 1] "
                                          "with n at most {}",
                                          a.shape.size(), a.size(), kMaxSpikes));
  }
  return absl::OkStatus();
}

// `sample_rate = 30000.` in params.py, read as text; the file is never run.
std::optional<double> SampleRateOf(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size() - 1);
    std::string_view line = Trim(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
    if (!line.starts_with("sample_rate")) continue;
    line = Trim(line.substr(std::strlen("sample_rate")));
    if (!line.starts_with('=')) continue;
    return std::strtod(std::string(Trim(line.substr(1))).c_str(), nullptr);
  }
  return std::nullopt;
}

absl::StatusOr<double> SamplingRate(const ImportSpec& spec, const std::vector<ImportFile>& files) {
  double rate = spec.sampling_rate;
  std::string from = "sampling_rate";
  if (rate == 0) {
    if (const ImportFile* params = FindMain(files, "params.py")) {
      SAED_ASSIGN_OR_RETURN(std::string text, ReadFile(params->path));
      rate = SampleRateOf(text).value_or(0);
      from = "params.py";
    }
  }
  if (rate == 0) {
    return InvalidField("sampling_rate",
                        "is not given and there is no params.py with sample_rate; spike_times.npy "
                        "holds sample numbers, so give the rate in Hz, e.g. 30000");
  }
  if (!std::isfinite(rate) || rate <= 0 || rate > 1e9) {
    return InvalidField(from,
                        fmt::format("gives a sampling rate of {} Hz; must be in (0, 1e9]", rate));
  }
  return rate;
}

// Column `column` of a cluster table, by cluster id.
absl::StatusOr<std::map<int64_t, std::string>> ClusterColumn(const std::vector<ImportFile>& files,
                                                             std::string_view file,
                                                             std::string_view column) {
  std::map<int64_t, std::string> out;
  const ImportFile* f = FindMain(files, file);
  if (f == nullptr) return out;
  SAED_ASSIGN_OR_RETURN(std::string bytes, ReadFile(f->path));
  SAED_ASSIGN_OR_RETURN(Table table, ParseSeparated(file, bytes, '\t'));
  const Column* id = table.Find("cluster_id");
  const Column* value = table.Find(column);
  if (value == nullptr) return out;
  if (id == nullptr) return InvalidField(file, "has no column cluster_id");
  const auto& ids = std::get<Texts>(id->values);
  for (size_t i = 0; i < ids.size(); ++i) {
    char* end = nullptr;
    const int64_t number = std::strtoll(ids[i].c_str(), &end, 10);
    if (ids[i].empty() || *end != '\0') {
      return InvalidField(file, fmt::format("has the cluster_id '{}'; must be an integer", ids[i]));
    }
    out[number] = std::get<Texts>(value->values)[i];
  }
  return out;
}

// Quality labels: what a person curated wins over what the sorter proposed.
absl::StatusOr<std::map<int64_t, std::string>> Labels(const std::vector<ImportFile>& files) {
  const std::pair<std::string_view, std::string_view> sources[] = {
      {"cluster_group.tsv", "group"},
      {"cluster_group.tsv", "KSLabel"},
      {"cluster_info.tsv", "group"},
      {"cluster_KSLabel.tsv", "KSLabel"}};
  for (const auto& [file, column] : sources) {
    SAED_ASSIGN_OR_RETURN(auto labels, ClusterColumn(files, file, column));
    if (!labels.empty()) return labels;
  }
  return std::map<int64_t, std::string>{};
}

absl::Status AddClusterColumns(const std::vector<ImportFile>& files, Recording& recording) {
  SAED_ASSIGN_OR_RETURN(const auto labels, Labels(files));
  SAED_ASSIGN_OR_RETURN(const auto depths, ClusterColumn(files, "cluster_info.tsv", "depth"));
  SAED_ASSIGN_OR_RETURN(const auto regions, ClusterColumn(files, "cluster_info.tsv", "region"));
  for (Unit& unit : recording.units) {
    if (const auto it = labels.find(unit.id); it != labels.end()) unit.label = it->second;
    if (const auto it = regions.find(unit.id); it != regions.end()) unit.region = it->second;
    if (const auto it = depths.find(unit.id); it != depths.end() && !it->second.empty()) {
      unit.depth = std::strtod(it->second.c_str(), nullptr);
    }
  }
  return absl::OkStatus();
}

// Elements of a matrix that are converted at once.
constexpr int64_t kConverted = int64_t{1} << 20;

// Stores the array that lies in `file` from `data_at` on in the narrowest type that holds it, a
// piece at a time: once to see which that is, once to convert.
absl::Status Narrow(std::string_view name, const NpyArray& a, const CountFile& file, size_t data_at,
                    CountMatrix& counts) {
  const int64_t size = a.size();
  std::vector<double> piece(std::min(size, kConverted));
  const auto each_piece = [&](const auto& use) -> absl::Status {
    for (int64_t at = 0; at < size; at += kConverted) {
      const std::span<double> values(piece.data(), std::min(kConverted, size - at));
      ReadDoubles(a, reinterpret_cast<const char*>(file.data()) + data_at, at, values);
      SAED_RETURN_IF_ERROR(use(at, values));
      // Pieces of a matrix in Fortran order lie all over the file: its pages stay while there is
      // room for them, and go back by themselves.
      if (!a.fortran_order) file.Release();
    }
    return absl::OkStatus();
  };
  double least = 0, most = 0;
  bool whole = true;
  SAED_RETURN_IF_ERROR(each_piece([&](int64_t at, std::span<const double> values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const double v = values[i];
      if (!std::isfinite(v)) {
        const int64_t place = at + static_cast<int64_t>(i);
        return InvalidField(name, fmt::format("holds {} in bin {}, unit {}; must be finite", v,
                                              place / a.shape[1], place % a.shape[1]));
      }
      least = std::min(least, v);
      most = std::max(most, v);
      whole = whole && v == std::floor(v);
    }
    return absl::OkStatus();
  }));
  counts.dtype = !whole || least < 0 || most > 65535 ? DType::kF32
                 : most > 255                        ? DType::kU16
                                                     : DType::kU8;
  const size_t bytes = static_cast<size_t>(size) * SizeOf(counts.dtype);
  std::shared_ptr<CountFile> large;
  if (bytes > kCountsInMemory) {
    SAED_ASSIGN_OR_RETURN(large, CountFile::Create(CountDirectory(), bytes));
    counts.file = large;
  } else {
    counts.bytes.resize(bytes);
  }
  uint8_t* to = large ? large->data() : counts.bytes.data();
  const auto convert = [&]<class T>(T) {
    return each_piece([&](int64_t at, std::span<const double> values) {
      for (size_t i = 0; i < values.size(); ++i) {
        const T v = static_cast<T>(values[i]);
        std::memcpy(to + (static_cast<size_t>(at) + i) * sizeof(T), &v, sizeof(T));
      }
      if (large) large->Release();
      return absl::OkStatus();
    });
  };
  if (counts.dtype == DType::kU8) return convert(uint8_t{});
  if (counts.dtype == DType::kU16) return convert(uint16_t{});
  return convert(float{});
}

}  // namespace

absl::StatusOr<Imported> ReadSpikeArrays(const ImportSpec& spec,
                                         const std::vector<ImportFile>& files) {
  SAED_ASSIGN_OR_RETURN(NpyArray times, ReadArray(files, "spike_times.npy"));
  SAED_ASSIGN_OR_RETURN(NpyArray clusters, ReadArray(files, "spike_clusters.npy"));
  SAED_RETURN_IF_ERROR(CheckVector("spike_times.npy", times));
  SAED_RETURN_IF_ERROR(CheckVector("spike_clusters.npy", clusters));
  if (times.size() != clusters.size()) {
    return InvalidField("spike_clusters.npy",
                        fmt::format("has {} items but spike_times.npy has {}; must be as many",
                                    clusters.size(), times.size()));
  }
  SAED_ASSIGN_OR_RETURN(const auto ids, ToIntegers("spike_clusters.npy", clusters));

  Imported out;
  out.recording.source = spec.format == Format::kPhy ? "phy" : "spikes_npy";
  std::vector<double> seconds;
  if (times.integer()) {
    SAED_ASSIGN_OR_RETURN(const double rate, SamplingRate(spec, files));
    SAED_ASSIGN_OR_RETURN(const auto samples, ToIntegers("spike_times.npy", times));
    out.recording.sampling_rate = rate;
    seconds.reserve(samples.size());
    for (int64_t s : samples) seconds.push_back(static_cast<double>(s) / rate);
  } else {
    seconds = ToDoubles(times);
  }
  std::map<int64_t, size_t> index;
  for (int64_t id : ids) index.emplace(id, 0);
  if (static_cast<int64_t>(index.size()) > kMaxUnits) {
    return InvalidField("spike_clusters.npy", fmt::format("holds {} clusters; at most {} are "
                                                          "allowed",
                                                          index.size(), kMaxUnits));
  }
  for (auto& [id, at] : index) {
    at = out.recording.units.size();
    out.recording.units.emplace_back().id = id;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    out.recording.units[index[ids[i]]].spike_times.push_back(seconds[i]);
  }
  SAED_RETURN_IF_ERROR(AddClusterColumns(files, out.recording));
  return out;
}

absl::StatusOr<Imported> ReadCountArray(const ImportSpec& spec,
                                        const std::vector<ImportFile>& files) {
  const ImportFile* file = nullptr;
  for (const ImportFile& f : files) {
    if (f.role == Role::kMain) file = &f;
  }
  if (file == nullptr) return InvalidField("files", "holds no .npy count matrix");
  if (!std::isfinite(spec.bin_width) || spec.bin_width <= 0) {
    return InvalidField("bin_width", fmt::format("is {} s; a count matrix needs the width of its "
                                                 "bins, e.g. 0.02",
                                                 spec.bin_width));
  }
  Imported out;
  out.recording.source = "counts_npy";
  CountMatrix& counts = out.recording.counts;
  const auto describe = [&](const NpyArray& a) {
    if (a.shape.size() != 2 || a.shape[0] < 1 || a.shape[1] < 1 || a.shape[1] > kMaxUnits ||
        a.size() > kMaxStoredElements) {
      return InvalidField(file->name, "is not a matrix [bins, units] of allowed size");
    }
    for (int64_t n = 0; n < a.shape[1]; ++n) out.recording.units.emplace_back().id = n;
    counts.bin_width = spec.bin_width;
    counts.bins = a.shape[0];
    return absl::OkStatus();
  };
  std::error_code unknown;
  if (std::filesystem::file_size(file->path, unknown) == 0) {
    return InvalidField(file->name, "is empty; must be a .npy matrix [bins, units]");
  }
  // Mapped, as it may be larger than memory.
  SAED_ASSIGN_OR_RETURN(const auto mapped, CountFile::Open(file->path, 0));
  size_t data_at = 0;
  SAED_ASSIGN_OR_RETURN(
      const NpyArray a,
      ParseNpyHeader(file->name, {reinterpret_cast<const char*>(mapped->data()), mapped->size()},
                     data_at));
  SAED_RETURN_IF_ERROR(describe(a));
  if (a.kind == 'u' && a.item_size == 1 && !a.fortran_order && mapped->size() > kCountsInMemory) {
    SAED_ASSIGN_OR_RETURN(counts.file, CountFile::Open(file->path, data_at));
    return out;
  }
  SAED_RETURN_IF_ERROR(Narrow(file->name, a, *mapped, data_at, counts));
  return out;
}

}  // namespace saed::recordings

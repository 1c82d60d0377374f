#include "server/recordings/readers/cluster_depths.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>
#include <vector>

#include "server/base/faults.h"
#include "server/recordings/readers/npy_rows.h"
#include "server/recordings/readers/phy_spikes.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMostPerTemplate = int64_t{1} << 24;  // samples times channels
constexpr int64_t kMostChannels = int64_t{1} << 20;
constexpr size_t kMostPairs = size_t{1} << 22;  // of a cluster and a template
constexpr int kMostPasses = 16;                 // over all spikes
constexpr double kMostTemplates = 1 << 24;

class Depths {
 public:
  Depths(const FileSet& files, const std::string& folder, Recording& recording, Notes& notes)
      : files_(files), folder_(folder), recording_(recording), notes_(notes) {}

  bool Wanted() const {
    return std::any_of(recording_.units.begin(), recording_.units.end(),
                       [](const Unit& u) { return std::isnan(u.depth); });
  }

  void FromTemplates() {
    const auto positions = Positions();
    const auto templates = OpenIfThere("templates.npy");
    if (positions.empty() || !templates) return;
    if (templates->shape().size() != 3 || templates->size() == 0 ||
        templates->shape()[1] * templates->shape()[2] > kMostPerTemplate) {
      return LeaveOut(*templates, "[templates, samples, channels]");
    }
    auto sparse = OpenIfThere("templates_ind.npy");
    if (!sparse) sparse = OpenIfThere("template_ind.npy");
    if (sparse && (sparse->shape().size() != 2 || sparse->shape()[0] != templates->shape()[0] ||
                   sparse->shape()[1] != templates->shape()[2])) {
      return LeaveOut(*sparse, "[templates, channels] as templates.npy");
    }
    const std::vector<double> of_unit = TemplateOfUnits();
    for (size_t n = 0; n < of_unit.size(); ++n) {
      if (!(of_unit[n] >= 0) || of_unit[n] >= static_cast<double>(templates->shape()[0])) continue;
      const auto t = static_cast<int64_t>(of_unit[n]);
      Set(n, positions, PeakChannel(*templates, sparse, t));
    }
  }

  // `ch` is the number of the channel in the raw file, which channel_map.npy lists.
  void FromChannels() {
    const Column* column = recording_.unit_columns.Find("ch");
    const auto* channels = column == nullptr ? nullptr : std::get_if<Numbers>(&column->values);
    const auto positions = Positions();
    if (channels == nullptr || positions.empty()) return;
    Numbers map;
    if (const auto file = OpenIfThere("channel_map.npy"); file && file->size() <= kMostChannels) {
      map.resize(static_cast<size_t>(file->size()));
      file->Read(0, map);
    }
    for (size_t n = 0; n < channels->size(); ++n) {
      double place = (*channels)[n];
      if (!map.empty()) {
        const auto at = std::find(map.begin(), map.end(), place);
        place = at == map.end() ? -1 : static_cast<double>(at - map.begin());
      }
      Set(n, positions, place);
    }
  }

  void FromSpikes() {
    const auto spikes = OpenIfThere("spike_positions.npy");
    if (!spikes) return;
    const auto clusters = OpenIfThere(ClusterFile(files_, folder_).substr(folder_.size()));
    if (!clusters || spikes->shape().size() != 2 || spikes->shape()[1] < 2 ||
        spikes->shape()[0] != clusters->size()) {
      return LeaveOut(*spikes, "[spikes, 2]");
    }
    const ClusterPlaces places(recording_);
    Numbers sum(recording_.units.size(), 0), count(sum);
    const int64_t width = spikes->shape()[1];
    std::vector<double> rows;
    if (width > 16) return LeaveOut(*spikes, "[spikes, 2]");
    clusters->ForEachPiece([&](int64_t first, std::span<const double> ids) {
      rows.resize(ids.size() * static_cast<size_t>(width));
      spikes->Read(first * width, rows);
      for (size_t i = 0; i < ids.size(); ++i) {
        const int64_t n = places.Of(ids[i]);
        const double depth = rows[i * static_cast<size_t>(width) + 1];
        if (n < 0 || !std::isfinite(depth)) continue;
        sum[static_cast<size_t>(n)] += depth;
        count[static_cast<size_t>(n)] += 1;
      }
      spikes->Release();
    });
    for (size_t n = 0; n < sum.size(); ++n) {
      Unit& unit = recording_.units[n];
      if (std::isnan(unit.depth) && count[n] > 0) unit.depth = sum[n] / count[n];
    }
  }

 private:
  void LeaveOut(const NpyRows& file, std::string_view must) {
    notes_.Mended(file.name(),
                  fmt::format("left out: has shape {}; must be {}", NpyShape(file.shape()), must));
  }

  std::optional<NpyRows> OpenIfThere(const std::string& base) {
    if (!files_.Has(folder_ + base)) return std::nullopt;
    auto file = NpyRows::Open(files_, folder_ + base);
    if (file.ok()) return *std::move(file);
    const auto faults = FaultsOf(file.status());
    notes_.Mended(
        folder_ + base,
        fmt::format("left out: {}", faults.empty() ? "it cannot be read" : faults[0].description));
    return std::nullopt;
  }

  // Depth of each channel, µm.
  Numbers Positions() {
    const auto file = OpenIfThere("channel_positions.npy");
    if (!file) return {};
    const auto& shape = file->shape();
    if (shape.size() != 2 || shape[1] < 2 || shape[1] > 3 || shape[0] > kMostChannels) {
      LeaveOut(*file, "[channels, 2]");
      return {};
    }
    Numbers all(static_cast<size_t>(file->size())), out;
    file->Read(0, all);
    const auto width = static_cast<size_t>(shape[1]);
    for (size_t c = 0; c * width < all.size(); ++c) out.push_back(all[c * width + 1]);
    return out;
  }

  void Set(size_t unit, const Numbers& positions, double channel) {
    if (!(channel >= 0) || channel >= static_cast<double>(positions.size())) return;
    const double depth = positions[static_cast<size_t>(channel)];
    double& to = recording_.units[unit].depth;
    if (std::isnan(to) && std::isfinite(depth)) to = depth;
  }

  // The channel where the template goes up and down most; -1 where it is silent.
  static double PeakChannel(const NpyRows& templates, const std::optional<NpyRows>& sparse,
                            int64_t t) {
    const int64_t samples = templates.shape()[1], channels = templates.shape()[2];
    Numbers values(static_cast<size_t>(samples * channels));
    templates.Read(t * samples * channels, values);
    double best = 0, place = -1;
    for (int64_t c = 0; c < channels; ++c) {
      double least = std::numeric_limits<double>::infinity(), most = -least;
      for (int64_t s = 0; s < samples; ++s) {
        const double v = values[static_cast<size_t>(s * channels + c)];
        least = std::min(least, v);
        most = std::max(most, v);
      }
      if (!(most - least > best)) continue;
      best = most - least;
      place = static_cast<double>(c);
    }
    if (!sparse || place < 0) return place;
    double channel = -1;
    sparse->Read(t * channels + static_cast<int64_t>(place), {&channel, 1});
    return channel;
  }

  // Of each unit the template that most of its spikes have; the cluster's own number where the
  // spikes' templates are not known.
  std::vector<double> TemplateOfUnits() {
    std::vector<double> out;
    for (const Unit& unit : recording_.units) out.push_back(static_cast<double>(unit.id));
    const auto templates = OpenIfThere("spike_templates.npy");
    const auto clusters = OpenIfThere("spike_clusters.npy");
    if (!templates || !clusters || templates->size() != clusters->size()) return out;
    const ClusterPlaces places(recording_);
    // All units at once, or, where that takes too much memory, some after others.
    size_t first = 0;
    for (int pass = 0; pass < kMostPasses && first < out.size(); ++pass) {
      first = CountTemplates(*clusters, *templates, places, first, out);
    }
    if (first < out.size()) {
      notes_.Mended(templates->name(),
                    fmt::format("left out for {} of {} units, the first is unit {}: the clusters "
                                "have spikes of too many templates",
                                out.size() - first, out.size(), recording_.units[first].id));
    }
    return out;
  }

  // Puts the template of most spikes for the units from `first` on, as far as their pairs of a
  // cluster and a template find room; returns the first unit that is left.
  static size_t CountTemplates(const NpyRows& clusters, const NpyRows& templates,
                               const ClusterPlaces& places, size_t first,
                               std::vector<double>& out) {
    std::unordered_map<uint64_t, int64_t> pairs;
    std::vector<double> ids;
    size_t end = out.size();
    clusters.ForEachPiece([&](int64_t at, std::span<const double> values) {
      ids.resize(values.size());
      templates.Read(at, ids);
      for (size_t i = 0; i < values.size(); ++i) {
        const int64_t n = places.Of(values[i]);
        if (n < static_cast<int64_t>(first) || n >= static_cast<int64_t>(end)) continue;
        if (!(ids[i] >= 0) || ids[i] > kMostTemplates) continue;
        ++pairs[static_cast<uint64_t>(n) << 32 | static_cast<uint64_t>(ids[i])];
        while (pairs.size() > kMostPairs) {
          end = first + (end - first) / 2;
          std::erase_if(pairs, [&](const auto& pair) { return pair.first >> 32 >= end; });
        }
      }
      templates.Release();
    });
    std::vector<int64_t> most(out.size(), 0);
    for (const auto& [pair, count] : pairs) {
      const auto n = static_cast<size_t>(pair >> 32);
      const auto t = static_cast<double>(pair & 0xFFFFFFFF);
      if (count < most[n] || (count == most[n] && t > out[n])) continue;
      most[n] = count;
      out[n] = t;
    }
    return end;
  }

  const FileSet& files_;
  const std::string& folder_;
  Recording& recording_;
  Notes& notes_;
};

}  // namespace

void AddClusterDepths(const FileSet& files, const std::string& folder, Recording& recording,
                      Notes& notes) {
  Depths depths(files, folder, recording, notes);
  if (depths.Wanted()) depths.FromTemplates();
  if (depths.Wanted()) depths.FromChannels();
  if (depths.Wanted()) depths.FromSpikes();
}

}  // namespace saed::recordings

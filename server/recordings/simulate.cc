#include "server/recordings/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/base/faults.h"
#include "server/recordings/import.h"
#include "server/recordings/numpy_random.h"

namespace saed::recordings {
namespace {

constexpr int kSamples = 60000;
constexpr int kRatUnits = 100;
constexpr double kStep = 0.01;  // s

struct PlaceCell {
  double centre, left, right, amplitude;  // m, m, m, Hz
};
constexpr PlaceCell kCells[4] = {
    {0.2, 0.05, 0.10, 10}, {0.4, 0.10, 0.05, 28}, {0.7, 0.14, 0.14, 20}, {0.7, 0.06, 0.06, 20}};

double Rate(const PlaceCell& cell, double x) {
  const double width = x < cell.centre ? cell.left : cell.right;
  const double z = (x - cell.centre) / width;
  return 0.1 + cell.amplitude * std::exp(-0.5 * (z * z));
}

// A random walk of the velocity, reflected at the ends of the track.
void Walk(Numbers& position, Numbers& velocity) {
  position.assign(kSamples, 0.5);
  velocity.assign(kSamples, 0.0);
  NumpyRandom random(42);
  for (int i = 1; i < kSamples; ++i) {
    double v = velocity[i - 1] * (1 - kStep) + 0.4 * std::sqrt(kStep) * random.Normal();
    double p = position[i - 1] + v * kStep;
    while (p < 0 || p > 1) {
      p = p < 0 ? -p : 2 - p;
      v = -v;
    }
    position[i] = p;
    velocity[i] = v;
  }
}

IntervalTable PlaceFields(const Numbers& position) {
  Numbers start, stop;
  Texts cell;
  for (int c = 0; c < 4; ++c) {
    const double low = kCells[c].centre - 2 * kCells[c].left;
    const double high = kCells[c].centre + 2 * kCells[c].right;
    const auto inside = [&](int i) { return position[i] >= low && position[i] <= high; };
    for (int i = 0; i < kSamples;) {
      if (!inside(i)) {
        ++i;
        continue;
      }
      const int begin = i;
      while (i < kSamples && inside(i)) ++i;
      start.push_back(begin * kStep);
      stop.push_back(i * kStep);
      cell.push_back(std::to_string(c + 1));
    }
  }
  Table table{"place_fields", {{"start_time", start}, {"stop_time", stop}, {"cell", cell}}};
  return {std::move(table), std::move(start), std::move(stop)};
}

// Poisson by inversion: one uniform per draw, rates far below 50 per bin.
int Poisson(double rate, double u) {
  double p = std::exp(-rate), sum = p;
  int k = 0;
  while (u > sum && k < 200) sum += p *= rate / ++k;
  return k;
}

// Gamma(shape 4, scale 1/4): the mean of four exponentials.
double Amplitude(NumpyRandom& random) {
  double product = 1;
  for (int i = 0; i < 4; ++i) product *= 1 - random.Uniform();
  return -0.25 * std::log(product);
}

}  // namespace

std::vector<uint8_t> RatSpikeMatrix() {
  Numbers position, velocity;
  Walk(position, velocity);
  std::vector<uint8_t> spikes(size_t{kRatUnits} * kSamples);
  NumpyRandom place(123), constant_rates(0), constant(456);
  for (int c = 0; c < 4; ++c) {
    for (int i = 0; i < kSamples; ++i) {
      spikes[size_t{kSamples} * c + i] = place.Uniform() < Rate(kCells[c], position[i]) * kStep;
    }
  }
  Numbers rates;
  for (int n = 4; n < kRatUnits; ++n) rates.push_back(1 + 4 * constant_rates.Uniform());
  for (int n = 4; n < kRatUnits; ++n) {
    for (int i = 0; i < kSamples; ++i) {
      spikes[size_t{kSamples} * n + i] = constant.Uniform() < rates[n - 4] * kStep;
    }
  }
  return spikes;
}

Recording SimulateRat() {
  Recording out;
  out.source = "simulation";
  out.sampling_rate = 1 / kStep;
  const auto spikes = RatSpikeMatrix();
  for (int n = 0; n < kRatUnits; ++n) {
    Unit& unit = out.units.emplace_back();
    unit.id = n + 1;
    unit.label = n < 4 ? "place" : "constant";
    for (int i = 0; i < kSamples; ++i) {
      if (spikes[size_t{kSamples} * n + i]) unit.spike_times.push_back(i / out.sampling_rate);
    }
  }
  Series position{"position", "m", {"x"}, {}, {}}, velocity{"velocity", "m/s", {"v"}, {}, {}};
  Walk(position.values, velocity.values);
  for (int i = 0; i < kSamples; ++i) position.timestamps.push_back(i / out.sampling_rate);
  velocity.timestamps = position.timestamps;
  out.intervals.push_back(PlaceFields(position.values));
  out.series = {std::move(position), std::move(velocity)};
  out.duration = kSamples * kStep;
  return out;
}

absl::StatusOr<PlantedSpec> PlantedLevel(std::string_view level) {
  PlantedSpec spec;
  if (level == "easy") return spec;
  spec.units = 200;
  spec.units_per_feature = 10;
  if (level == "mid") {
    spec.features = 200;
    spec.probability = 0.02;
    return spec;
  }
  if (level == "hard") {
    spec.features = 400;
    spec.probability = 0.01;
    spec.gain_low = 0.4;
    spec.gain_high = 1.2;
    return spec;
  }
  if (level == "low_rate") {
    spec.features = 100;
    spec.probability = 0.03;
    spec.base_rate = 0.1;
    spec.gain_low = 0.2;
    spec.gain_high = 0.6;
    return spec;
  }
  return InvalidField("planted.level",
                      fmt::format("is '{}'; must be easy, mid, hard or low_rate", level));
}

absl::Status Validate(const PlantedSpec& spec) {
  Faults faults;
  const auto check = [&](bool good, std::string_view field, auto value, std::string_view right) {
    if (!good) {
      faults.Add(fmt::format("planted.{}", field), fmt::format("is {}; must be {}", value, right));
    }
  };
  check(spec.units >= 1 && spec.units <= 10000, "units", spec.units, "1 to 10000");
  check(spec.features >= 1 && spec.features <= 10000, "features", spec.features, "1 to 10000");
  check(spec.probability > 0 && spec.probability < 1, "probability", spec.probability,
        "between 0 and 1");
  check(spec.units_per_feature >= 1 && spec.units_per_feature <= spec.units, "units_per_feature",
        spec.units_per_feature, "1 to units");
  check(spec.base_rate >= 0 && spec.base_rate <= 20, "base_rate", spec.base_rate, "0 to 20");
  check(spec.gain_low >= 0 && spec.gain_low <= spec.gain_high && spec.gain_high <= 10, "gain_low",
        spec.gain_low, "0 to gain_high, which may be at most 10");
  check(spec.mean_stay >= 1 && spec.mean_stay <= 1e6, "mean_stay", spec.mean_stay, "1 to 1e6");
  check(spec.bins >= 10 && spec.bins * spec.units <= 2'000'000'000, "bins", spec.bins,
        "at least 10, and bins x units at most 2e9");
  check(spec.bin_width > 0 && spec.bin_width <= 10, "bin_width", spec.bin_width,
        "above 0 and at most 10 s");
  return faults.ToStatus();
}

Recording SimulatePlanted(const PlantedSpec& spec) {
  const auto T = static_cast<size_t>(spec.bins);
  const auto N = static_cast<size_t>(spec.units), G = static_cast<size_t>(spec.features);
  NumpyRandom structure(spec.seed), chain(spec.seed + 1000), spikes(spec.seed + 2000);
  Numbers base(N);
  for (double& b : base) b = spec.base_rate * (0.5 + structure.Uniform());
  std::vector<Numbers> pattern(G, Numbers(N, 0.0));
  for (size_t g = 0; g < G; ++g) {
    std::vector<size_t> order(N);
    for (size_t n = 0; n < N; ++n) order[n] = n;
    for (int i = 0; i < spec.units_per_feature; ++i) {
      const size_t j = i + static_cast<size_t>(structure.Uniform() * static_cast<double>(N - i));
      std::swap(order[i], order[j]);
      pattern[g][order[i]] = spec.gain_low + (spec.gain_high - spec.gain_low) * structure.Uniform();
    }
  }
  // P(off → on) keeps the stationary probability: p·(1 − stay) = (1 − p)·enter.
  const double leave = 1 / spec.mean_stay;
  const double enter = std::min(1.0, spec.probability * leave / (1 - spec.probability));
  Series amplitude{"amplitude", "1", {}, {}, Numbers(T * G, 0.0)};
  Numbers start, stop;
  Texts names, feature;
  for (size_t g = 0; g < G; ++g) {
    names.push_back(fmt::format("f{:02}", g));
    bool on = chain.Uniform() < spec.probability;
    size_t since = 0;
    for (size_t t = 0; t <= T; ++t) {
      const bool now = t < T && on;
      if (now) amplitude.values[t * G + g] = Amplitude(chain);
      const bool before = t > 0 && amplitude.values[(t - 1) * G + g] > 0;
      if (now && !before) since = t;
      if (!now && before) {
        start.push_back(static_cast<double>(since) * spec.bin_width);
        stop.push_back(static_cast<double>(t) * spec.bin_width);
        feature.push_back(names[g]);
      }
      on = on ? chain.Uniform() >= leave : chain.Uniform() < enter;
    }
  }
  Recording out;
  out.source = "simulation";
  for (size_t n = 0; n < N; ++n) out.units.emplace_back().id = static_cast<int64_t>(n);
  Numbers rate(N);
  for (size_t t = 0; t < T; ++t) {
    rate = base;
    for (size_t g = 0; g < G; ++g) {
      const double a = amplitude.values[t * G + g];
      if (a == 0) continue;
      for (size_t n = 0; n < N; ++n) rate[n] += a * pattern[g][n];
    }
    for (size_t n = 0; n < N; ++n) {
      const int count = Poisson(rate[n], spikes.Uniform());
      // Evenly inside the bin, away from its edges, so that binning gives the counts back.
      for (int k = 0; k < count; ++k) {
        out.units[n].spike_times.push_back((static_cast<double>(t) + (k + 0.5) / count) *
                                           spec.bin_width);
      }
    }
    amplitude.timestamps.push_back((static_cast<double>(t) + 0.5) * spec.bin_width);
  }
  amplitude.channels = names;
  out.unit_columns.name = "units";
  for (size_t g = 0; g < G; ++g) out.unit_columns.columns.push_back({names[g], pattern[g]});
  Table table{"planted", {{"start_time", start}, {"stop_time", stop}, {"feature", feature}}};
  out.intervals.push_back({std::move(table), std::move(start), std::move(stop)});
  out.series.push_back(std::move(amplitude));
  out.duration = static_cast<double>(T) * spec.bin_width;
  return out;
}

}  // namespace saed::recordings

#include "server/jobs/first_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "server/base/text.h"
#include "server/jobs/choose.h"
#include "server/jobs/choose_bin.h"
#include "server/jobs/trial_table.h"
#include "server/recordings/split_spec.h"

namespace saed::jobs {
namespace {

using recordings::IntervalTable;
using recordings::Recording;

constexpr int64_t kMostRead = int64_t{1} << 20;  // counts that are looked at for their sign

// In a shell's words.
std::string Quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  });
  if (plain && !text.empty()) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Whether one of a sample of the bins, spread over the recording, has a negative value.
bool HasNegative(const Recording& r) {
  if (!r.counts.present() || r.counts.dtype != DType::kF32 || r.units.empty()) return false;
  const auto units = static_cast<int64_t>(r.units.size());
  const int64_t step = r.counts.bins / std::max<int64_t>(1, kMostRead / units) + 1;
  const auto row_bytes = static_cast<size_t>(units) * sizeof(float);
  std::vector<float> row(r.units.size());
  for (int64_t bin = 0; bin < r.counts.bins; bin += step) {
    std::memcpy(row.data(), r.counts.data() + static_cast<size_t>(bin) * row_bytes, row_bytes);
    if (std::any_of(row.begin(), row.end(), [](float v) { return v < 0; })) return true;
  }
  return false;
}

class Maker {
 public:
  explicit Maker(const Recording& recording)
      : recording_(recording), observed_(ObservedSeconds(recording)) {}

  FirstCommand Make() {
    const TrialTable chosen = UsualTrials(recording_);
    const auto [bin, reason] = ChooseBin(recording_);
    Add(fmt::format("--bin {}", NumberText(bin)));
    Because("--bin: " + reason);
    const size_t units = Label();
    if (Splits(chosen)) {
      Mask(chosen);
      SplitBy(*chosen.table);
    }
    Size(units, bin, chosen);
    Sign();
    return std::move(out_);
  }

 private:
  void Add(const std::string& flag) { out_.flags += (out_.flags.empty() ? "" : " ") + flag; }
  void Because(std::string_view reason) { out_.reasons.emplace_back(reason); }

  // The number of units that are left.
  size_t Label() {
    const auto& units = recording_.units;
    const auto good = static_cast<size_t>(std::count_if(
        units.begin(), units.end(), [](const auto& unit) { return unit.label == "good"; }));
    if (good < 2 || good == units.size()) return units.size();
    Add("--label good");
    Because(fmt::format("--label: {} of {} units are good", good, units.size()));
    return good;
  }

  // Brackets are the flag's own.
  static bool Splits(const TrialTable& chosen) {
    return chosen.table != nullptr && chosen.table->table.name.find('[') == std::string::npos;
  }

  // Time outside trials trains, too, but not where nothing was recorded then.
  void Mask(const TrialTable& chosen) {
    if (!SilentOutside(recording_, *chosen.table)) return;
    const std::string& name = chosen.table->table.name;
    Add("--mask " + Quoted(name));
    Because(fmt::format("--mask: units hardly spike outside {}, as if nothing was recorded there",
                        name));
  }

  void SplitBy(const IntervalTable& table) {
    Add("--split-trials " + Quoted(table.table.name));
    Because(
        fmt::format("--split-trials: a third of {} is held out, whole rows, from all of the "
                    "session{}",
                    table.table.name,
                    SilentOutside(recording_, table) ? "" : "; what lies around them trains, too"));
  }

  // Windows that train are those of the rows that are split, and those outside.
  void Size(size_t units, double bin, const TrialTable& chosen) {
    double trains = 1 - recordings::kHeldOutTime;
    if (Splits(chosen)) {
      const bool masked = SilentOutside(recording_, *chosen.table);
      trains = (masked ? chosen.covered : 1) - chosen.covered * recordings::kHeldOutTrials;
    }
    const auto windows = static_cast<int64_t>(observed_ / bin * trains + 1e-6);
    const int features = FeaturesFor(static_cast<int64_t>(units), windows);
    const int k = ActiveFor(features);
    Add(fmt::format("--features {} --k {}", features, k));
    Because("--features, --k: " + SizeReason(static_cast<int64_t>(units), windows));
  }

  // Signed traces are no counts: the Poisson loss refuses them.
  void Sign() {
    if (!HasNegative(recording_)) return;
    Add("--normaliser zscore --loss mse --output-function identity");
    Because(
        "--normaliser, --loss, --output-function: some values are negative, so these are no "
        "counts");
  }

  const Recording& recording_;
  double observed_;
  FirstCommand out_;
};

}  // namespace

FirstCommand FirstCommandFor(const Recording& recording) { return Maker(recording).Make(); }

}  // namespace saed::jobs

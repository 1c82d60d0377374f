#include "server/features/dictionary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "server/base/status_macros.h"
#include "server/features/describe.h"
#include "server/features/expression.h"
#include "server/features/offsets.h"
#include "server/features/read_out.h"
#include "server/features/unit_baseline.h"
#include "server/features/variable_table.h"
#include "server/sae/ablation.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

constexpr int64_t kBlock = 512;
constexpr double kWideBins = 1;  // s; wider ones are unlikely

struct Sides {
  std::vector<int64_t> starts;  // training windows, then held-out ones
  int64_t train = 0;
  bool in_sample = false;  // the held-out side is the training side

  static Sides Of(const recordings::ViewData& view) {
    Sides out;
    out.starts = view.train;
    out.train = static_cast<int64_t>(view.train.size());
    out.in_sample = !view.train.empty() && view.test == view.train;
    if (!out.in_sample) out.starts.insert(out.starts.end(), view.test.begin(), view.test.end());
    return out;
  }
};

using LabelRows = std::vector<std::vector<uint8_t>>;  // [condition][window]

// Of the last bins of the windows `starts`. Adds to `warnings` which conditions hang on series with
// gaps there.
absl::StatusOr<LabelRows> Labels(const recordings::Recording& recording,
                                 const recordings::ViewData& view,
                                 const std::vector<Condition>& conditions,
                                 const std::vector<int64_t>& starts,
                                 std::vector<std::string>& warnings) {
  LabelRows labels(conditions.size());
  for (size_t c = 0; c < conditions.size(); ++c) {
    SAED_ASSIGN_OR_RETURN(const BinLabels bins,
                          Evaluate(conditions[c].expression, recording, view));
    labels[c].resize(starts.size());
    int64_t unknown = 0;
    for (size_t w = 0; w < starts.size(); ++w) {
      const int64_t bin = starts[w] + view.window - 1;
      labels[c][w] = bins.holds[bin];
      unknown += !bins.known.empty() && !bins.known[bin];
    }
    if (unknown > 0) {
      warnings.push_back(
          fmt::format("condition '{}': the series has no samples in {} of {} "
                      "windows, which count as not holding; a mask or a time range "
                      "would leave them out",
                      conditions[c].name, unknown, starts.size()));
    }
  }
  return labels;
}

// Activations of windows [begin, end), renumbered from 0.
Activations Part(const Activations& all, int64_t begin, int64_t end) {
  Activations out;
  for (const auto& [w, value] : all) {
    if (w >= begin && w < end) out.emplace_back(w - begin, value);
  }
  return out;
}

// Conditions with support in training that also happen in the held-out windows: others could not
// be reported on.
std::vector<bool> Supported(const WindowConditions& train, const Feature& feature) {
  std::vector<bool> out(feature.train.size());
  for (size_t c = 0; c < out.size(); ++c) {
    const Scores& s = feature.train[c];
    out[c] = s.auroc && feature.test[c].auroc &&
             *s.coverage * static_cast<double>(train.positive[c]) >= kMinimumSupport;
  }
  return out;
}

void ChooseBest(const std::vector<bool>& supported, Feature& out) {
  for (size_t c = 0; c < out.train.size(); ++c) {
    if (!supported[c]) continue;
    const Scores& s = out.train[c];
    if (!out.best_condition || *s.auroc > *out.train[*out.best_condition].auroc) {
      out.best_condition = static_cast<int>(c);
    }
  }
}

// The held-out side, for one feature after another.
struct HeldOut {
  const LabelRows& labels;
  NullLabels null;
  int draws;
  std::vector<int64_t> time_blocks;  // for the bootstrap
  const std::vector<int64_t>& starts;
  double bin_width;
  std::vector<std::vector<int64_t>> onsets;  // per condition
};

// First windows of the stretches of one block of the split's column, by last bins; then their
// number.
std::vector<int64_t> SplitBlocks(const recordings::ViewData& view,
                                 const std::vector<int64_t>& starts) {
  std::vector<int64_t> out;
  for (size_t w = 0; w < starts.size() && !view.blocks.empty(); ++w) {
    const auto block = [&](size_t i) { return view.blocks[starts[i] + view.window - 1]; };
    if (w == 0 || block(w) != block(w - 1)) out.push_back(static_cast<int64_t>(w));
  }
  if (out.empty()) out.push_back(0);
  out.push_back(static_cast<int64_t>(starts.size()));
  return out;
}

// The interval of a feature's held-out AUROC for condition c, and its response to the onsets.
void AddInterval(const Activations& active, const HeldOut& side, size_t c, Feature& out) {
  out.certainty[c].interval =
      BootstrapAuroc(active, side.labels[c], side.time_blocks, static_cast<uint64_t>(out.latent));
  if (side.onsets[c].empty()) return;
  out.responses.emplace_back(static_cast<int>(c),
                             PeriEvent(active, side.onsets[c], side.starts, side.bin_width));
}

void AddCertainty(const Activations& active, const HeldOut& side,
                  const std::vector<bool>& supported, Feature& out) {
  const auto stream = static_cast<uint64_t>(out.latent);
  const auto p = side.null.PValues(active, supported, stream, side.draws);
  out.certainty.resize(p.size());
  std::vector<size_t> order;
  for (size_t c = 0; c < p.size(); ++c) {
    out.certainty[c].p = p[c];
    if (supported[c]) order.push_back(c);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return *out.train[a].auroc > *out.train[b].auroc; });
  order.resize(std::min(order.size(), kIntervals));
  for (size_t c : order) AddInterval(active, side, c, out);
}

// q-values over every pair that has a p-value; `member` is what a feature has p and q in.
template <class Pairs>
void Correct(std::vector<Feature>& features, Pairs Feature::*member) {
  std::vector<double> p;
  for (const Feature& f : features) {
    for (const auto& pair : f.*member) {
      if (pair.p) p.push_back(*pair.p);
    }
  }
  const std::vector<double> q = BenjaminiHochberg(p);
  size_t at = 0;
  for (Feature& f : features) {
    for (auto& pair : f.*member) {
      if (pair.p) pair.q = q[at++];
    }
  }
}

// Per condition the feature with the highest training AUROC among those with support, and it.
void ChooseFeatures(const std::vector<std::vector<bool>>& supported, Dictionary& out,
                    std::vector<double>& auroc) {
  out.best_features.assign(out.conditions.size(), std::nullopt);
  auroc.assign(out.conditions.size(), 0);
  for (const Feature& f : out.features) {
    for (size_t c = 0; c < out.conditions.size(); ++c) {
      if (!supported[f.latent][c] || *f.train[c].auroc <= auroc[c]) continue;
      auroc[c] = *f.train[c].auroc;
      out.best_features[c] = f.latent;
    }
  }
}

// What needs the model's target: ablation and spectra.
absl::Status AddReconstruction(const sae::Encoder& encoder, const recordings::ViewData& view,
                               const CountView& target, const std::vector<int64_t>& starts,
                               const Progress& progress, Dictionary& out) {
  SAED_ASSIGN_OR_RETURN(const auto importance,
                        sae::AblationImportance(encoder, view.counts(), target, starts,
                                                [&] { return progress(0.9); }));
  for (Feature& f : out.features) f.importance = importance[f.latent];
  SAED_ASSIGN_OR_RETURN(
      out.spectra, sae::SpectralFidelity(encoder, view.counts(), target, starts, view.bin_width,
                                         [&] { return progress(0.95); }));
  return absl::OkStatus();
}

// Calls sink(window, latent, value) for every activation, windows in order.
template <class Sink>
absl::Status EncodeWindows(const sae::Encoder& encoder, const recordings::ViewData& view,
                           const std::vector<int64_t>& starts, const Progress& progress,
                           const Sink& sink) {
  const auto windows = static_cast<int64_t>(starts.size());
  constexpr int64_t kGroup = 16 * kBlock;
  for (int64_t g = 0; g < windows; g += kGroup) {
    if (!progress(static_cast<double>(g) / static_cast<double>(windows))) {
      return absl::CancelledError("stopped while encoding the recording");
    }
    const int64_t group = std::min(kGroup, windows - g);
    std::vector<sae::Codes<float>> codes(sae::BlockCount(group, kBlock));
    sae::ForBlocks(group, kBlock, [&](int64_t block, int64_t begin, int64_t end) {
      encoder.Encode(view.counts(), sae::Starts(starts).subspan(g + begin, end - begin),
                     sae::DefaultRule(encoder.model().spec), codes[block]);
    });
    for (size_t block = 0; block < codes.size(); ++block) {
      const auto& c = codes[block];
      for (int64_t b = 0; b < c.rows(); ++b) {
        const int64_t w = g + static_cast<int64_t>(block) * kBlock + b;
        for (int64_t e = c.row_begin[b]; e < c.row_begin[b + 1]; ++e) {
          sink(w, c.latent[e], c.value[e]);
        }
      }
    }
  }
  return absl::OkStatus();
}

// The activations of all latents, or only how many there are of each where that is too many.
struct Encoded {
  std::vector<int64_t> entries;
  std::vector<Activations> activations;
  bool whole = true;
};
absl::StatusOr<Encoded> EncodeAll(const sae::Encoder& encoder, const recordings::ViewData& view,
                                  const std::vector<int64_t>& starts, int64_t held,
                                  const Progress& progress) {
  Encoded out;
  out.entries.resize(encoder.model().spec.features());
  out.activations.resize(out.entries.size());
  int64_t total = 0;
  SAED_RETURN_IF_ERROR(
      EncodeWindows(encoder, view, starts, progress, [&](int64_t w, int32_t latent, float value) {
        ++out.entries[latent];
        if (++total <= held) {
          out.activations[latent].emplace_back(w, value);
        } else if (out.whole) {
          out.whole = false;
          out.activations = {};
        }
      }));
  return out;
}

// Neighbouring latents [begin, end) whose activations are at most `held` together, where one alone
// is not more.
std::vector<std::pair<int64_t, int64_t>> Groups(const Encoded& encoded, int64_t held) {
  const auto features = static_cast<int64_t>(encoded.entries.size());
  if (encoded.whole) return {{0, features}};
  std::vector<std::pair<int64_t, int64_t>> out;
  for (int64_t begin = 0; begin < features; begin = out.back().second) {
    int64_t end = begin, total = 0;
    do total += encoded.entries[end++];
    while (end < features && total + encoded.entries[end] <= held);
    out.emplace_back(begin, end);
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<Activations>> Activate(const sae::Encoder& encoder,
                                                  const recordings::ViewData& view,
                                                  const std::vector<int64_t>& starts,
                                                  const Progress& progress,
                                                  const std::vector<bool>& wanted) {
  std::vector<Activations> out(encoder.model().spec.features());
  SAED_RETURN_IF_ERROR(
      EncodeWindows(encoder, view, starts, progress, [&](int64_t w, int32_t latent, float value) {
        if (!wanted.empty() && !wanted[latent]) return;
        out[latent].emplace_back(w, value);
      }));
  return out;
}

absl::StatusOr<Dictionary> BuildDictionary(const sae::Encoder& encoder,
                                           const recordings::Recording& recording,
                                           const recordings::ViewData& view,
                                           const std::optional<CountView>& target,
                                           const std::vector<Condition>& user_conditions,
                                           const Progress& progress, int64_t held) {
  const sae::Model& model = encoder.model();
  Dictionary out;
  const Sides sides = Sides::Of(view);
  const auto windows = static_cast<int64_t>(sides.starts.size());
  out.train_windows = sides.train;
  out.test_windows = sides.in_sample ? sides.train : windows - sides.train;

  out.conditions = user_conditions;
  for (Condition& c : AutomaticConditions(recording, out.warnings)) {
    const bool taken = std::any_of(user_conditions.begin(), user_conditions.end(),
                                   [&](const Condition& u) { return u.name == c.name; });
    if (!taken && out.conditions.size() < kMaxConditions) out.conditions.push_back(std::move(c));
  }
  const std::vector<int64_t> train_starts(sides.starts.begin(), sides.starts.begin() + sides.train);
  const std::vector<int64_t> test_starts(
      sides.in_sample
          ? train_starts
          : std::vector<int64_t>(sides.starts.begin() + sides.train, sides.starts.end()));
  SAED_ASSIGN_OR_RETURN(const LabelRows all_labels,
                        Labels(recording, view, out.conditions, sides.starts, out.warnings));
  const auto part = [&](int64_t begin, int64_t end) {
    LabelRows rows;
    for (const auto& row : all_labels) rows.emplace_back(row.begin() + begin, row.begin() + end);
    return rows;
  };
  const LabelRows train_labels = part(0, sides.train);
  const LabelRows test_labels = sides.in_sample ? train_labels : part(sides.train, windows);
  const WindowConditions train = ByWindow(train_labels, sides.train);
  const WindowConditions test = ByWindow(test_labels, out.test_windows);
  out.train_positive = train.positive;
  out.test_positive = test.positive;
  if (view.bin_width > kWideBins) {
    out.warnings.push_back(fmt::format(
        "bins are {} s wide; is the width in milliseconds instead of seconds?", view.bin_width));
  }
  for (size_t c = 0; c < user_conditions.size(); ++c) {
    for (const std::string& line : LongOffsets(out.conditions[c].expression, recording)) {
      out.warnings.push_back(fmt::format("condition '{}': {}", out.conditions[c].name, line));
    }
    for (const auto& [side, positive, all] :
         {std::tuple("training", train.positive[c], out.train_windows),
          std::tuple("held-out", test.positive[c], out.test_windows)}) {
      if (positive > 0 && positive < all) continue;
      out.warnings.push_back(fmt::format(
          "condition '{}' holds in {} of the {} windows, so there are no scores on that side; "
          "choose another split, for instance by a column",
          out.conditions[c].name, positive == 0 ? "none" : "all", side));
    }
  }
  for (const auto& best : BestUnits(view, train_starts, train, test_starts, test)) {
    out.best_units.emplace_back();
    if (!best) continue;
    out.best_units.back() = Dictionary::BestUnit{recording.units[view.units[best->unit]].id,
                                                 best->train_auroc, best->test_auroc};
  }
  SAED_ASSIGN_OR_RETURN(Encoded encoded, EncodeAll(encoder, view, sides.starts, held,
                                                   [&](double f) { return progress(0.4 * f); }));
  const int64_t entries =
      std::accumulate(encoded.entries.begin(), encoded.entries.end(), int64_t{0});
  const auto groups = Groups(encoded, held);
  const std::vector<int64_t> split_blocks = SplitBlocks(view, test_starts);
  HeldOut held_out{test_labels,
                   NullLabels(test_labels, out.test_windows, split_blocks),
                   AffordableDraws(entries, static_cast<int64_t>(out.conditions.size())),
                   TimeBlocks(test_starts),
                   test_starts,
                   view.bin_width,
                   {}};
  for (const auto& label : test_labels) held_out.onsets.push_back(Onsets(label, test_starts));
  const VariableTable variables(AutomaticVariables(recording, view, sides.starts, out.warnings),
                                recording, view, sides.starts, sides.train, sides.in_sample,
                                split_blocks);
  out.variables = variables.summaries();
  const auto features = static_cast<int64_t>(encoded.entries.size());
  out.features.resize(features);
  std::vector<std::vector<bool>> supported(features);
  // Of the group in hand.
  std::vector<Activations> activations = std::move(encoded.activations);
  const auto at = [&](int64_t latent) {
    return progress(0.4 + 0.4 * static_cast<double>(latent) / static_cast<double>(features));
  };
  constexpr int64_t kAtOnce = 64;
  const auto describe = [&](int64_t g, int64_t end) {
    sae::ForBlocks(std::min(kAtOnce, end - g), 1, [&](int64_t, int64_t i, int64_t) {
      const int64_t j = g + i;
      Feature& f = out.features[j];
      f.latent = static_cast<int>(j);
      const Activations& active = activations[j];
      Describe(model, recording, view, sides.starts, active, f);
      const Activations on_train = Part(active, 0, sides.train);
      const Activations on_test = sides.in_sample ? on_train : Part(active, sides.train, windows);
      f.train = Score(on_train, train);
      f.test = Score(on_test, test);
      supported[j] = Supported(train, f);
      ChooseBest(supported[j], f);
      AddCertainty(on_test, held_out, supported[j], f);
      f.variables = variables.Score(on_train, on_test, static_cast<uint64_t>(j));
    });
  };
  for (const auto& group : groups) {
    const int64_t begin = group.first;
    const int64_t end = group.second;
    if (!encoded.whole) {
      std::vector<bool> wanted(features);
      std::fill(wanted.begin() + begin, wanted.begin() + end, true);
      SAED_ASSIGN_OR_RETURN(
          activations, Activate(
                           encoder, view, sides.starts, [&](double) { return at(begin); }, wanted));
    }
    for (int64_t g = begin; g < end; g += kAtOnce) {
      if (!at(g)) return absl::CancelledError("stopped while building the dictionary");
      describe(g, end);
    }
  }
  Correct(out.features, &Feature::certainty);
  Correct(out.features, &Feature::variables);
  std::vector<double> best_auroc;
  ChooseFeatures(supported, out, best_auroc);
  // A condition's feature has its interval even where other conditions suit that feature better.
  std::vector<size_t> lacking;
  std::vector<bool> wanted(features);
  for (size_t c = 0; c < out.conditions.size(); ++c) {
    if (!out.best_features[c]) continue;
    const Feature& f = out.features[*out.best_features[c]];
    const bool done = std::any_of(f.responses.begin(), f.responses.end(),
                                  [&](const auto& r) { return r.first == static_cast<int>(c); });
    if (f.certainty[c].interval || done) continue;
    lacking.push_back(c);
    wanted[f.latent] = true;
  }
  if (!encoded.whole && !lacking.empty()) {
    SAED_ASSIGN_OR_RETURN(activations, Activate(
                                           encoder, view, sides.starts,
                                           [&](double) { return at(features); }, wanted));
  }
  for (size_t c : lacking) {
    Feature& f = out.features[*out.best_features[c]];
    const Activations& active = activations[f.latent];
    AddInterval(sides.in_sample ? active : Part(active, sides.train, windows), held_out, c, f);
  }
  activations = {};
  SAED_ASSIGN_OR_RETURN(
      out.probes, ReadOut(encoder, view, sides.starts, sides.train, sides.in_sample, all_labels,
                          out.best_features, best_auroc, user_conditions.size(),
                          [&](double) { return progress(0.8); }));
  if (target && !test_starts.empty()) {
    SAED_RETURN_IF_ERROR(AddReconstruction(encoder, view, *target, test_starts, progress, out));
  }
  return out;
}

}  // namespace saed::features

// From a model and a recording to a dictionary: what every latent does, what it stands for, and
// which units and bins it comes from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/features/activate.h"
#include "server/features/association.h"
#include "server/features/baselines.h"
#include "server/features/certainty.h"
#include "server/features/conditions.h"
#include "server/features/feature_sets.h"
#include "server/features/judge.h"
#include "server/features/places.h"
#include "server/features/precedent.h"
#include "server/features/response.h"
#include "server/features/variable_table.h"
#include "server/recordings/recording.h"
#include "server/recordings/view.h"
#include "server/sae/model.h"
#include "server/sae/spectrum.h"

namespace saed::features {

struct TopUnit {
  int64_t unit_id = 0;
  double drive = 0;  // sum over bins of the trace-back map, in pre-activation units
  double share = 0;  // drive ÷ sum over units of |drive|
};

struct Exemplar {
  enum class Kind { kTop, kMiddle, kRandom };
  Kind kind = Kind::kTop;
  double start_time = 0;  // s, of the window's first bin
  float activation = 0;
};

// How sure the judged held-out AUROC of a pair with support is (see kMinimumSupport).
struct Certainty {
  // See NullLabels; of at most kShifts draws for pairs with an interval, of kFewerShifts for
  // others. q after correction over all pairs with p of the conditions that somebody asked for, or
  // of those of one table, conditions first (FamilyQValues).
  std::optional<double> p, q;
  std::optional<Interval> interval;  // of the conditions that stand out in training
};

// For each feature the intervals of this many conditions, by training AUROC. The best feature of a
// condition has that condition's too.
inline constexpr size_t kIntervals = 5;

struct Feature {
  int latent = 0;
  double density = 0;          // fraction of all windows in which it is active
  double mean_activation = 0;  // over active windows
  double max_activation = 0;
  int64_t active_windows = 0;
  // [S, N]: mean over active windows of gradient × input, W_e[j,s,n]·x[s,n] for linear encoders.
  std::vector<float> trace_map;
  std::vector<TopUnit> top_units;  // largest drive first, at most 10
  std::vector<Exemplar> exemplars;
  std::vector<Scores> train, test;   // of its code, per condition
  std::vector<Judged> judged;        // per condition
  std::vector<Certainty> certainty;  // per condition, of the judged AUROC
  // The units that make it tell a condition, largest drive first, at most kDrivers; for the pairs
  // that have an interval. See Contrasts.
  std::vector<std::vector<TopUnit>> drivers;
  std::optional<int> best_condition;  // highest judged training AUROC with support
  // What judges the pair, held out, around the onsets of the kIntervals conditions with the highest
  // judged training AUROC; where the condition lowers it, of its negative.
  std::vector<std::pair<int, Response>> responses;
  std::vector<VariableScores> variables;  // per variable
  std::vector<PlaceScores> places;        // per map
  // See sae::AblationImportance, on held-out windows.
  std::optional<double> importance;
};

// How well a condition is read from held-out windows (see Probe).
struct Probes {
  std::optional<double> one, all, counts;  // balanced accuracy from the condition's feature, from
                                           // all latents, from all counts of the window
};

// What features reach for labels that mean nothing: those of a family's conditions, dealt anew (see
// NullLabels) over the trials of both sides of the split together.
struct NegativeControl {
  std::string family;  // see Condition
  int labels = 0;
  // Over labels, of the held-out AUROC of each one's best feature, chosen as that of a condition.
  std::optional<double> mean_auroc, highest_auroc;
  int64_t pairs = 0, called = 0;  // of features and labels with a q; with q < 0.05
};

struct Dictionary {
  std::vector<Condition> conditions;
  // Windows per condition in which it holds, and of which it asks.
  std::vector<int64_t> train_positive, test_positive, train_asked, test_asked;
  int64_t train_windows = 0, test_windows = 0;
  // Per condition the single unit with the highest training AUROC, of its count or its negative.
  struct BestUnit {
    int64_t unit_id = 0;
    bool falls = false;
    double train_auroc = 0;
    std::optional<double> test_auroc;
  };
  std::vector<std::optional<BestUnit>> best_units;
  // Per condition the feature with the highest judged training AUROC among those with support; one
  // that falls only where it is kFallingMargin above all that rise.
  std::vector<std::optional<int>> best_features;
  std::vector<Judged> random;  // per condition; see RandomControl
  // Per condition its best feature's held-out AUROC less the best unit's.
  std::vector<std::optional<Margin>> margins;
  std::vector<FeatureSet> sets;      // per condition; empty but for kSetConditions
  std::vector<Probes> probes;        // per condition; see kProbedConditions
  std::vector<Baselines> baselines;  // per condition
  std::vector<VariableSummary> variables;
  std::vector<PlaceSummary> places;
  std::optional<sae::Spectra> spectra;    // of held-out windows
  std::vector<NegativeControl> controls;  // of each family that has a condition; none in sample
  std::vector<Feature> features;
  std::vector<std::string> warnings;
};

// A pair may become a feature's best condition only where the condition holds in at least this many
// training windows (below it an AUROC is luck) and also happens in held-out ones, and the feature
// is active in as many training windows; where its code judges it, in as many in which the
// condition holds.
inline constexpr double kMinimumSupport = 20;
// Events (events.h) of the training side are counted too: the condition must hold in kFewestEvents
// and hold not in as many, each with as many windows as above. A feature that its code judges must
// be active in kSupportEvents of those in which it holds, or in half where there are fewer than
// twice as many, and in kSupportShare of them.
inline constexpr int64_t kFewestEvents = 5, kSupportEvents = 20;
inline constexpr double kSupportShare = 0.05;

inline constexpr size_t kDrivers = 5;

// Where one that rises does nearly as well, it is the one that stands for a condition.
inline constexpr double kFallingMargin = 0.02;

// Probes are fitted for so many conditions: those of the user, then by their feature's training
// AUROC. From at most so many training windows, evenly spaced (of ten stretches one validates), and
// as many held-out ones.
inline constexpr size_t kProbedConditions = 12;
inline constexpr int64_t kProbeWindows = 10000;

// Activations that are held at once while a dictionary is built. Of more, latents are taken in
// groups, and the recording is encoded again for each.
inline constexpr int64_t kHeldActivations = int64_t{1} << 26;

// Bytes that a thread takes while a dictionary of the view is built, beside what all share.
int64_t BytesPerThread(const recordings::ViewData& view);

// A window's label is that of its last bin (lag 0). `target`: the counts that the model
// reconstructs, on the same bins; absent where they are not known, and then so are importance and
// spectra. Works in the caller's TBB arena; the result is the same for any number of threads.
// CANCELLED where progress says stop. `columns`: what makes automatic conditions beside those of
// the user. `held`: see kHeldActivations; the result does not depend on it. `precedent`: for a view
// without training windows, what stands for conditions there (precedent.h); null: nothing does.
absl::StatusOr<Dictionary> BuildDictionary(
    const sae::Encoder& encoder, const recordings::Recording& recording,
    const recordings::ViewData& view, const std::optional<CountView>& target,
    const std::vector<Condition>& user_conditions, const ConditionColumns& columns,
    const Progress& progress, int64_t held = kHeldActivations,
    const Precedent* precedent = nullptr);

}  // namespace saed::features

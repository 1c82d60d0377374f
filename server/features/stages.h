// The stages in which a dictionary is built, in their order. Each fills in what the next ones of
// the draft need. All work in the caller's TBB arena and give the same for any number of threads;
// CANCELLED where progress says stop.
#pragma once

#include <functional>
#include <span>

#include "absl/status/status.h"
#include "server/features/draft.h"

namespace saed::features {

inline constexpr double kCalled = 0.05;  // q below which a pair is usually called

// The parts of progress that stages take, in order, by how long they usually last: each ends at its
// number.
inline constexpr double kEncoded = 0.1, kDescribed = 0.15, kJudged = 0.35, kCertified = 0.5,
                        kControlled = 0.6, kValued = 0.65, kSetsFound = 0.75, kBaselined = 0.85,
                        kProbed = 0.95, kAblated = 0.98;

// Progress of a part of the whole, which must outlive it.
inline Progress Within(const Progress& progress, double from, double to) {
  return [&progress, from, to](double fraction) { return progress(from + (to - from) * fraction); };
}

inline constexpr int64_t kLatentsAtOnce = 64;

// What conditions and the labels of negative controls say of windows, and how those are rearranged.
absl::Status LabelWindows(Draft& d);
// About the bins and the users' conditions.
void Warn(Draft& d);
// The best single unit of each condition.
void ScoreUnits(Draft& d);
// What latents are and how their codes go with conditions, variables and places.
absl::Status DescribeFeatures(Draft& d);
// By what each pair of latent and label is judged, chosen on training windows.
absl::Status JudgeFeatures(Draft& d);
// The best condition of every feature, and the best feature of every label.
void ChooseBest(Draft& d);
// The units that make a feature tell its conditions.
void TraceBack(Draft& d);
// How sure the judged held-out scores are. The last stage that needs all activations.
absl::Status Certify(Draft& d);
// What random rows reach.
absl::Status ScoreRandomRows(Draft& d);
// What features reached for labels that mean nothing; then only conditions are left.
void SumUpControls(Draft& d);
// What best features are worth beside units, and the sets.
absl::Status CompareWithUnits(Draft& d);
// Methods that learn on the training side themselves: components, logistic regression, probes.
absl::Status CompareWithPlainMethods(Draft& d);
// What needs the model's target: ablation and spectra.
absl::Status AddReconstruction(Draft& d);

// Calls use(first, activations over all windows) for groups of at most `most` encoded latents,
// first, first + 1, …
absl::Status ForGroups(
    Draft& d, int64_t most, const Progress& progress,
    const std::function<absl::Status(int64_t first, std::span<const Activations>)>& use);
// Calls use(latent, activations over all windows) for every encoded latent, several at once.
absl::Status ForLatents(Draft& d, const Progress& progress,
                        const std::function<void(int64_t, const Activations&)>& use);

}  // namespace saed::features

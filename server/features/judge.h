// By what a latent is judged against a condition: its code is mostly zero, and zeros are ties;
// evidence (server/sae/evidence.h) is graded in every window. Which kind, and its sign, is chosen
// on training windows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/features/activate.h"
#include "server/features/association.h"
#include "server/sae/codes.h"
#include "server/sae/evidence.h"
#include "server/sae/model.h"

namespace saed::features {

// One latent and one condition.
struct Judged {
  std::optional<sae::EvidenceKind> kind;  // none: by the code
  bool falls = false;                     // the condition lowers it: AUROCs are of its negative
  std::optional<double> train_auroc, test_auroc;
};

// Codes of windows, so many after another as are scored at once.
using EncodedWindows = std::vector<sae::Codes<float>>;

// Evidence of latents of one model over windows of one view.
class EvidenceColumns {
 public:
  // `input`: raw counts that the model encodes; `target`: those it reconstructs, on the same bins.
  // The encoder and the counts must outlive the columns.
  EvidenceColumns(const sae::Encoder& encoder, const CountView& input, const CountView& target)
      : encoder_(encoder), input_(input), target_(target) {}

  // Those that the model has.
  std::vector<sae::EvidenceKind> Kinds() const;

  // Of each of the latents an entry for every window of `starts`. Works in the caller's TBB arena;
  // the same for any number of threads. CANCELLED where progress says stop.
  absl::StatusOr<std::vector<Activations>> Of(sae::EvidenceKind kind,
                                              const std::vector<int32_t>& latents,
                                              const std::vector<int64_t>& starts,
                                              const Progress& progress) const;
  // The same of several kinds at once, [wanted][latent]: the windows are encoded once for all.
  struct Wanted {
    sae::EvidenceKind kind;
    std::vector<int32_t> latents;
  };
  absl::StatusOr<std::vector<std::vector<Activations>>> Of(const std::vector<Wanted>& wanted,
                                                           const std::vector<int64_t>& starts,
                                                           const Progress& progress,
                                                           const EncodedWindows& codes = {}) const;

  // Codes of the windows of `starts`, for several calls of the above; none where they have more
  // than `most` entries.
  absl::StatusOr<EncodedWindows> Encode(const std::vector<int64_t>& starts, int64_t most,
                                        const Progress& progress) const;

 private:
  const sae::Encoder& encoder_;
  CountView input_, target_;
};

// Turned around, with an entry for each of the `windows`: what was smallest is largest.
Activations Negated(const Activations& activations, int64_t windows);

// `out`: by its code, in the direction that its AUROC on training windows has.
void JudgeByCode(const std::vector<Scores>& train, std::vector<Judged>& out);

// One kind of evidence of a latent in some windows.
struct EvidenceOfKind {
  sae::EvidenceKind kind;
  const Activations* column;
  const Ordered* ordered;
};
// Called with all evidence that a latent has in training windows, for latents side by side.
using AlsoJudge = std::function<void(int32_t latent, const std::vector<EvidenceOfKind>&)>;

// Where a kind of evidence has a higher AUROC in the training windows `starts` than what judges the
// latent so far, it takes its place; the first among equals stays. out[latent][condition]. At most
// `held` values are in memory at once, or those of one latent, beside as many of codes. `also` sees
// every column too.
absl::Status JudgeByEvidence(const EvidenceColumns& columns,
                             const std::vector<sae::EvidenceKind>& kinds,
                             const std::vector<int32_t>& latents,
                             const std::vector<int64_t>& starts, const WindowConditions& train,
                             int64_t held, const Progress& progress,
                             std::vector<std::vector<Judged>>& out, const AlsoJudge& also = {});

// Calls use(latents, columns) for groups of the latents, each as large as `held` values allow.
absl::Status ForColumns(
    const EvidenceColumns& columns, sae::EvidenceKind kind, const std::vector<int32_t>& latents,
    const std::vector<int64_t>& starts, int64_t held, const Progress& progress,
    const std::function<void(const std::vector<int32_t>&, const std::vector<Activations>&)>& use);

}  // namespace saed::features

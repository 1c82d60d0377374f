#include "server/base/status_macros.h"
#include "server/features/stages.h"
#include "server/sae/ablation.h"

namespace saed::features {

absl::Status AddReconstruction(Draft& d) {
  if (!d.target || d.test_starts.empty()) return absl::OkStatus();
  const CountView counts = d.view.counts();
  SAED_ASSIGN_OR_RETURN(const auto importance,
                        sae::AblationImportance(d.encoder, counts, *d.target, d.test_starts,
                                                [&] { return d.progress(kProbed); }));
  for (Feature& f : d.out.features) f.importance = importance[f.latent];
  SAED_ASSIGN_OR_RETURN(
      d.out.spectra, sae::SpectralFidelity(d.encoder, counts, *d.target, d.test_starts,
                                           d.view.bin_width, [&] { return d.progress(kAblated); }));
  return absl::OkStatus();
}

}  // namespace saed::features

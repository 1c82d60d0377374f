#include "server/jobs/activations.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/features/dictionary.h"
#include "server/jobs/model_view.h"
#include "server/jobs/submit.h"

namespace saed::jobs {

absl::Status StreamActivations(const Stores& stores, const inference::LoadedModel& model,
                               const storage::DictionaryRow& dictionary, int latent,
                               std::optional<sae::EvidenceKind> kind, const ActivationSink& sink) {
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(stores, dictionary.recording_id));
  SAED_ASSIGN_OR_RETURN(
      const auto view, ViewFor(stores, model.row, model.model, recording, dictionary.recording_id));
  std::vector<int64_t> starts = view.train;
  if (view.test != view.train) starts.insert(starts.end(), view.test.begin(), view.test.end());
  std::sort(starts.begin(), starts.end());
  std::vector<int32_t> latents(latent == kAllLatents ? model.model.spec.features() : 1, latent);
  if (latent == kAllLatents) std::iota(latents.begin(), latents.end(), 0);
  // Evidence has a value for every window and latent.
  constexpr size_t kBlock = 8192, kValues = size_t{1} << 20;
  const size_t size = kind ? std::clamp(kValues / latents.size(), size_t{1}, kBlock) : kBlock;
  const features::EvidenceColumns columns(*model.encoder, view.counts(), view.counts());
  const features::Progress go_on = [](double) { return StillWanted().ok(); };
  for (size_t begin = 0; begin < starts.size(); begin += size) {
    SAED_RETURN_IF_ERROR(StillWanted());
    const std::vector<int64_t> block(
        starts.begin() + static_cast<std::ptrdiff_t>(begin),
        starts.begin() + static_cast<std::ptrdiff_t>(std::min(starts.size(), begin + size)));
    std::vector<features::Activations> values;
    if (kind) {
      SAED_ASSIGN_OR_RETURN(values, columns.Of(*kind, latents, block, go_on));
    } else {
      SAED_ASSIGN_OR_RETURN(auto all, features::Activate(*model.encoder, view, block, go_on));
      for (const int32_t j : latents) values.push_back(std::move(all[j]));
    }
    std::vector<std::tuple<int64_t, int, float>> entries;
    for (size_t l = 0; l < latents.size(); ++l) {
      for (const auto& [w, value] : values[l]) entries.emplace_back(w, latents[l], value);
    }
    std::sort(entries.begin(), entries.end());
    std::vector<double> times;
    std::vector<int> of;
    std::vector<float> sent;
    for (const auto& [w, j, value] : entries) {
      times.push_back(view.bin_start(block[w]));
      of.push_back(j);
      sent.push_back(value);
    }
    if (!times.empty() && !sink(times, of, sent))
      return absl::CancelledError("the client went away");
  }
  return absl::OkStatus();
}

}  // namespace saed::jobs

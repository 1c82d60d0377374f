#include "server/jobs/activations.h"

#include <algorithm>
#include <tuple>

#include "server/base/status_macros.h"
#include "server/features/dictionary.h"
#include "server/jobs/model_view.h"
#include "server/jobs/submit.h"

namespace saed::jobs {

absl::Status StreamActivations(const Stores& stores, const inference::LoadedModel& model,
                               const storage::DictionaryRow& dictionary, int latent,
                               const ActivationSink& sink) {
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(stores, dictionary.recording_id));
  SAED_ASSIGN_OR_RETURN(
      const auto view, ViewFor(stores, model.row, model.model, recording, dictionary.recording_id));
  std::vector<int64_t> starts = view.train;
  if (view.test != view.train) starts.insert(starts.end(), view.test.begin(), view.test.end());
  std::sort(starts.begin(), starts.end());
  constexpr size_t kBlock = 8192;
  for (size_t begin = 0; begin < starts.size(); begin += kBlock) {
    const std::vector<int64_t> block(
        starts.begin() + static_cast<std::ptrdiff_t>(begin),
        starts.begin() + static_cast<std::ptrdiff_t>(std::min(starts.size(), begin + kBlock)));
    SAED_ASSIGN_OR_RETURN(const auto activations, features::Activate(*model.encoder, view, block,
                                                                     [](double) { return true; }));
    std::vector<std::tuple<int64_t, int, float>> entries;
    for (int j = 0; j < static_cast<int>(activations.size()); ++j) {
      if (latent != kAllLatents && latent != j) continue;
      for (const auto& [w, value] : activations[j]) entries.emplace_back(w, j, value);
    }
    std::sort(entries.begin(), entries.end());
    std::vector<double> times;
    std::vector<int> latents;
    std::vector<float> values;
    for (const auto& [w, j, value] : entries) {
      times.push_back(view.bin_start(block[w]));
      latents.push_back(j);
      values.push_back(value);
    }
    if (!times.empty() && !sink(times, latents, values))
      return absl::CancelledError("the client went away");
  }
  return absl::OkStatus();
}

}  // namespace saed::jobs

#include "server/jobs/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/features/dictionary.h"
#include "server/jobs/library.h"
#include "server/jobs/model_view.h"
#include "server/jobs/submit.h"

namespace saed::jobs {
namespace {

using features::Activations;
using features::LikenessMatrix;
using LoadedModel = std::shared_ptr<const inference::LoadedModel>;

template <class T>
std::vector<T> Rows(const std::vector<T>& all, int width, const std::vector<int>& rows) {
  std::vector<T> out;
  out.reserve(rows.size() * width);
  for (int r : rows) {
    const auto begin = all.begin() + static_cast<int64_t>(r) * width;
    out.insert(out.end(), begin, begin + width);
  }
  return out;
}

absl::StatusOr<LikenessMatrix> ByDecoder(const LoadedModel& a, const std::vector<int>& rows,
                                         const LoadedModel& b, const std::vector<int>& columns) {
  const bool same = a->model.S == b->model.S && a->model.outputs() == b->model.outputs() &&
                    (a->model.paired() || b->model.paired() || a->unit_ids == b->unit_ids);
  if (!same) {
    return InvalidField("others",
                        "have other units or windows, so decoder patterns cannot be "
                        "compared; use LIKENESS_ACTIVATION on the same recording or "
                        "LIKENESS_TUNING across recordings");
  }
  const int width = a->model.outputs();
  return features::Cosines(Rows(a->model.parameters.decoder, width, rows),
                           Rows(b->model.parameters.decoder, width, columns), width);
}

// All windows of a view by their last bin, ascending.
std::vector<std::pair<int64_t, int64_t>> LastBins(const recordings::ViewData& view) {
  std::vector<std::pair<int64_t, int64_t>> out;
  for (const auto* side : {&view.train, &view.test}) {
    for (int64_t start : *side) out.emplace_back(start + view.window - 1, start);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

absl::StatusOr<LikenessMatrix> ByActivation(const Stores& stores, const std::string& recording_id,
                                            const LoadedModel& a, const std::vector<int>& rows,
                                            const LoadedModel& b, const std::vector<int>& columns) {
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(stores, recording_id));
  SAED_ASSIGN_OR_RETURN(const auto view_a,
                        ViewFor(stores, a->row, a->model, recording, recording_id));
  SAED_ASSIGN_OR_RETURN(const auto view_b,
                        ViewFor(stores, b->row, b->model, recording, recording_id));
  if (view_a.bin_width != view_b.bin_width || view_a.start_time != view_b.start_time) {
    return InvalidField("others", fmt::format("have bins of {} s from {} s, this one of {} s from "
                                              "{} s; activations can be compared on the same bins "
                                              "only",
                                              view_b.bin_width, view_b.start_time, view_a.bin_width,
                                              view_a.start_time));
  }
  // Windows with the same last bin.
  const auto of_a = LastBins(view_a), of_b = LastBins(view_b);
  std::vector<int64_t> starts_a, starts_b;
  for (size_t i = 0, j = 0; i < of_a.size() && j < of_b.size();) {
    if (of_a[i].first == of_b[j].first) {
      starts_a.push_back(of_a[i++].second);
      starts_b.push_back(of_b[j++].second);
    } else {
      ++(of_a[i].first < of_b[j].first ? i : j);
    }
  }
  const auto all = static_cast<int64_t>(starts_a.size()), used = std::min(all, kComparedWindows);
  for (auto* starts : {&starts_a, &starts_b}) {
    for (int64_t i = 0; i < used; ++i) (*starts)[i] = (*starts)[i * all / used];
    starts->resize(used);
  }
  const auto encode =
      [&](const LoadedModel& model, const recordings::ViewData& view,
          const std::vector<int64_t>& starts,
          const std::vector<int>& latents) -> absl::StatusOr<std::vector<Activations>> {
    SAED_ASSIGN_OR_RETURN(auto codes, features::Activate(*model->encoder, view, starts, [](double) {
                            return StillWanted().ok();
                          }));
    std::vector<Activations> out;
    out.reserve(latents.size());
    for (int j : latents) out.push_back(codes[j]);
    return out;
  };
  SAED_ASSIGN_OR_RETURN(const auto codes_a, encode(a, view_a, starts_a, rows));
  SAED_ASSIGN_OR_RETURN(const auto codes_b, encode(b, view_b, starts_b, columns));
  return features::Correlations(codes_a, codes_b, used);
}

// [latents, shared conditions] held-out AUROC; NaN: none.
absl::StatusOr<std::vector<double>> Aurocs(const Stores& stores, const std::string& id,
                                           const std::vector<int>& latents,
                                           const std::map<std::string, int>& shared) {
  SAED_ASSIGN_OR_RETURN(const auto conditions, stores.dictionaries.Conditions(id));
  const auto width = static_cast<int64_t>(shared.size());
  std::vector<double> out(latents.size() * width, std::numeric_limits<double>::quiet_NaN());
  std::map<int, int64_t> row;
  for (size_t i = 0; i < latents.size(); ++i) row[latents[i]] = static_cast<int64_t>(i);
  for (const auto& c : conditions) {
    const auto at = shared.find(c.name);
    if (at == shared.end()) continue;
    SAED_ASSIGN_OR_RETURN(const auto scores, stores.dictionaries.TestAurocs(id, c.position));
    for (const auto& [latent, auroc] : scores) {
      const auto r = row.find(latent);
      if (r != row.end()) out[r->second * width + at->second] = auroc;
    }
  }
  return out;
}

absl::StatusOr<LikenessMatrix> ByTuning(const Stores& stores, const std::string& a,
                                        const std::vector<int>& rows, const std::string& b,
                                        const std::vector<int>& columns) {
  SAED_ASSIGN_OR_RETURN(const auto of_a, stores.dictionaries.Conditions(a));
  SAED_ASSIGN_OR_RETURN(const auto of_b, stores.dictionaries.Conditions(b));
  std::map<std::string, int> shared;
  for (const auto& c : of_a) {
    const bool both = std::any_of(of_b.begin(), of_b.end(),
                                  [&](const auto& other) { return other.name == c.name; });
    if (both) shared.emplace(c.name, static_cast<int>(shared.size()));
  }
  if (static_cast<int>(shared.size()) < kSharedConditions) {
    return InvalidField("others", fmt::format("share {} conditions with it; likeness by tuning "
                                              "needs {}: analyse both with conditions of the same "
                                              "names",
                                              shared.size(), kSharedConditions));
  }
  SAED_ASSIGN_OR_RETURN(const auto x, Aurocs(stores, a, rows, shared));
  SAED_ASSIGN_OR_RETURN(const auto y, Aurocs(stores, b, columns, shared));
  return features::RowCorrelations(x, y, static_cast<int>(shared.size()), kSharedConditions);
}

}  // namespace

absl::StatusOr<LikenessMatrix> Compare(const Stores& stores, inference::Engine& engine,
                                       const storage::DictionaryRow& a,
                                       const std::vector<int>& rows,
                                       const storage::DictionaryRow& b,
                                       const std::vector<int>& columns, Likeness likeness) {
  if (likeness == Likeness::kTuning) return ByTuning(stores, a.id, rows, b.id, columns);
  SAED_ASSIGN_OR_RETURN(const auto model_a, engine.Get(a.model_id));
  SAED_ASSIGN_OR_RETURN(const auto model_b, engine.Get(b.model_id));
  return likeness == Likeness::kDecoder
             ? ByDecoder(model_a, rows, model_b, columns)
             : ByActivation(stores, a.recording_id, model_a, rows, model_b, columns);
}

}  // namespace saed::jobs

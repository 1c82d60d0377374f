#include "server/rpc/check_cost.h"

#include <algorithm>
#include <string>

namespace saed::rpc {
namespace {

// The stored bytes, what is read from them, the counts [bins, units], and for every bin its
// windows, the split and what conditions say of it.
int64_t Cost(const jobs::Stores& stores, const std::string& recording, double bin_width) {
  const auto row = stores.recordings.Get(recording);
  if (!row.ok()) return 0;
  constexpr double kPerBin = 64, kMost = 1e15;
  const double bins = bin_width > 0 ? row->duration / bin_width : 0;
  const double counts = bins * (static_cast<double>(row->unit_count) + kPerBin);
  return 2 * row->bytes + static_cast<int64_t>(std::clamp(counts, 0.0, kMost));
}

}  // namespace

int64_t CheckCost(const jobs::Stores& stores, const jobs::TrainSpec& spec) {
  const int64_t input = Cost(stores, spec.recording_id, spec.view.bin_width);
  if (!spec.target || spec.target->recording_id.empty()) return input;
  return input + Cost(stores, spec.target->recording_id, spec.view.bin_width);
}

int64_t CheckCost(const jobs::Stores& stores, const jobs::AnalyseSpec& spec) {
  const auto model = stores.models.Get(spec.model_id);
  if (!model.ok()) return 0;
  const auto trained = jobs::ParseTrainSpec(model->spec);
  return trained.ok() ? Cost(stores, spec.recording_id, trained->view.bin_width) : 0;
}

}  // namespace saed::rpc

#include "server/jobs/import_model.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/inference/model_record.h"
#include "server/inference/spec_json.h"
#include "server/jobs/choose_split.h"
#include "server/jobs/spec.h"
#include "server/jobs/submit.h"
#include "server/sae/evaluate.h"
#include "server/sae/evidence.h"
#include "storage/objects.h"

namespace saed::jobs {

absl::StatusOr<ImportedModel> ImportModel(const Stores& stores, const Clock& clock,
                                          const ModelImport& spec,
                                          const std::string& code_version) {
  SAED_ASSIGN_OR_RETURN(const auto recording_row, stores.recordings.Get(spec.recording_id));
  SAED_ASSIGN_OR_RETURN(const auto recording, LoadRecording(stores, spec.recording_id));
  SAED_RETURN_IF_ERROR(StillWanted());
  Faults faults;
  TrainSpec train;
  train.view = spec.view;
  std::string split;
  const auto view = ChooseSplit(
      recording, train.view, [&] { return recordings::BuildView(recording, train.view); },
      [](const recordings::ViewData&) { return StillWanted(); }, split);
  SAED_RETURN_IF_ERROR(StillWanted());
  faults.Merge(view.status(), "view");
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  const int units = static_cast<int>(view->units.size());
  sae::Model model;
  ImportedModel imported;
  if (spec.sae_lens) {
    SAED_ASSIGN_OR_RETURN(
        model, inference::FromSaeLens(spec.files, view->window, units, imported.warnings));
    model.normaliser = {view->offset, view->scale};
  } else {
    if (spec.files.size() != 1) {
      return InvalidField("file", fmt::format("was sent {} times; the plain format is one "
                                              "safetensors file",
                                              spec.files.size()));
    }
    const auto& [name, bytes] = *spec.files.begin();
    SAED_ASSIGN_OR_RETURN(
        model, inference::FromPlain(name, bytes, view->window, units, imported.warnings));
    if (model.paired()) {
      return InvalidField(name, "predicts a paired population, which an import cannot name");
    }
  }
  SAED_RETURN_IF_ERROR(StillWanted());
  if (model.training.empty()) {
    model.training =
        sae::MeasureTarget(view->counts(), model.normaliser, view->train, view->window);
  }
  SAED_RETURN_IF_ERROR(StillWanted());
  const sae::Encoder encoder(model);
  const auto mean =
      sae::MeanTarget(view->counts(), model.normaliser, view->scored_train(), view->window);
  const auto evaluated = sae::EvaluateModel(encoder, view->counts(), view->counts(), view->test,
                                            mean, [] { return StillWanted().ok(); });
  SAED_RETURN_IF_ERROR(StillWanted());
  SAED_ASSIGN_OR_RETURN(const auto evaluation, evaluated);
  train.recording_id = spec.recording_id;
  train.name = spec.name;
  if (!split.empty()) train.choices.push_back(split);
  train.fit.model = model.spec;
  imported.warnings.push_back(
      "its scores are of the windows that the import holds out; whether it was trained on them is "
      "not known");
  storage::ModelRow& row = imported.row;
  row.id = storage::NewId();
  row.recording_id = spec.recording_id;
  row.name = spec.name;
  row.created_at = clock.NowMicros();
  row.features = model.spec.features();
  row.window = model.S;
  row.units = model.units;
  row.digest = sae::TensorDigest(model);
  row.spec = ToJson(train).dump();
  row.evaluation = saed::ToJson(evaluation).dump();
  nlohmann::json files = nlohmann::json::object();
  for (const auto& [name, bytes] : spec.files) files[name] = Sha256Hex(bytes);
  row.provenance = nlohmann::json{
      {"unit_ids", view->unit_ids},
      {"recording_digest", recording_row.digest},
      {"imported_from", spec.sae_lens ? "saelens" : "saed"},
      {"files", files},
      {"warnings", imported.warnings},
      {"code_version",
       code_version}}.dump();
  SAED_RETURN_IF_ERROR(
      stores.models.Insert(row, inference::ToTensors(model), std::nullopt, spec.owner));
  return imported;
}

}  // namespace saed::jobs

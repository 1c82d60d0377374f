// Between messages and the types of the layers below.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/status/statusor.h"
#include "saed/v1/features.pb.h"
#include "saed/v1/jobs.pb.h"
#include "saed/v1/models.pb.h"
#include "saed/v1/recordings.pb.h"
#include "saed/v1/types.pb.h"
#include "server/base/counts.h"
#include "server/jobs/progress.h"
#include "server/jobs/spec.h"
#include "server/sae/evidence.h"
#include "storage/annotations_table.h"
#include "storage/dictionaries_table.h"
#include "storage/jobs_table.h"
#include "storage/models_table.h"
#include "storage/recordings_table.h"

namespace saed::rpc {

// Requests. Faults name fields as the message spells them; every one is reported at once.
absl::StatusOr<jobs::TrainSpec> FromProto(const v1::TrainSpec& message);
absl::StatusOr<recordings::DataView> FromProto(const v1::DataView& message);
absl::StatusOr<jobs::AnalyseSpec> FromProto(const v1::AnalyseSpec& message);

// A tensor's bytes, checked against dtype and shape; INVALID_ARGUMENT on `field`. The view points
// into the message. A leading size and any further ones: bins is the first, units the product of
// the rest.
absl::StatusOr<CountView> FromProto(const v1::Tensor& message, const std::string& field);

// Answers.
v1::TrainSpec ToProto(const jobs::TrainSpec& spec);
v1::AnalyseSpec ToProto(const jobs::AnalyseSpec& spec);
v1::Condition ToProto(const features::Condition& condition);
v1::Recording ToProto(const storage::RecordingRow& row);
// `mean_rate` in Hz. Columns are cut so that no unit takes a page.
v1::Unit ToProto(const storage::UnitRow& row, double mean_rate);
absl::StatusOr<v1::Job> ToProto(const storage::JobRow& row);
// As jobs::Priority.
absl::StatusOr<int> FromProto(v1::JobPriority priority);
v1::JobProgress ToProto(const storage::JobsTable::Progress& progress);
absl::StatusOr<v1::Model> ToProto(const storage::ModelRow& row);
v1::Dictionary ToProto(const storage::DictionaryRow& row);
// Sets what the condition's feature is worth, and its set.
// Of which windows it asks, and who asked.
void AddScope(const storage::ConditionRow& row, v1::DictionaryCondition& out);
void AddBesideUnits(const storage::ConditionRow& row, v1::DictionaryCondition& out);
void AddBaselines(const storage::ConditionRow& row, v1::DictionaryCondition& out);
v1::Scores ToProto(const storage::ScoreRow& row);
// UNSPECIFIED for a name that is none, as "".
v1::EvidenceKind EvidenceKindOf(std::string_view name);
// A kind that models/{id} can give from its input's counts. INVALID_ARGUMENT on `field`,
// FAILED_PRECONDITION as sae::HasEvidence.
absl::StatusOr<sae::EvidenceKind> EvidenceFrom(v1::EvidenceKind kind, const std::string& field,
                                               const std::string& id, const sae::Model& model);
v1::Feature ToProto(const std::string& dictionary_id, const storage::FeatureRow& row,
                    const std::string& best_condition);
v1::Feature ToProto(const storage::ListedFeature& row);
v1::Annotation ToProto(const std::string& dictionary_id, const storage::AnnotationRow& row);
// Bins of maps, and one feature's maps; from the details of their rows.
void AddPlaces(const std::string& details, v1::Dictionary& out);
void AddPlaceMaps(const std::string& dictionary_details, const std::string& feature_details,
                  v1::GetFeatureResponse& out);
v1::Variable ToProto(const storage::VariableRow& row);
v1::Tuning ToProto(const storage::TuningRow& row, const std::string& variable);
// `judged`: the pair whose evidence and sign it is of; null: it is of the code.
v1::Response ToProto(const storage::ResponseRow& row, const std::string& condition,
                     const storage::AssociationRow* judged, double bin_width);
// Empty where there are none.
v1::Spectra SpectraOf(const storage::DictionaryRow& row);
v1::Tensor FloatTensor(const std::vector<float>& values, const std::vector<int64_t>& shape);
google::protobuf::Timestamp Timestamp(int64_t micros);

}  // namespace saed::rpc

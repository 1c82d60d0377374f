// ModelService: trained models.
#include <fmt/format.h>

#include <algorithm>

#include "saed/v1/models.pb.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/inference/interchange.h"
#include "server/jobs/import_model.h"
#include "server/recordings/import.h"
#include "server/rpc/check_cost.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"
#include "server/rpc/upload.h"

namespace saed::rpc {
namespace {

constexpr size_t kPageBytes = 900'000;

// Leaves out what has an entry for each latent or unit.
void MakeBasic(v1::Model& model) {
  model.clear_unit_ids();
  model.mutable_evaluation()->clear_density();
  model.mutable_evaluation()->clear_l0_histogram();
  model.mutable_evaluation()->clear_unit_r2();
}

absl::Status ListModels(Context& context, const Caller& caller,
                        const v1::ListModelsRequest& request, v1::ListModelsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  if (!v1::ModelView_IsValid(request.view())) {
    return InvalidField("view", fmt::format("has the unknown value {}; must be BASIC or FULL",
                                            static_cast<int>(request.view())));
  }
  std::string recording;
  if (!request.recording().empty()) {
    SAED_ASSIGN_OR_RETURN(recording, IdOf(request.recording(), "recordings", "recording"));
  }
  const std::string query = "models/" + recording;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 2));
  int64_t created_at = 0;
  std::string id;
  if (!after.empty()) {
    created_at = std::strtoll(after[0].c_str(), nullptr, 10);
    id = after[1];
  }
  // A few at a time: what is read of one may be much more than what is sent.
  constexpr int kAtOnce = 16;
  bool more = true;
  for (size_t bytes = 0; more && bytes < kPageBytes && response.models_size() < size;) {
    const int wanted = std::min(kAtOnce, size - response.models_size());
    SAED_ASSIGN_OR_RETURN(const auto rows, context.stores.models.List(recording, wanted, created_at,
                                                                      id, caller.viewer()));
    more = static_cast<int>(rows.size()) == wanted;
    for (const auto& row : rows) {
      SAED_ASSIGN_OR_RETURN(v1::Model model, ToProto(row));
      if (request.view() == v1::MODEL_VIEW_BASIC) MakeBasic(model);
      bytes += model.ByteSizeLong();
      if (bytes > kPageBytes && response.models_size() > 0) {
        more = true;
        break;
      }
      *response.add_models() = std::move(model);
      created_at = row.created_at;
      id = row.id;
    }
  }
  if (more) response.set_next_page_token(MakePageToken(query, {std::to_string(created_at), id}));
  return absl::OkStatus();
}

absl::StatusOr<inference::ModelFiles> FilesOf(const inference::LoadedModel& loaded,
                                              v1::ModelFormat format) {
  if (format == v1::MODEL_FORMAT_SAELENS) {
    return inference::ToSaeLens(loaded.model, loaded.row.name);
  }
  if (format == v1::MODEL_FORMAT_SAELENS_LINEAR) {
    return inference::ToSaeLensLinear(loaded.model, loaded.row.name);
  }
  return inference::ModelFiles{{"model.safetensors", inference::ToPlain(loaded.model)}};
}

absl::Status DownloadModel(Context& context, const Caller&, grpc::ServerContext& server,
                           const v1::DownloadModelRequest& request,
                           grpc::ServerWriter<v1::DownloadModelResponse>& stream) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "models", "name"));
  const v1::ModelFormat format = request.format();
  if (!v1::ModelFormat_IsValid(format)) {
    return InvalidField("format",
                        fmt::format("has the unknown value {}", static_cast<int>(format)));
  }
  SAED_ASSIGN_OR_RETURN(const auto loaded, context.engine.Get(id));
  SAED_ASSIGN_OR_RETURN(
      const auto memory,
      context.gate.memory().Take(3 * int64_t{sizeof(float)} * loaded->model.spec.features() *
                                 (loaded->model.inputs() + loaded->model.outputs())));
  SAED_ASSIGN_OR_RETURN(const auto files, FilesOf(*loaded, format));
  StallGuard::Stream moving(context.stalls, server);
  Sha256 digest;
  const auto gone = [] { return absl::CancelledError("the client went away"); };
  for (const auto& [name, bytes] : files) {
    v1::DownloadModelResponse message;
    message.set_file(name);
    if (!stream.Write(message)) return gone();
    for (size_t at = 0; at < bytes.size(); at += kChunk) {
      const size_t n = std::min<size_t>(kChunk, bytes.size() - at);
      message.set_chunk(bytes.data() + at, n);
      digest.Update(bytes.data() + at, n);
      SAED_RETURN_IF_ERROR(StillWanted());
      if (!stream.Write(message)) return gone();
      moving.Moved();
    }
  }
  v1::DownloadModelResponse last;
  last.set_sha256(digest.Hex());
  stream.Write(last);
  return absl::OkStatus();
}

absl::Status ImportModel(Context& context, const Caller& caller, grpc::ServerContext& server,
                         grpc::ServerReader<v1::ImportModelRequest>& stream,
                         v1::ImportModelResponse& response) {
  std::optional<StallGuard::Stream> moving(std::in_place, context.stalls, server);
  v1::ImportModelRequest message;
  if (!stream.Read(&message) || !message.has_spec()) {
    return InvalidField("spec", "is missing; it must be the first message");
  }
  SAED_RETURN_IF_ERROR(context.gate.Resources(caller, MethodOf(*message.descriptor()), message));
  jobs::ModelImport import;
  const v1::ImportModelSpec spec = message.spec();
  if (!v1::ModelFormat_IsValid(spec.format())) {
    return InvalidField("format",
                        fmt::format("has the unknown value {}", static_cast<int>(spec.format())));
  }
  import.name = spec.display_name();
  import.owner = caller.user;
  if (!import.name.empty()) {
    SAED_RETURN_IF_ERROR(CheckDisplayName(import.name, "display_name"));
  }
  SAED_ASSIGN_OR_RETURN(import.recording_id, IdOf(spec.recording(), "recordings", "recording"));
  SAED_ASSIGN_OR_RETURN(import.view, FromProto(spec.view()));
  import.sae_lens =
      spec.format() == v1::MODEL_FORMAT_SAELENS || spec.format() == v1::MODEL_FORMAT_SAELENS_LINEAR;
  Upload upload(context.stores.objects, context.max_upload_bytes,
                [&](int64_t bytes) { return context.gate.Arriving(caller, bytes); });
  while (stream.Read(&message)) {
    moving->Moved();
    if (message.has_file()) {
      SAED_RETURN_IF_ERROR(upload.Begin(message.file()));
    } else if (message.part_case() == v1::ImportModelRequest::kChunk) {
      SAED_RETURN_IF_ERROR(upload.Append(message.chunk()));
    } else {
      return InvalidField("spec", "came twice; send it once, before the files");
    }
  }
  moving.reset();
  SAED_RETURN_IF_ERROR(upload.End());
  // The files, the model made of them, its stored form; and the view on which it is evaluated.
  jobs::TrainSpec evaluated;
  evaluated.recording_id = import.recording_id;
  evaluated.view = import.view;
  SAED_ASSIGN_OR_RETURN(
      const auto memory,
      context.gate.memory().Take(3 * upload.bytes() + CheckCost(context.stores, evaluated)));
  for (const auto& file : upload.files()) {
    SAED_ASSIGN_OR_RETURN(import.files[file.name], recordings::ReadFile(file.path));
  }
  SAED_ASSIGN_OR_RETURN(const auto imported,
                        jobs::ImportModel(context.stores, context.clock, import, SAED_VERSION));
  SAED_ASSIGN_OR_RETURN(*response.mutable_model(), ToProto(imported.row));
  response.mutable_warnings()->Assign(imported.warnings.begin(), imported.warnings.end());
  return absl::OkStatus();
}

absl::Status GetModel(Context& context, const Caller&, const v1::GetModelRequest& request,
                      v1::GetModelResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "models", "name"));
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.models.Get(id));
  SAED_ASSIGN_OR_RETURN(*response.mutable_model(), ToProto(row));
  return absl::OkStatus();
}

absl::Status UpdateModel(Context& context, const Caller&, const v1::UpdateModelRequest& request,
                         v1::UpdateModelResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "models", "name"));
  SAED_RETURN_IF_ERROR(CheckRename(request.update_mask(), request.display_name()));
  SAED_RETURN_IF_ERROR(context.stores.models.SetName(id, request.display_name()));
  context.engine.Forget(id);  // what is held ready has the old name
  SAED_ASSIGN_OR_RETURN(const auto row, context.stores.models.Get(id));
  SAED_ASSIGN_OR_RETURN(*response.mutable_model(), ToProto(row));
  return absl::OkStatus();
}

absl::Status DeleteModel(Context& context, const Caller& caller,
                         const v1::DeleteModelRequest& request, v1::DeleteModelResponse&) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "models", "name"));
  const absl::Status status = context.stores.models.Delete(id, caller.viewer());
  context.engine.Forget(id);
  return status;
}

}  // namespace

void AddModelMethods(Methods& methods) {
  methods.Add(GetModel);
  methods.Add(ListModels);
  methods.Add(UpdateModel);
  methods.Add(DeleteModel);
  methods.Add(DownloadModel);
  methods.Add(ImportModel);
}

}  // namespace saed::rpc

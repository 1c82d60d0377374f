#include "server/rpc/model_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/rpc/convert.h"
#include "server/rpc/names.h"
#include "server/rpc/status.h"

namespace saed::rpc {
namespace {

absl::Status List(Context& context, const v1::ListModelsRequest& request,
                  v1::ListModelsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  std::string recording;
  if (!request.recording().empty()) {
    SAED_ASSIGN_OR_RETURN(recording, IdOf(request.recording(), "recordings", "recording"));
  }
  const std::string query = "models/" + recording;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 2));
  const bool first = after.empty();
  SAED_ASSIGN_OR_RETURN(
      const auto rows, context.stores.models.List(
                           recording, size, first ? 0 : std::strtoll(after[0].c_str(), nullptr, 10),
                           first ? "" : after[1]));
  for (const auto& row : rows) {
    SAED_ASSIGN_OR_RETURN(*response.add_models(), ToProto(row));
  }
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(
        MakePageToken(query, {std::to_string(rows.back().created_at), rows.back().id}));
  }
  return absl::OkStatus();
}

// The header of a safetensors file: 8-byte length, JSON, padded with spaces to 8 bytes.
std::string SafetensorsHeader(const std::vector<storage::TensorRow>& tensors) {
  nlohmann::json header;
  size_t offset = 0;
  for (const auto& t : tensors) {
    const size_t end = offset + t.data.size() * sizeof(float);
    header[t.name] = {{"dtype", "F32"}, {"shape", t.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + text;
}

absl::Status Download(Context& context, const std::string& id,
                      grpc::ServerWriter<v1::DownloadModelResponse>& stream) {
  SAED_ASSIGN_OR_RETURN(const auto tensors, context.stores.models.Tensors(id));
  Sha256 digest;
  const auto send = [&](const char* data, size_t size) {
    for (size_t at = 0; at < size; at += kChunk) {
      v1::DownloadModelResponse message;
      const size_t n = std::min<size_t>(kChunk, size - at);
      message.set_chunk(data + at, n);
      digest.Update(data + at, n);
      if (!stream.Write(message)) return absl::CancelledError("the client went away");
    }
    return absl::OkStatus();
  };
  const std::string header = SafetensorsHeader(tensors);
  SAED_RETURN_IF_ERROR(send(header.data(), header.size()));
  for (const auto& t : tensors) {
    SAED_RETURN_IF_ERROR(
        send(reinterpret_cast<const char*>(t.data.data()), t.data.size() * sizeof(float)));
  }
  v1::DownloadModelResponse last;
  last.set_sha256(digest.Hex());
  stream.Write(last);
  return absl::OkStatus();
}

}  // namespace

grpc::Status ModelService::GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                                    v1::GetModelResponse* response) {
  const auto id = IdOf(request->name(), "models", "name");
  if (!id.ok()) return ToGrpc(id.status());
  const auto row = context_.stores.models.Get(*id);
  if (!row.ok()) return ToGrpc(row.status());
  auto model = ToProto(*row);
  if (!model.ok()) return ToGrpc(model.status());
  *response->mutable_model() = *std::move(model);
  return grpc::Status::OK;
}

grpc::Status ModelService::ListModels(grpc::ServerContext*, const v1::ListModelsRequest* request,
                                      v1::ListModelsResponse* response) {
  return ToGrpc(List(context_, *request, *response));
}

grpc::Status ModelService::DeleteModel(grpc::ServerContext*, const v1::DeleteModelRequest* request,
                                       v1::DeleteModelResponse*) {
  const auto id = IdOf(request->name(), "models", "name");
  if (!id.ok()) return ToGrpc(id.status());
  const absl::Status status = context_.stores.models.Delete(*id);
  context_.engine.Forget(*id);
  return ToGrpc(status);
}

grpc::Status ModelService::DownloadModel(grpc::ServerContext*,
                                         const v1::DownloadModelRequest* request,
                                         grpc::ServerWriter<v1::DownloadModelResponse>* stream) {
  const auto id = IdOf(request->name(), "models", "name");
  if (!id.ok()) return ToGrpc(id.status());
  return ToGrpc(Download(context_, *id, *stream));
}

}  // namespace saed::rpc

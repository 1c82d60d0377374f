#include <fmt/format.h>
#include <google/protobuf/util/time_util.h>

#include <fstream>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Number(bool there, double value) { return there ? fmt::format("{:.3f}", value) : ""; }

absl::Status List(Session& session, const std::string& recording) {
  v1::ListModelsRequest request;
  if (!recording.empty()) request.set_recording(FullName("recordings", recording));
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListModelsResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->models().ListModels(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& m : all.models()) {
    const auto& e = m.evaluation();
    rows.push_back({m.name(), m.display_name(), std::to_string(m.features()),
                    fmt::format("{}x{}", m.window(), m.units()), Number(e.has_r2(), e.r2()),
                    fmt::format("{:.1f}", e.l0()), fmt::format("{:.0f} %", 100 * e.dead_fraction()),
                    m.recording()});
  }
  fmt::print("{}", Table({"MODEL", "NAME", "F", "BINSxUNITS", "R2", "L0", "DEAD", "RECORDING"},
                         rows, TerminalWidth(), {2, 4, 5, 6}));
  return absl::OkStatus();
}

absl::Status Show(Session& session, const std::string& name) {
  grpc::ClientContext context;
  v1::GetModelRequest request;
  request.set_name(FullName("models", name));
  v1::GetModelResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->models().GetModel(&context, request, &response)));
  const auto& m = response.model();
  if (session.json) {
    fmt::print("{}", Json(m));
    return absl::OkStatus();
  }
  const auto& e = m.evaluation();
  fmt::print(
      "{}\n  name        {}\n  recording   {}\n  latents     {}\n  input       {} bins x {} "
      "units\n  tensors     {}\n\non {} held-out windows\n",
      m.name(), m.display_name(), m.recording(), m.features(), m.window(), m.units(),
      m.tensor_digest(), e.windows());
  const auto line = [](const char* label, const std::string& value) {
    if (!value.empty()) fmt::print("  {:<20} {}\n", label, value);
  };
  line("R2", Number(e.has_r2(), e.r2()));
  line("explained variance", Number(e.has_explained_variance(), e.explained_variance()));
  line("normalised MSE", Number(e.has_normalised_mse(), e.normalised_mse()));
  line("bits per spike", Number(e.has_bits_per_spike(), e.bits_per_spike()));
  line("cosine", Number(true, e.cosine()));
  line("L0", fmt::format("{:.2f}", e.l0()));
  line("dead", fmt::format("{:.1f} %", 100 * e.dead_fraction()));
  line("active over half", fmt::format("{:.1f} %", 100 * e.dense_fraction()));
  return absl::OkStatus();
}

absl::Status Download(Session& session, const std::string& name, const std::string& path) {
  grpc::ClientContext context;
  v1::DownloadModelRequest request;
  request.set_name(FullName("models", name));
  const auto stream = session.client->models().DownloadModel(&context, request);
  std::ofstream out(path, std::ios::binary);
  if (!out) return absl::InvalidArgumentError(fmt::format("cannot write {}", path));
  Sha256 digest;
  std::string announced;
  v1::DownloadModelResponse part;
  while (stream->Read(&part)) {
    if (!part.sha256().empty()) announced = part.sha256();
    digest.Update(part.chunk());
    out.write(part.chunk().data(), static_cast<std::streamsize>(part.chunk().size()));
  }
  SAED_RETURN_IF_ERROR(client::FromGrpc(stream->Finish()));
  out.close();
  if (!out || digest.Hex() != announced) {
    return absl::DataLossError(fmt::format("{} arrived damaged; download it again", path));
  }
  fmt::print("{}\n", path);
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const std::string& name) {
  grpc::ClientContext context;
  v1::DeleteModelRequest request;
  request.set_name(FullName("models", name));
  v1::DeleteModelResponse response;
  return client::FromGrpc(session.client->models().DeleteModel(&context, request, &response));
}

}  // namespace

void AddModelCommands(CLI::App& app, Session& session) {
  auto* group = app.add_subcommand("models", "Trained models: list, show, download");
  group->require_subcommand(1);
  auto* list = group->add_subcommand("list", "All models, newest first");
  auto recording = std::make_shared<std::string>();
  list->add_option("--recording", *recording, "Only models of this recording");
  Run(list, session, [&session, recording] { return List(session, *recording); });
  const auto named = [&](const char* command, const char* help) {
    auto* sub = group->add_subcommand(command, help);
    auto name = std::make_shared<std::string>();
    sub->add_option("model", *name, "Its name or id")->required();
    return std::pair(sub, name);
  };
  auto [show, show_name] = named("show", "One model with its quality on held-out windows");
  Run(show, session, [&session, n = show_name] { return Show(session, *n); });
  auto [download, download_name] = named("download", "Its tensors as a safetensors file");
  auto path = std::make_shared<std::string>("model.safetensors");
  download->add_option("-o,--file", *path, "Where to")->capture_default_str();
  Run(download, session,
      [&session, n = download_name, path] { return Download(session, *n, *path); });
  auto [erase, erase_name] = named("delete", "Delete a model with its dictionaries");
  Run(erase, session, [&session, n = erase_name] { return Delete(session, *n); });
}

}  // namespace saed::cli

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "client/cli/split_flags.h"
#include "client/cli/words.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Number(bool there, double value) { return there ? fmt::format("{:.3f}", value) : ""; }

absl::Status List(Session& session, const std::string& recording, bool full) {
  v1::ListModelsRequest request;
  request.set_view(full ? v1::MODEL_VIEW_FULL : v1::MODEL_VIEW_BASIC);
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
  fmt::print("{}", Listing("models", !recording.empty(),
                           {"MODEL", "NAME", "F", "BINSxUNITS", "R2", "L0", "DEAD", "RECORDING"},
                           rows, {2, 3, 4, 5, 6}));
  return absl::OkStatus();
}

// How it was trained, so far as the model's spec tells (imported ones have little).
void PrintTraining(const v1::Model& m) {
  const auto line = [](const char* label, const std::string& value) {
    if (!value.empty())
      fmt::print("{}\n", Wrapped(fmt::format("  {:<11} {}", label, value), TerminalWidth(), 14));
  };
  const v1::TrainSpec& spec = m.spec();
  if (spec.view().bin_width() > 0) {
    line("bins", fmt::format("{} s, windows of {} ({:.4g} s)", spec.view().bin_width(), m.window(),
                             m.window() * spec.view().bin_width()));
  }
  const auto word = [](std::string name, std::string_view prefix) {
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return name;
  };
  std::vector<std::string> levels;
  for (const auto& level : spec.model().levels()) {
    levels.push_back(fmt::format("{}:{}", level.features(), level.k()));
  }
  if (!levels.empty()) {
    line("model", fmt::format("{}, latents:k {}",
                              word(v1::Selection_Name(spec.model().selection()), "SELECTION_"),
                              fmt::join(levels, " ")));
    line("training", fmt::format("seed {}, {} epochs of batches of {}", spec.seed(), spec.epochs(),
                                 spec.batch_size()));
  }
  line("split", SplitText(spec.view().split()));
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
      "units\n  tensors     {}\n",
      m.name(), m.display_name(), m.recording(), m.features(), m.window(), m.units(),
      m.tensor_digest());
  PrintTraining(m);
  fmt::print("\non {} held-out windows\n", e.windows());
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
  for (const auto& warning : m.warnings()) {
    fmt::print("\n{}\n", Wrapped("WARNING: " + warning, TerminalWidth(), 2));
  }
  return absl::OkStatus();
}

// Plain: one file at `path`. SAELens: a directory.
absl::Status Download(Session& session, const std::string& name, const std::string& path,
                      const std::string& format) {
  grpc::ClientContext context;
  v1::DownloadModelRequest request;
  request.set_name(FullName("models", name));
  const bool directory = format != "saed";
  request.set_format(format == "saelens" ? v1::MODEL_FORMAT_SAELENS
                     : format == "saed"  ? v1::MODEL_FORMAT_SAED
                                         : v1::MODEL_FORMAT_SAELENS_LINEAR);
  const auto stream = session.client->models().DownloadModel(&context, request);
  Sha256 digest;
  std::string announced;
  std::ofstream out;
  v1::DownloadModelResponse part;
  bool written = true;
  while (stream->Read(&part)) {
    if (part.part_case() == v1::DownloadModelResponse::kFile) {
      if (directory) std::filesystem::create_directories(path);
      const std::string file = directory ? path + "/" + part.file() : path;
      if (out.is_open()) out.close();
      out.open(file, std::ios::binary | std::ios::trunc);
      if (!out) return absl::InvalidArgumentError(fmt::format("cannot write {}", file));
    } else if (part.part_case() == v1::DownloadModelResponse::kChunk) {
      digest.Update(part.chunk());
      out.write(part.chunk().data(), static_cast<std::streamsize>(part.chunk().size()));
      written = written && static_cast<bool>(out);
    } else {
      announced = part.sha256();
    }
  }
  SAED_RETURN_IF_ERROR(client::FromGrpc(stream->Finish()));
  out.close();
  if (!written || !out || digest.Hex() != announced) {
    return absl::DataLossError(fmt::format("{} arrived damaged; download it again", path));
  }
  fmt::print("{}\n", path);
  return absl::OkStatus();
}

struct ImportFlags {
  std::string path, recording, name, normaliser = "none";
  double bin = 0.02, split = 0.8;
  int window = 1;
  std::vector<std::string> labels;
};

absl::Status Import(Session& session, const ImportFlags& f) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files = {f.path};
  const bool directory = fs::is_directory(f.path);
  if (directory)
    files = {fs::path(f.path) / "cfg.json", fs::path(f.path) / "sae_weights.safetensors"};
  grpc::ClientContext context;
  v1::ImportModelResponse response;
  const auto stream = session.client->models().ImportModel(&context, &response);
  v1::ImportModelRequest message;
  auto* spec = message.mutable_spec();
  spec->set_display_name(f.name);
  spec->set_recording(FullName("recordings", f.recording));
  spec->set_format(directory ? v1::MODEL_FORMAT_SAELENS : v1::MODEL_FORMAT_SAED);
  spec->mutable_view()->set_bin_width(f.bin);
  spec->mutable_view()->set_window(f.window);
  spec->mutable_view()->mutable_unit_labels()->Assign(f.labels.begin(), f.labels.end());
  spec->mutable_view()->mutable_split()->set_train_fraction(f.split);
  spec->mutable_view()->set_normaliser(NormaliserOf(f.normaliser));
  bool open = stream->Write(message);
  for (const fs::path& path : files) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return absl::InvalidArgumentError(fmt::format("cannot read {}", path.string()));
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    message.mutable_file()->set_name(path.filename());
    message.mutable_file()->set_size(static_cast<int64_t>(bytes.size()));
    message.mutable_file()->set_sha256(Sha256Hex(bytes));
    open = open && stream->Write(message);
    for (size_t at = 0; at < bytes.size() && open; at += 1 << 20) {
      message.set_chunk(bytes.substr(at, 1 << 20));
      open = stream->Write(message);
    }
  }
  stream->WritesDone();
  SAED_RETURN_IF_ERROR(client::FromGrpc(stream->Finish()));
  if (session.json) {
    fmt::print("{}", Json(response));
  } else {
    for (const auto& w : response.warnings()) fmt::print("warning: {}\n", w);
    fmt::print("{}\nNext: saectl analyse {} {}\n", response.model().name(), response.model().name(),
               f.recording);
  }
  return absl::OkStatus();
}

// Trains the model's spec again and compares the tensors' digests.
absl::Status Reproduce(Session& session, const std::string& name) {
  v1::GetModelRequest get;
  get.set_name(FullName("models", name));
  const auto model_of = [&](const std::string& full) -> absl::StatusOr<v1::Model> {
    grpc::ClientContext context;
    v1::GetModelResponse response;
    get.set_name(full);
    SAED_RETURN_IF_ERROR(
        client::FromGrpc(session.client->models().GetModel(&context, get, &response)));
    return response.model();
  };
  SAED_ASSIGN_OR_RETURN(const v1::Model before, model_of(get.name()));
  if (before.provenance().find("imported_from") != std::string::npos) {
    return absl::FailedPreconditionError(
        fmt::format("{} was imported; only models trained here can be reproduced", before.name()));
  }
  v1::CreateJobRequest request;
  request.set_display_name("reproduction of " + before.name());
  *request.mutable_train() = before.spec();
  v1::CreateJobResponse created;
  {
    grpc::ClientContext context;
    SAED_RETURN_IF_ERROR(
        client::FromGrpc(session.client->jobs().CreateJob(&context, request, &created)));
  }
  SAED_RETURN_IF_ERROR(WatchJob(session, created.job().name()));
  grpc::ClientContext context;
  v1::GetJobRequest job;
  job.set_name(created.job().name());
  v1::GetJobResponse done;
  SAED_RETURN_IF_ERROR(client::FromGrpc(session.client->jobs().GetJob(&context, job, &done)));
  SAED_ASSIGN_OR_RETURN(const v1::Model after, model_of(done.job().model()));
  fmt::print("{}  {}\n{}  {}\n", before.tensor_digest(), before.name(), after.tensor_digest(),
             after.name());
  if (before.tensor_digest() == after.tensor_digest()) {
    fmt::print("reproduced to the bit\n");
    return absl::OkStatus();
  }
  return absl::AbortedError(
      fmt::format("the tensors differ. Then: {}\nNow:  {}\nAnother code version, kernel path or "
                  "library may round differently; the recording's digest must be the same",
                  before.provenance(), after.provenance()));
}

absl::Status Rename(Session& session, const std::string& name, const std::string& display_name) {
  grpc::ClientContext context;
  v1::UpdateModelRequest request;
  request.set_name(FullName("models", name));
  request.set_display_name(display_name);
  request.mutable_update_mask()->add_paths("display_name");
  v1::UpdateModelResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->models().UpdateModel(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response.model()));
  } else {
    fmt::print("{} is called '{}'\n", response.model().name(), response.model().display_name());
  }
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const std::string& name) {
  v1::DeleteModelRequest request;
  request.set_name(FullName("models", name));
  v1::ListDictionariesRequest of_model;
  of_model.set_model(request.name());
  SAED_ASSIGN_OR_RETURN(const auto all, AllPages<v1::ListDictionariesResponse>(
                                            of_model, [&](auto* context, const auto& r, auto* out) {
                                              return session.client->features().ListDictionaries(
                                                  context, r, out);
                                            }));
  std::string with;
  for (const auto& d : all.dictionaries()) with += (with.empty() ? " with " : ", ") + d.name();
  return Erase<v1::DeleteModelResponse>(
      session, request, [&](auto... a) { return session.client->models().DeleteModel(a...); },
      with);
}

}  // namespace

void AddModelCommands(CLI::App& app, Session& session) {
  auto* group = app.add_subcommand(
      "models", "Trained models: list, show, rename, download, import, reproduce");
  group->require_subcommand(1);
  auto* list = group->add_subcommand("list", "All models, newest first");
  auto recording = std::make_shared<std::string>();
  list->add_option("--recording", *recording, "Only models of this recording");
  auto full = std::make_shared<bool>(false);
  list->add_flag(
      "--full", *full,
      "With --output json also what has an entry for each latent or unit, as models show");
  Run(list, session, [&session, recording, full] { return List(session, *recording, *full); });
  const auto named = [&](const char* command, const char* help) {
    auto* sub = group->add_subcommand(command, help);
    auto name = std::make_shared<std::string>();
    sub->add_option("model", *name, "Its name or id")->required();
    return std::pair(sub, name);
  };
  auto [show, show_name] = named("show", "One model with its quality on held-out windows");
  Run(show, session, [&session, n = show_name] { return Show(session, *n); });
  auto [download, download_name] =
      named("download", "Its tensors as a safetensors file or a SAELens directory");
  auto path = std::make_shared<std::string>("model.safetensors");
  auto format = std::make_shared<std::string>("saed");
  download->add_option("-o,--file", *path, "Where to: a file, or a directory for SAELens")
      ->capture_default_str();
  download
      ->add_option("--format", *format,
                   "saed (one safetensors file), saelens, or saelens-linear: of models with an "
                   "output function up to that function, which cfg.json names")
      ->transform(OneOf({"saed", "saelens", "saelens-linear"}))
      ->capture_default_str();
  Run(download, session, [&session, n = download_name, path, format] {
    return Download(session, *n, *path, *format);
  });
  auto* import = group->add_subcommand(
      "import", "Store a model trained elsewhere: a SAELens directory or saed's safetensors file");
  auto flags = std::make_shared<ImportFlags>();
  import->add_option("path", flags->path, "Directory or file")->required();
  import->add_option("recording", flags->recording, "Recording whose counts it takes")->required();
  import->add_option("--name", flags->name, "Name for people");
  import->add_option("--bin", flags->bin, "Bin width, s")->capture_default_str();
  import->add_option("--window", flags->window, "Bins per window")->capture_default_str();
  import->add_option("--label", flags->labels, "Only units with this label (repeatable)");
  import->add_option("--split", flags->split, "Fraction of bins that are not held out")
      ->capture_default_str();
  import->add_option("--normaliser", flags->normaliser, "Of the input")
      ->transform(OneOf({"none", "zscore", "minmax"}))
      ->capture_default_str();
  Run(import, session, [&session, flags] { return Import(session, *flags); });
  auto [reproduce, reproduce_name] =
      named("reproduce", "Train it again from its spec and compare the tensors' SHA-256");
  Run(reproduce, session, [&session, n = reproduce_name] { return Reproduce(session, *n); });
  auto [rename, rename_name] = named("rename", "Give a model another name");
  auto new_name = std::make_shared<std::string>();
  rename->add_option("name", *new_name, "The new name")->required();
  Run(rename, session,
      [&session, n = rename_name, new_name] { return Rename(session, *n, *new_name); });
  auto [erase, erase_name] = named("delete", "Delete a model with its dictionaries");
  Run(erase, session, [&session, n = erase_name] { return Delete(session, *n); });
}

}  // namespace saed::cli

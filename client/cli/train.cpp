#include <fmt/format.h>

#include <map>
#include <random>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// How a job is queued; for train and analyse alike.
struct QueueFlags {
  std::string priority = "normal";
  std::vector<std::string> after;
  double time_limit = 0;

  void AddTo(CLI::App& command) {
    command.add_option("--priority", priority, "Among your own jobs; urgent ones pause others")
        ->check(CLI::IsMember({"low", "normal", "high", "urgent"}))
        ->group("Queue")
        ->capture_default_str();
    command.add_option("--after", after, "Start only once this job has succeeded (repeatable)")
        ->group("Queue");
    command.add_option("--time-limit", time_limit, "Seconds of running after which it fails")
        ->group("Queue");
  }
  void Fill(v1::CreateJobRequest& request) const {
    v1::JobPriority value = v1::JOB_PRIORITY_NORMAL;
    std::string name = priority;
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    v1::JobPriority_Parse("JOB_PRIORITY_" + name, &value);
    request.set_priority(value);
    for (const std::string& job : after) request.add_dependencies(FullName("jobs", job));
    request.set_time_limit_seconds(time_limit);
  }
};

struct TrainFlags {
  std::string recording, name, mask, split_column, selection, loss, output, decoder_start,
      normaliser = "none", schedule;
  std::vector<std::string> labels, levels, conditions, train_values, test_values;
  std::vector<int64_t> unit_ids;
  double bin = 0.02, minimum_rate = 0, start = 0, stop = 0, split = 0.8, learning_rate = 4e-3;
  double lambda = 0, final_p = 1, bandwidth = 0, threshold = 0, weight_decay = 0, clip = 0,
         average = 0;
  std::string bias_start, revival, optimiser, target_recording, target_normaliser = "none";
  std::vector<std::string> regions, target_labels, target_regions;
  std::vector<int64_t> target_units;
  bool subtract_bias = false, pre_activation = false;
  int resample_every = 0;
  double aux_weight = 1.0 / 32, k_anneal = 0;
  int window = 1, stride = 1, features = 0, k = 0, batch = 1024, epochs = 20, threads = 0;
  int dead_after = 0;
  int64_t max_steps = 0;
  uint64_t seed = 0;
  bool in_sample = false, detach = false, check = false;
  QueueFlags queue;
  std::string request_id;
};

std::string NewRequestId() {
  std::random_device device;
  return fmt::format("saectl-{:08x}{:08x}", device(), device());
}

// "NAME: EXPRESSION".
absl::StatusOr<v1::Condition> ParseCondition(const std::string& text) {
  const size_t colon = text.find(": ");
  if (colon == 0 || colon == std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("--condition is '{}'; must be 'NAME: EXPRESSION', e.g. 'flash: "
                    "around_start(stimuli, kind = flash AND side = left, 0.04, 0.16)'",
                    text));
  }
  v1::Condition out;
  out.set_name(text.substr(0, colon));
  out.set_expression(text.substr(colon + 2));
  return out;
}

template <class Repeated>
absl::Status AddConditions(const std::vector<std::string>& texts, Repeated* out) {
  for (const auto& text : texts) {
    SAED_ASSIGN_OR_RETURN(*out->Add(), ParseCondition(text));
  }
  return absl::OkStatus();
}

absl::Status SetView(const TrainFlags& f, v1::DataView& view) {
  view.set_bin_width(f.bin);
  view.mutable_unit_labels()->Assign(f.labels.begin(), f.labels.end());
  view.mutable_unit_ids()->Assign(f.unit_ids.begin(), f.unit_ids.end());
  view.mutable_unit_regions()->Assign(f.regions.begin(), f.regions.end());
  view.set_minimum_rate(f.minimum_rate);
  view.set_start_time(f.start);
  view.set_stop_time(f.stop);
  view.set_window(f.window);
  view.set_stride(f.stride);
  view.set_normaliser(NormaliserOf(f.normaliser));
  if (!f.mask.empty()) {
    const size_t bracket = f.mask.find('[');
    view.mutable_mask()->set_table(f.mask.substr(0, bracket));
    if (bracket != std::string::npos && f.mask.back() == ']') {
      view.mutable_mask()->set_filter(f.mask.substr(bracket + 1, f.mask.size() - bracket - 2));
    }
  }
  if (!f.split_column.empty()) {
    const size_t dot = f.split_column.rfind('.');
    if (dot == std::string::npos) {
      return absl::InvalidArgumentError(
          fmt::format("--split-column is '{}'; must be TABLE.COLUMN", f.split_column));
    }
    auto* column = view.mutable_split()->mutable_column();
    column->set_table(f.split_column.substr(0, dot));
    column->set_column(f.split_column.substr(dot + 1));
    column->mutable_train_values()->Assign(f.train_values.begin(), f.train_values.end());
    column->mutable_test_values()->Assign(f.test_values.begin(), f.test_values.end());
  } else if (f.in_sample) {
    view.mutable_split()->set_in_sample(true);
  } else {
    view.mutable_split()->set_train_fraction(f.split);
  }
  return absl::OkStatus();
}

absl::Status SetModel(const TrainFlags& f, v1::ModelSpec& model) {
  if (f.levels.empty() == (f.features == 0)) {
    return absl::InvalidArgumentError(
        "give --features and --k, or one --level FEATURES:K for each Matryoshka level");
  }
  if (f.levels.empty()) {
    auto* level = model.add_levels();
    level->set_features(f.features);
    level->set_k(f.k);
  }
  for (const std::string& text : f.levels) {
    int features = 0, k = 0;
    if (std::sscanf(text.c_str(), "%d:%d", &features, &k) != 2) {
      return absl::InvalidArgumentError(
          fmt::format("--level is '{}'; must be FEATURES:K, e.g. 64:8", text));
    }
    auto* level = model.add_levels();
    level->set_features(features);
    level->set_k(k);
  }
  // Names were checked when the flags were read; an empty one is the server's default.
  const std::map<std::string, v1::Selection> selections = {
      {"relu", v1::SELECTION_RELU},
      {"topk", v1::SELECTION_TOP_K},
      {"batch_topk", v1::SELECTION_BATCH_TOP_K},
      {"jumprelu", v1::SELECTION_JUMP_RELU},
      {"gated", v1::SELECTION_GATED}};
  const std::map<std::string, v1::Loss> losses = {
      {"mse", v1::LOSS_MSE}, {"msle", v1::LOSS_MSLE}, {"poisson", v1::LOSS_POISSON}};
  const std::map<std::string, v1::Revival> revivals = {{"auxk", v1::REVIVAL_AUX_K},
                                                       {"nldisco", v1::REVIVAL_NLDISCO},
                                                       {"resample", v1::REVIVAL_RESAMPLE},
                                                       {"none", v1::REVIVAL_NONE}};
  const std::map<std::string, v1::BiasStart> bias_starts = {
      {"mean", v1::BIAS_START_MEAN},
      {"zero", v1::BIAS_START_ZERO},
      {"geometric_median", v1::BIAS_START_GEOMETRIC_MEDIAN}};
  if (!f.selection.empty()) model.set_selection(selections.at(f.selection));
  if (!f.loss.empty()) model.set_loss(losses.at(f.loss));
  if (!f.revival.empty()) model.set_revival(revivals.at(f.revival));
  if (!f.bias_start.empty()) model.set_bias_start(bias_starts.at(f.bias_start));
  model.set_subtract_bias(f.subtract_bias);
  model.set_k_anneal_fraction(f.k_anneal);
  model.mutable_resampling()->set_every_steps(f.resample_every);
  model.mutable_penalty()->set_weight(f.lambda);
  model.mutable_penalty()->set_final_p(f.final_p);
  model.mutable_penalty()->set_bandwidth(f.bandwidth);
  model.mutable_penalty()->set_threshold(f.threshold);
  model.mutable_aux()->set_pre_activation(f.pre_activation);
  if (f.output == "identity") model.set_output(v1::OUTPUT_IDENTITY);
  if (f.output == "relu") model.set_output(v1::OUTPUT_RELU);
  if (f.output == "softplus") model.set_output(v1::OUTPUT_SOFTPLUS);
  if (f.decoder_start == "independent") model.set_decoder_start(v1::DECODER_START_INDEPENDENT);
  model.mutable_aux()->set_weight(f.aux_weight);
  model.mutable_aux()->set_dead_after_steps(f.dead_after);
  return absl::OkStatus();
}

absl::Status Submit(Session& session, const v1::CreateJobRequest& request, bool detach) {
  grpc::ClientContext context;
  v1::CreateJobResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->jobs().CreateJob(&context, request, &response)));
  if (request.validate_only()) {
    if (!session.json) fmt::print("the specification is good\n");
    return absl::OkStatus();
  }
  if (session.json && detach) fmt::print("{}", Json(response));
  if (!session.json) fmt::print("{}\n", response.job().name());
  if (detach) return absl::OkStatus();
  return WatchJob(session, response.job().name());
}

absl::Status Train(Session& session, const TrainFlags& f) {
  v1::CreateJobRequest request;
  request.set_request_id(f.request_id.empty() ? NewRequestId() : f.request_id);
  request.set_display_name(f.name);
  request.set_validate_only(f.check);
  auto* spec = request.mutable_train();
  spec->set_recording(FullName("recordings", f.recording));
  SAED_RETURN_IF_ERROR(SetView(f, *spec->mutable_view()));
  SAED_RETURN_IF_ERROR(SetModel(f, *spec->mutable_model()));
  if (!f.target_recording.empty() || !f.target_labels.empty() || !f.target_regions.empty() ||
      !f.target_units.empty()) {
    auto* target = spec->mutable_target();
    if (!f.target_recording.empty()) {
      target->set_recording(FullName("recordings", f.target_recording));
    }
    target->mutable_unit_labels()->Assign(f.target_labels.begin(), f.target_labels.end());
    target->mutable_unit_regions()->Assign(f.target_regions.begin(), f.target_regions.end());
    target->mutable_unit_ids()->Assign(f.target_units.begin(), f.target_units.end());
    target->set_normaliser(NormaliserOf(f.target_normaliser));
  }
  auto* optimiser = spec->mutable_optimiser();
  optimiser->set_learning_rate(f.learning_rate);
  optimiser->set_kind(f.optimiser == "adamw"      ? v1::OPTIMISER_KIND_ADAMW
                      : f.optimiser == "momentum" ? v1::OPTIMISER_KIND_MOMENTUM
                                                  : v1::OPTIMISER_KIND_ADAM);
  optimiser->set_weight_decay(f.weight_decay);
  optimiser->set_clip_norm(f.clip);
  optimiser->set_average(f.average);
  optimiser->mutable_schedule()->set_kind(f.schedule == "constant" ? v1::SCHEDULE_KIND_CONSTANT
                                          : f.schedule == "linear" ? v1::SCHEDULE_KIND_LINEAR
                                          : f.schedule == "cosine" ? v1::SCHEDULE_KIND_COSINE
                                                                   : v1::SCHEDULE_KIND_WARMUP_HOLD);
  spec->set_batch_size(f.batch);
  spec->set_epochs(f.epochs);
  spec->set_max_steps(f.max_steps);
  spec->set_seed(f.seed);
  spec->set_threads(f.threads);
  SAED_RETURN_IF_ERROR(AddConditions(f.conditions, spec->mutable_conditions()));
  f.queue.Fill(request);
  return Submit(session, request, f.detach || f.check);
}

}  // namespace

v1::Normaliser NormaliserOf(const std::string& name) {
  return name == "zscore"   ? v1::NORMALISER_ZSCORE
         : name == "minmax" ? v1::NORMALISER_MINMAX
                            : v1::NORMALISER_NONE;
}

void AddTrainCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand(
      "train", "Train a sparse autoencoder on a recording and build its feature dictionary");
  auto f = std::make_shared<TrainFlags>();
  c->add_option("recording", f->recording, "Its name or id")->required();
  c->add_option("--name", f->name, "Name for people");
  c->add_option("--bin", f->bin, "Bin width, s")->group("Data")->capture_default_str();
  c->add_option("--window", f->window, "Bins per window")->group("Data")->capture_default_str();
  c->add_option("--stride", f->stride, "Bins between windows")->group("Data");
  c->add_option("--label", f->labels, "Only units with this label (repeatable)")->group("Data");
  c->add_option("--unit", f->unit_ids, "Only this unit id (repeatable)")->group("Data");
  c->add_option("--region", f->regions, "Only units of this region (repeatable)")->group("Data");
  c->add_option("--min-rate", f->minimum_rate, "Only units of at least this rate, Hz")
      ->group("Data");
  c->add_option("--start", f->start, "Start of the time range, s")->group("Data");
  c->add_option("--stop", f->stop, "End of the time range, s")->group("Data");
  c->add_option("--mask", f->mask, "Only bins inside intervals: TABLE or TABLE[FILTER]")
      ->group("Data");
  c->add_option("--normaliser", f->normaliser, "Fitted on training bins")
      ->check(CLI::IsMember({"none", "zscore", "minmax"}))
      ->group("Data")
      ->capture_default_str();
  c->add_option("--split", f->split, "Fraction of bins that train, from the start")
      ->group("Data")
      ->capture_default_str();
  c->add_option("--split-column", f->split_column, "Split by values of TABLE.COLUMN")
      ->group("Data");
  c->add_option("--train-values", f->train_values, "Values that train, e.g. 0-22")->group("Data");
  c->add_option("--test-values", f->test_values, "Values that are held out")->group("Data");
  c->add_flag("--in-sample", f->in_sample, "Train on everything; scores are not held out")
      ->group("Data");
  c->add_option("--features", f->features, "Latents in the dictionary, F")->group("Model");
  c->add_option("--k", f->k, "Active latents per window")->group("Model");
  c->add_option("--level", f->levels, "Matryoshka level FEATURES:K (repeatable, ascending)")
      ->group("Model");
  c->add_option("--selection", f->selection, "relu (default), topk, batch_topk, jumprelu or gated")
      ->check(CLI::IsMember({"relu", "topk", "batch_topk", "jumprelu", "gated"}))
      ->group("Model");
  c->add_option("--lambda", f->lambda,
                "Sparsity penalty of relu, jumprelu and gated; 0 (default): adjusted to reach --k")
      ->group("Model");
  c->add_option("--final-p", f->final_p, "p-anneal: last exponent of relu's penalty")
      ->group("Model");
  c->add_option("--k-anneal", f->k_anneal,
                "topk, batch_topk: k falls from all latents to --k over this part of training")
      ->group("Model");
  c->add_option("--bandwidth", f->bandwidth, "jumprelu: width of the straight-through window")
      ->group("Model");
  c->add_option("--threshold", f->threshold, "jumprelu: start of the thresholds")->group("Model");
  c->add_option("--bias-start", f->bias_start, "mean (default), zero or geometric_median")
      ->check(CLI::IsMember({"mean", "zero", "geometric_median"}))
      ->group("Model");
  c->add_flag("--subtract-bias", f->subtract_bias, "Subtract the decoder bias from the input")
      ->group("Model");
  c->add_option("--revival", f->revival,
                "Of dead latents: auxk (default), nldisco, resample or none")
      ->check(CLI::IsMember({"auxk", "nldisco", "resample", "none"}))
      ->group("Model");
  c->add_flag("--aux-pre-activation", f->pre_activation,
              "AuxK uses pre-activations, negative ones too")
      ->group("Model");
  c->add_option("--resample-every", f->resample_every, "Steps between resamplings")->group("Model");
  c->add_option("--target-recording", f->target_recording,
                "Predict units of this recording on the same bins")
      ->group("Paired population");
  c->add_option("--target-label", f->target_labels, "Predict units with this label (repeatable)")
      ->group("Paired population");
  c->add_option("--target-region", f->target_regions, "Predict units of this region (repeatable)")
      ->group("Paired population");
  c->add_option("--target-unit", f->target_units, "Predict this unit id (repeatable)")
      ->group("Paired population");
  c->add_option("--target-normaliser", f->target_normaliser, "Of the predicted units")
      ->check(CLI::IsMember({"none", "zscore", "minmax"}))
      ->group("Paired population");
  c->add_option(
       "--loss", f->loss,
       "poisson (default for counts), mse (default where the target is normalised) or msle")
      ->check(CLI::IsMember({"mse", "msle", "poisson"}))
      ->group("Model");
  c->add_option("--output-function", f->output, "Default: what the loss needs")
      ->check(CLI::IsMember({"identity", "relu", "softplus"}))
      ->group("Model");
  c->add_option("--decoder-start", f->decoder_start, "tied (default) or independent")
      ->check(CLI::IsMember({"tied", "independent"}))
      ->group("Model");
  c->add_option("--aux-weight", f->aux_weight, "Weight of AuxK; 0 switches it off")->group("Model");
  c->add_option("--dead-after", f->dead_after,
                "Steps unselected that make a latent dead; 0: a twentieth of all")
      ->group("Model");
  c->add_option("--lr", f->learning_rate, "Learning rate")
      ->group("Training")
      ->capture_default_str();
  c->add_option("--optimiser", f->optimiser, "adam (default), adamw or momentum")
      ->check(CLI::IsMember({"adam", "adamw", "momentum"}))
      ->group("Training");
  c->add_option("--weight-decay", f->weight_decay, "Of the matrices, for adamw and momentum")
      ->group("Training");
  c->add_option("--clip", f->clip, "Largest global norm of the gradient; 0: no limit")
      ->group("Training");
  c->add_option("--average", f->average, "Decay of a moving average of the weights; 0: none")
      ->group("Training");
  c->add_option("--schedule", f->schedule, "warmup_hold (default), constant, linear or cosine")
      ->check(CLI::IsMember({"warmup_hold", "constant", "linear", "cosine"}))
      ->group("Training");
  c->add_option("--batch", f->batch, "Windows per step")->group("Training")->capture_default_str();
  c->add_option("--epochs", f->epochs, "Passes over the data")
      ->group("Training")
      ->capture_default_str();
  c->add_option("--max-steps", f->max_steps, "End early after this many steps")->group("Training");
  c->add_option("--seed", f->seed, "Of everything random")
      ->group("Training")
      ->capture_default_str();
  c->add_option("--threads", f->threads, "Results do not depend on it")->group("Training");
  c->add_option("--condition", f->conditions,
                "'NAME: EXPRESSION' beside the automatic conditions (repeatable), e.g. 'hits: "
                "around_start(trials, outcome = hit, 0, 0.5)' or 'fast: speed > 20 AND "
                "rising(speed)'; see the README")
      ->group("Dictionary");
  f->queue.AddTo(*c);
  c->add_option("--request-id", f->request_id, "Makes the call safe to repeat");
  c->add_flag("--detach", f->detach, "Do not wait for the job");
  c->add_flag("--check", f->check, "Only check the specification");
  Run(c, session, [&session, f] { return Train(session, *f); });
}

void AddAnalyseCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand("analyse", "Build a dictionary of a model on another recording");
  struct Flags {
    std::string model, recording, name;
    std::vector<std::string> conditions;
    bool detach = false;
    QueueFlags queue;
  };
  auto f = std::make_shared<Flags>();
  c->add_option("model", f->model, "Its name or id")->required();
  c->add_option("recording", f->recording, "Its name or id")->required();
  c->add_option("--name", f->name, "Name for people");
  c->add_option("--condition", f->conditions, "As of train (repeatable)");
  c->add_flag("--detach", f->detach, "Do not wait for the job");
  f->queue.AddTo(*c);
  Run(c, session, [&session, f]() -> absl::Status {
    v1::CreateJobRequest request;
    request.set_request_id(NewRequestId());
    request.set_display_name(f->name);
    request.mutable_analyse()->set_model(FullName("models", f->model));
    request.mutable_analyse()->set_recording(FullName("recordings", f->recording));
    SAED_RETURN_IF_ERROR(
        AddConditions(f->conditions, request.mutable_analyse()->mutable_conditions()));
    f->queue.Fill(request);
    return Submit(session, request, f->detach);
  });
}

}  // namespace saed::cli

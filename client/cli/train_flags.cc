#include "client/cli/train_flags.h"

#include <fmt/format.h>

#include <map>
#include <random>

#include "client/cli/command.h"
#include "client/cli/words.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// For a number that a request cannot tell from one that was left out where it is 0.
std::string AtLeastOne(const std::string& value) {
  double number = 0;
  return CLI::detail::lexical_cast(value, number) && number >= 1
             ? ""
             : "is " + value + "; must be a whole number of 1 or more";
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
  view.set_segments(f.segments);
  if (!f.mask.empty()) {
    SAED_ASSIGN_OR_RETURN(const auto rows, TableAndFilter(f.mask, "--mask"));
    view.mutable_mask()->set_table(rows.first);
    view.mutable_mask()->set_filter(rows.second);
  }
  return f.split.Fill(*view.mutable_split());
}

absl::Status SetModel(const TrainFlags& f, v1::ModelSpec& model) {
  if (!f.levels.empty() && (f.features != 0 || f.k != 0)) {
    return absl::InvalidArgumentError(
        "give --features and --k, or one --level FEATURES:K for each Matryoshka level");
  }
  if (f.features != 0 || f.k != 0) {
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

}  // namespace

std::string NewRequestId() {
  std::random_device device;
  return fmt::format("saectl-{:08x}{:08x}", device(), device());
}

// "NAME: EXPRESSION".
absl::StatusOr<v1::Condition> ParseCondition(const std::string& text, const std::string& flag) {
  const size_t colon = text.find(": ");
  if (colon == 0 || colon == std::string::npos) {
    return absl::InvalidArgumentError(
        fmt::format("{} is '{}'; must be 'NAME: EXPRESSION', e.g. 'flash: "
                    "around_start(stimuli, kind = flash AND side = left, 0.04, 0.16)'",
                    flag, text));
  }
  v1::Condition out;
  out.set_name(text.substr(0, colon));
  out.set_expression(text.substr(colon + 2));
  return out;
}

void ConditionFlags::AddTo(CLI::App& command) {
  command
      .add_option(
          "--condition", conditions,
          "'NAME: EXPRESSION' beside the automatic conditions (repeatable), e.g. 'hits: "
          "around_start(trials, outcome = hit, 0, 0.5)', 'side: contrast(trials.side, left, "
          "right)' or 'fast: speed > 20 AND rising(speed)'; all of the language: saectl help "
          "conditions")
      ->group("Dictionary");
  command
      .add_option("--condition-columns", only,
                  "Automatic conditions of these alone: TABLE.COLUMN, or TABLE for all of its")
      ->delimiter(',')
      ->check(NotEmpty)
      ->group("Dictionary");
  command
      .add_option("--exclude-columns", excluded, "No automatic conditions of these, named as above")
      ->delimiter(',')
      ->check(NotEmpty)
      ->group("Dictionary");
}

v1::Normaliser NormaliserOf(const std::string& name) {
  return name == "zscore"   ? v1::NORMALISER_ZSCORE
         : name == "minmax" ? v1::NORMALISER_MINMAX
                            : v1::NORMALISER_NONE;
}

absl::Status TrainFlags::Fill(v1::TrainSpec& spec) const {
  spec.set_recording(FullName("recordings", recording));
  SAED_RETURN_IF_ERROR(SetView(*this, *spec.mutable_view()));
  SAED_RETURN_IF_ERROR(SetModel(*this, *spec.mutable_model()));
  if (!target_recording.empty() || !target_labels.empty() || !target_regions.empty() ||
      !target_units.empty()) {
    auto* target = spec.mutable_target();
    if (!target_recording.empty()) {
      target->set_recording(FullName("recordings", target_recording));
    }
    target->mutable_unit_labels()->Assign(target_labels.begin(), target_labels.end());
    target->mutable_unit_regions()->Assign(target_regions.begin(), target_regions.end());
    target->mutable_unit_ids()->Assign(target_units.begin(), target_units.end());
    target->set_normaliser(NormaliserOf(target_normaliser));
  }
  auto* adam = spec.mutable_optimiser();
  adam->set_learning_rate(learning_rate);
  adam->set_kind(optimiser == "adamw"      ? v1::OPTIMISER_KIND_ADAMW
                 : optimiser == "momentum" ? v1::OPTIMISER_KIND_MOMENTUM
                                           : v1::OPTIMISER_KIND_ADAM);
  adam->set_weight_decay(weight_decay);
  adam->set_clip_norm(clip);
  adam->set_average(average);
  adam->mutable_schedule()->set_kind(schedule == "constant" ? v1::SCHEDULE_KIND_CONSTANT
                                     : schedule == "linear" ? v1::SCHEDULE_KIND_LINEAR
                                     : schedule == "cosine" ? v1::SCHEDULE_KIND_COSINE
                                                            : v1::SCHEDULE_KIND_WARMUP_HOLD);
  spec.set_batch_size(batch);
  spec.set_epochs(epochs);
  spec.set_max_steps(max_steps);
  spec.set_seed(seed);
  spec.set_hidden_inputs(hidden_inputs);
  spec.set_threads(threads);
  return conditions.Fill(spec);
}

void TrainFlags::AddTo(CLI::App& command) {
  command.add_option("recording", recording, "Its name or id")->required();
  command
      .add_option("--bin,--bin-width", bin,
                  "Bin width, s; 0 (default): by the units' rates, or the counts' own")
      ->group("Data");
  command.add_option("--window", window, "Bins per window")
      ->group("Data")
      ->check(AtLeastOne)
      ->capture_default_str();
  command
      .add_option("--stride", stride,
                  "Bins between windows; above 1 there are no responses around the start of "
                  "conditions and no spectra")
      ->group("Data")
      ->check(AtLeastOne);
  command.add_option("--label", labels, "Only units with this label (repeatable)")->group("Data");
  command.add_option("--unit", unit_ids, "Only this unit id (repeatable)")->group("Data");
  command.add_option("--region", regions, "Only units of this region (repeatable)")->group("Data");
  command
      .add_option("--min-rate,--minimum-rate", minimum_rate, "Only units of at least this rate, Hz")
      ->group("Data");
  command.add_option("--start", start, "Start of the time range, s")->group("Data");
  command.add_option("--stop", stop, "End of the time range, s")->group("Data");
  command.add_option("--mask", mask, "Only bins inside intervals: TABLE or TABLE[FILTER]")
      ->check(NotEmpty)
      ->group("Data");
  command.add_option("--normaliser", normaliser, "Fitted on training bins")
      ->transform(OneOf({"none", "zscore", "minmax"}))
      ->group("Data")
      ->capture_default_str();
  command
      .add_option("--segments", segments,
                  "Windows lie inside one row of TABLE, for rows joined end to end but not "
                  "continuous")
      ->check(NotEmpty)
      ->group("Data");
  split.AddTo(command);
  command
      .add_option("--features", features,
                  "Latents in the dictionary, F; 0 (default): by units and windows")
      ->group("Model");
  command.add_option("--k", k, "Active latents per window; 0 (default): by F")->group("Model");
  command.add_option("--level", levels, "Matryoshka level FEATURES:K (repeatable, ascending)")
      ->group("Model");
  command
      .add_option("--selection", selection, "relu (default), topk, batch_topk, jumprelu or gated")
      ->transform(OneOf({"relu", "topk", "batch_topk", "jumprelu", "gated"}))
      ->group("Model");
  command
      .add_option(
          "--lambda", lambda,
          "Sparsity penalty of relu, jumprelu and gated; 0 (default): adjusted to reach --k")
      ->group("Model");
  command.add_option("--final-p", final_p, "p-anneal: last exponent of relu's penalty")
      ->group("Model");
  command
      .add_option("--k-anneal", k_anneal,
                  "topk, batch_topk: k falls from all latents to --k over this part of training")
      ->group("Model");
  command.add_option("--bandwidth", bandwidth, "jumprelu: width of the straight-through window")
      ->group("Model");
  command.add_option("--threshold", threshold, "jumprelu: start of the thresholds")->group("Model");
  command.add_option("--bias-start", bias_start, "mean (default), zero or geometric_median")
      ->transform(OneOf({"mean", "zero", "geometric_median"}))
      ->group("Model");
  command.add_flag("--subtract-bias", subtract_bias, "Subtract the decoder bias from the input")
      ->group("Model");
  command
      .add_option("--revival", revival,
                  "Of dead latents: auxk (default), nldisco, resample or none")
      ->transform(OneOf({"auxk", "nldisco", "resample", "none"}))
      ->group("Model");
  command
      .add_flag("--aux-pre-activation", pre_activation,
                "AuxK uses pre-activations, negative ones too")
      ->group("Model");
  command.add_option("--resample-every", resample_every, "Steps between resamplings")
      ->group("Model");
  command
      .add_option("--target-recording", target_recording,
                  "Predict units of this recording on the same bins")
      ->group("Paired population");
  command.add_option("--target-label", target_labels, "Predict units with this label (repeatable)")
      ->group("Paired population");
  command
      .add_option("--target-region", target_regions, "Predict units of this region (repeatable)")
      ->group("Paired population");
  command.add_option("--target-unit", target_units, "Predict this unit id (repeatable)")
      ->group("Paired population");
  command.add_option("--target-normaliser", target_normaliser, "Of the predicted units")
      ->transform(OneOf({"none", "zscore", "minmax"}))
      ->group("Paired population");
  command
      .add_option(
          "--loss", loss,
          "poisson (default for counts), mse (default where the target is normalised) or msle")
      ->transform(OneOf({"mse", "msle", "poisson"}))
      ->group("Model");
  command.add_option("--output-function", output, "Default: what the loss needs")
      ->transform(OneOf({"identity", "relu", "softplus"}))
      ->group("Model");
  command.add_option("--decoder-start", decoder_start, "tied (default) or independent")
      ->transform(OneOf({"tied", "independent"}))
      ->group("Model");
  command.add_option("--aux-weight", aux_weight, "Weight of AuxK; 0 switches it off")
      ->group("Model");
  command
      .add_option("--dead-after", dead_after,
                  "Steps unselected that make a latent dead; 0: a twentieth of all")
      ->group("Model");
  command.add_option("--lr,--learning-rate", learning_rate, "Learning rate")
      ->group("Training")
      ->capture_default_str();
  command.add_option("--optimiser", optimiser, "adam (default), adamw or momentum")
      ->transform(OneOf({"adam", "adamw", "momentum"}))
      ->group("Training");
  command.add_option("--weight-decay", weight_decay, "Of the matrices, for adamw and momentum")
      ->group("Training");
  command.add_option("--clip", clip, "Largest global norm of the gradient; 0: no limit")
      ->group("Training");
  command.add_option("--average", average, "Decay of a moving average of the weights; 0: none")
      ->group("Training");
  command.add_option("--schedule", schedule, "warmup_hold (default), constant, linear or cosine")
      ->transform(OneOf({"warmup_hold", "constant", "linear", "cosine"}))
      ->group("Training");
  command
      .add_option("--batch,--batch-size", batch,
                  "Windows per step; 0 (default): 256, or 1024 where 50000 windows or more train")
      ->group("Training");
  command
      .add_option("--epochs", epochs,
                  "Passes over the data; 0 (default): at least 20 and 1000 steps")
      ->group("Training");
  command.add_option("--max-steps", max_steps, "End early after this many steps")
      ->group("Training");
  command
      .add_option("--hidden-inputs", hidden_inputs,
                  "Fraction of the units that each window lacks in a step; all are reconstructed")
      ->check(CLI::Range(0.0, 0.9))
      ->group("Training");
  command.add_option("--seed", seed, "Of everything random")
      ->group("Training")
      ->capture_default_str();
  command.add_option("--threads", threads, "Results do not depend on it")->group("Training");
  conditions.AddTo(command);
}

}  // namespace saed::cli

// saectl, the command line of saed.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "client/cli/command.h"
#include "client/cli/connection.h"
#include "client/cli/help.h"
#include "client/cli/output.h"
#include "server/base/address.h"
#include "server/base/display_name.h"
#include "server/base/nearest.h"

namespace saed::cli {

namespace {

absl::Status ReadAll(const std::string& path, std::string& out) {
  std::ifstream in(path, std::ios::binary);
  out.assign(std::istreambuf_iterator<char>(in), {});
  if (in && !out.empty()) return absl::OkStatus();
  return absl::NotFoundError(fmt::format("cannot read {}", path));
}

// What the server calls by names of the protocol, in words of this command line.
constexpr std::pair<std::string_view, std::string_view> kWords[] = {
    {"ListAnnotations", "saectl features show"},
    {"GetDictionary names", "saectl conditions list names"},
    {"ListDictionaries", "saectl dictionaries list"},
    {"ListFeatures", "saectl features list"},
    {"ListFormats", "saectl recordings formats"},
    {"ListJobs", "saectl jobs list"},
    {"ListModels", "saectl models list"},
    {"ListNearestFeatures", "saectl features nearest"},
    {"ListRecordings", "saectl recordings list"},
    {"ListSweeps", "saectl sweeps list"},
    {"ListTokens", "saectl tokens list"},
    {"ListUnits", "saectl recordings units"},
    {"ListUsers", "saectl admin users list"},
    {"ResumeJob", "saectl jobs resume"},
    {"RetryJob", "saectl jobs retry"},
    {"WatchJob", "saectl jobs watch"},
    {"LIKENESS_ACTIVATION", "--by activation"},
    {"LIKENESS_DECODER", "--by decoder"},
    {"LIKENESS_TUNING", "--by tuning"},
    {"base.view", "view"},
    {"batch_size", "--batch"},
    {"condition_columns.excluded", "--exclude-columns"},
    {"condition_columns.only", "--condition-columns"},
    {"hidden_inputs", "--hidden-inputs"},
    {"max_steps", "--max-steps"},
    {"model.aux.dead_after_steps", "--dead-after"},
    {"model.aux.weight", "--aux-weight"},
    {"model.bias_start", "--bias-start"},
    {"model.k_anneal_fraction", "--k-anneal"},
    {"model.levels[0].features", "--features"},
    {"model.levels[0].k", "--k"},
    {"model.loss", "--loss"},
    {"model.output", "--output-function"},
    {"model.penalty.bandwidth", "--bandwidth"},
    {"model.penalty.final_p", "--final-p"},
    {"model.penalty.threshold", "--threshold"},
    {"model.penalty.weight", "--lambda"},
    {"model.resampling.every_steps", "--resample-every"},
    {"model.selection", "--selection"},
    {"model.subtract_bias", "--subtract-bias"},
    {"optimiser.average", "--average"},
    {"optimiser.clip_norm", "--clip"},
    {"optimiser.learning_rate", "--lr"},
    {"optimiser.weight_decay", "--weight-decay"},
    {"reassign_to", "--reassign-to"},
    {"recording.unit_ids", "the model"},
    {"target.normaliser", "--target-normaliser"},
    {"target.recording", "--target-recording"},
    {"target.unit_ids", "--target-unit"},
    {"target.unit_labels", "--target-label"},
    {"target.unit_regions", "--target-region"},
    {"time_limit_seconds", "--time-limit"},
    {"valid_days", "--days"},
    {"view.bin_width", "--bin"},
    {"view.mask.filter", "the filter of --mask"},
    {"view.mask.table", "--mask"},
    {"view.minimum_rate", "--min-rate"},
    {"view.normaliser", "--normaliser"},
    {"view.segments", "--segments"},
    {"view.split.column", "--split-column"},
    {"view.split.table", "--split-column"},
    {"view.split.test_values", "--test-values"},
    {"view.split.time.blocks", "--split-time"},
    {"view.split.time.embargo", "--embargo"},
    {"view.split.time.held_out", "--held-out"},
    {"view.split.train_fraction", "--split"},
    {"view.split.train_values", "--train-values"},
    {"view.split.trials.embargo", "--embargo"},
    {"view.split.trials.filter", "--split-trials"},
    {"view.split.trials.fold", "--fold"},
    {"view.split.trials.folds", "the folds of --fold"},
    {"view.split.trials.held_out", "--held-out"},
    {"view.split.trials.stratify", "--stratify"},
    {"view.split.trials.table", "--split-trials"},
    {"view.start_time", "--start"},
    {"view.stop_time", "--stop"},
    {"view.stride", "--stride"},
    {"view.unit_ids", "--unit"},
    {"view.unit_labels", "--label"},
    {"view.unit_regions", "--region"},
    {"view.window", "--window"},
};

bool IsId(std::string_view text) {
  constexpr size_t kDigits = 16;
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// "there is no job 'jobs/long'" → "there is no job 'long'", as it was typed; ids keep where they
// are from.
void ShortenName(std::string& text) {
  constexpr std::string_view kBegin = "there is no ";
  if (!text.starts_with(kBegin)) return;
  const size_t quote = text.find(" '", kBegin.size());
  const size_t end = text.find("'; list them with ");
  if (quote == text.npos || end == text.npos) return;
  const size_t name = quote + 2, slash = text.find('/', name);
  if (slash < end && !IsId(std::string_view(text).substr(slash + 1, end - slash - 1))) {
    text.erase(name, slash + 1 - name);
  }
}

std::string InWordsOfFlags(std::string text) {
  ShortenName(text);
  // Fields of requests that commands take as their first argument.
  for (const std::string_view field : {"parent is ", "name is '"}) {
    if (text.starts_with(field)) text.replace(0, field.find(' '), "the name");
  }
  // The method that was refused, for those who call it by that name.
  if (const size_t at = text.rfind(" ("); at != text.npos && text.ends_with(")") &&
                                          text.find("Service.", at) != text.npos &&
                                          text.find(' ', at + 1) == text.npos) {
    text.resize(at);
  }
  const auto letter = [&](size_t i) {
    return i < text.size() && std::isalnum(static_cast<unsigned char>(text[i])) != 0;
  };
  for (const auto& [word, instead] : kWords) {
    for (size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
      const bool whole = (at == 0 || !letter(at - 1)) && !letter(at + word.size());
      if (whole) text.replace(at, word.size(), instead);
      at += whole ? instead.size() : word.size();
    }
  }
  return text;
}

}  // namespace

void Run(CLI::App* command, Session& session, Body body) {
  command->callback([&session, body = std::move(body)] {
    client::Credentials credentials;
    if (const char* token = std::getenv("SAED_TOKEN")) credentials.token = token;
    absl::Status status;
    for (const auto& [file, text] : {std::pair(&session.ca, &credentials.ca),
                                     {&session.certificate, &credentials.certificate},
                                     {&session.key, &credentials.key}}) {
      if (status.ok() && !file->empty()) status = ReadAll(*file, *text);
    }
    if (status.ok()) status = CheckAddress("--server", session.server);
    if (status.ok()) {
      session.client = std::make_unique<client::Client>(session.server, credentials);
      status = body();
    }
    if (status.ok()) return;
    const std::string unreachable = WhyUnreachable(session, status);
    constexpr int kIndent = 8;  // of "saectl: "
    const std::string text =
        unreachable.empty() ? InWordsOfFlags(WithoutHidden(std::string(status.message()), true))
                            : unreachable;
    const int width = ErrorWidth();
    fmt::print(stderr, "saectl: {}\n", width < 1000 ? Wrapped(text, width, kIndent) : text);
    session.exit_code = !unreachable.empty()                          ? kUnreachable
                        : status.code() == absl::StatusCode::kAborted ? kJobFailed
                                                                      : kFailed;
  });
}

std::string FullName(const std::string& collection, const std::string& name) {
  return name.starts_with(collection + "/") ? name : collection + "/" + name;
}

namespace {

// Whether the word is a flag whose value is the next one.
bool TakesNext(const CLI::App& command, const std::string& word) {
  const CLI::Option* option = command.get_option_no_throw(word);
  return option != nullptr && option->get_items_expected() > 0;
}

// Says where a command was mistyped, with the likeliest one, and whether it did.
bool Suggest(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  std::string path = "saectl";
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i].starts_with('-')) {
      i += TakesNext(app, words[i]) || TakesNext(*command, words[i]);
      continue;
    }
    std::vector<std::string> known;
    for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; })) {
      known.push_back(sub->get_name());
    }
    if (known.empty()) return false;
    path += ' ';
    if (std::find(known.begin(), known.end(), words[i]) == known.end()) {
      const std::string nearest = Nearest(words[i], known);
      fmt::print(stderr,
                 "saectl: there is no command '{}{}'{}\nRun {} --help for those there are.\n", path,
                 words[i],
                 nearest.empty() ? "" : fmt::format("; did you mean '{}{}'?", path, nearest),
                 path.substr(0, path.size() - 1));
      return true;
    }
    path += words[i];
    command = command->get_subcommand(words[i]);
  }
  return false;
}

}  // namespace

}  // namespace saed::cli

int main(int argc, char** argv) {
  using namespace saed::cli;
  setenv("GRPC_VERBOSITY", "NONE", 0);  // what goes wrong is said in words of our own
  Session session;
  if (const char* server = std::getenv("SAED_SERVER")) session.server = server;
  if (const char* ca = std::getenv("SAED_TLS_CA")) session.ca = ca;
  CLI::App app{
      "saectl talks to a saed server: it imports recordings, trains sparse autoencoders on them, "
      "and "
      "asks which features stand for what.\n\nExit codes: 0 done, 1 refused or failed, 2 wrong "
      "flags, 3 a watched job failed, 4 no server."};
  app.set_version_flag("--version", SAED_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  FitHelp(app);  // before the subcommands, which inherit it
  app.add_option("--server", session.server, "Server address (or SAED_SERVER)")
      ->capture_default_str();
  app.add_option(
      "--tls-ca", session.ca,
      "Trust servers with a certificate of this authority (PEM; or SAED_TLS_CA); without "
      "it there is no TLS");
  app.add_option("--tls-cert", session.certificate, "Certificate to show to the server (PEM)");
  app.add_option("--tls-key", session.key, "Its key (PEM)");
  app.add_option_function<std::string>(
         "--output", [&](const std::string& v) { session.json = v == "json"; }, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->trigger_on_parse();
  AddRecordingCommands(app, session);
  AddTrainCommand(app, session);
  AddAnalyseCommand(app, session);
  AddSweepCommands(app, session);
  AddJobCommands(app, session);
  AddModelCommands(app, session);
  AddDictionaryCommands(app, session);
  AddFeatureCommands(app, session);
  AddConditionCommands(app, session);
  AddReportCommand(app, session);
  AddEncodeCommand(app, session);
  AddWhoamiCommand(app, session);
  AddTokenCommands(app, session, Whose::kOwn);
  AddAdminCommands(app, session);
  AddServerCommand(app, session);
  AddTopCommand(app, session);
  AddHelpCommand(app, session);
  AddCompletionCommand(app, session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() != 0 && Suggest(app, {argv + 1, argv + argc})) return kUsage;
    return app.exit(e) == 0 ? kOk : kUsage;
  }
  return session.exit_code;
}

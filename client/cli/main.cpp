// saectl, the command line of saed.
#include <fmt/format.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "client/cli/command.h"
#include "client/cli/help.h"
#include "client/cli/output.h"

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
    {"list them with ListDictionaries", "saectl jobs show JOB gives its dictionary"},
    {"ListAnnotations", "saectl features show"},
    {"GetDictionary names", "saectl conditions list names"},
    {"ListDictionaries", "saectl jobs list"},
    {"ListFeatures", "saectl features list"},
    {"ListFormats", "saectl recordings formats"},
    {"ListJobs", "saectl jobs list"},
    {"ListModels", "saectl models list"},
    {"ListNearestFeatures", "saectl features nearest"},
    {"ListRecordings", "saectl recordings list"},
    {"ListSweeps", "saectl sweeps list"},
    {"ListTokens", "saectl admin tokens list"},
    {"ListUnits", "saectl recordings units"},
    {"ListUsers", "saectl admin users list"},
    {"WatchJob", "saectl jobs watch"},
    {"LIKENESS_ACTIVATION", "--by activation"},
    {"LIKENESS_DECODER", "--by decoder"},
    {"LIKENESS_TUNING", "--by tuning"},
    {"base.view", "view"},
    {"condition_columns.excluded", "--exclude-columns"},
    {"condition_columns.only", "--condition-columns"},
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
};

std::string InWordsOfFlags(std::string text) {
  // Fields of requests that commands take as their first argument.
  for (const std::string_view field : {"parent is ", "name is '"}) {
    if (text.starts_with(field)) text.replace(0, field.find(' '), "the name");
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
    if (status.ok()) {
      session.client = std::make_unique<client::Client>(session.server, credentials);
      status = body();
    }
    if (status.ok()) return;
    const bool unreachable = status.code() == absl::StatusCode::kUnavailable &&
                             status.message().find("connect") != absl::string_view::npos;
    if (unreachable) {
      fmt::print(
          stderr,
          "saectl: no saed server answers at {}\n  Start one with: saed --data-dir DIR\n  Or "
          "name another with --server or the environment variable SAED_SERVER.\n",
          session.server);
    } else {
      constexpr int kIndent = 8;  // of "saectl: "
      const std::string text = InWordsOfFlags(std::string(status.message()));
      const int width = ErrorWidth();
      fmt::print(stderr, "saectl: {}\n", width < 1000 ? Wrapped(text, width, kIndent) : text);
    }
    session.exit_code = unreachable                                   ? kUnreachable
                        : status.code() == absl::StatusCode::kAborted ? kJobFailed
                                                                      : kFailed;
  });
}

std::string FullName(const std::string& collection, const std::string& name) {
  return name.starts_with(collection + "/") ? name : collection + "/" + name;
}

}  // namespace saed::cli

int main(int argc, char** argv) {
  using namespace saed::cli;
  Session session;
  if (const char* server = std::getenv("SAED_SERVER")) session.server = server;
  if (const char* ca = std::getenv("SAED_TLS_CA")) session.ca = ca;
  CLI::App app{
      "saectl talks to a saed server: it imports recordings, trains sparse autoencoders on them, "
      "and "
      "asks which features stand for what.\n\nExit codes: 0 done, 1 refused or failed, 2 wrong "
      "flags, 3 a watched job failed, 4 no server."};
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
  AddFeatureCommands(app, session);
  AddConditionCommands(app, session);
  AddReportCommand(app, session);
  AddEncodeCommand(app, session);
  AddAdminCommands(app, session);
  AddServerCommand(app, session);
  AddTopCommand(app, session);
  AddCompletionCommand(app, session);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? kOk : kUsage;
  }
  return session.exit_code;
}

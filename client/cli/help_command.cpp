// saectl help: pages about what commands have in common, and the commands' own help.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/help.h"
#include "client/cli/output.h"
#include "client/cli/page.h"
#include "client/cli/topics.h"
#include "server/base/nearest.h"

namespace saed::cli {
namespace {

std::vector<std::string> Names(const CLI::App& app) {
  std::vector<std::string> out;
  for (const Topic& topic : Topics()) out.emplace_back(topic.name);
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.push_back(sub->get_name());
  }
  return out;
}

// nullptr where there is none.
const CLI::App* Subcommand(const CLI::App& app, const std::string& name) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

// What --help of the command that the words name prints; empty where there is none.
std::string CommandHelp(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* at = &app;
  std::string before;  // the names above
  for (const std::string& word : words) {
    before += (before.empty() ? "" : " ") + at->get_name();
    at = Subcommand(*at, word);
    if (at == nullptr) return "";
  }
  return at->help(before);
}

// False where the words name neither a topic nor a command.
bool Print(const CLI::App& app, const std::vector<std::string>& words) {
  if (words.empty()) {
    std::string names;
    for (const Topic& topic : Topics()) names += fmt::format("  {}\n", topic.name);
    fmt::print("saectl help TOPIC, of\n{}saectl help COMMAND …, or saectl --help for them all\n",
               names);
    return true;
  }
  if (words.size() == 1) {
    for (const Topic& topic : Topics()) {
      if (topic.name != words[0]) continue;
      fmt::print("{}", PageText(topic.markdown, TerminalWidth()));
      if (Subcommand(app, words[0]) != nullptr) {
        fmt::print("\nThe commands: saectl {} --help\n", words[0]);
      }
      return true;
    }
  }
  const std::string help = CommandHelp(app, words);
  fmt::print("{}", help);
  return !help.empty();
}

}  // namespace

void AddHelpCommand(CLI::App& app, Session& session) {
  std::vector<std::string> topics;
  for (const Topic& topic : Topics()) topics.emplace_back(topic.name);
  auto* c = app.add_subcommand(
      "help", fmt::format("A page about {}; or the help of a command", fmt::join(topics, ", ")));
  auto words = std::make_shared<std::vector<std::string>>();
  c->add_option("topic", *words, "A topic, or the words of a command");
  c->callback([&app, &session, words] {
    if (Print(app, *words)) return;
    const std::string nearest = Nearest((*words)[0], Names(app));
    fmt::print(stderr, "saectl: there is no help on '{}'{}\nRun saectl help for the topics.\n",
               fmt::join(*words, " "),
               nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest));
    session.exit_code = kUsage;
  });
}

}  // namespace saed::cli

// Shell completion, made from the commands and flags themselves.
#include <fmt/format.h>

#include "client/cli/command.h"

namespace saed::cli {
namespace {

// One line "path words…" per command: its subcommands and flags.
void Collect(const CLI::App& app, const std::string& path, std::string& out) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands({})) words += sub->get_name() + " ";
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  }
  out += fmt::format("    '{}') words='{}' ;;\n", path, words);
  for (const CLI::App* sub : app.get_subcommands({})) {
    Collect(*sub, path + (path.empty() ? "" : " ") + sub->get_name(), out);
  }
}

std::string BashScript(const CLI::App& app) {
  std::string cases;
  Collect(app, "", cases);
  return fmt::format(R"(_saectl() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path= word words=
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    [[ $word == -* ]] && break
    path="${{path:+$path }}$word"
  done
  while :; do
    case "$path" in
{}    *) words= ;;
    esac
    [[ -n $words || -z $path ]] && break
    [[ $path == *' '* ]] && path=${{path% *}} || path=
  done
  COMPREPLY=($(compgen -W "$words --server --output --help" -- "$current"))
  [[ $current == -* ]] || COMPREPLY+=($(compgen -f -- "$current"))
}}
complete -o filenames -F _saectl saectl
)",
                     cases);
}

}  // namespace

void AddCompletionCommand(CLI::App& app, Session&) {
  auto* c =
      app.add_subcommand("completion", "Completion for a shell: source <(saectl completion bash)");
  auto shell = std::make_shared<std::string>("bash");
  c->add_option("shell", *shell, "bash; zsh through bashcompinit")
      ->check(CLI::IsMember({"bash", "zsh"}))
      ->capture_default_str();
  c->callback([&app, shell] {
    if (*shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
    fmt::print("{}", BashScript(app));
  });
}

}  // namespace saed::cli

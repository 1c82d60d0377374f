// What --help, wrong flags and `saectl help` print, in lines that fit the terminal.
#pragma once

#include <CLI/CLI.hpp>

namespace saed::cli {

struct Session;

void FitHelp(CLI::App& app);

// Adds `saectl help`, which prints topics.h and the help of the app's commands.
void AddHelpCommand(CLI::App& app, Session& session);

}  // namespace saed::cli

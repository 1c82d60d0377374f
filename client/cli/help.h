// What --help and wrong flags print, in lines that fit the terminal.
#pragma once

#include <CLI/CLI.hpp>

namespace saed::cli {

void FitHelp(CLI::App& app);

}  // namespace saed::cli

#include "client/cli/help.h"

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>

#include "client/cli/output.h"

namespace saed::cli {
namespace {

constexpr size_t kColumn = 30;  // where descriptions begin

// CLI11's own help with long lines broken: those of options under their descriptions.
class Formatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    const int width = TerminalWidth();
    std::istringstream lines(CLI::Formatter::make_help(app, std::move(name), mode));
    std::string out;
    for (std::string line; std::getline(lines, line);) out += Broken(line, width) + "\n";
    return out;
  }

 private:
  static std::string Broken(const std::string& line, int width) {
    if (line.size() <= static_cast<size_t>(width)) return line;
    const size_t lead = line.find_first_not_of(' ');
    const bool described = lead == 2 && line.size() > kColumn && line[kColumn - 1] == ' ';
    const size_t begin = described || lead == kColumn ? kColumn : lead;
    // A terminal with no room beside the names has the descriptions below them.
    const bool below = static_cast<size_t>(width) < kColumn + 30 && begin == kColumn;
    const int indent = below ? 6 : static_cast<int>(begin);
    std::string head = line.substr(0, begin);
    if (below) {
      head.erase(head.find_last_not_of(' ') + 1);
      head += (head.empty() ? "" : "\n") + std::string(6, ' ');
    }
    return head + Wrapped(line.substr(begin), width, indent);
  }
};

}  // namespace

void FitHelp(CLI::App& app) {
  app.formatter(std::make_shared<Formatter>());
  app.get_formatter()->column_width(kColumn);
  app.failure_message([](const CLI::App* failed, const CLI::Error& error) {
    return Wrapped(CLI::FailureMessage::simple(failed, error), ErrorWidth(), 0) + "\n";
  });
}

}  // namespace saed::cli

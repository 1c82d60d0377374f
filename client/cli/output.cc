#include "client/cli/output.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>

namespace saed::cli {
namespace {

// Characters, not bytes, of UTF-8 text.
size_t Length(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Fit(const std::string& text, size_t width, bool right) {
  const size_t length = Length(text);
  if (length <= width) {
    const std::string pad(width - length, ' ');
    return right ? pad + text : text + pad;
  }
  std::string out;
  size_t n = 0;
  for (char c : text) {
    if ((c & 0xC0) != 0x80 && ++n == width) break;
    out += c;
  }
  return out + "…";
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string Table(const std::vector<std::string>& titles,
                  const std::vector<std::vector<std::string>>& rows, int width,
                  const std::vector<size_t>& right) {
  std::vector<size_t> widths(titles.size());
  for (size_t c = 0; c < titles.size(); ++c) {
    widths[c] = Length(titles[c]);
    for (const auto& row : rows) widths[c] = std::max(widths[c], Length(row[c]));
  }
  const auto total = [&] {
    size_t sum = 2 * (widths.size() - 1);
    for (size_t w : widths) sum += w;
    return sum;
  };
  while (total() > static_cast<size_t>(std::max(width, 1))) {
    auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= 6) break;
    --*widest;
  }
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t c = 0; c < cells.size(); ++c) {
      const bool align_right = std::find(right.begin(), right.end(), c) != right.end();
      text += (c == 0 ? "" : "  ") + Fit(cells[c], widths[c], align_right);
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  };
  line(titles);
  for (const auto& row : rows) line(row);
  return out;
}

namespace {

// Words put together in lines; `broken` ends a line that goes on.
std::string Fill(const std::vector<std::string>& words, size_t width, size_t at, size_t indent,
                 const std::string& broken) {
  std::string out;
  bool first = true;
  for (const std::string& word : words) {
    const size_t length = Length(word);
    if (!first && at + 1 + length + broken.size() > width) {
      out += broken + "\n" + std::string(indent, ' ');
      at = indent;
      first = true;
    }
    out += (first ? "" : " ") + word;
    at += length + (first ? 0 : 1);
    first = false;
  }
  return out;
}

}  // namespace

std::string Wrapped(const std::string& text, int width, int indent) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    // What the text itself sets apart stays so.
    const size_t lead = std::min(line.find_first_not_of(' '), line.size());
    std::vector<std::string> words;
    std::istringstream in(line);
    for (std::string word; in >> word;) words.push_back(word);
    const auto margin = static_cast<size_t>(indent) + lead;
    if (!out.empty()) out += "\n" + std::string(static_cast<size_t>(indent), ' ');
    out += std::string(lead, ' ') + Fill(words, static_cast<size_t>(width), margin, margin, "");
  }
  return out;
}

std::string WrappedCommand(const std::string& command, int width) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (const char c : command) {
    quoted ^= c == '\'';
    if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return Fill(words, static_cast<size_t>(width), 0, 4, " \\");
}

int TerminalWidth() {
  winsize size{};
  if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return 1000;
}

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO)) {}
ProgressLine::~ProgressLine() { End(); }

void ProgressLine::Show(double fraction, const std::string& text) {
  const double now = Now();
  if (now - last_ < (terminal_ ? 0.05 : 5.0) && fraction < 1) return;
  last_ = now;
  constexpr int kBar = 24;
  const int full = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * kBar);
  std::string bar;
  for (int i = 0; i < kBar; ++i) bar += i < full ? "█" : "░";
  if (terminal_) {
    fmt::print(stderr, "\r\033[K{} {:3.0f} %  {}", bar, 100 * fraction, text);
    shown_ = true;
  } else {
    fmt::print(stderr, "{:3.0f} %  {}\n", 100 * fraction, text);
  }
  std::fflush(stderr);
}

void ProgressLine::End() {
  if (shown_) fmt::print(stderr, "\n");
  shown_ = false;
}

std::string Json(const google::protobuf::Message& message) {
  std::string out;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(message, &out, options);
  return status.ok() ? out : std::string();
}

std::string Seconds(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string Bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  for (; bytes >= 1000 && unit < 4; ++unit) bytes /= 1000;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, units[unit]);
}

}  // namespace saed::cli

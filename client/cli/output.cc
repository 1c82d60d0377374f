#include "client/cli/output.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "server/base/display_name.h"

namespace saed::cli {
namespace {

// Characters, not bytes, of UTF-8 text.
size_t Length(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Characters [from, to) of UTF-8 text.
std::string Characters(const std::string& text, size_t from, size_t to) {
  std::string out;
  size_t n = 0;
  for (const char c : text) {
    n += (c & 0xC0) != 0x80;
    if (n > from && n <= to) out += c;
  }
  return out;
}

// The beginning of a text without its last word, where that has digits and goes on.
std::string WithoutHalfANumber(std::string begin, const std::string& text) {
  const size_t space = begin.rfind(' ');
  if (space == begin.npos || begin.size() >= text.size() || text[begin.size()] == ' ') return begin;
  const bool digits = begin.find_first_of("0123456789", space) != begin.npos ||
                      std::isdigit(static_cast<unsigned char>(text[begin.size()])) != 0;
  if (digits) begin.resize(space + 1);
  return begin;
}

std::string Fit(const std::string& text, size_t width, bool right) {
  const size_t length = Length(text);
  if (length <= width) {
    const std::string pad(width - length, ' ');
    return right ? pad + text : text + pad;
  }
  // Of "trials.stimulus=left" what differs from row to row stands at the end.
  const size_t tail = text.find('=') != std::string::npos ? 2 * (width - 1) / 3 : 0;
  const std::string head = WithoutHalfANumber(Characters(text, 0, width - 1 - tail), text);
  const std::string cut = head + "…" + Characters(text, length - tail, length);
  return cut + std::string(width - std::min(width, Length(cut)), ' ');
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

namespace {

// "recordings/a02e225f4d7796cb".
bool IsName(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || text.find(' ') != std::string::npos) return false;
  const std::string collection = text.substr(0, slash);
  return collection == "recordings" || collection == "jobs" || collection == "models" ||
         collection == "dictionaries" || collection == "sweeps" || collection == "tokens";
}

// A number, several, or a time: "0.974 (23)", "12.1 %", "0.98-1.00", "2026-11-28T06:40:12Z".
bool IsFigure(const std::string& text) {
  bool digit = false;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && std::strchr("+-.,:() %TZ*", c) == nullptr) return false;
    digit |= is_digit;
  }
  return digit || text == "-" || text.empty();
}

// The columns of a table as they are fitted to a terminal.
class Columns {
 public:
  Columns(const std::vector<std::string>& titles, const std::vector<std::vector<std::string>>& rows,
          const std::vector<size_t>& right, bool whole_first)
      : titles_(titles), rows_(rows), widths_(titles.size()), whole_(titles.size()) {
    for (size_t c = 0; c < titles.size(); ++c) {
      shown_.push_back(c);
      widths_[c] = Length(titles[c]);
      bool name = false, figures = true;
      for (const auto& row : rows) {
        widths_[c] = std::max(widths_[c], Length(row[c]));
        name |= IsName(row[c]);
        figures &= IsFigure(row[c]);
      }
      whole_[c] = (c == 0 && whole_first) || name || figures ||
                  std::find(right.begin(), right.end(), c) != right.end();
    }
  }

  void FitTo(size_t width) {
    if (Total() > width) std::erase_if(shown_, [&](size_t c) { return c > 0 && Empty(c); });
    while (Total() > width && (Shrink() || Drop())) {
    }
  }

  const std::vector<size_t>& shown() const { return shown_; }
  // Titles of columns with content that are not shown.
  std::string LeftOut() const {
    std::string out;
    for (size_t c = 0; c < titles_.size(); ++c) {
      const bool shown = std::find(shown_.begin(), shown_.end(), c) != shown_.end();
      if (!shown && !Empty(c)) out += (out.empty() ? "" : ", ") + titles_[c];
    }
    return out;
  }
  size_t width(size_t c) const { return widths_[c]; }

 private:
  static constexpr size_t kNarrowest = 10;

  size_t Total() const {
    size_t sum = 2 * (shown_.size() - 1);
    for (const size_t c : shown_) sum += widths_[c];
    return sum;
  }

  bool Empty(size_t c) const {
    return std::all_of(rows_.begin(), rows_.end(), [&](const auto& row) { return row[c].empty(); });
  }

  bool Shrink() {
    size_t* widest = nullptr;
    for (const size_t c : shown_) {
      if (!whole_[c] && (widest == nullptr || widths_[c] > *widest)) widest = &widths_[c];
    }
    if (widest == nullptr || *widest <= kNarrowest) return false;
    --*widest;
    return true;
  }

  // The others may be as wide again as they were.
  bool Drop() {
    if (shown_.size() == 1) return false;
    shown_.pop_back();
    for (const size_t c : shown_) {
      widths_[c] = Length(titles_[c]);
      for (const auto& row : rows_) widths_[c] = std::max(widths_[c], Length(row[c]));
    }
    return true;
  }

  const std::vector<std::string>& titles_;
  const std::vector<std::vector<std::string>>& rows_;
  std::vector<size_t> widths_, shown_;
  std::vector<bool> whole_;
};

}  // namespace

std::string Table(const std::vector<std::string>& titles,
                  std::vector<std::vector<std::string>> rows, int width,
                  const std::vector<size_t>& right, bool whole_first) {
  // What others wrote shall not rewrite the terminal, nor make a line of its own.
  for (auto& row : rows) {
    for (std::string& cell : row) cell = WithoutHidden(cell);
  }
  Columns columns(titles, rows, right, whole_first);
  columns.FitTo(static_cast<size_t>(std::max(width, 1)));
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (const size_t c : columns.shown()) {
      const bool align_right = std::find(right.begin(), right.end(), c) != right.end();
      text += (c == 0 ? "" : "  ") + Fit(cells[c], columns.width(c), align_right);
    }
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  };
  line(titles);
  for (const auto& row : rows) line(row);
  if (const std::string more = columns.LeftOut(); !more.empty()) {
    const std::string text =
        fmt::format("(for {} there is no room here: pipe it, or --output json)", more);
    out += Wrapped(text, width, 0) + "\n";
  }
  return out;
}

std::string Listing(const std::string& things, bool chosen, const std::vector<std::string>& titles,
                    const std::vector<std::vector<std::string>>& rows,
                    const std::vector<size_t>& right) {
  if (rows.empty()) return fmt::format("no {}{}\n", things, chosen ? " match" : "");
  return Table(titles, rows, TerminalWidth(), right);
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
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    if (c == '\\' && !quoted && i + 1 < command.size()) {
      words.back() += {c, command[++i]};
      continue;
    }
    if (c == '\'') quoted = !quoted;
    if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return "  " + Fill(words, static_cast<size_t>(width), 2, 6, " \\");
}

std::string Quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("_-./=", c) != nullptr;
  });
  if (plain && !text.empty()) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

namespace {

int WidthOf(int descriptor) {
  if (isatty(descriptor) == 0) return 1000;
  if (const char* columns = std::getenv("COLUMNS")) {
    if (const int width = std::atoi(columns); width > 0) return width;
  }
  winsize size{};
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

int TerminalWidth() { return WidthOf(STDOUT_FILENO); }
int ErrorWidth() { return WidthOf(STDERR_FILENO); }

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO)) {}
ProgressLine::~ProgressLine() { End(); }

void ProgressLine::Show(double fraction, const std::string& text) {
  const double now = Now();
  if (now - last_ < (terminal_ ? 0.05 : 5.0) && fraction < 1) return;
  last_ = now;
  if (terminal_) {
    // In one line, which alone can be rewritten; its last column stays free.
    const int width = ErrorWidth() - 1;
    const int bars = std::clamp((width - 8) / 3, 0, 24);
    const int full = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * bars);
    std::string bar;
    for (int i = 0; i < bars; ++i) bar += i < full ? "█" : "░";
    const std::string all = fmt::format("{} {:3.0f} %  {}", bar, 100 * fraction, text);
    fmt::print(stderr, "\r\033[K{}", Fit(all, std::min<size_t>(Length(all), width), false));
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

std::string Utc(const google::protobuf::Timestamp& time) {
  constexpr size_t kSeconds = 19;  // characters to the whole second
  return google::protobuf::util::TimeUtil::ToString(time).substr(0, kSeconds) + "Z";
}

std::string Bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  for (; bytes >= 1000 && unit < 4; ++unit) bytes /= 1000;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, units[unit]);
}

}  // namespace saed::cli

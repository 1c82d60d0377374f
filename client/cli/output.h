// What a person sees: tables that fit the terminal, progress lines, JSON.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>
#include <vector>

namespace saed::cli {

// Rows of text under titles. Columns are as wide as their content. Where the terminal is too
// narrow, columns without content go, then the widest ones are cut with "…", then the last ones go,
// which a line below says; the first (unless `whole_first` is false), names of things ("jobs/…"),
// and figures (columns named in `right`, which align right, and those with nothing but numbers or
// times) stay whole: they are copied, and half a number is another one.
std::string Table(const std::vector<std::string>& titles,
                  std::vector<std::vector<std::string>> rows, int width,
                  const std::vector<size_t>& right = {}, bool whole_first = true);

// The same, or without rows "no jobs" of the `things`; `chosen`: of those that were asked for.
std::string Listing(const std::string& things, bool chosen, const std::vector<std::string>& titles,
                    const std::vector<std::vector<std::string>>& rows,
                    const std::vector<size_t>& right = {});

// Words in lines of at most `width` characters; lines but the first begin with `indent` spaces, and
// the first is taken to begin there.
std::string Wrapped(const std::string& text, int width, int indent);
// A shell command in lines of at most `width` that can be copied as they are, indented by two.
std::string WrappedCommand(const std::string& command, int width);

// As a shell takes it for one word.
std::string Quoted(const std::string& text);

// Columns of the terminal on standard output or, for errors, standard error: COLUMNS where that is
// set, 80 where nobody knows; a large number where it is no terminal.
int TerminalWidth();
int ErrorWidth();

// A line on standard error that is rewritten in place on a terminal, and printed now and then
// elsewhere.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void Show(double fraction, const std::string& text);
  // Ends the line, so that other output starts on its own.
  void End();

 private:
  bool terminal_, shown_ = false;
  double last_ = -1e9;
};

std::string Json(const google::protobuf::Message& message);
std::string Seconds(double seconds);  // "1:02:03", "4:05", "7 s"
// "2026-11-28T06:40:12Z".
std::string Utc(const google::protobuf::Timestamp& time);
std::string Bytes(double bytes);  // "1.2 MB"

}  // namespace saed::cli

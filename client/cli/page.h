// Pages in Markdown, laid out for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace saed::cli {

// Headings ("#"), paragraphs, lists ("- "), tables and code between three backticks, in lines of at
// most `width` columns (code stays as it is). Emphasis, code marks and the targets of links go.
std::string PageText(std::string_view markdown, int width);

}  // namespace saed::cli

// The one rule for names that people give to things.
#pragma once

#include <string>
#include <string_view>

namespace saed {

// Whether the text has control characters (C0, DEL, C1) or marks that turn the direction of what
// follows (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069): with them a name looks like
// another one, or rewrites a terminal.
bool HasHiddenCharacters(std::string_view utf8);

// What is wrong with a name, and what would be right; empty where it is good: valid UTF-8 of 1 to
// 200 bytes that are not all blanks, without hidden characters and without those that take no room,
// which make it look like another; not "-", which stands for all, and not of the form of an id or
// of a resource's name.
std::string DisplayNameFault(std::string_view name);

// A name that is wrong, as an error may show it, which is read in a terminal, too: its first 200
// bytes as valid UTF-8, and "…" where those have hidden characters or some without room.
std::string ShownName(std::string_view name);

// The text with "…" for each hidden character but line breaks where `lines` lets them be.
std::string WithoutHidden(std::string_view utf8, bool lines = false);

// Whether a text has the form of the ids that the server gives: 16 hexadecimal digits.
bool IsIdForm(std::string_view text);

}  // namespace saed

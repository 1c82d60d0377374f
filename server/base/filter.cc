#include "server/base/filter.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <cstdlib>

#include "server/base/faults.h"
#include "server/base/status_macros.h"

namespace saed {
namespace {

struct Token {
  enum class Kind { kEnd, kWord, kString, kOperator, kOpen, kClose, kComma };
  Kind kind = Kind::kEnd;
  std::string text;
  size_t at = 0;
};

bool WordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' ||
         c == '+' || (static_cast<unsigned char>(c) & 0x80);
}

class Parser {
 public:
  Parser(std::string_view text, bool calls) : text_(text), calls_(calls) {}

  absl::StatusOr<FilterNode> Parse() {
    SAED_RETURN_IF_ERROR(Advance());
    SAED_ASSIGN_OR_RETURN(FilterNode node, Expression(0));
    if (token_.kind != Token::Kind::kEnd) return Expected("AND, OR or the end");
    return node;
  }

 private:
  absl::Status Error(size_t at, std::string_view what) const {
    return InvalidField(calls_ ? "expression" : "filter",
                        fmt::format("'{}' at position {}: {}", text_, at + 1, what));
  }
  absl::Status Expected(std::string_view what) const {
    const std::string got = token_.kind == Token::Kind::kEnd ? "the end" : "'" + token_.text + "'";
    return Error(token_.at, fmt::format("expected {}, found {}", what, got));
  }

  absl::Status Advance() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    token_ = {Token::Kind::kEnd, "", at_};
    if (at_ == text_.size()) return absl::OkStatus();
    const char c = text_[at_];
    if (c == '"' || c == '\'') return QuotedString(c);
    if (c == '(' || c == ')' || c == ',') {
      token_.kind = c == '('   ? Token::Kind::kOpen
                    : c == ')' ? Token::Kind::kClose
                               : Token::Kind::kComma;
      token_.text = text_[at_++];
      return absl::OkStatus();
    }
    if (std::string_view("=!<>:").find(c) != std::string_view::npos) {
      token_.kind = Token::Kind::kOperator;
      token_.text = text_[at_++];
      if (c != '=' && c != ':' && at_ < text_.size() && text_[at_] == '=') {
        token_.text += text_[at_++];
      }
      return token_.text == "!" ? Error(token_.at, "expected != after !") : absl::OkStatus();
    }
    if (!WordCharacter(c)) return Error(at_, fmt::format("unexpected character '{}'", c));
    token_.kind = Token::Kind::kWord;
    while (at_ < text_.size() && WordCharacter(text_[at_])) token_.text += text_[at_++];
    return absl::OkStatus();
  }

  absl::Status QuotedString(char quote) {
    token_.kind = Token::Kind::kString;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      token_.text += text_[at_];
    }
    if (at_ == text_.size()) return Error(token_.at, "the quoted string never ends");
    ++at_;
    return absl::OkStatus();
  }

  bool Keyword(std::string_view word) const {
    return token_.kind == Token::Kind::kWord && token_.text == word;
  }

  absl::StatusOr<FilterNode> Joined(std::string_view word, FilterNode::Kind kind, int depth) {
    SAED_ASSIGN_OR_RETURN(FilterNode first, Operand(kind, depth));
    if (!Keyword(word)) return first;
    FilterNode node;
    node.kind = kind;
    node.children.push_back(std::move(first));
    while (Keyword(word)) {
      SAED_RETURN_IF_ERROR(Advance());
      SAED_ASSIGN_OR_RETURN(FilterNode next, Operand(kind, depth));
      node.children.push_back(std::move(next));
    }
    return node;
  }

  // AND joins factors; OR, which binds tighter, joins terms.
  absl::StatusOr<FilterNode> Operand(FilterNode::Kind joined_by, int depth) {
    return joined_by == FilterNode::Kind::kAnd ? Joined("OR", FilterNode::Kind::kOr, depth)
                                               : Term(depth);
  }

  absl::StatusOr<FilterNode> Expression(int depth) {
    if (depth > kMaxFilterDepth) {
      return Error(token_.at, fmt::format("more than {} levels deep", kMaxFilterDepth));
    }
    return Joined("AND", FilterNode::Kind::kAnd, depth);
  }

  absl::StatusOr<FilterNode> Term(int depth) {
    if (Keyword("NOT")) {
      if (depth > kMaxFilterDepth) return Error(token_.at, "too deep");
      SAED_RETURN_IF_ERROR(Advance());
      SAED_ASSIGN_OR_RETURN(FilterNode inner, Term(depth + 1));
      FilterNode node;
      node.kind = FilterNode::Kind::kNot;
      node.children.push_back(std::move(inner));
      return node;
    }
    if (token_.kind == Token::Kind::kOpen) {
      SAED_RETURN_IF_ERROR(Advance());
      SAED_ASSIGN_OR_RETURN(FilterNode inner, Expression(depth + 1));
      if (token_.kind != Token::Kind::kClose) return Expected("a closing parenthesis");
      SAED_RETURN_IF_ERROR(Advance());
      return inner;
    }
    return Comparison(depth);
  }

  absl::StatusOr<FilterNode> Comparison(int depth) {
    FilterNode node;
    node.position = token_.at;
    if (token_.kind != Token::Kind::kWord && token_.kind != Token::Kind::kString) {
      return Expected("a field name");
    }
    node.field = token_.text;
    SAED_RETURN_IF_ERROR(Advance());
    if (token_.kind == Token::Kind::kOpen) SAED_RETURN_IF_ERROR(Arguments(node, depth));
    if (calls_ && node.is_function && token_.kind != Token::Kind::kOperator) {
      node.kind = FilterNode::Kind::kCall;
      return node;
    }
    if (token_.kind != Token::Kind::kOperator) return Expected("one of = != < <= > >= :");
    node.op = token_.text;
    SAED_RETURN_IF_ERROR(Advance());
    if (token_.kind != Token::Kind::kWord && token_.kind != Token::Kind::kString) {
      return Expected("a value");
    }
    node.text = token_.text;
    if (token_.kind == Token::Kind::kWord) {
      char* end = nullptr;
      node.number = std::strtod(node.text.c_str(), &end);
      node.is_number = *end == '\0' && std::isfinite(node.number);
    }
    SAED_RETURN_IF_ERROR(Advance());
    return node;
  }

  absl::Status Arguments(FilterNode& node, int depth) {
    node.is_function = true;
    do {
      SAED_RETURN_IF_ERROR(Advance());
      const size_t at = at_;
      const Token token = token_;
      const bool text = token.kind == Token::Kind::kString || token.kind == Token::Kind::kWord;
      if (!text && !(calls_ && token.kind == Token::Kind::kOpen)) return Expected("an argument");
      SAED_RETURN_IF_ERROR(Advance());
      if (text && (!calls_ || token_.kind == Token::Kind::kComma ||
                   token_.kind == Token::Kind::kClose || token_.kind == Token::Kind::kEnd)) {
        node.arguments.push_back(token.text);
        continue;
      }
      at_ = at;
      token_ = token;
      SAED_ASSIGN_OR_RETURN(FilterNode child, Expression(depth + 1));
      node.children.push_back(std::move(child));
    } while (token_.kind == Token::Kind::kComma);
    if (token_.kind != Token::Kind::kClose) return Expected("a closing parenthesis");
    return Advance();
  }

  std::string_view text_;
  bool calls_;
  size_t at_ = 0;
  Token token_;
};

}  // namespace

absl::StatusOr<FilterNode> ParseFilter(std::string_view text) {
  if (text.size() > kMaxFilterLength) {
    return InvalidField("filter", fmt::format("is {} bytes long; at most {} are allowed",
                                              text.size(), kMaxFilterLength));
  }
  return Parser(text, false).Parse();
}

absl::StatusOr<FilterNode> ParseExpression(std::string_view text) {
  if (text.size() > kMaxFilterLength) {
    return InvalidField("expression", fmt::format("is {} bytes long; at most {} are allowed",
                                                  text.size(), kMaxFilterLength));
  }
  return Parser(text, true).Parse();
}

}  // namespace saed

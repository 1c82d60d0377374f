// The header of .npy files: a Python dictionary of literals, parsed as text.
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/recordings/readers/npy_items.h"

namespace saed::recordings {
namespace {

constexpr size_t kMaxHeaderBytes = size_t{1} << 20;
constexpr int64_t kMaxItemBytes = int64_t{1} << 20;
constexpr int64_t kMaxItems = int64_t{1} << 40;
constexpr size_t kMaxFields = 1000;
constexpr size_t kMaxDimensions = 32;  // NumPy's own

// Reads Python literals from the left; what does not fit leaves it failed() for good.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool failed() const { return failed_; }
  bool Take(char c) {
    Skip();
    if (failed_ || text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void Expect(char c) { failed_ = !Take(c) || failed_; }
  bool Ahead(char c) {
    Skip();
    return !text_.empty() && text_[0] == c;
  }
  std::string Quoted() {
    const char quote = Ahead('"') ? '"' : '\'';
    Expect(quote);
    const size_t end = text_.find(quote);
    if (failed_ || end == std::string_view::npos) {
      failed_ = true;
      return "";
    }
    const std::string out(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return out;
  }
  int64_t Integer() {
    Skip();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    failed_ = failed_ || error != std::errc();
    if (!failed_) text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    Take('L');  // Python 2's
    return value;
  }
  bool Boolean() {
    Skip();
    for (const std::string_view word : {"True", "False"}) {
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return word == "True";
    }
    failed_ = true;
    return false;
  }
  std::vector<int64_t> Tuple() {
    std::vector<int64_t> out;
    Expect('(');
    while (!failed_ && !Take(')')) {
      out.push_back(Integer());
      failed_ = failed_ || out.size() > kMaxDimensions || (!Take(',') && !Ahead(')'));
    }
    return out;
  }

 private:
  void Skip() { text_ = Trim(text_); }

  std::string_view text_;
  bool failed_ = false;
};

// "<i8": kind, bytes and order; kinds that are not read keep their letter.
std::optional<NpyField> FieldOf(std::string_view code) {
  NpyField out;
  out.big_endian = code.starts_with('>');
  if (code.find_first_of("<>|=") == 0) code.remove_prefix(1);
  if (code.empty()) return std::nullopt;
  out.kind = code[0];
  code.remove_prefix(1);
  if (out.kind == 'O') return out;
  // What stands in brackets behind a time is its unit.
  const std::string_view digits = code.substr(0, code.find('['));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.size);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (out.kind == 'U') out.size = out.size > kMaxItemBytes ? -1 : out.size * 4;
  if (out.size < 0 || out.size > kMaxItemBytes) return std::nullopt;
  const bool whole = out.size == 1 || out.size == 2 || out.size == 4 || out.size == 8;
  if ((out.kind == 'i' || out.kind == 'u') && !whole) return std::nullopt;
  if (out.kind == 'b' && out.size != 1) return std::nullopt;
  // Long doubles are no fault, but are not read.
  if (out.kind == 'f' && (!whole || out.size == 1)) out.kind = 'g';
  return out;
}

// ('sample_index', '<i8'), with a shape as a third where the field is an array, which is not read.
std::optional<NpyField> Member(Scanner& scan) {
  scan.Expect('(');
  std::string name;
  if (scan.Ahead('(')) {  // (title, name)
    scan.Expect('(');
    scan.Quoted();
    scan.Expect(',');
    name = scan.Quoted();
    scan.Take(',');
    scan.Expect(')');
  } else {
    name = scan.Quoted();
  }
  scan.Expect(',');
  if (!scan.Ahead('\'') && !scan.Ahead('"')) return std::nullopt;
  auto field = FieldOf(scan.Quoted());
  if (!field) return std::nullopt;
  field->name = ValidUtf8(name);
  if (scan.Take(',') && scan.Ahead('(')) {
    for (const int64_t n : scan.Tuple()) {
      if (n < 0 || n > kMaxItemBytes || field->size * n > kMaxItemBytes) return std::nullopt;
      field->size *= n;
    }
    field->kind = 'V';
  }
  scan.Take(',');
  scan.Expect(')');
  return field;
}

bool ParseType(Scanner& scan, NpyItems& out) {
  if (!scan.Take('[')) {
    const auto field = FieldOf(scan.Quoted());
    if (scan.failed() || !field || field->size < 1) return false;
    out.fields = {*field};
    out.item_size = field->size;
    return true;
  }
  while (!scan.failed() && !scan.Take(']')) {
    auto field = Member(scan);
    if (!field || out.fields.size() == kMaxFields) return false;
    field->offset = out.item_size;
    out.item_size += field->size;
    out.fields.push_back(*std::move(field));
    if (!scan.Take(',') && !scan.Ahead(']')) return false;
  }
  return !scan.failed() && !out.fields.empty() && out.item_size > 0 &&
         out.item_size <= kMaxItemBytes;
}

// {'descr': …, 'fortran_order': False, 'shape': (3,), }
bool ParseDictionary(std::string_view text, NpyItems& out) {
  Scanner scan(text);
  bool type = false, shape = false;
  scan.Expect('{');
  while (!scan.failed() && !scan.Take('}')) {
    const std::string key = scan.Quoted();
    scan.Expect(':');
    if (key == "descr") {
      if (type || !ParseType(scan, out)) return false;
      type = true;
    } else if (key == "fortran_order") {
      out.fortran_order = scan.Boolean();
    } else if (key == "shape") {
      out.shape = scan.Tuple();
      shape = true;
    } else {
      return false;
    }
    if (!scan.Take(',') && !scan.Ahead('}')) return false;
  }
  return !scan.failed() && type && shape;
}

}  // namespace

int64_t NpyItems::size() const {
  int64_t n = 1;
  for (const int64_t s : shape) n *= s;
  return n;
}

const NpyField* NpyItems::Find(std::string_view name) const {
  for (const NpyField& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

absl::StatusOr<NpyItems> ParseNpyItems(std::string_view name, std::string_view head,
                                       int64_t file_size) {
  const auto byte = [&](size_t i) { return size_t{static_cast<unsigned char>(head[i])}; };
  if (head.size() < 12 || !head.starts_with("\x93NUMPY") || byte(6) < 1 || byte(6) > 3) {
    return InvalidField(name, "is not a .npy file of NumPy");
  }
  NpyItems out;
  size_t length = byte(8) | byte(9) << 8;
  out.data_at = 10;
  if (byte(6) > 1) {
    length |= byte(10) << 16 | byte(11) << 24;
    out.data_at = 12;
  }
  if (length > kMaxHeaderBytes || length > head.size() - out.data_at) {
    return InvalidField(name, fmt::format("has a header of {} bytes; it is damaged, or the file is "
                                          "truncated",
                                          length));
  }
  if (!ParseDictionary(Trim(head.substr(out.data_at, length)), out)) {
    return InvalidField(name,
                        "has a header that NumPy would not have written, or items of a type "
                        "that is not read; save plain numbers, texts or records of them");
  }
  out.data_at += length;
  for (const NpyField& field : out.fields) {
    if (field.kind != 'O') continue;
    return InvalidField(name,
                        "holds objects (a pickle), which are never read because unpickling "
                        "runs code; save plain numbers or texts, e.g. "
                        "np.save(path, x.astype(str))");
  }
  int64_t items = 1;
  for (const int64_t s : out.shape) {
    if (s < 0 || __builtin_mul_overflow(items, s, &items) || items > kMaxItems) {
      return InvalidField(name, "promises more items in its header than any file has");
    }
  }
  const int64_t need = items * out.item_size;
  const int64_t have = file_size - static_cast<int64_t>(out.data_at);
  if (need != have) {
    return InvalidField(name, fmt::format("promises {} bytes of data in its header but has {}; the "
                                          "file is truncated or damaged",
                                          need, have));
  }
  return out;
}

}  // namespace saed::recordings

#include "server/recordings/readers/hdf5_values.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <string_view>

#include "server/base/faults.h"
#include "server/base/text.h"
#include "server/recordings/readers/hdf5.h"

namespace saed::recordings {
namespace {

constexpr size_t kMostAttributeBytes = size_t{16} << 20;

// Where the library puts texts of variable length: freed in one go, whether reading went well or
// not, and never more than a limit.
class Arena {
 public:
  static void* Allocate(size_t size, void* self) {
    auto& arena = *static_cast<Arena*>(self);
    if (size > static_cast<size_t>(kMaxTextsBytes) - arena.used_) {
      arena.full_ = true;
      return nullptr;
    }
    arena.used_ += size;
    arena.blocks_.push_back(std::make_unique<char[]>(size));
    return arena.blocks_.back().get();
  }
  static void Free(void*, void*) {}
  bool full() const { return full_; }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t used_ = 0;
  bool full_ = false;
};

absl::Status Damaged(const std::string& path) {
  return InvalidField(path, "cannot be read; the file is damaged or truncated");
}

absl::Status TooMuch(const std::string& path) {
  return InvalidField(path, fmt::format("holds too much text; must be at most {} texts of {} bytes "
                                        "altogether",
                                        kMaxTexts, kMaxTextsBytes));
}

hid_t TextType(hid_t type, size_t size) {
  const hid_t memory = H5Tcopy(H5T_C_S1);
  H5Tset_cset(memory, H5Tget_cset(type));
  H5Tset_size(memory, size);
  if (size != H5T_VARIABLE) H5Tset_strpad(memory, H5T_STR_NULLPAD);
  return memory;
}

absl::Status ReadFixedTexts(const std::string& path, hid_t type, int64_t n, const ReadFn& read,
                            Texts& out) {
  const size_t size = H5Tget_size(type);
  if (size == 0) return Damaged(path);
  if (size > static_cast<size_t>(kMaxTextsBytes / std::max<int64_t>(1, n))) return TooMuch(path);
  const Handle memory(TextType(type, size), H5Tclose);
  std::string bytes(static_cast<size_t>(n) * size, '\0');
  if (read(memory.get(), H5P_DEFAULT, bytes.data()) < 0) return Damaged(path);
  const bool spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
  for (int64_t i = 0; i < n; ++i) {
    const char* p = bytes.data() + static_cast<size_t>(i) * size;
    std::string_view text(p, strnlen(p, size));
    while (spaces && text.ends_with(' ')) text.remove_suffix(1);
    out.emplace_back(text);
  }
  return absl::OkStatus();
}

}  // namespace

std::map<int64_t, std::string> MembersOf(hid_t type) {
  std::map<int64_t, std::string> out;
  const Handle base(H5Tget_super(type), H5Tclose);
  const size_t size = H5Tget_size(type);
  const int members = H5Tget_nmembers(type);
  if (!base.ok() || size > sizeof(int64_t)) return out;
  for (int i = 0; i < members; ++i) {
    int64_t value = 0;
    if (H5Tget_member_value(type, static_cast<unsigned>(i), &value) < 0 ||
        H5Tconvert(base.get(), H5T_NATIVE_INT64, 1, &value, nullptr, H5P_DEFAULT) < 0) {
      continue;
    }
    char* name = H5Tget_member_name(type, static_cast<unsigned>(i));
    if (name == nullptr) continue;
    out.emplace(value, ValidUtf8(name));
    H5free_memory(name);
  }
  return out;
}

bool IsBoolean(hid_t type) {
  return MembersOf(type) == std::map<int64_t, std::string>{{0, "FALSE"}, {1, "TRUE"}};
}

ArrayInfo DescribeType(hid_t type) {
  using Kind = ArrayInfo::Kind;
  const auto made = [](Kind kind, std::string name) {
    ArrayInfo out;
    out.kind = kind;
    out.type = std::move(name);
    return out;
  };
  switch (H5Tget_class(type)) {
    case H5T_INTEGER: {
      const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
      return made(is_signed ? Kind::kInteger : Kind::kUnsigned,
                  fmt::format("{}int{}", is_signed ? "" : "u", 8 * H5Tget_size(type)));
    }
    case H5T_FLOAT:
      return made(Kind::kFloat, fmt::format("float{}", 8 * H5Tget_size(type)));
    case H5T_ENUM:
      return made(IsBoolean(type) ? Kind::kBoolean : Kind::kText, "enumeration");
    case H5T_STRING:
      return made(Kind::kText, "text");
    case H5T_REFERENCE:
      if (H5Tequal(type, H5T_STD_REF_OBJ) > 0) return made(Kind::kReference, "reference");
      return made(Kind::kOther, "region reference");
    case H5T_COMPOUND:
      return made(Kind::kOther, "compound");
    case H5T_BITFIELD:
      return made(Kind::kOther, "bit field");
    case H5T_OPAQUE:
      return made(Kind::kOther, "opaque");
    case H5T_ARRAY:
      return made(Kind::kOther, "array in each element");
    case H5T_VLEN:
      return made(Kind::kOther, "list in each element");
    default:
      return made(Kind::kOther, "type that saed does not know");
  }
}

absl::Status ReadTexts(const std::string& path, hid_t type, int64_t n, const ReadFn& read,
                       Texts& out) {
  if (n > kMaxTexts) return TooMuch(path);
  if (H5Tis_variable_str(type) <= 0) return ReadFixedTexts(path, type, n, read, out);
  const Handle memory(TextType(type, H5T_VARIABLE), H5Tclose);
  const Handle transfer(H5Pcreate(H5P_DATASET_XFER), H5Pclose);
  Arena arena;
  H5Pset_vlen_mem_manager(transfer.get(), Arena::Allocate, &arena, Arena::Free, &arena);
  std::vector<char*> pointers(static_cast<size_t>(n), nullptr);
  if (read(memory.get(), transfer.get(), pointers.data()) < 0) {
    return arena.full() ? TooMuch(path) : Damaged(path);
  }
  for (const char* p : pointers) out.emplace_back(p == nullptr ? "" : p);
  return absl::OkStatus();
}

absl::Status ReadAttributeTexts(const std::string& path, hid_t attribute, hid_t type, hid_t space,
                                int64_t n, Texts& out) {
  const ReadFn read = [&](hid_t memory, hid_t, void* to) { return H5Aread(attribute, memory, to); };
  if (H5Tis_variable_str(type) <= 0) return ReadFixedTexts(path, type, n, read, out);
  const Handle memory(TextType(type, H5T_VARIABLE), H5Tclose);
  std::vector<char*> pointers(static_cast<size_t>(n), nullptr);
  const bool good = H5Aread(attribute, memory.get(), pointers.data()) >= 0;
  // Many elements may be one and the same long text of the file.
  size_t bytes = 0;
  for (const char* p : pointers) {
    bytes += p == nullptr ? 0 : strnlen(p, kMostAttributeBytes);
    if (!good || bytes > kMostAttributeBytes) break;
    out.emplace_back(p == nullptr ? "" : p);
  }
  H5Dvlen_reclaim(memory.get(), space, H5P_DEFAULT, pointers.data());
  if (bytes > kMostAttributeBytes) return TooMuch(path);
  return good ? absl::OkStatus() : Damaged(path);
}

}  // namespace saed::recordings

#include "server/recordings/readers/npz.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <functional>
#include <set>
#include <span>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

constexpr uint64_t kMaxMembers = 10'000;
constexpr uint64_t kMaxMemberBytes = uint64_t{1} << 36;
// What deflate makes of real arrays; a bomb has a thousand to one.
constexpr uint64_t kMaxRatio = 250;
// Of a .npy file, its header's length included.
constexpr uint64_t kMaxHeader = 1 << 16;
constexpr uint64_t kMaxTexts = uint64_t{16} << 20;
constexpr size_t kUnpacked = size_t{1} << 20;  // bytes at once
constexpr std::string_view kEnding = ".npy";

struct CloseMember {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using OpenMember = std::unique_ptr<zip_file_t, CloseMember>;

}  // namespace

struct Npz::Archive {
  zip_t* zip = nullptr;

  ~Archive() {
    if (zip != nullptr) zip_discard(zip);
  }

  // Hands the member's first `size` bytes to `take`, a piece at a time; where they are all of it,
  // checks that it ends there and has the checksum that the archive says.
  absl::Status Stream(const std::string& field, const Member& member, uint64_t size,
                      const std::function<void(std::span<const char>)>& take) const {
    const OpenMember file(zip_fopen_index(zip, member.index, 0));
    if (!file) return InvalidField(field, fmt::format("cannot be unpacked: {}", zip_strerror(zip)));
    std::vector<char> piece(static_cast<size_t>(std::min<uint64_t>(kUnpacked, size)) + 1);
    for (uint64_t at = 0; at < size;) {
      const uint64_t want = std::min<uint64_t>(piece.size(), size - at);
      const zip_int64_t got = zip_fread(file.get(), piece.data(), want);
      if (got <= 0) {
        return InvalidField(field, fmt::format("ends after {} of {} bytes, or is damaged; save the "
                                               "file again",
                                               at, size));
      }
      take({piece.data(), static_cast<size_t>(got)});
      at += static_cast<uint64_t>(got);
    }
    if (size == member.size && zip_fread(file.get(), piece.data(), 1) != 0) {
      return InvalidField(field,
                          "is damaged: its length or its checksum is not what the archive "
                          "says; save the file again");
    }
    return absl::OkStatus();
  }
};

Npz::Npz() : archive_(std::make_unique<Archive>()) {}
Npz::Npz(Npz&&) noexcept = default;
Npz& Npz::operator=(Npz&&) noexcept = default;
Npz::~Npz() = default;

absl::StatusOr<Npz> Npz::Open(const FileSet& files, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(const std::string path, files.PathOf(name));
  Npz out;
  out.name_ = name;
  int code = 0;
  out.archive_->zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (out.archive_->zip == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    return InvalidField(name, fmt::format("is not a .npz file (a zip archive, as np.savez writes "
                                          "it): {}",
                                          why));
  }
  SAED_RETURN_IF_ERROR(out.List());
  return out;
}

absl::Status Npz::List() {
  const zip_int64_t count = zip_get_num_entries(archive_->zip, 0);
  if (count < 0 || static_cast<uint64_t>(count) > kMaxMembers) {
    return InvalidField(name_,
                        fmt::format("has {} members; at most {} are read", count, kMaxMembers));
  }
  std::set<std::string> names;
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    zip_stat_t entry;
    constexpr uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                 ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    if (zip_stat_index(archive_->zip, i, 0, &entry) != 0 || (entry.valid & kNeeded) != kNeeded) {
      return InvalidField(name_, fmt::format("has a damaged entry {}", i));
    }
    std::string_view given(entry.name);
    if (!given.ends_with(kEnding)) continue;
    given.remove_suffix(kEnding.size());
    const Member member{std::string(given), i, entry.size};
    const std::string field = FieldOf(given);
    if (!names.insert(member.name).second) {
      return InvalidField(field, "is there twice; must be one array of a name");
    }
    if (entry.encryption_method != ZIP_EM_NONE) {
      return InvalidField(field, "is encrypted; save it with np.savez");
    }
    if (entry.comp_method != ZIP_CM_STORE && entry.comp_method != ZIP_CM_DEFLATE) {
      return InvalidField(field, fmt::format("is compressed by method {}; np.savez and "
                                             "np.savez_compressed write 0 and 8",
                                             entry.comp_method));
    }
    if (entry.size > kMaxMemberBytes ||
        (entry.size > kNpzInMemory && entry.size / kMaxRatio > entry.comp_size)) {
      return InvalidField(field, fmt::format("would be {} bytes unpacked from {}; at most {} and, "
                                             "above {}, {} to one are unpacked: save it with "
                                             "np.save",
                                             entry.size, entry.comp_size, kMaxMemberBytes,
                                             kNpzInMemory, kMaxRatio));
    }
    members_.push_back(member);
  }
  return absl::OkStatus();
}

std::vector<std::string> Npz::names() const {
  std::vector<std::string> out;
  for (const Member& m : members_) out.push_back(m.name);
  return out;
}

const Npz::Member* Npz::Find(std::string_view array) const {
  for (const Member& m : members_) {
    if (m.name == array) return &m;
  }
  return nullptr;
}

std::string Npz::FieldOf(std::string_view array) const {
  return fmt::format("{}[{}]", name_, ValidUtf8(array));
}

absl::StatusOr<std::string> Npz::ReadBytes(const Member& member, uint64_t most) const {
  std::string out;
  const uint64_t size = std::min(most, member.size);
  out.reserve(size);
  SAED_RETURN_IF_ERROR(archive_->Stream(
      FieldOf(member.name), member, size,
      [&](std::span<const char> bytes) { out.append(bytes.data(), bytes.size()); }));
  return out;
}

absl::StatusOr<std::shared_ptr<const CountFile>> Npz::Unpack(const Member& member) const {
  SAED_ASSIGN_OR_RETURN(auto file, CountFile::Create(CountDirectory(), member.size));
  uint8_t* to = file->data();
  size_t resident = 0;
  SAED_RETURN_IF_ERROR(
      archive_->Stream(FieldOf(member.name), member, member.size, [&](std::span<const char> bytes) {
        to = std::copy(bytes.begin(), bytes.end(), to);
        resident += bytes.size();
        if (resident < kNpzInMemory) return;
        file->Release();
        resident = 0;
      }));
  return file;
}

bool Npz::IsPickle(std::string_view array) const {
  const Member* member = Find(array);
  if (member == nullptr) return false;
  const auto head = ReadBytes(*member, kMaxHeader);
  return head.ok() && head->find("'descr': '|O'") < kMaxHeader;
}

absl::StatusOr<std::vector<int64_t>> Npz::ShapeOf(std::string_view array) const {
  const Member* member = Find(array);
  if (member == nullptr) return InvalidField(FieldOf(array), "is not there");
  SAED_ASSIGN_OR_RETURN(const std::string head, ReadBytes(*member, kMaxHeader));
  size_t data_at = 0;
  SAED_ASSIGN_OR_RETURN(NpyArray header,
                        ParseNpyHeader(FieldOf(array), head, member->size, data_at));
  return std::move(header.shape);
}

absl::StatusOr<ArrayFile> Npz::Read(std::string_view array) const {
  const std::string field = FieldOf(array);
  const Member* member = Find(array);
  if (member == nullptr) {
    return InvalidField(field, fmt::format("is not there; the file has {}",
                                           ValidUtf8(fmt::format("{}", fmt::join(names(), ", ")))));
  }
  SAED_ASSIGN_OR_RETURN(const std::string head, ReadBytes(*member, kMaxHeader));
  size_t data_at = 0;
  SAED_RETURN_IF_ERROR(ParseNpyHeader(field, head, member->size, data_at).status());
  if (member->size > kNpzInMemory) {
    SAED_ASSIGN_OR_RETURN(auto file, Unpack(*member));
    return ArrayFile::Make(field, std::move(file));
  }
  SAED_ASSIGN_OR_RETURN(std::string bytes, ReadBytes(*member, member->size));
  return ArrayFile::Make(field, std::move(bytes));
}

absl::StatusOr<std::vector<std::string>> Npz::ReadTexts(std::string_view array) const {
  const Member* member = Find(array);
  if (member == nullptr) return InvalidField(FieldOf(array), "is not there");
  if (member->size > kMaxTexts) {
    return InvalidField(FieldOf(array), fmt::format("has {} bytes; at most {} of texts are read",
                                                    member->size, kMaxTexts));
  }
  SAED_ASSIGN_OR_RETURN(std::string bytes, ReadBytes(*member, member->size));
  auto texts = ParseNpyTexts(FieldOf(array), bytes);
  if (texts.ok()) return texts;
  SAED_ASSIGN_OR_RETURN(const ArrayFile numbers, ArrayFile::Make(FieldOf(array), std::move(bytes)));
  std::vector<std::string> out;
  if (numbers.header().integer()) {  // with all their digits
    SAED_ASSIGN_OR_RETURN(const auto whole, AllIntegers(numbers));
    for (const int64_t v : whole) out.push_back(std::to_string(v));
    return out;
  }
  for (const double v : AllDoubles(numbers)) out.push_back(NumberText(v));
  return out;
}

void SayUnreadArrays(const Npz& npz, const std::vector<std::string>& read, std::string_view advice,
                     Notes& notes) {
  constexpr size_t kShown = 20;
  std::vector<std::string> unread;
  for (const std::string& name : npz.names()) {
    if (std::find(read.begin(), read.end(), name) == read.end()) unread.push_back(ValidUtf8(name));
  }
  if (unread.empty()) return;
  const size_t more = unread.size() - std::min(unread.size(), kShown);
  unread.resize(unread.size() - more);
  notes.Mended(npz.name(), fmt::format("left out, as nothing says what they are: the arrays {}{}{}",
                                       fmt::join(unread, ", "),
                                       more > 0 ? fmt::format(" and {} more", more) : "", advice));
}

std::vector<std::string> NpzNames(const FileSketch& sketch) {
  constexpr std::string_view kEntry("PK\x01\x02");
  constexpr size_t kLengthAt = 28, kNameAt = 46;
  std::vector<std::string> out;
  if (!sketch.head.starts_with("PK\x03\x04")) return out;
  const std::string_view tail = sketch.tail;
  for (size_t at = tail.find(kEntry); at < tail.size(); at = tail.find(kEntry, at + 1)) {
    if (tail.size() - at < kNameAt) break;
    const size_t length = static_cast<unsigned char>(tail[at + kLengthAt]) |
                          static_cast<size_t>(static_cast<unsigned char>(tail[at + kLengthAt + 1]))
                              << 8;
    std::string_view name = tail.substr(at + kNameAt, length);
    if (name.size() != length || !name.ends_with(kEnding)) continue;
    name.remove_suffix(kEnding.size());
    out.emplace_back(name);
  }
  return out;
}

}  // namespace saed::recordings

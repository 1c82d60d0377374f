#include "server/recordings/readers/hdf5.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/hdf5_filters.h"
#include "server/recordings/readers/hdf5_links.h"
#include "server/recordings/readers/hdf5_values.h"

namespace saed::recordings {
namespace {

constexpr int64_t kMaxAttributeElements = 4096;
constexpr size_t kMaxChildren = 1'000'000;
constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53
constexpr size_t kSmallestCache = 1 << 20;               // the library's own

absl::Status Unreadable(const std::string& path) {
  return InvalidField(path, "cannot be read; the file is damaged or truncated");
}

absl::Status IsMissing(const std::string& path) { return InvalidField(path, "is missing"); }

herr_t Collect(hid_t, const char* name, const H5L_info_t*, void* out) {
  auto& names = *static_cast<std::vector<std::string>*>(out);
  names.emplace_back(name);
  return names.size() < kMaxChildren ? 0 : 1;
}

// Sizes in every dimension. INVALID_ARGUMENT where their product is no number of elements.
absl::StatusOr<std::vector<int64_t>> ShapeOf(const std::string& path, hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  if (rank < 0 || rank > H5S_MAX_RANK) return Unreadable(path);
  hsize_t sizes[H5S_MAX_RANK] = {};
  if (rank > 0 && H5Sget_simple_extent_dims(space, sizes, nullptr) < 0) return Unreadable(path);
  std::vector<int64_t> shape;
  int64_t elements = 1;
  for (int d = 0; d < rank; ++d) {
    int64_t size = 0;
    if (__builtin_add_overflow(sizes[d], 0, &size) ||
        __builtin_mul_overflow(elements, std::max<int64_t>(1, size), &elements)) {
      return InvalidField(path, "claims more elements than any file can hold");
    }
    shape.push_back(size);
  }
  if (H5Sget_simple_extent_type(space) == H5S_NULL) shape = {0};
  return shape;
}

int64_t Product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t size : shape) n *= size;
  return n;
}

// What a file that is not HDF5 is, by its first bytes.
std::string KindOf(std::string_view head) {
  if (head.empty()) return "is empty, not HDF5";
  if (head.starts_with("MATLAB 5.0")) {
    return "is a MATLAB file of version 5 to 7, not HDF5; the format mat reads it";
  }
  if (head.starts_with("PK\x03\x04")) return "is a zip archive (.npz?), not HDF5";
  if (head.starts_with("\x93NUMPY")) return "is a NumPy array (.npy), not HDF5";
  if (head.starts_with("\x1f\x8b")) return "is compressed with gzip, not HDF5; unpack it";
  for (const char c : head) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') {
      return "is not an HDF5 file";
    }
  }
  return "is a text file, not HDF5";
}

// The signature may lie behind a block of the user's own, at 512, 1024, 2048, ... bytes.
absl::Status NotHdf5(const std::string& name, const std::string& path) {
  constexpr char kSignature[] = "\x89HDF\r\n\x1a\n";
  std::ifstream in(path, std::ios::binary);
  std::string head(4096, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  for (size_t at = 0; at < head.size(); at = at == 0 ? 512 : 2 * at) {
    if (std::string_view(head).substr(at).starts_with(std::string_view(kSignature, 8))) {
      return InvalidField(name,
                          "is an HDF5 file that is truncated or damaged; must be copied "
                          "whole");
    }
  }
  return InvalidField(name, KindOf(head));
}

Texts NamesOf(const std::vector<int64_t>& values, const std::map<int64_t, std::string>& members) {
  Texts out;
  out.reserve(values.size());
  for (int64_t value : values) {
    const auto it = members.find(value);
    out.push_back(it == members.end() ? std::to_string(value) : it->second);
  }
  return out;
}

}  // namespace

std::mutex& Hdf5Mutex() {
  static std::mutex mutex;
  return mutex;
}

absl::StatusOr<Hdf5File> Hdf5File::Open(const std::string& name, const std::string& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  struct stat status {};
  // A pipe or a device would keep the reader waiting.
  if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return InvalidField(name, "is not a regular file");
  }
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_sec2(access.get());  // whatever driver the environment names
  H5Pset_file_locking(access.get(), false, true);
  Hdf5File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!file.file_.ok()) return NotHdf5(name, path);
  return file;
}

bool Hdf5File::Exists(const std::string& path) const {
  const auto resolved = ResolveLinks(file_.get(), path);
  return !resolved.ok() || resolved->has_value();
}

bool Hdf5File::IsGroup(const std::string& path) const {
  const auto resolved = ResolveLinks(file_.get(), path);
  if (!resolved.ok() || !resolved->has_value()) return false;
  H5O_info_t info{};
  return H5Oget_info_by_name2(file_.get(), (*resolved)->c_str(), &info, H5O_INFO_BASIC,
                              LinkAccess()) >= 0 &&
         info.type == H5O_TYPE_GROUP;
}

std::vector<std::string> Hdf5File::Children(const std::string& group) const {
  std::vector<std::string> out;
  const auto resolved = ResolveLinks(file_.get(), group);
  if (!resolved.ok() || !resolved->has_value()) return out;
  const Handle g(H5Gopen2(file_.get(), (*resolved)->c_str(), LinkAccess()), H5Gclose);
  if (g.ok()) H5Literate(g.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, Collect, &out);
  return out;
}

std::string Hdf5File::Identity(const std::string& path) const {
  const auto resolved = ResolveLinks(file_.get(), path);
  H5O_info_t info{};
  if (!resolved.ok() || !resolved->has_value() ||
      H5Oget_info_by_name2(file_.get(), (*resolved)->c_str(), &info, H5O_INFO_BASIC, LinkAccess()) <
          0) {
    return path;
  }
  return fmt::format("@{}", info.addr);
}

absl::StatusOr<Handle> Hdf5File::OpenDataset(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const auto resolved, ResolveLinks(file_.get(), path));
  if (!resolved.has_value()) return IsMissing(path);
  const auto open = [&](size_t cache) {
    const Handle access(DatasetAccess(cache), H5Pclose);
    return Handle(H5Dopen2(file_.get(), resolved->c_str(), access.get()), H5Dclose);
  };
  Handle dataset = open(0);
  if (!dataset.ok()) return InvalidField(path, "is not a data set");
  SAED_RETURN_IF_ERROR(CheckStoredInside(dataset.get(), path));
  // Chunks above the library's cache would be unpacked again for every piece of them.
  const uint64_t chunk = ChunkBytes(dataset.get());
  if (chunk <= kSmallestCache || !CheckUnpackable(dataset.get(), path).ok()) return dataset;
  return open(chunk + kSmallestCache);
}

absl::StatusOr<std::pair<Handle, int64_t>> Hdf5File::OpenReadable(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(Handle dataset, OpenDataset(path));
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  SAED_ASSIGN_OR_RETURN(const auto shape, ShapeOf(path, space.get()));
  const int64_t n = Product(shape);
  if (n > kMaxDatasetElements) {
    return InvalidField(
        path, fmt::format("has {} elements; at most {} are read", n, kMaxDatasetElements));
  }
  SAED_RETURN_IF_ERROR(CheckUnpackable(dataset.get(), path));
  return std::pair<Handle, int64_t>(std::move(dataset), n);
}

absl::StatusOr<ArrayInfo> Hdf5File::Describe(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const Handle dataset, OpenDataset(path));
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  ArrayInfo out = DescribeType(type.get());
  SAED_ASSIGN_OR_RETURN(out.shape, ShapeOf(path, space.get()));
  return out;
}

std::string Hdf5File::PathOf(hobj_ref_t reference) const {
  if (!paths_) paths_ = PathsByAddress(file_.get());
  const auto it = paths_->find(reference);
  return it == paths_->end() ? "" : ValidUtf8(it->second);
}

absl::StatusOr<std::variant<Numbers, Texts>> Hdf5File::Read(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const auto opened, OpenReadable(path));
  const auto& [dataset, n] = opened;
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const ReadFn read = [&, set = dataset.get()](hid_t memory, hid_t transfer, void* out) {
    return H5Dread(set, memory, H5S_ALL, H5S_ALL, transfer, out);
  };
  const ArrayInfo info = DescribeType(type.get());
  if (info.kind == ArrayInfo::Kind::kOther) {
    return InvalidField(path, fmt::format("is of the type {}; must be numbers, texts or object "
                                          "references",
                                          info.type));
  }
  if (info.kind == ArrayInfo::Kind::kReference) {
    std::vector<hobj_ref_t> references(static_cast<size_t>(std::min(n, kMaxTexts + 1)));
    if (n > kMaxTexts) return InvalidField(path, "holds too many references");
    if (n > 0 && read(H5T_STD_REF_OBJ, H5P_DEFAULT, references.data()) < 0) return Unreadable(path);
    Texts texts;
    for (hobj_ref_t r : references) texts.push_back(PathOf(r));
    return texts;
  }
  if (info.kind != ArrayInfo::Kind::kText) {
    Numbers values(static_cast<size_t>(n));
    if (n > 0 && read(H5T_NATIVE_DOUBLE, H5P_DEFAULT, values.data()) < 0) return Unreadable(path);
    return values;
  }
  Texts texts;
  if (H5Tget_class(type.get()) == H5T_ENUM) {
    if (n > kMaxTexts) return InvalidField(path, "is an enumeration of too many elements");
    std::vector<int64_t> values(static_cast<size_t>(n));
    if (n > 0 && read(H5T_NATIVE_INT64, H5P_DEFAULT, values.data()) < 0) return Unreadable(path);
    return NamesOf(values, MembersOf(type.get()));
  }
  if (n > 0) SAED_RETURN_IF_ERROR(ReadTexts(path, type.get(), n, read, texts));
  MendTexts(path, texts);
  return texts;
}

void Hdf5File::MendTexts(const std::string& part, Texts& texts) const {
  int64_t mended = 0;
  for (std::string& text : texts) {
    std::string valid = ValidUtf8(text);
    if (valid == text) continue;
    text = std::move(valid);
    ++mended;
  }
  if (mended > 0) mended_[ValidUtf8(part)] = mended;
}

void Hdf5File::NoteTexts(Notes& notes) const {
  for (const auto& [part, count] : mended_) {
    notes.Mended(part, fmt::format("{} text{} not UTF-8; bytes that are no letter are replaced",
                                   count, count == 1 ? " is" : "s are"));
  }
}

absl::StatusOr<Numbers> Hdf5File::ReadNumbers(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const ArrayInfo info, Describe(path));
  using Kind = ArrayInfo::Kind;
  if (info.kind == Kind::kText || info.kind == Kind::kReference || info.kind == Kind::kOther) {
    return InvalidField(path, fmt::format("is of the type {}; must be numbers", info.type));
  }
  SAED_ASSIGN_OR_RETURN(auto values, Read(path));
  return std::get<Numbers>(std::move(values));
}

absl::StatusOr<std::vector<int64_t>> Hdf5File::ReadIntegers(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const auto opened, OpenReadable(path));
  const auto& [dataset, n] = opened;
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type.get());
  if (kind == H5T_FLOAT) {
    SAED_ASSIGN_OR_RETURN(const Numbers values, ReadNumbers(path));
    std::vector<int64_t> out;
    for (double v : values) {
      if (!(std::abs(v) <= kMaxExactInteger) || v != std::floor(v)) {
        return InvalidField(path, fmt::format("holds {}; must be whole numbers", v));
      }
      out.push_back(static_cast<int64_t>(v));
    }
    return out;
  }
  if (kind != H5T_INTEGER) return InvalidField(path, "does not hold integers");
  if (H5Tget_sign(type.get()) == H5T_SGN_NONE && H5Tget_size(type.get()) >= sizeof(uint64_t)) {
    // The library would take what is too large as the largest that there is.
    SAED_ASSIGN_OR_RETURN(const auto values, ReadUnsigned(path));
    for (const uint64_t v : values) {
      if (v > INT64_MAX) {
        return InvalidField(path, fmt::format("holds {}; must be below 2^63", v));
      }
    }
    return std::vector<int64_t>(values.begin(), values.end());
  }
  std::vector<int64_t> out(static_cast<size_t>(n));
  if (n > 0 &&
      H5Dread(dataset.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0) {
    return Unreadable(path);
  }
  return out;
}

absl::StatusOr<std::vector<uint64_t>> Hdf5File::ReadUnsigned(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const auto opened, OpenReadable(path));
  const auto& [dataset, n] = opened;
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_INTEGER || H5Tget_sign(type.get()) != H5T_SGN_NONE) {
    return InvalidField(path, "does not hold integers without a sign");
  }
  std::vector<uint64_t> out(static_cast<size_t>(n));
  if (n > 0 &&
      H5Dread(dataset.get(), H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0) {
    return Unreadable(path);
  }
  return out;
}

absl::Status Hdf5File::ReadRange(const std::string& path, int64_t first,
                                 std::span<double> out) const {
  if (!ranged_ || ranged_->first != path) {
    ranged_.reset();
    SAED_ASSIGN_OR_RETURN(Handle opened, OpenDataset(path));
    SAED_RETURN_IF_ERROR(CheckUnpackable(opened.get(), path));
    ranged_.emplace(path, std::move(opened));
  }
  const hid_t dataset = ranged_->second.get();
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const Handle space(H5Dget_space(dataset), H5Sclose);
  SAED_ASSIGN_OR_RETURN(const auto shape, ShapeOf(path, space.get()));
  const H5T_class_t kind = H5Tget_class(type.get());
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) {
    return InvalidField(path, "does not hold numbers");
  }
  const auto count = static_cast<int64_t>(out.size());
  if (shape.size() != 1 || first < 0 || count > shape[0] || first > shape[0] - count) {
    return InvalidField(path, "does not have these elements");
  }
  if (count == 0) return absl::OkStatus();
  const auto at = static_cast<hsize_t>(first), n = static_cast<hsize_t>(count);
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &at, nullptr, &n, nullptr);
  const Handle memory(H5Screate_simple(1, &n, nullptr), H5Sclose);
  if (H5Dread(dataset, H5T_NATIVE_DOUBLE, memory.get(), space.get(), H5P_DEFAULT, out.data()) < 0) {
    return Unreadable(path);
  }
  return absl::OkStatus();
}

std::optional<Handle> Hdf5File::OpenAttribute(const std::string& path,
                                              const std::string& name) const {
  const auto resolved = ResolveLinks(file_.get(), path);
  if (!resolved.ok() || !resolved->has_value()) return std::nullopt;
  const char* object = (*resolved)->c_str();
  if (H5Aexists_by_name(file_.get(), object, name.c_str(), LinkAccess()) <= 0) return std::nullopt;
  Handle attribute(H5Aopen_by_name(file_.get(), object, name.c_str(), H5P_DEFAULT, LinkAccess()),
                   H5Aclose);
  if (!attribute.ok()) return std::nullopt;
  return attribute;
}

Texts Hdf5File::TextAttribute(const std::string& path, const std::string& name) const {
  Texts out;
  const auto attribute = OpenAttribute(path, name);
  if (!attribute) return out;
  const Handle space(H5Aget_space(attribute->get()), H5Sclose);
  const Handle type(H5Aget_type(attribute->get()), H5Tclose);
  const auto shape = ShapeOf(path, space.get());
  if (!shape.ok()) return out;
  const int64_t n = Product(*shape);
  if (n <= 0 || n > kMaxAttributeElements) return out;
  if (H5Tequal(type.get(), H5T_STD_REF_OBJ) > 0) {
    std::vector<hobj_ref_t> references(static_cast<size_t>(n));
    if (H5Aread(attribute->get(), H5T_STD_REF_OBJ, references.data()) < 0) return out;
    for (hobj_ref_t r : references) out.push_back(PathOf(r));
  } else if (H5Tget_class(type.get()) == H5T_STRING &&
             !ReadAttributeTexts(path, attribute->get(), type.get(), space.get(), n, out).ok()) {
    out.clear();
  }
  MendTexts(path.empty() ? name : path + "/" + name, out);
  return out;
}

double Hdf5File::NumberAttribute(const std::string& path, const std::string& name,
                                 double fallback) const {
  const auto attribute = OpenAttribute(path, name);
  if (!attribute) return fallback;
  const Handle space(H5Aget_space(attribute->get()), H5Sclose);
  const Handle type(H5Aget_type(attribute->get()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type.get());
  const auto shape = ShapeOf(path, space.get());
  double value = fallback;
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || !shape.ok() || Product(*shape) != 1) {
    return fallback;
  }
  return H5Aread(attribute->get(), H5T_NATIVE_DOUBLE, &value) < 0 ? fallback : value;
}

}  // namespace saed::recordings

#include "server/recordings/readers/hdf5.h"

#include <fmt/format.h>

#include <cstring>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

absl::Status Unreadable(const std::string& path) {
  return InvalidField(path, "cannot be read; the file is damaged or truncated");
}

int64_t Elements(hid_t space) {
  const hssize_t n = H5Sget_simple_extent_npoints(space);
  return n < 0 ? -1 : static_cast<int64_t>(n);
}

// Reads strings through `read(memory type, buffer)`, fixed or variable length.
template <class ReadFn>
bool ReadTexts(hid_t type, hid_t space, int64_t n, const ReadFn& read, Texts& out) {
  const Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_cset(memory.get(), H5Tget_cset(type));
  out.reserve(n);
  if (H5Tis_variable_str(type) > 0) {
    H5Tset_size(memory.get(), H5T_VARIABLE);
    std::vector<char*> pointers(n, nullptr);
    if (read(memory.get(), static_cast<void*>(pointers.data())) < 0) return false;
    for (char* p : pointers) out.push_back(ValidUtf8(p == nullptr ? "" : p));
    H5Dvlen_reclaim(memory.get(), space, H5P_DEFAULT, pointers.data());
    return true;
  }
  const size_t size = H5Tget_size(type);
  if (size == 0 || static_cast<int64_t>(size) > kMaxDatasetElements / std::max<int64_t>(1, n)) {
    return false;
  }
  H5Tset_size(memory.get(), size);
  H5Tset_strpad(memory.get(), H5T_STR_NULLPAD);
  std::string bytes(n * size, '\0');
  if (read(memory.get(), static_cast<void*>(bytes.data())) < 0) return false;
  for (int64_t i = 0; i < n; ++i) {
    const char* p = bytes.data() + i * size;
    out.push_back(ValidUtf8(std::string_view(p, strnlen(p, size))));
  }
  return true;
}

herr_t Collect(hid_t, const char* name, const H5L_info_t*, void* out) {
  static_cast<std::vector<std::string>*>(out)->emplace_back(name);
  return 0;
}

}  // namespace

std::mutex& Hdf5Mutex() {
  static std::mutex mutex;
  return mutex;
}

absl::StatusOr<Hdf5File> Hdf5File::Open(const std::string& name, const std::string& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  Hdf5File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  if (!file.file_.ok()) {
    return InvalidField(name, "is not an HDF5 file, or a truncated one");
  }
  return file;
}

bool Hdf5File::Exists(const std::string& path) const {
  // Every link on the way must exist, or the library calls it an error.
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (H5Lexists(file_.get(), path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return H5Lexists(file_.get(), path.c_str(), H5P_DEFAULT) > 0 &&
         H5Oexists_by_name(file_.get(), path.c_str(), H5P_DEFAULT) > 0;
}

bool Hdf5File::IsGroup(const std::string& path) const {
  if (!Exists(path)) return false;
  const Handle object(H5Oopen(file_.get(), path.c_str(), H5P_DEFAULT), H5Oclose);
  return object.ok() && H5Iget_type(object.get()) == H5I_GROUP;
}

std::vector<std::string> Hdf5File::Children(const std::string& group) const {
  std::vector<std::string> out;
  const Handle g(H5Gopen2(file_.get(), group.c_str(), H5P_DEFAULT), H5Gclose);
  if (g.ok()) H5Literate(g.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, Collect, &out);
  return out;
}

absl::StatusOr<Handle> Hdf5File::OpenDataset(const std::string& path) const {
  if (!Exists(path)) return InvalidField(path, "is missing");
  Handle dataset(H5Dopen2(file_.get(), path.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.ok()) return InvalidField(path, "is not a data set");
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const int64_t n = Elements(space.get());
  if (n < 0 || n > kMaxDatasetElements) {
    return InvalidField(
        path, fmt::format("has {} elements; at most {} are read", n, kMaxDatasetElements));
  }
  return dataset;
}

absl::StatusOr<ArrayInfo> Hdf5File::Describe(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const Handle dataset, OpenDataset(path));
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  std::vector<hsize_t> sizes(std::max(rank, 0));
  if (rank > 0) H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  ArrayInfo out;
  out.shape.assign(sizes.begin(), sizes.end());
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  switch (H5Tget_class(type.get())) {
    case H5T_INTEGER: {
      const bool is_signed = H5Tget_sign(type.get()) == H5T_SGN_2;
      out.kind = is_signed ? ArrayInfo::Kind::kInteger : ArrayInfo::Kind::kUnsigned;
      out.type = fmt::format("{}int{}", is_signed ? "" : "u", 8 * H5Tget_size(type.get()));
      break;
    }
    case H5T_FLOAT:
      out.kind = ArrayInfo::Kind::kFloat;
      out.type = fmt::format("float{}", 8 * H5Tget_size(type.get()));
      break;
    case H5T_ENUM:
      out.kind = ArrayInfo::Kind::kBoolean;
      out.type = "enumeration";
      break;
    case H5T_STRING:
      out.kind = ArrayInfo::Kind::kText;
      out.type = "text";
      break;
    case H5T_REFERENCE:
      out.kind = ArrayInfo::Kind::kReference;
      out.type = "reference";
      break;
    default:
      out.type = "a type that is neither numeric, text nor reference";
  }
  return out;
}

absl::StatusOr<std::variant<Numbers, Texts>> Hdf5File::Read(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const Handle dataset, OpenDataset(path));
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const int64_t n = Elements(space.get());
  const auto read = [&](hid_t memory, void* out) {
    return H5Dread(dataset.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  };
  switch (H5Tget_class(type.get())) {
    case H5T_INTEGER:
    case H5T_FLOAT: {
      Numbers values(n);
      if (n > 0 && read(H5T_NATIVE_DOUBLE, values.data()) < 0) return Unreadable(path);
      return values;
    }
    case H5T_ENUM: {  // h5py's booleans
      std::vector<int8_t> raw(n);
      if (n > 0 && read(type.get(), raw.data()) < 0) return Unreadable(path);
      if (H5Tget_size(type.get()) != 1) return InvalidField(path, "is an enumeration, not bool");
      return Numbers(raw.begin(), raw.end());
    }
    case H5T_STRING: {
      Texts texts;
      if (n > 0 && !ReadTexts(type.get(), space.get(), n, read, texts)) return Unreadable(path);
      return texts;
    }
    case H5T_REFERENCE: {
      if (H5Tequal(type.get(), H5T_STD_REF_OBJ) <= 0) {
        return InvalidField(path, "holds region references, which are not read");
      }
      std::vector<hobj_ref_t> references(n);
      if (n > 0 && read(H5T_STD_REF_OBJ, references.data()) < 0) return Unreadable(path);
      Texts texts;
      for (hobj_ref_t& r : references) {
        char name[1024] = "";
        const Handle object(H5Rdereference2(file_.get(), H5P_DEFAULT, H5R_OBJECT, &r), H5Oclose);
        if (object.ok()) H5Iget_name(object.get(), name, sizeof(name));
        texts.push_back(ValidUtf8(name));
      }
      return texts;
    }
    default:
      return InvalidField(path, "has a type that is neither numeric, text nor object reference");
  }
}

absl::StatusOr<Numbers> Hdf5File::ReadNumbers(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(auto values, Read(path));
  if (auto* numbers = std::get_if<Numbers>(&values)) return std::move(*numbers);
  return InvalidField(path, "does not hold numbers");
}

absl::StatusOr<std::vector<int64_t>> Hdf5File::ReadIntegers(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const Handle dataset, OpenDataset(path));
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_INTEGER) {
    return InvalidField(path, "does not hold integers");
  }
  std::vector<int64_t> out(Elements(space.get()));
  if (!out.empty() &&
      H5Dread(dataset.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, out.data()) < 0) {
    return Unreadable(path);
  }
  return out;
}

absl::StatusOr<Numbers> Hdf5File::ReadRange(const std::string& path, int64_t first,
                                            int64_t count) const {
  SAED_ASSIGN_OR_RETURN(const Handle dataset, OpenDataset(path));
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const auto at = static_cast<hsize_t>(first), n = static_cast<hsize_t>(count);
  if (H5Sget_simple_extent_ndims(space.get()) != 1 || first < 0 || count < 0 ||
      first + count > Elements(space.get())) {
    return InvalidField(path, "does not have these elements");
  }
  Numbers out(static_cast<size_t>(count));
  if (count == 0) return out;
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &at, nullptr, &n, nullptr);
  const Handle memory(H5Screate_simple(1, &n, nullptr), H5Sclose);
  if (H5Dread(dataset.get(), H5T_NATIVE_DOUBLE, memory.get(), space.get(), H5P_DEFAULT,
              out.data()) < 0) {
    return Unreadable(path);
  }
  return out;
}

Texts Hdf5File::TextAttribute(const std::string& path, const std::string& name) const {
  Texts out;
  if (H5Aexists_by_name(file_.get(), path.c_str(), name.c_str(), H5P_DEFAULT) <= 0) return out;
  const Handle attribute(
      H5Aopen_by_name(file_.get(), path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute.ok()) return out;
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  const Handle type(H5Aget_type(attribute.get()), H5Tclose);
  const int64_t n = Elements(space.get());
  if (H5Tget_class(type.get()) != H5T_STRING || n <= 0 || n > 100'000) return out;
  const auto read = [&](hid_t memory, void* to) { return H5Aread(attribute.get(), memory, to); };
  if (!ReadTexts(type.get(), space.get(), n, read, out)) out.clear();
  return out;
}

double Hdf5File::NumberAttribute(const std::string& path, const std::string& name,
                                 double fallback) const {
  if (H5Aexists_by_name(file_.get(), path.c_str(), name.c_str(), H5P_DEFAULT) <= 0) return fallback;
  const Handle attribute(
      H5Aopen_by_name(file_.get(), path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute.ok()) return fallback;
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  const Handle type(H5Aget_type(attribute.get()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type.get());
  double value = fallback;
  if ((kind != H5T_INTEGER && kind != H5T_FLOAT) || Elements(space.get()) != 1) return fallback;
  if (H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, &value) < 0) return fallback;
  return value;
}

}  // namespace saed::recordings

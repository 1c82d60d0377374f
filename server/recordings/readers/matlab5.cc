// MATLAB 5 to 7.2 through libmatio. The library trusts its file more than it should: nothing is
// read whose size the file cannot hold, and the process is one that can reach nothing else.
#include <fmt/format.h>
#include <matio.h>

#include <algorithm>
#include <cstring>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/matlab_file.h"
#include "server/recordings/readers/matlab_nesting.h"

namespace saed::recordings {
namespace {

// zlib makes at most this many bytes of one.
constexpr int64_t kMostInflated = 1032;

using Variable = std::unique_ptr<matvar_t, void (*)(matvar_t*)>;

const char* ClassName(int type) {
  switch (type) {
    case MAT_C_CELL:
      return "cell";
    case MAT_C_STRUCT:
      return "struct";
    case MAT_C_CHAR:
      return "char";
    case MAT_C_SPARSE:
      return "sparse";
    case MAT_C_DOUBLE:
      return "double";
    case MAT_C_SINGLE:
      return "single";
    case MAT_C_INT8:
      return "int8";
    case MAT_C_UINT8:
      return "uint8";
    case MAT_C_INT16:
      return "int16";
    case MAT_C_UINT16:
      return "uint16";
    case MAT_C_INT32:
      return "int32";
    case MAT_C_UINT32:
      return "uint32";
    case MAT_C_INT64:
      return "int64";
    case MAT_C_UINT64:
      return "uint64";
    case MAT_C_FUNCTION:
      return "function";
    default:
      return "object";
  }
}

template <class T>
void Append(const matvar_t& v, int64_t n, Numbers& out) {
  const char* data = static_cast<const char*>(v.data);
  out.reserve(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, data + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    out.push_back(static_cast<double>(value));
  }
}

// False where the type is none of numbers.
bool AppendNumbers(const matvar_t& v, int64_t n, Numbers& out) {
  switch (v.data_type) {
    case MAT_T_INT8:
      return Append<int8_t>(v, n, out), true;
    case MAT_T_UINT8:
    case MAT_T_UTF8:
      return Append<uint8_t>(v, n, out), true;
    case MAT_T_INT16:
      return Append<int16_t>(v, n, out), true;
    case MAT_T_UINT16:
    case MAT_T_UTF16:
      return Append<uint16_t>(v, n, out), true;
    case MAT_T_INT32:
      return Append<int32_t>(v, n, out), true;
    case MAT_T_UINT32:
    case MAT_T_UTF32:
      return Append<uint32_t>(v, n, out), true;
    case MAT_T_SINGLE:
      return Append<float>(v, n, out), true;
    case MAT_T_DOUBLE:
      return Append<double>(v, n, out), true;
    case MAT_T_INT64:
      return Append<int64_t>(v, n, out), true;
    case MAT_T_UINT64:
      return Append<uint64_t>(v, n, out), true;
    default:
      return false;
  }
}

// Whole numbers of 64 bits as they are; none where one is beyond an int64.
std::vector<int64_t> ExactNumbers(const matvar_t& v, int64_t n) {
  if (v.data_type != MAT_T_INT64 && v.data_type != MAT_T_UINT64) return {};
  std::vector<int64_t> out(static_cast<size_t>(n));
  std::memcpy(out.data(), v.data, out.size() * sizeof(int64_t));
  const bool beyond = v.data_type == MAT_T_UINT64 &&
                      std::any_of(out.begin(), out.end(), [](int64_t value) { return value < 0; });
  return beyond ? std::vector<int64_t>{} : out;
}

class Mat5 : public MatFile {
 public:
  Mat5(mat_t* file, int64_t bytes) : file_(file), bytes_(bytes) {
    size_t n = 0;
    char* const* names = Mat_GetDir(file, &n);
    for (size_t i = 0; names != nullptr && i < n && names_.size() < kMaxMatVariables; ++i) {
      if (names[i] != nullptr && names[i][0] != '\0') names_.push_back(ValidUtf8(names[i]));
    }
  }
  ~Mat5() override { Mat_Close(file_); }

  const Texts& variables() const override { return names_; }
  absl::StatusOr<MatValue> Describe(const std::string& path) override { return At(path, false); }
  absl::StatusOr<MatValue> Read(const std::string& path) override { return At(path, true); }

 private:
  absl::StatusOr<MatValue> At(const std::string& path, bool values) {
    const auto parts = MatPathParts(path);
    const Variable root(Mat_VarReadInfo(file_, parts[0].c_str()), Mat_VarFree);
    if (root == nullptr) return InvalidField(path, "is missing");
    std::vector<matvar_t*> found = {root.get()};
    bool many = false;
    for (size_t i = 1; i < parts.size(); ++i) {
      std::vector<matvar_t*> next;
      SAED_RETURN_IF_ERROR(OpenCells(path, found, many));
      for (matvar_t* v : found) {
        SAED_ASSIGN_OR_RETURN(const int64_t n, Elements(path, *v));
        if (v->class_type != MAT_C_STRUCT || v->data == nullptr || n > kMaxMatCells) {
          return InvalidField(path, fmt::format("is no field of a struct: {} is {}", parts[i - 1],
                                                ClassName(v->class_type)));
        }
        many = many || n != 1;
        SAED_RETURN_IF_ERROR(AddField(path, *v, parts[i], n, next));
      }
      if (static_cast<int64_t>(next.size()) > kMaxMatCells) {
        return InvalidField(path, "has too many structs");
      }
      found = std::move(next);
    }
    if (!many) return Value(path, *found[0], values, 0);
    MatValue out;
    out.kind = MatValue::Kind::kCell;
    out.type = "cell";
    out.shape = {1, static_cast<int64_t>(found.size())};
    for (matvar_t* v : found) {
      SAED_ASSIGN_OR_RETURN(MatValue cell, Value(path, *v, values, 1));
      out.cells.push_back(std::move(cell));
    }
    return out;
  }

  // Puts what is in a cell in its place.
  static absl::Status OpenCells(const std::string& path, std::vector<matvar_t*>& found,
                                bool& many) {
    if (found.size() != 1 || found[0]->class_type != MAT_C_CELL) return absl::OkStatus();
    const matvar_t& cell = *found[0];
    SAED_ASSIGN_OR_RETURN(const int64_t n, Elements(path, cell));
    const auto there = static_cast<int64_t>(cell.nbytes / sizeof(matvar_t*));
    if (n > kMaxMatCells || n > there || (n > 0 && cell.data == nullptr)) return Damaged(path);
    auto* const* cells = static_cast<matvar_t* const*>(cell.data);
    found.assign(cells, cells + n);
    many = true;
    const bool whole = std::find(found.begin(), found.end(), nullptr) == found.end();
    return whole ? absl::OkStatus() : Damaged(path);
  }

  // A field of each of `n` structs. The library's own look-up trusts what a damaged file says.
  static absl::Status AddField(const std::string& path, matvar_t& v, const std::string& name,
                               int64_t n, std::vector<matvar_t*>& out) {
    const auto fields = static_cast<int64_t>(Mat_VarGetNumberOfFields(&v));
    char* const* names = Mat_VarGetStructFieldnames(&v);
    int64_t field = 0;
    while (names != nullptr && field < fields &&
           (names[field] == nullptr || name != names[field])) {
      ++field;
    }
    if (names == nullptr || field == fields) return InvalidField(path, "is missing");
    const auto there = static_cast<int64_t>(v.nbytes / sizeof(matvar_t*));
    if (n > there / fields) return Damaged(path);
    for (int64_t k = 0; k < n; ++k) {
      matvar_t* value = static_cast<matvar_t**>(v.data)[k * fields + field];
      if (value == nullptr) return Damaged(path);
      out.push_back(value);
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<int64_t> Elements(const std::string& path, const matvar_t& v) {
    int64_t n = 1;
    for (int d = 0; d < v.rank && v.dims != nullptr; ++d) {
      if (v.dims[d] > size_t{1} << 40 ||
          static_cast<int64_t>(v.dims[d]) > (int64_t{1} << 40) / std::max<int64_t>(1, n)) {
        return InvalidField(path, "has a size that no file can hold; it is damaged");
      }
      n *= static_cast<int64_t>(v.dims[d]);
    }
    return n;
  }

  absl::StatusOr<MatValue> Value(const std::string& path, matvar_t& v, bool values, int depth) {
    MatValue out;
    SAED_ASSIGN_OR_RETURN(const int64_t n, Elements(path, v));
    for (int d = 0; d < v.rank; ++d) out.shape.push_back(static_cast<int64_t>(v.dims[d]));
    out.type = v.isLogical != 0 ? "logical" : ClassName(v.class_type);
    if (v.class_type == MAT_C_STRUCT) return Struct(v, std::move(out));
    if (v.class_type == MAT_C_CELL) return Cells(path, v, n, std::move(out), values, depth);
    if (v.isComplex != 0) {
      out.type = "complex " + out.type;
      return out;
    }
    if (v.class_type == MAT_C_CHAR) {
      out.kind = MatValue::Kind::kText;
    } else if (v.class_type >= MAT_C_DOUBLE && v.class_type <= MAT_C_UINT64) {
      out.kind = MatValue::Kind::kNumbers;
    }
    if (!values || out.kind == MatValue::Kind::kOther || n == 0) return out;
    SAED_RETURN_IF_ERROR(Load(path, v, n));
    if (out.kind == MatValue::Kind::kText) {
      SAED_RETURN_IF_ERROR(TextRows(path, v, n, out));
      return out;
    }
    const size_t size = Mat_SizeOf(v.data_type);
    if (size == 0 || v.nbytes / size < static_cast<size_t>(n) ||
        !AppendNumbers(v, n, out.numbers)) {
      return Damaged(path);
    }
    out.exact = ExactNumbers(v, n);
    return out;
  }

  static absl::StatusOr<MatValue> Struct(const matvar_t& v, MatValue out) {
    out.kind = MatValue::Kind::kStruct;
    const unsigned n = Mat_VarGetNumberOfFields(const_cast<matvar_t*>(&v));
    char* const* names = Mat_VarGetStructFieldnames(&v);
    for (unsigned i = 0; names != nullptr && i < n && i < kMaxMatVariables; ++i) {
      if (names[i] != nullptr) out.fields.push_back(ValidUtf8(names[i]));
    }
    return out;
  }

  absl::StatusOr<MatValue> Cells(const std::string& path, const matvar_t& v, int64_t n,
                                 MatValue out, bool values, int depth) {
    out.kind = MatValue::Kind::kCell;
    if (n > kMaxMatCells || depth >= kMaxMatDepth) {
      return InvalidField(path, fmt::format("has {} cells in {} levels; at most {} are read, in {}",
                                            n, depth + 1, kMaxMatCells, kMaxMatDepth));
    }
    if (n > 0 && (v.data == nullptr || v.nbytes / sizeof(matvar_t*) < static_cast<size_t>(n))) {
      return Damaged(path);
    }
    auto* const* cells = static_cast<matvar_t* const*>(v.data);
    for (int64_t i = 0; i < n; ++i) {
      const std::string cell = fmt::format("{}{{{}}}", path, i + 1);
      if (cells[i] == nullptr) return Damaged(cell);
      SAED_ASSIGN_OR_RETURN(MatValue value, Value(cell, *cells[i], values, depth + 1));
      out.cells.push_back(std::move(value));
    }
    return out;
  }

  // The values of `v`, where the file can hold so many.
  absl::Status Load(const std::string& path, matvar_t& v, int64_t n) {
    const int64_t most = v.compression == MAT_COMPRESSION_NONE ? bytes_ : bytes_ * kMostInflated;
    if (n > most || n > left_) {
      return InvalidField(path, fmt::format("has {} elements; the file can hold {}, and at most {} "
                                            "of a file are read",
                                            n, most, kMaxMatElements));
    }
    left_ -= n;
    if (Mat_VarReadDataAll(file_, &v) != 0 || v.data == nullptr) return Damaged(path);
    return absl::OkStatus();
  }

  // Texts of one row may have more bytes than characters.
  static absl::Status TextRows(const std::string& path, const matvar_t& v, int64_t n,
                               MatValue& out) {
    const size_t size = Mat_SizeOf(v.data_type);
    if (size == 0 || v.nbytes / size < static_cast<size_t>(n)) return Damaged(path);
    if (v.data_type == MAT_T_UTF8 && out.shape[0] == 1) {
      out.rows = {ValidUtf8({static_cast<const char*>(v.data), v.nbytes})};
      return absl::OkStatus();
    }
    Numbers units;
    if (!AppendNumbers(v, n, units)) return Damaged(path);
    const bool ascii = std::all_of(units.begin(), units.end(), [](double u) { return u < 128; });
    if (v.data_type == MAT_T_UTF8 && !ascii) {
      return InvalidField(path,
                          "has rows with letters beyond ASCII; must be a cell array of texts");
    }
    out.rows = MatRows({units.begin(), units.end()}, out.shape[0]);
    return absl::OkStatus();
  }

  static absl::Status Damaged(const std::string& path) {
    return InvalidField(path, "cannot be read; the file is damaged or truncated");
  }

  mat_t* file_;
  int64_t bytes_;
  int64_t left_ = kMaxMatElements;
  Texts names_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MatFile>> OpenMat5(const std::string& name, const std::string& path,
                                                  int64_t bytes) {
  SAED_RETURN_IF_ERROR(CheckMatNesting(name, path));
  mat_t* file = Mat_Open(path.c_str(), MAT_ACC_RDONLY);
  if (file == nullptr || Mat_GetVersion(file) != MAT_FT_MAT5) {
    if (file != nullptr) Mat_Close(file);
    return InvalidField(name, "is not a MATLAB file of version 5, or a truncated one");
  }
  return std::make_unique<Mat5>(file, bytes);
}

}  // namespace saed::recordings

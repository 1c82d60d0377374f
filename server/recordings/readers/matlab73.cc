// MATLAB 7.3: HDF5 with MATLAB's classes in attributes. Arrays lie transposed, cells are references
// into a hidden group, a struct is a group, and what is empty holds its shape instead of values.
#include <fmt/format.h>

#include <algorithm>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/hdf5.h"
#include "server/recordings/readers/matlab_file.h"

namespace saed::recordings {
namespace {

class Mat73 : public MatFile {
 public:
  explicit Mat73(Hdf5File file) : file_(std::move(file)) {
    for (const std::string& child : file_.Children("/")) {
      if (!child.starts_with('#') && names_.size() < kMaxMatVariables) names_.push_back(child);
    }
  }
  const Texts& variables() const override { return names_; }
  absl::StatusOr<MatValue> Describe(const std::string& path) override { return Get(path, false); }
  absl::StatusOr<MatValue> Read(const std::string& path) override { return Get(path, true); }

 private:
  absl::StatusOr<MatValue> Get(const std::string& path, bool values) {
    const auto inside = Inside(path);
    if (inside.ok()) return At(path, *inside, values, 0);
    const size_t dot = path.rfind('.');
    if (dot == std::string::npos) return inside.status();
    const auto cell = Inside(path.substr(0, dot));
    if (!cell.ok() || file_.IsGroup(*cell)) return inside.status();
    return FieldOfCells(path, *cell, path.substr(dot + 1), values);
  }

  // A field of each of the structs that a cell holds.
  absl::StatusOr<MatValue> FieldOfCells(const std::string& path, const std::string& inside,
                                        const std::string& field, bool values) {
    SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file_.Describe(inside));
    if (info.kind != ArrayInfo::Kind::kReference || info.size() > kMaxMatCells) {
      return InvalidField(path, "is no field of a struct");
    }
    SAED_RETURN_IF_ERROR(Spend(path, info.size()));
    SAED_ASSIGN_OR_RETURN(const auto read, file_.Read(inside));
    const auto* targets = std::get_if<Texts>(&read);
    if (targets == nullptr) return InvalidField(path, "is no field of a struct");
    MatValue out;
    out.kind = MatValue::Kind::kCell;
    out.type = "cell";
    out.shape = {1, static_cast<int64_t>(targets->size())};
    for (const std::string& to : *targets) {
      const std::string there = to + "/" + field;
      if (to.empty() || !file_.IsGroup(to) || !file_.Exists(there)) {
        return InvalidField(path, "is missing");
      }
      SAED_ASSIGN_OR_RETURN(MatValue value, At(path, there, values, 1));
      out.cells.push_back(std::move(value));
    }
    return out;
  }

  // The path in the HDF5 file.
  absl::StatusOr<std::string> Inside(const std::string& path) const {
    std::string out;
    for (const std::string& part : MatPathParts(path)) {
      if (part.empty() || part.find('/') != std::string::npos) {
        return InvalidField(path, "is no name of a variable or field");
      }
      out += (out.empty() ? "" : "/") + part;
    }
    if (!file_.Exists(out)) return InvalidField(path, "is missing");
    return out;
  }

  absl::StatusOr<MatValue> At(const std::string& path, const std::string& inside, bool values,
                              int depth) {
    MatValue out;
    const Texts named = file_.TextAttribute(inside, "MATLAB_class");
    out.type = named.empty() ? "" : named[0];
    if (file_.IsGroup(inside)) return Group(inside, std::move(out));
    SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file_.Describe(inside));
    SAED_RETURN_IF_ERROR(SetKind(info, out));
    out.shape.assign(info.shape.rbegin(), info.shape.rend());
    while (out.shape.size() < 2) out.shape.push_back(1);
    if (file_.NumberAttribute(inside, "MATLAB_empty", 0) != 0) return Empty(path, inside, out);
    if (out.kind == MatValue::Kind::kCell) return Cells(path, inside, out, values, depth);
    if (!values || out.kind == MatValue::Kind::kOther) return out;
    SAED_RETURN_IF_ERROR(Spend(path, out.size()));
    if (out.kind == MatValue::Kind::kNumbers) {
      SAED_ASSIGN_OR_RETURN(out.numbers, file_.ReadNumbers(inside));
      const bool beyond = std::any_of(out.numbers.begin(), out.numbers.end(),
                                      [](double v) { return !(v < 9223372036854775808.0); });
      if (out.wide() && !beyond) {
        SAED_ASSIGN_OR_RETURN(out.exact, file_.ReadIntegers(inside));
      }
    } else {
      SAED_ASSIGN_OR_RETURN(const auto units, file_.ReadIntegers(inside));
      out.rows = MatRows(units, out.shape[0]);
    }
    return out;
  }

  absl::StatusOr<MatValue> Group(const std::string& inside, MatValue out) {
    const bool sparse = file_.NumberAttribute(inside, "MATLAB_sparse", -1) >= 0;
    if (sparse) {
      out.type = "sparse " + out.type;
      return out;
    }
    out.shape = {1, 1};
    if (!out.type.empty() && out.type != "struct") return out;  // an object, a table
    out.kind = MatValue::Kind::kStruct;
    out.type = "struct";
    out.fields = file_.Children(inside);
    return out;
  }

  static absl::Status SetKind(const ArrayInfo& info, MatValue& out) {
    using Kind = ArrayInfo::Kind;
    const bool number = info.kind == Kind::kInteger || info.kind == Kind::kUnsigned ||
                        info.kind == Kind::kFloat || info.kind == Kind::kBoolean;
    if (out.type.empty()) out.type = info.type;
    if (info.kind == Kind::kReference) {
      // Without a class it is a field of an array of structs.
      out.kind = MatValue::Kind::kCell;
      out.type = "cell";
    } else if (out.type == "char" && number) {
      out.kind = MatValue::Kind::kText;
    } else if (number) {
      out.kind = MatValue::Kind::kNumbers;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<MatValue> Empty(const std::string& path, const std::string& inside, MatValue out) {
    SAED_ASSIGN_OR_RETURN(const ArrayInfo info, file_.Describe(inside));
    if (info.size() > 32) return InvalidField(path, "is empty but has no shape");
    SAED_ASSIGN_OR_RETURN(out.shape, file_.ReadIntegers(inside));
    if (std::find(out.shape.begin(), out.shape.end(), 0) == out.shape.end()) {
      return InvalidField(path, "is called empty but its shape is not");
    }
    if (out.type == "cell") out.kind = MatValue::Kind::kCell;
    for (int64_t& s : out.shape) s = std::clamp<int64_t>(s, 0, 1);
    return out;
  }

  absl::StatusOr<MatValue> Cells(const std::string& path, const std::string& inside, MatValue out,
                                 bool values, int depth) {
    SAED_RETURN_IF_ERROR(Spend(path, out.size()));
    if (out.size() > kMaxMatCells || depth >= kMaxMatDepth) {
      return InvalidField(path, fmt::format("has {} cells in {} levels; at most {} are read, in {}",
                                            out.size(), depth + 1, kMaxMatCells, kMaxMatDepth));
    }
    SAED_ASSIGN_OR_RETURN(auto read, file_.Read(inside));
    const auto* targets = std::get_if<Texts>(&read);
    if (targets == nullptr) return InvalidField(path, "is no cell array");
    for (size_t i = 0; i < targets->size(); ++i) {
      const std::string cell = fmt::format("{}{{{}}}", path, i + 1);
      const std::string& to = (*targets)[i];
      if (to.empty()) return InvalidField(cell, "leads nowhere");
      SAED_ASSIGN_OR_RETURN(MatValue value, At(cell, to, values, depth + 1));
      out.cells.push_back(std::move(value));
    }
    return out;
  }

  absl::Status Spend(const std::string& path, int64_t elements) {
    if (elements > left_) {
      return InvalidField(path, fmt::format("is too large; at most {} elements of a file are read",
                                            kMaxMatElements));
    }
    left_ -= elements;
    return absl::OkStatus();
  }

  Hdf5File file_;
  Texts names_;
  int64_t left_ = kMaxMatElements;
};

}  // namespace

absl::StatusOr<std::unique_ptr<MatFile>> OpenMat73(const std::string& name,
                                                   const std::string& path) {
  SAED_ASSIGN_OR_RETURN(Hdf5File file, Hdf5File::Open(name, path));
  return std::make_unique<Mat73>(std::move(file));
}

}  // namespace saed::recordings

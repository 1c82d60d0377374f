// Variables of MATLAB files for tests, made with libmatio.
#pragma once

#include <matio.h>

#include <string>
#include <vector>

namespace saed::test_tools {

inline matvar_t* Doubles(const char* name, size_t rows, size_t columns,
                         const std::vector<double>& values) {
  size_t dims[] = {rows, columns};
  return Mat_VarCreate(name, MAT_C_DOUBLE, MAT_T_DOUBLE, 2, dims,
                       const_cast<double*>(values.data()), 0);
}

inline matvar_t* Column(const char* name, const std::vector<double>& values) {
  return Doubles(name, values.size(), 1, values);
}

inline matvar_t* Text(const char* name, const std::string& text) {
  size_t dims[] = {1, text.size()};
  return Mat_VarCreate(name, MAT_C_CHAR, MAT_T_UTF8, 2, dims, const_cast<char*>(text.data()), 0);
}

inline matvar_t* Cell(const char* name, const std::vector<matvar_t*>& cells) {
  size_t dims[] = {1, cells.size()};
  matvar_t* cell = Mat_VarCreate(name, MAT_C_CELL, MAT_T_CELL, 2, dims, nullptr, 0);
  for (size_t i = 0; i < cells.size(); ++i) Mat_VarSetCell(cell, static_cast<int>(i), cells[i]);
  return cell;
}

inline matvar_t* Struct(const char* name, const std::vector<const char*>& fields,
                        const std::vector<matvar_t*>& values) {
  size_t dims[] = {1, 1};
  matvar_t* out = Mat_VarCreateStruct(name, 2, dims, const_cast<const char**>(fields.data()),
                                      static_cast<unsigned>(fields.size()));
  for (size_t i = 0; i < fields.size(); ++i) {
    Mat_VarSetStructFieldByName(out, fields[i], 0, values[i]);
  }
  return out;
}

}  // namespace saed::test_tools

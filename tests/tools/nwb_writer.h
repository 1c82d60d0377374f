// Writes small NWB-like HDF5 files for tests, good and broken ones.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <vector>

namespace saed::test_tools {

class NwbWriter {
 public:
  explicit NwbWriter(const std::string& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {
    Attribute("/", "nwb_version", {"2.6.0"});
  }
  ~NwbWriter() { H5Fclose(file_); }

  // For what only the library itself can say.
  hid_t file() const { return file_; }

  void Raw(const std::string& path, hid_t type, const std::vector<hsize_t>& shape,
           const void* data) {
    Write(path, type, type, shape, data);
  }
  void Group(const std::string& path) {
    H5Gclose(H5Gcreate2(file_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  }
  void Doubles(const std::string& path, const std::vector<double>& v,
               std::vector<hsize_t> shape = {}) {
    if (shape.empty()) shape = {v.size()};
    Write(path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, shape, v.data());
  }
  void Integers(const std::string& path, const std::vector<int64_t>& v,
                hid_t stored = H5T_STD_I64LE) {
    Write(path, stored, H5T_NATIVE_INT64, {v.size()}, v.data());
  }
  void Texts(const std::string& path, const std::vector<std::string>& v) {
    const hid_t type = VariableString();
    std::vector<const char*> pointers;
    for (const auto& s : v) pointers.push_back(s.c_str());
    Write(path, type, type, {v.size()}, pointers.data());
    H5Tclose(type);
  }
  void Attribute(const std::string& path, const std::string& name,
                 const std::vector<std::string>& v) {
    const hid_t type = VariableString();
    std::vector<const char*> pointers;
    for (const auto& s : v) pointers.push_back(s.c_str());
    const hsize_t n = v.size();
    const hid_t space = v.size() == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &n, nullptr);
    const hid_t attribute = H5Acreate_by_name(file_, path.c_str(), name.c_str(), type, space,
                                              H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, pointers.data());
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
  }
  void NumberAttribute(const std::string& path, const std::string& name, double v) {
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate_by_name(file_, path.c_str(), name.c_str(), H5T_IEEE_F64LE,
                                              space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_DOUBLE, &v);
    H5Aclose(attribute);
    H5Sclose(space);
  }

 private:
  static hid_t VariableString() {
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
  }
  void Write(const std::string& path, hid_t stored, hid_t memory, const std::vector<hsize_t>& shape,
             const void* data) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set =
        H5Dcreate2(file_, path.c_str(), stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Dclose(set);
    H5Sclose(space);
  }
  hid_t file_;
};

// Units 3 and 7 with spikes, a trials table with ragged tags, a running speed.
inline void WriteSmallNwb(const std::string& path, int64_t last_index = 5) {
  NwbWriter w(path);
  w.Group("units");
  w.Attribute("units", "colnames", {"spike_times", "quality", "depth"});
  w.Integers("units/id", {3, 7});
  w.Doubles("units/spike_times", {0.1, 0.2, 0.9, 0.15, 1.5});
  w.Integers("units/spike_times_index", {3, last_index}, H5T_STD_U16LE);
  w.Texts("units/quality", {"good", "mua"});
  w.Doubles("units/depth", {100, 250});
  w.Group("intervals");
  w.Group("intervals/trials");
  w.Attribute("intervals/trials", "colnames", {"start_time", "stop_time", "side", "tags"});
  w.Doubles("intervals/trials/start_time", {0, 1});
  w.Doubles("intervals/trials/stop_time", {1, 2});
  w.Texts("intervals/trials/side", {"left", "right"});
  w.Texts("intervals/trials/tags", {"early", "easy", "late"});
  w.Integers("intervals/trials/tags_index", {2, 3}, H5T_STD_U8LE);
  w.Group("processing");
  w.Group("processing/behavior");
  w.Group("processing/behavior/speed");
  w.Doubles("processing/behavior/speed/data", {1, 2, 3, 4});
  w.NumberAttribute("processing/behavior/speed/data", "conversion", 0.5);
  w.Attribute("processing/behavior/speed/data", "unit", {"m/s"});
  w.Doubles("processing/behavior/speed/starting_time", {0.25});
  w.NumberAttribute("processing/behavior/speed/starting_time", "rate", 2);
}

}  // namespace saed::test_tools

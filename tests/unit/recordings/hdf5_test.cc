// What an HDF5 file may and may not make the reader do.
#include "server/recordings/readers/hdf5.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/tools/nwb_writer.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using test_tools::NwbWriter;
using ::testing::Test;

class Hdf5Test : public Test {
 protected:
  // The file that `write` makes, opened.
  template <class Write>
  Hdf5File Made(const Write& write) {
    {
      NwbWriter writer(path_);
      write(writer);
    }
    auto file = Hdf5File::Open("a.h5", path_);
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  void ExpectRefused(const Hdf5File& file, const std::string& path, const std::string& words) {
    const std::string described(file.Describe(path).status().message());
    const std::string read(file.Read(path).status().message());
    EXPECT_NE(described.find(words), std::string::npos) << described;
    EXPECT_NE(read.find(words), std::string::npos) << read;
    EXPECT_TRUE(file.Exists(path));
    EXPECT_FALSE(file.IsGroup(path));
  }
  // Another file, with the data set and group that must not be seen.
  std::string Other() {
    const std::string path = dir_ / "other.h5";
    NwbWriter other(path);
    other.Group("g");
    other.Doubles("g/x", {1, 2, 3});
    return path;
  }

  test_tools::TempDir dir_;
  const std::string path_ = dir_ / "a.h5";
  const std::lock_guard<std::mutex> lock_{Hdf5Mutex()};
};

TEST_F(Hdf5Test, ExternalLinksAreRefusedHoweverReached) {
  const std::string other = Other();
  const Hdf5File file = Made([&](NwbWriter& w) {
    H5Lcreate_external(other.c_str(), "/g/x", w.file(), "x", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external(other.c_str(), "/g", w.file(), "g", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/x", w.file(), "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("g/x", w.file(), "through", H5P_DEFAULT, H5P_DEFAULT);
  });
  for (const char* path : {"x", "g", "soft", "through", "g/x"}) {
    ExpectRefused(file, path, "copy the data into the file");
    EXPECT_TRUE(file.Children(path).empty());
    EXPECT_TRUE(file.TextAttribute(path, "nwb_version").empty());
  }
}

TEST_F(Hdf5Test, StorageElsewhereIsRefused) {
  const std::string other = Other();
  const std::string raw = dir_.Write("raw.bin", std::string(24, 'x'));
  const Hdf5File file = Made([&](NwbWriter& w) {
    const hsize_t n = 3;
    const Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose);
    const auto make = [&](const char* name, hid_t created) {
      H5Dclose(H5Dcreate2(w.file(), name, H5T_IEEE_F64LE, space.get(), H5P_DEFAULT, created,
                          H5P_DEFAULT));
      H5Pclose(created);
    };
    const hid_t external = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(external, raw.c_str(), 0, 24);
    make("raw", external);
    const hid_t mapped = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(mapped, space.get(), other.c_str(), "/g/x", space.get());
    make("virtual", mapped);
  });
  ExpectRefused(file, "raw", "external storage");
  ExpectRefused(file, "virtual", "virtual data set");
}

TEST_F(Hdf5Test, LinksInsideAreFollowedAndCirclesEnd) {
  const Hdf5File file = Made([&](NwbWriter& w) {
    w.Group("g");
    w.Doubles("g/x", {1, 2, 3});
    H5Lcreate_hard(w.file(), "g/x", w.file(), "hard", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/g", w.file(), "group", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("x", w.file(), "g/beside", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/nowhere", w.file(), "dangling", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/b", w.file(), "a", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/a", w.file(), "b", H5P_DEFAULT, H5P_DEFAULT);
  });
  for (const char* path : {"hard", "/g/x", "group/x", "group/beside", "g/./x"}) {
    const auto values = file.ReadNumbers(path);
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ(*values, Numbers({1, 2, 3}));
  }
  EXPECT_EQ(file.Children("group"), (std::vector<std::string>{"beside", "x"}));
  EXPECT_FALSE(file.Exists("dangling"));
  ExpectRefused(file, "a", "circle");
}

TEST_F(Hdf5Test, EnumerationsOfAnyWidth) {
  constexpr int64_t kRows = 200'000;
  const auto make = [](NwbWriter& w, const char* name, hid_t base, const char* no,
                       const char* yes) {
    const Handle type(H5Tenum_create(base), H5Tclose);
    const int64_t values[] = {0, 1};  // little-endian, so that narrower bases read their part
    H5Tenum_insert(type.get(), no, &values[0]);
    H5Tenum_insert(type.get(), yes, &values[1]);
    std::vector<uint8_t> bytes(kRows * H5Tget_size(base), 0);
    for (int64_t i = 0; i < kRows; i += 2) bytes[i * H5Tget_size(base)] = 1;
    w.Raw(name, type.get(), {kRows}, bytes.data());
  };
  const Hdf5File file = Made([&](NwbWriter& w) {
    make(w, "wide", H5T_STD_I32LE, "left", "right");
    make(w, "bool", H5T_STD_I8LE, "FALSE", "TRUE");
    make(w, "widest", H5T_STD_I64LE, "FALSE", "TRUE");
  });
  const auto wide = file.Read("wide");
  ASSERT_TRUE(wide.ok()) << wide.status();
  const auto& names = std::get<Texts>(*wide);
  ASSERT_EQ(names.size(), static_cast<size_t>(kRows));
  EXPECT_EQ(names[0], "right");
  EXPECT_EQ(names[kRows - 1], "left");
  for (const char* path : {"bool", "widest"}) {
    const auto values = file.ReadNumbers(path);
    ASSERT_TRUE(values.ok()) << values.status();
    EXPECT_EQ(std::accumulate(values->begin(), values->end(), 0.0), kRows / 2);
  }
}

TEST_F(Hdf5Test, SizesAreCheckedBeforeMemoryIsTaken) {
  const Hdf5File file = Made([&](NwbWriter& w) {
    const auto make = [&](const char* name, hsize_t n, hsize_t chunk, int filter) {
      const Handle space(H5Screate_simple(1, &n, nullptr), H5Sclose);
      const Handle created(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
      H5Pset_chunk(created.get(), 1, &chunk);
      if (filter > 0) H5Pset_filter(created.get(), filter, H5Z_FLAG_OPTIONAL, 0, nullptr);
      H5Dclose(H5Dcreate2(w.file(), name, H5T_IEEE_F64LE, space.get(), H5P_DEFAULT, created.get(),
                          H5P_DEFAULT));
    };
    make("many", 1'000'000'000, 1'000'000, 0);
    make("endless", hsize_t{1} << 62, 1'000, 0);
    make("chunk", 500'000'000, 500'000'000, 0);
    make("filter", 5, 5, 4242);
    make("zstd", 5, 5, 32015);
  });
  const auto fault = [&](const char* path) {
    return std::string(file.Read(path).status().message());
  };
  EXPECT_NE(fault("many").find("claims"), std::string::npos) << fault("many");
  EXPECT_NE(fault("endless").find("elements"), std::string::npos) << fault("endless");
  EXPECT_NE(fault("chunk").find("chunks"), std::string::npos) << fault("chunk");
  EXPECT_NE(fault("filter").find("4242"), std::string::npos) << fault("filter");
  EXPECT_NE(fault("zstd").find("zstd"), std::string::npos) << fault("zstd");
}

// The elements [first, first + count).
absl::StatusOr<Numbers> Range(const Hierarchy& file, const std::string& path, int64_t first,
                              size_t count) {
  Numbers out(count);
  if (auto status = file.ReadRange(path, first, out); !status.ok()) return status;
  return out;
}

TEST_F(Hdf5Test, RangesAndWholeNumbers) {
  const Hdf5File file = Made([&](NwbWriter& w) {
    w.Doubles("x", {1, 2, 3, 4});
    w.Doubles("half", {0.5});
    w.Doubles("square", {1, 2, 3, 4}, {2, 2});
  });
  EXPECT_EQ(*Range(file, "x", 1, 2), Numbers({2, 3}));
  EXPECT_EQ(*Range(file, "x", 4, 0), Numbers());
  for (const auto& [first, count] :
       std::vector<std::pair<int64_t, size_t>>{{3, 2}, {-1, 1}, {INT64_MAX, 1}, {1, 10}}) {
    EXPECT_FALSE(Range(file, "x", first, count).ok()) << first << " " << count;
  }
  EXPECT_FALSE(Range(file, "square", 0, 1).ok());
  EXPECT_EQ(*file.ReadIntegers("x"), (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_FALSE(file.ReadIntegers("half").ok());
}

TEST_F(Hdf5Test, WhatIsNotHdf5IsCalledWhatItIs) {
  const std::pair<std::string, std::string> kinds[] = {
      {"", "is empty"},
      {"MATLAB 5.0 MAT-file", "MATLAB"},
      {std::string("PK\x03\x04rest"), "zip archive (.npz?)"},
      {"\x93NUMPY", "NumPy"},
      {"a,b\n1,2\n", "text file"},
      {std::string("\x89HDF\r\n\x1a\n and no more"), "truncated"}};
  for (const auto& [bytes, words] : kinds) {
    const std::string path = dir_.Write("x.nwb", bytes);
    const std::string fault(Hdf5File::Open("x.nwb", path).status().message());
    EXPECT_NE(fault.find("x.nwb: "), std::string::npos) << fault;
    EXPECT_NE(fault.find(words), std::string::npos) << fault;
    EXPECT_EQ(fault.find(path), std::string::npos) << fault;
  }
  EXPECT_FALSE(Hdf5File::Open("dir", dir_ / ".").ok());
}

TEST(Hdf5Filters, TheInstalledOnesAreLoaded) {
  PreloadHdf5Filters();
  const std::lock_guard lock(Hdf5Mutex());
  EXPECT_GT(H5Zfilter_avail(H5Z_FILTER_DEFLATE), 0);
}

}  // namespace
}  // namespace saed::recordings

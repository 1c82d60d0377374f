#include "server/recordings/readers/npy_items.h"

#include <gtest/gtest.h>

#include <cstring>

#include "server/base/faults.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;

std::string Npy(std::string header, std::string_view data) {
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  out.append(data);
  return out;
}

std::string Bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int v : values) out += static_cast<char>(v);
  return out;
}

class Written {
 public:
  explicit Written(const std::string& bytes) {
    dir_.Write("a.npy", bytes);
    files_ = FileSet(std::vector<SourceFile>{{"a.npy", dir_ / "a.npy"}});
    file_ = NpyFile::Open(files_, "a.npy");
  }
  const absl::StatusOr<NpyFile>& operator*() const { return file_; }
  const NpyFile* operator->() const { return &*file_; }

 private:
  TempDir dir_;
  FileSet files_;
  absl::StatusOr<NpyFile> file_ = absl::UnknownError("not read");
};

std::vector<int64_t> Integers(const NpyFile& file, std::string_view field) {
  std::vector<int64_t> out(static_cast<size_t>(file.items().size()));
  file.ReadIntegers(*file.items().Find(field), 0, out);
  return out;
}

TEST(NpyItems, RecordsOfAnyOrderWidthAndByteOrder) {
  const Written file(
      Npy("{'descr': [('unit_index', '|i1'), ('sample_index', '>i4'), ('', '|V1'), "
          "('segment_index', '<u2')], 'fortran_order': False, 'shape': (2,), }\n",
          Bytes({-1, 0, 0, 1, 2, 99, 3, 0, 5, -1, -1, -1, -2, 99, 255, 255})));
  ASSERT_TRUE((*file).ok()) << (*file).status();
  EXPECT_EQ(Integers(**file, "unit_index"), (std::vector<int64_t>{-1, 5}));
  EXPECT_EQ(Integers(**file, "sample_index"), (std::vector<int64_t>{258, -2}));
  EXPECT_EQ(Integers(**file, "segment_index"), (std::vector<int64_t>{3, 65535}));
  EXPECT_FALSE(file->Plain().ok());
}

TEST(NpyItems, TextsArePaddedWithZeros) {
  const Written file(Npy("{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }\n",
                         Bytes({'a', 0, 0, 0, 0, 0, 0, 0, 'b', 0, 0, 0, 0xB5, 0, 0, 0})));
  ASSERT_TRUE((*file).ok()) << (*file).status();
  Notes notes;
  const auto all = file->ReadAll(10, notes);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(std::get<Texts>(*all), (Texts{"a", "bµ"}));
  EXPECT_FALSE(file->ReadAll(1, notes).ok());
}

TEST(NpyItems, FortranOrderIsUndone) {
  const Written file(Npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n",
                         Bytes({1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6, 0})));
  ASSERT_TRUE((*file).ok()) << (*file).status();
  Notes notes;
  EXPECT_EQ(std::get<Numbers>(*file->ReadAll(10, notes)), (Numbers{1, 2, 3, 4, 5, 6}));
}

TEST(NpyItems, WhatIsNotReadIsRefusedByName) {
  const std::pair<std::string, std::string> bad[] = {
      {Npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", "12345678"), "pickle"},
      {Npy("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }\n", "12345678"),
       "pickle"},
      {Npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n", "12345678"), "truncated"},
      {Npy("{'descr': '<i8', 'fortran_order': False, 'shape': (4611686018427387904, 8), }\n", ""),
       "more items"},
      {Npy("{'descr': '<i8', 'fortran_order': False, 'shape': (-1,), }\n", ""), "more items"},
      {Npy("{'descr': '<i3', 'fortran_order': False, 'shape': (1,), }\n", "123"), "header"},
      {Npy("{'descr': '<U99999999999', 'fortran_order': False, 'shape': (1,), }\n", ""), "header"},
      {Npy("{'descr': '<i8', 'fortran_order': False}\n", "12345678"), "header"},
      {Npy("{'descr': [('a', ('<i8'", ""), "header"},
      {std::string("\x93NUMPY\x01\x00\xff\xff", 10), "not a .npy"},
      {std::string("\x93NUMPY\x01\x00\xff\xff{}", 12), "damaged"}};
  for (const auto& [bytes, words] : bad) {
    const Written file(bytes);
    ASSERT_FALSE((*file).ok()) << bytes;
    EXPECT_EQ(FaultsOf((*file).status())[0].field, "a.npy");
    EXPECT_NE((*file).status().message().find(words), std::string::npos) << (*file).status();
  }
}

TEST(NpyItems, EveryTruncationIsRefused) {
  const std::string whole =
      Npy("{'descr': [('a', '<i4'), ('b', '<f4', (2,))], "
          "'fortran_order': False, 'shape': (1,), }\n",
          "123456789012");
  ASSERT_TRUE((*Written(whole)).ok());
  for (size_t cut = 1; cut < whole.size(); ++cut) {
    EXPECT_FALSE((*Written(whole.substr(0, cut))).ok()) << cut;
  }
}

}  // namespace
}  // namespace saed::recordings

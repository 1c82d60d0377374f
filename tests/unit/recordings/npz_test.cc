#include "server/recordings/readers/npz.h"

#include <gtest/gtest.h>

#include "server/base/npy.h"
#include "server/recordings/import.h"
#include "tests/tools/npz_writer.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;
using saed::test_tools::WriteNpz;

FileSet One(const std::string& path) { return FileSet(std::vector<SourceFile>{{"a.npz", path}}); }

// The error of opening a file and reading its array x.
std::string Error(const std::string& path) {
  const auto npz = Npz::Open(One(path), "a.npz");
  if (!npz.ok()) return std::string(npz.status().message());
  return std::string(npz->Read("x").status().message());
}

bool Holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Npz, ReadsStoredAndDeflatedArrays) {
  TempDir dir;
  for (const bool deflated : {false, true}) {
    ASSERT_TRUE(WriteNpz(dir / "a.npz",
                         {{"x.npy", MakeNpy({1, 2.5, 3}, {3})}, {"notes.txt", "no array"}},
                         deflated));
    const auto npz = Npz::Open(One(dir / "a.npz"), "a.npz");
    ASSERT_TRUE(npz.ok()) << npz.status();
    EXPECT_EQ(npz->names(), (std::vector<std::string>{"x"}));
    const auto x = npz->Read("x");
    ASSERT_TRUE(x.ok()) << x.status();
    EXPECT_EQ(AllDoubles(*x), (std::vector<double>{1, 2.5, 3}));
    EXPECT_TRUE(Holds(std::string(npz->Read("y").status().message()), "the file has x"));
  }
}

// What is above 64 MiB is unpacked into a file.
TEST(Npz, ReadsLargeArrays) {
  TempDir dir;
  constexpr int64_t kSize = 9'000'000;
  std::vector<double> values(kSize);
  for (int64_t i = 0; i < kSize; ++i) values[i] = static_cast<double>(i * 7919 % 65537);
  // Stored, as packing it would take seconds.
  ASSERT_TRUE(WriteNpz(dir / "a.npz", {{"x.npy", MakeNpy(values, {kSize})}}, false));
  const auto npz = Npz::Open(One(dir / "a.npz"), "a.npz");
  ASSERT_TRUE(npz.ok()) << npz.status();
  const auto x = npz->Read("x");
  ASSERT_TRUE(x.ok()) << x.status();
  EXPECT_GT(x->mapped_at(), 0u);
  EXPECT_EQ(AllDoubles(*x), values);
}

TEST(Npz, RefusesWhatNoOneSaves) {
  TempDir dir;
  // Zeros that grow by more than 250 times.
  ASSERT_TRUE(
      WriteNpz(dir / "a.npz", {{"x.npy", MakeNpy(std::vector<double>(9'000'000), {9'000'000})}}));
  EXPECT_TRUE(Holds(Error(dir / "a.npz"), "250 to one"));
  // A header that promises more than the member holds.
  std::string lying = MakeNpy({1, 2}, {2});
  lying.replace(lying.find("(2,)"), 20, "(999999999999,999999)");
  ASSERT_TRUE(WriteNpz(dir / "a.npz", {{"x.npy", lying}}));
  EXPECT_TRUE(Holds(Error(dir / "a.npz"), "a.npz[x]: promises"));
  std::string pickle = MakeNpy({1}, {1});
  pickle.replace(pickle.find("'<f8'"), 5, "'|O' ");
  ASSERT_TRUE(WriteNpz(dir / "a.npz", {{"x.npy", pickle}}));
  EXPECT_TRUE(Holds(Error(dir / "a.npz"), "pickle"));
  EXPECT_TRUE(Npz::Open(One(dir / "a.npz"), "a.npz")->IsPickle("x"));
  dir.Write("a.npz", "PK");
  EXPECT_TRUE(Holds(Error(dir / "a.npz"), "np.savez"));
}

TEST(Npz, EveryChangedByteIsFoundOrHarmless) {
  TempDir dir;
  const std::vector<double> values = {1, 2.5, 3, 1e300};
  ASSERT_TRUE(WriteNpz(dir / "a.npz", {{"x.npy", MakeNpy(values, {4})}}));
  const std::string bytes = *ReadFile(dir / "a.npz");
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(~changed[i]);
    dir.Write("a.npz", changed);
    const auto npz = Npz::Open(One(dir / "a.npz"), "a.npz");
    if (!npz.ok()) continue;
    const auto x = npz->Read("x");
    if (x.ok()) {
      EXPECT_EQ(AllDoubles(*x), values) << i;
    }
  }
}

TEST(Npz, NamesShowInASketch) {
  TempDir dir;
  ASSERT_TRUE(
      WriteNpz(dir / "a.npz", {{"x.npy", MakeNpy({1}, {1})}, {"y.npy", MakeNpy({1}, {1})}}));
  EXPECT_EQ(NpzNames(One(dir / "a.npz").Sketch("a.npz")), (std::vector<std::string>{"x", "y"}));
}

TEST(Npz, ReadsTexts) {
  TempDir dir;
  std::string npy = MakeNpy({0}, {2});
  npy.replace(npy.find("'<f8'"), 5, "'<U1'");
  npy.resize(npy.size() - 8);
  npy += std::string("\xdf\0\0\0A\0\0\0", 8);
  ASSERT_TRUE(WriteNpz(dir / "a.npz", {{"x.npy", npy}, {"y.npy", MakeNpy({1, 2.5}, {2})}}));
  const auto npz = Npz::Open(One(dir / "a.npz"), "a.npz");
  ASSERT_TRUE(npz.ok()) << npz.status();
  EXPECT_EQ(*npz->ReadTexts("x"), (std::vector<std::string>{"ß", "A"}));
  EXPECT_EQ(*npz->ReadTexts("y"), (std::vector<std::string>{"1", "2.5"}));
}

}  // namespace
}  // namespace saed::recordings

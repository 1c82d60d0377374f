#include "server/recordings/readers/zarr.h"

#include <blosc.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "server/base/faults.h"
#include "server/recordings/import.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;

constexpr const char* kGroup = R"({"zarr_format": 2})";

template <class T>
std::string Bytes(const std::vector<T>& values, bool swapped = false) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), values.data(), out.size());
  for (size_t at = 0; swapped && at < out.size(); at += sizeof(T)) {
    std::reverse(out.begin() + static_cast<ptrdiff_t>(at),
                 out.begin() + static_cast<ptrdiff_t>(at + sizeof(T)));
  }
  return out;
}

// A folder of files by their names in it.
class Folder {
 public:
  void Write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(std::filesystem::path(dir_ / name).parent_path());
    dir_.Write(name, bytes);
  }
  void Array(const std::string& path, const std::string& shape, const std::string& chunks,
             const std::string& dtype, const std::string& more = "",
             const std::string& compressor = "null") {
    Write(path + "/.zarray", R"({"zarr_format": 2, "shape": )" + shape + R"(, "chunks": )" +
                                 chunks + R"(, "dtype": )" + dtype + R"(, "compressor": )" +
                                 compressor + more + "}");
  }
  // One chunk.
  template <class T>
  void Vector(const std::string& path, const std::vector<T>& values, const std::string& dtype) {
    const std::string n = "[" + std::to_string(values.size()) + "]";
    Array(path, n, n, dtype);
    Write(path + "/0", Bytes(values));
  }
  FileSet Files() const {
    std::vector<SourceFile> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (!entry.is_regular_file()) continue;
      files.push_back(
          {entry.path().string().substr(dir_.path().size() + 1), entry.path().string()});
    }
    return FileSet(std::move(files));
  }
  std::vector<ImportFile> ImportFiles() const {
    std::vector<ImportFile> out;
    const FileSet files = Files();
    for (const auto& name : files.names()) out.push_back({Role::kMain, name, *files.PathOf(name)});
    return out;
  }

 private:
  TempDir dir_;
};

// A store read from a folder; keeps what it needs alive.
struct Opened {
  explicit Opened(const Folder& folder, const std::string& prefix = "",
                  std::vector<std::string> sent = {})
      : files(folder.Files()), store(*ZarrStore::Open(files, prefix, std::move(sent), notes)) {}
  FileSet files;
  Notes notes;
  ZarrStore store;
};

Numbers NumbersAt(const Opened& opened, const std::string& path) {
  const auto got = opened.store.ReadNumbers(path);
  EXPECT_TRUE(got.ok()) << got.status();
  return got.ok() ? *got : Numbers{};
}

Texts TextsAt(const Opened& opened, const std::string& path) {
  const auto got = opened.store.Read(path);
  EXPECT_TRUE(got.ok()) << got.status();
  return got.ok() ? std::get<Texts>(*got) : Texts{};
}

std::string Refusal(const Opened& opened, const std::string& path) {
  return std::string(opened.store.Read(path).status().message());
}

TEST(Zarr, NumbersOfEveryTypeAndByteOrder) {
  Folder f;
  f.Vector<uint8_t>("b", {1, 0, 2}, R"("|b1")");
  f.Vector<int8_t>("i1", {-1, 2}, R"("|i1")");
  f.Vector<uint16_t>("f2", {0x3C00, 0xC100, 0x7C00, 0x0001}, R"("<f2")");
  f.Vector<uint64_t>("u8", {7, uint64_t{1} << 63}, R"("<u8")");
  f.Array("big", "[2]", "[2]", R"(">f8")");
  f.Write("big/0", Bytes<double>({0.5, -3}, true));
  f.Array("bigi", "[2]", "[2]", R"(">i4")");
  f.Write("bigi/0", Bytes<int32_t>({-70000, 5}, true));
  f.Array("scalar", "[]", "[]", R"("<f4")");
  f.Write("scalar/0", Bytes<float>({1.5F}));
  const Opened o(f);
  EXPECT_EQ(NumbersAt(o, "b"), (Numbers{1, 0, 2}));
  EXPECT_EQ(NumbersAt(o, "i1"), (Numbers{-1, 2}));
  EXPECT_EQ(NumbersAt(o, "f2"), (Numbers{1, -2.5, INFINITY, std::ldexp(1, -24)}));
  EXPECT_EQ(NumbersAt(o, "big"), (Numbers{0.5, -3}));
  EXPECT_EQ(*o.store.ReadIntegers("bigi"), (std::vector<int64_t>{-70000, 5}));
  EXPECT_EQ(NumbersAt(o, "scalar"), (Numbers{1.5}));
  EXPECT_FALSE(o.store.ReadIntegers("u8").ok());
  EXPECT_FALSE(o.store.ReadIntegers("scalar").ok());
  EXPECT_EQ(o.store.Describe("f2")->type, "float16");
}

// 5 x 3 in chunks of 2 x 2, whose last ones reach beyond the edge; one is not there.
TEST(Zarr, ChunksInBothOrdersWithEdgesAndFill) {
  for (const bool fortran : {false, true}) {
    Folder f;
    f.Array("a", "[5, 3]", "[2, 2]", R"("<i2")",
            std::string(R"(, "fill_value": -9, "dimension_separator": "/", "order": ")") +
                (fortran ? "F\"" : "C\""));
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 2; ++j) {
        if (i == 1 && j == 1) continue;
        std::vector<int16_t> chunk(4);
        for (int r = 0; r < 2; ++r) {
          for (int c = 0; c < 2; ++c) {
            chunk[fortran ? c * 2 + r : r * 2 + c] =
                static_cast<int16_t>(10 * (2 * i + r) + 2 * j + c);
          }
        }
        f.Write("a/" + std::to_string(i) + "/" + std::to_string(j), Bytes(chunk));
      }
    }
    const Opened o(f);
    EXPECT_EQ(NumbersAt(o, "a"), (Numbers{0, 1, 2, 10, 11, 12, 20, 21, -9, 30, 31, -9, 40, 41, 42}))
        << fortran;
    ASSERT_EQ(o.notes.Lines().size(), 1u);
    EXPECT_NE(o.notes.Lines()[0].find("1 of its 6 chunks"), std::string::npos);
  }
}

// The elements [first, first + count).
absl::StatusOr<Numbers> Range(const Hierarchy& file, const std::string& path, int64_t first,
                              size_t count) {
  Numbers out(count);
  if (auto status = file.ReadRange(path, first, out); !status.ok()) return status;
  return out;
}

TEST(Zarr, ReadRangeTouchesOnlyItsChunks) {
  Folder f;
  f.Array("a", "[10]", "[3]", R"("<f8")");
  f.Write("a/0", "damaged");
  f.Write("a/1", Bytes<double>({3, 4, 5}));
  f.Write("a/2", Bytes<double>({6, 7, 8}));
  f.Write("a/3", "damaged");
  const Opened o(f);
  EXPECT_EQ(*Range(o.store, "a", 4, 4), (Numbers{4, 5, 6, 7}));
  EXPECT_EQ(*Range(o.store, "a", 10, 0), (Numbers{}));
  EXPECT_FALSE(Range(o.store, "a", 2, 2).ok());
  EXPECT_FALSE(Range(o.store, "a", 8, 3).ok());
  EXPECT_FALSE(Range(o.store, "a", INT64_MAX, 1).ok());
}

TEST(Zarr, EveryCompressorAndItsDamage) {
  const std::string raw = Bytes<double>({1, 2, 3, 4});
  std::string blosc(raw.size() + BLOSC_MAX_OVERHEAD, '\0');
  const int bytes =
      blosc_compress_ctx(5, 1, 8, raw.size(), raw.data(), blosc.data(), blosc.size(), "lz4", 0, 1);
  ASSERT_GT(bytes, 0);
  blosc.resize(static_cast<size_t>(bytes));
  std::string zlib(200, '\0');
  uLongf size = zlib.size();
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(zlib.data()), &size,
                     reinterpret_cast<const Bytef*>(raw.data()), raw.size()),
            Z_OK);
  zlib.resize(size);
  std::string zstd(200, '\0');
  zstd.resize(ZSTD_compress(zstd.data(), zstd.size(), raw.data(), raw.size(), 3));
  const std::pair<const char*, std::string> codecs[] = {
      {"blosc", blosc}, {"zlib", zlib}, {"zstd", zstd}};
  for (const auto& [id, chunk] : codecs) {
    Folder f;
    const std::string compressor = std::string(R"({"id": ")") + id + "\"}";
    f.Array("good", "[4]", "[4]", R"("<f8")", "", compressor);
    f.Write("good/0", chunk);
    f.Array("larger", "[2]", "[2]", R"("<f8")", "", compressor);
    f.Write("larger/0", chunk);
    f.Array("smaller", "[9]", "[9]", R"("<f8")", "", compressor);
    f.Write("smaller/0", chunk);
    f.Array("cut", "[4]", "[4]", R"("<f8")", "", compressor);
    const Opened o(f);
    EXPECT_EQ(NumbersAt(o, "good"), (Numbers{1, 2, 3, 4})) << id;
    EXPECT_FALSE(o.store.Read("larger").ok()) << id;
    EXPECT_FALSE(o.store.Read("smaller").ok()) << id;
    for (size_t cut = 0; cut < chunk.size(); ++cut) {
      f.Write("cut/0", chunk.substr(0, cut));
      EXPECT_FALSE(Opened(f).store.Read("cut").ok()) << id << ' ' << cut;
    }
    for (size_t at = 0; at < chunk.size(); ++at) {
      std::string changed = chunk;
      changed[at] = static_cast<char>(changed[at] ^ 0xFF);
      f.Write("cut/0", changed);
      (void)Opened(f).store.Read("cut");
    }
  }
}

TEST(Zarr, TextsHoweverTheyAreWritten) {
  Folder f;
  f.Array("s", "[2]", "[2]", R"("|S4")");
  f.Write("s/0", std::string("good\x6D\x75\x61\0", 8));
  f.Array("u", "[2]", "[2]", R"("<U2")");
  f.Write("u/0", Bytes<uint32_t>({0xE9, 0x1F9E0, 'a', 0}));
  f.Array("vlen", "[3]", "[2]", R"("|O")", R"(, "filters": [{"id": "vlen-utf8"}])");
  f.Write("vlen/0", std::string("\2\0\0\0\2\0\0\0CA\0\0\0\0", 14));
  f.Write("vlen/1", std::string("\2\0\0\0\1\0\0\0x\1\0\0\0y", 14));
  f.Array("json", "[2]", "[2]", R"("|O")", R"(, "filters": [{"id": "json2"}])");
  f.Write("json/0", R"(["left", null, "|O", [2]])");
  f.Array("grid", "[2, 2]", "[2, 2]", R"("|O")", R"(, "order": "F", "filters": [{"id": "json2"}])");
  f.Write("grid/0.0", R"([["a", "b"], ["c", "d"], "|O", [2, 2]])");
  f.Array("refs", "[2]", "[2]", R"("|O")", R"(, "filters": [{"id": "json2"}])");
  f.Write("refs/.zattrs", R"({"zarr_dtype": "object"})");
  f.Write("refs/0",
          R"([{"path": "/general/a", "source": "."}, {"path": "b", "source": "."}, "|O", [2]])");
  f.Array("away", "[1]", "[1]", R"("|O")", R"(, "filters": [{"id": "json2"}])");
  f.Write("away/0", R"([{"path": "/a", "source": "../other.zarr"}, "|O", [1]])");
  f.Array("pickled", "[1]", "[1]", R"("|O")", R"(, "filters": [{"id": "pickle"}])");
  f.Write("pickled/0", "cos\nsystem\n(S'true'\ntR.");
  const Opened o(f);
  EXPECT_EQ(TextsAt(o, "s"), (Texts{"good", "mua"}));
  EXPECT_EQ(TextsAt(o, "u"), (Texts{"\xC3\xA9\xF0\x9F\xA7\xA0", "a"}));
  EXPECT_EQ(TextsAt(o, "vlen"), (Texts{"CA", "", "x"}));
  EXPECT_EQ(TextsAt(o, "json"), (Texts{"left", ""}));
  EXPECT_EQ(TextsAt(o, "grid"), (Texts{"a", "b", "c", "d"}));
  EXPECT_EQ(TextsAt(o, "refs"), (Texts{"/general/a", "/b"}));
  EXPECT_EQ(o.store.Describe("refs")->kind, ArrayInfo::Kind::kReference);
  EXPECT_NE(Refusal(o, "away").find("../other.zarr"), std::string::npos);
  EXPECT_NE(Refusal(o, "pickled").find("pickle"), std::string::npos);
}

TEST(Zarr, LinksStayInsideTheStore) {
  Folder f;
  f.Write("s/.zgroup", kGroup);
  f.Write("s/.zattrs", R"({"zarr_link": [
      {"name": "near", "path": "/real", "source": "."},
      {"name": "far", "path": "/real", "source": "/etc"},
      {"name": "up", "path": "../../outside", "source": "."},
      {"name": "round", "path": "/about", "source": "."},
      {"name": "about", "path": "/round", "source": "."}],
      "flag": true, "names": ["a", "b"],
      "table": {"zarr_dtype": "object", "value": {"path": "/real", "source": "."}}})");
  f.Write("s/real/.zgroup", kGroup);
  f.Vector<double>("s/real/x", {2, 3}, R"("<f8")");
  f.Write("outside/.zgroup", kGroup);
  const Opened o(f, "s/");
  EXPECT_EQ(o.store.Children(""), (Texts{"about", "far", "near", "real", "round", "up"}));
  EXPECT_EQ(o.store.Children("near"), (Texts{"x"}));
  EXPECT_EQ(NumbersAt(o, "/near/x"), (Numbers{2, 3}));
  EXPECT_TRUE(o.store.IsGroup("near"));
  EXPECT_FALSE(o.store.IsGroup("far"));
  EXPECT_FALSE(o.store.IsGroup("up"));
  EXPECT_FALSE(o.store.IsGroup("../outside"));
  EXPECT_FALSE(o.store.IsGroup("round"));
  EXPECT_NE(Refusal(o, "far/x").find("/etc"), std::string::npos);
  EXPECT_EQ(o.store.TextAttribute("", "table"), (Texts{"/real"}));
  EXPECT_EQ(o.store.TextAttribute("/", "names"), (Texts{"a", "b"}));
  EXPECT_EQ(o.store.NumberAttribute("", "flag", 5), 1);
}

TEST(Zarr, ConsolidatedMetadataAlone) {
  Folder f;
  f.Write(".zmetadata", R"({"zarr_consolidated_format": 1, "metadata": {
      ".zgroup": {"zarr_format": 2}, "a/.zgroup": {"zarr_format": 2},
      "a/x/.zarray": {"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "<i8"},
      "a/x/.zattrs": {"unit": "m"}}})");
  f.Write("a/x/0", Bytes<int64_t>({5, 6}));
  const Opened o(f);
  EXPECT_EQ(*o.store.ReadIntegers("a/x"), (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(o.store.TextAttribute("a/x", "unit"), (Texts{"m"}));
}

TEST(Zarr, LyingDescriptionsAreRefused) {
  const char* const lies[] = {
      R"({"zarr_format": 3, "shape": [1], "chunks": [1], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [-1], "chunks": [1], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [0], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1, 1], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [1.5], "chunks": [1], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [4294967296, 4294967296], "chunks": [1, 1], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [18446744073709551615], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1099511627776], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [1073741824], "chunks": [1], "dtype": "<f8"})",
      R"({"zarr_format": 2, "shape": [1099511627776], "chunks": [1048576], "dtype": "|u1"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "<U999999999999"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "<f3"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": [["a", "<f8"]]})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O"})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "<f8", "filters": [{"id": "delta"}]})",
      R"({"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "<f8", "compressor": {"id": "lzma"}})",
      R"([])",
      R"({})",
      R"({"zarr_format": 2, "shape": {}, "chunks": 3})"};
  for (const char* lie : lies) {
    Folder f;
    f.Write(".zgroup", kGroup);
    f.Write("x/.zarray", lie);
    f.Write("x/0", "12345678");
    EXPECT_FALSE(Opened(f).store.Read("x").ok()) << lie;
    EXPECT_FALSE(Opened(f).store.ReadIntegers("x").ok()) << lie;
  }
}

void WriteSmallNwb(Folder& f, const std::string& prefix) {
  f.Write(prefix + ".zgroup", kGroup);
  f.Write(prefix + ".zattrs", R"({"nwb_version": "2.6.0", "namespace": "core"})");
  f.Write(prefix + "units/.zgroup", kGroup);
  f.Write(prefix + "units/.zattrs", R"({"colnames": ["spike_times", "quality"]})");
  f.Vector<int64_t>(prefix + "units/id", {3, 7}, R"("<i8")");
  f.Vector<double>(prefix + "units/spike_times", {0.1, 0.2, 0.9, 0.15, 1.5}, R"("<f8")");
  f.Vector<uint8_t>(prefix + "units/spike_times_index", {3, 5}, R"("|u1")");
  f.Array(prefix + "units/quality", "[2]", "[2]", R"("|O")", R"(, "filters": [{"id": "json2"}])");
  f.Write(prefix + "units/quality/0", R"(["good", "mua", "|O", [2]])");
}

TEST(Zarr, NwbStoreByItself) {
  for (const std::string prefix : {"", "session.nwb.zarr/"}) {
    Folder f;
    WriteSmallNwb(f, prefix);
    const auto got = Import({}, f.ImportFiles());
    ASSERT_TRUE(got.ok()) << got.status();
    const Recording& r = got->recording;
    EXPECT_EQ(r.source, "nwb_zarr");
    ASSERT_EQ(r.units.size(), 2u);
    EXPECT_EQ(r.units[1].id, 7);
    EXPECT_EQ(r.units[1].label, "mua");
    EXPECT_EQ(r.units[1].spike_times, (Numbers{0.15, 1.5}));
    EXPECT_TRUE(got->warnings.empty());
  }
}

TEST(Zarr, SeveralStoresAreNamed) {
  Folder f;
  WriteSmallNwb(f, "a/");
  WriteSmallNwb(f, "b/");
  const auto got = Import({}, f.ImportFiles());
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.status().message().find("a, b"), std::string::npos);
  ImportSpec spec;
  spec.options.values["store"] = "b";
  EXPECT_TRUE(Import(spec, f.ImportFiles()).ok());
}

// A few bytes must not become gigabytes; a gap in what is there is a gap.
TEST(Zarr, FillValuesAreNoRecording) {
  Folder f;
  f.Array("times", "[268435456]", "[1048576]", R"("<f8")", R"(, "fill_value": 1)");
  f.Array("gap", "[33554432]", "[8388608]", R"("|u1")", R"(, "fill_value": 1)");
  const Opened o(f);
  EXPECT_NE(Refusal(o, "times").find("lacks 256 of its 256 chunks"), std::string::npos)
      << Refusal(o, "times");
  Numbers ten(10);
  EXPECT_FALSE(o.store.ReadRange("times", 0, ten).ok());
  EXPECT_FALSE(o.store.ReadRange("times", 0, ten).ok()) << "each time";
  EXPECT_TRUE(o.store.ReadRange("gap", 0, ten).ok());
}

// What a client leaves out must not be read as the fill value.
TEST(Zarr, RawDataThatWasNotSentIsNoFill) {
  Folder f;
  f.Array("acquisition/raw/data", "[4, 2]", "[2, 2]", R"("<i2")");
  f.Write("acquisition/raw/data/0.0", Bytes<int16_t>({1, 2, 3, 4}));
  const Opened o(f, "", {"**acquisition/**/data/0.0"});
  EXPECT_NE(Refusal(o, "acquisition/raw/data").find("not sent"), std::string::npos);
}

}  // namespace
}  // namespace saed::recordings

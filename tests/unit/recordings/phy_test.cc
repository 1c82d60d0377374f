// Kilosort and Phy folders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/recordings/import.h"
#include "server/recordings/readers/cluster_depths.h"
#include "server/recordings/readers/python_assignment.h"
#include "server/recordings/readers/sample_rate.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::RealData;
using saed::test_tools::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsNan;

template <class T>
std::string Npy(std::string_view descr, std::string_view shape, const std::vector<T>& values) {
  const std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}\n", descr, shape);
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size());
  out += '\0';
  out += header;
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return out;
}

// A folder of a sorting, at 10 Hz: clusters 2 and 9.
class Folder {
 public:
  Folder() {
    Times<int64_t>("<i8", {5, 10, 15});
    Write("spike_clusters.npy", Npy<int32_t>("<i4", "(3, 1)", {9, 2, 9}));
    Write("params.py", "sample_rate = 10.\n");
  }
  template <class T>
  void Times(std::string_view descr, const std::vector<T>& times) {
    Write("spike_times.npy", Npy<T>(descr, fmt::format("({},)", times.size()), times));
  }
  void Write(const std::string& name, const std::string& bytes) {
    std::string flat = name;
    std::replace(flat.begin(), flat.end(), '/', '_');
    files_[name] = dir_.Write(flat, bytes);
  }
  void Remove(const std::string& name) { files_.erase(name); }
  absl::StatusOr<Imported> Read(ImportSpec spec = {}) const {
    std::vector<ImportFile> files;
    for (const auto& [name, path] : files_) files.push_back({Role::kMain, name, path});
    return Import(spec, files);
  }
  // The first fault's field and message.
  std::string Refusal(ImportSpec spec = {}) const {
    const auto got = Read(std::move(spec));
    const auto faults = FaultsOf(got.status());
    return faults.empty() ? got.status().ToString() : faults[0].field + " " + faults[0].description;
  }

 private:
  TempDir dir_;
  std::map<std::string, std::string> files_;
};

ImportSpec With(const std::string& option, const std::string& value) {
  ImportSpec spec;
  spec.options.values[option] = value;
  return spec;
}

std::vector<std::string> LabelsOf(const Imported& got) {
  std::vector<std::string> out;
  for (const Unit& unit : got.recording.units) out.push_back(unit.label);
  return out;
}

std::string Lines(const Imported& got) { return fmt::format("{}", fmt::join(got.warnings, "\n")); }

TEST(Phy, SpikesByCluster) {
  Folder folder;
  const auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  EXPECT_EQ(r.source, "phy");
  EXPECT_EQ(r.sampling_rate, 10);
  ASSERT_EQ(r.units.size(), 2u);
  EXPECT_EQ(r.units[0].id, 2);
  EXPECT_THAT(r.units[0].spike_times, ElementsAre(1.0));
  EXPECT_THAT(r.units[1].spike_times, ElementsAre(0.5, 1.5));
  EXPECT_THAT(got->warnings, IsEmpty());
}

TEST(Phy, ArraysOfAnyTypeAndShape) {
  Folder folder;
  folder.Write("spike_times.npy", Npy<uint64_t>("<u8", "(1, 3)", {5, 10, 15}));
  folder.Write("spike_clusters.npy", Npy<double>("<f8", "(3,)", {9, 2, 9}));
  auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(got->recording.units[1].spike_times, ElementsAre(0.5, 1.5));
  folder.Write("spike_clusters.npy", Npy<double>("<f8", "(3,)", {9, 2.5, 9}));
  EXPECT_THAT(folder.Refusal(), HasSubstr("spike_clusters.npy holds 2.5 for spike 2"));
  folder.Write("spike_clusters.npy", Npy<uint16_t>("<u2", "(2,)", {9, 2}));
  EXPECT_THAT(folder.Refusal(), HasSubstr("has 2 items but spike_times.npy has 3"));
  folder.Write("spike_times.npy", Npy<int64_t>("<i8", "()", {5}));
  EXPECT_THAT(folder.Refusal(), HasSubstr("spike_times.npy has shape (); must be [n] or [n, 1]"));
  folder.Write("spike_times.npy", Npy<int64_t>("<i8", "(1, 3, 1)", {5, 10, 15}));
  EXPECT_THAT(folder.Refusal(), HasSubstr("has shape (1, 3, 1)"));
}

TEST(Phy, SentinelsAndSpikesOfNoCluster) {
  Folder folder;
  folder.Write("spike_times.npy",
               Npy<int64_t>("<i8", "(6,)", {-10, 1, 5, 7, std::numeric_limits<int64_t>::max(), 9}));
  folder.Write("spike_clusters.npy", Npy<int32_t>("<i4", "(6,)", {9, -1, 2, 9, 9, 9}));
  const auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(got->recording.units[1].spike_times, ElementsAre(0.7, 0.9));
  EXPECT_THAT(Lines(*got), HasSubstr("spike_times.npy: 2 spikes outside the recording dropped, the "
                                     "first is spike 1 at sample -10"));
  EXPECT_THAT(Lines(*got), HasSubstr("1 spike of no cluster dropped, the first is spike 2"));
  ImportSpec strict;
  strict.strict = true;
  EXPECT_THAT(std::string(folder.Read(strict).status().message()), HasSubstr("sample -10"));
}

TEST(Phy, FloatTimesAreSamplesOrSeconds) {
  Folder folder;
  folder.Times<double>("<f8", {0.5, 1.0, 1.5});
  auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(got->recording.units[1].spike_times, ElementsAre(0.5, 1.5));
  EXPECT_EQ(got->recording.sampling_rate, 0);
  EXPECT_THAT(Lines(*got), HasSubstr("taken as seconds"));
  folder.Times<double>("<f8", {5, 10, 6e6});
  got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(got->recording.units[1].spike_times, ElementsAre(0.5, 6e5));
  EXPECT_THAT(Lines(*got), HasSubstr("taken as samples"));
  folder.Times<double>("<f8", {5, 10, 15});
  EXPECT_THAT(folder.Refusal(), HasSubstr("options.time_unit is not given"));
  EXPECT_THAT(folder.Read(With("time_unit", "samples"))->recording.units[1].spike_times,
              ElementsAre(0.5, 1.5));
  EXPECT_THAT(folder.Read(With("time_unit", "seconds"))->recording.units[1].spike_times,
              ElementsAre(5, 15));
  EXPECT_THAT(folder.Refusal(With("time_unit", "ms")), HasSubstr("must be samples or seconds"));
}

TEST(Phy, SampleRates) {
  const auto rate = [](std::string_view text) {
    const auto assigned = PythonAssignment(text, "sample_rate");
    return assigned ? PythonNumber(*assigned).value_or(-1) : -2;
  };
  EXPECT_EQ(rate("sample_rate = 30000"), 30000);
  EXPECT_EQ(rate("x = 1\r\nsample_rate=30000.  # Hz\r\n"), 30000);
  EXPECT_EQ(rate("sample_rate = 30_000"), 30000);
  EXPECT_EQ(rate("sample_rate = 3e4"), 30000);
  EXPECT_EQ(rate("sample_rate = 1\nsample_rate = 2"), 2);
  EXPECT_EQ(rate("sample_rate = __import__('os')"), -1);
  EXPECT_EQ(rate("sample_rate = _3_"), -1);
  EXPECT_EQ(rate("# sample_rate = 3\nsample_rates = 3"), -2);
  EXPECT_EQ(rate("sample_rate = 1\n\"\"\"\nsample_rate = 2\n\"\"\"\n"), 1) << "in a docstring";
  EXPECT_EQ(rate("x = '''\nsample_rate = 2\n'''\nsample_rate: float = 1"), 1);
  EXPECT_EQ(rate("dat_path = ['a#b', # '\nsample_rate = 2]\nsample_rate = 1"), 1);
  EXPECT_EQ(rate("dat_path = r'C:\\x'; sample_rate = 3\nif x:\n    sample_rate = 2\n"), 3);
  EXPECT_EQ(rate("a = 'it\\'s' \\\nsample_rate = 2"), -2);
  Folder folder;
  for (const char* bad : {"0", "-30000", "1e12", "nan", "rate", "float('inf')"}) {
    folder.Write("params.py", std::string("sample_rate = ") + bad);
    EXPECT_THAT(folder.Refusal(), HasSubstr("params.py has sample_rate = ")) << bad;
  }
  ImportSpec given;
  given.options.sampling_rate = 5;
  EXPECT_THAT(folder.Read(given)->recording.units[0].spike_times, ElementsAre(2));
  given.options.sampling_rate = -5;
  EXPECT_THAT(folder.Refusal(given), HasSubstr("sampling_rate is -5 Hz"));
  folder.Remove("params.py");
  EXPECT_THAT(folder.Refusal({.format = "phy"}), HasSubstr("sampling_rate is not given"));
}

TEST(Phy, LabelsByPrecedence) {
  Folder folder;
  folder.Write("cluster_KSLabel.tsv", "cluster_id\tKSLabel\n2\tmua\n9\tgood\n");
  EXPECT_THAT(LabelsOf(*folder.Read()), ElementsAre("mua", "good"));
  folder.Write("cluster_info.tsv", "id\tgroup\tdepth\tfr\n2\tunsorted\t120.5\t1\n9\tnoise\t\t2\n");
  auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(LabelsOf(*got), ElementsAre("mua", "noise"));
  EXPECT_EQ(got->recording.units[0].depth, 120.5);
  EXPECT_THAT(std::get<Numbers>(got->recording.unit_columns.Find("fr")->values), ElementsAre(1, 2));
  folder.Write("cluster_groups.csv", "cluster_id\tgroup\n9\tgood\n");
  EXPECT_THAT(LabelsOf(*folder.Read()), ElementsAre("mua", "good"));
  folder.Write("cluster_group.tsv",
               "cluster_id\tgroup\r\n9\tmua\r\n\tgood\r\nx\tgood\r\n7\tgood\r\n");
  got = folder.Read();
  EXPECT_THAT(LabelsOf(*got), ElementsAre("mua", "mua"));
  EXPECT_THAT(Lines(*got), HasSubstr("cluster_group.tsv: 2 rows without a whole number as cluster "
                                     "id dropped, the first is line 3"));
  EXPECT_THAT(Lines(*got), HasSubstr("1 clusters that the tables name have no spikes"));
}

// Kilosort 4 writes the labels of KSLabel into the group's file.
TEST(Phy, KilosortLabelsInTheGroupFile) {
  Folder folder;
  folder.Write("cluster_group.tsv", "cluster_id\tKSLabel\n2\tgood\n9\tmua\n");
  folder.Write("cluster_ContamPct.tsv", "cluster_id\tContamPct\n2\t1.5\n9\t100\n");
  const auto got = folder.Read();
  EXPECT_THAT(LabelsOf(*got), ElementsAre("good", "mua"));
  EXPECT_THAT(std::get<Numbers>(got->recording.unit_columns.Find("ContamPct")->values),
              ElementsAre(1.5, 100));
  EXPECT_THAT(got->warnings, IsEmpty());
}

TEST(Phy, TablesThatMakeNoSenseAreLeftOut) {
  Folder folder;
  folder.Write("cluster_odd.tsv", "a\tb\nx\ty\n");
  folder.Write("cluster_empty.tsv", "");
  const auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_THAT(Lines(*got), HasSubstr("cluster_odd.tsv: left out: it has no column cluster_id"));
  EXPECT_THAT(Lines(*got), HasSubstr("cluster_empty.tsv: left out: is empty"));
}

TEST(Phy, ClustersFromTemplates) {
  Folder folder;
  folder.Remove("spike_clusters.npy");
  folder.Write("spike_templates.npy", Npy<uint32_t>("<u4", "(3,)", {1, 0, 1}));
  const auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[1].spike_times.size(), 2u);
  EXPECT_THAT(Lines(*got), HasSubstr("spike_templates.npy: gives the clusters"));
}

TEST(Phy, DepthOfThePeakChannel) {
  Folder folder;
  // Cluster 9 was merged: most of its spikes are of template 1.
  folder.Write("spike_templates.npy", Npy<uint32_t>("<u4", "(3,)", {1, 0, 1}));
  // [templates, samples, channels]
  folder.Write("templates.npy",
               Npy<float>("<f4", "(2, 2, 3)", {0, 1, 0, 0, -1, 0, 0, 0, 3, 1, 1, 2}));
  folder.Write("channel_positions.npy", Npy<double>("<f8", "(3, 2)", {0, 10, 1, 20, 2, 30}));
  auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].depth, 20);
  EXPECT_EQ(got->recording.units[1].depth, 10) << "channels 0 and 2 go up and down as much";
  folder.Write("templates_ind.npy", Npy<double>("<f8", "(2, 3)", {2, 0, 1, 1, 0, -1}));
  got = folder.Read();
  EXPECT_EQ(got->recording.units[0].depth, 10);
  EXPECT_EQ(got->recording.units[1].depth, 20);
  folder.Write("channel_positions.npy", Npy<double>("<f8", "(3,)", {1, 2, 3}));
  got = folder.Read();
  EXPECT_THAT(got->recording.units[0].depth, IsNan());
  EXPECT_THAT(Lines(*got), HasSubstr("channel_positions.npy: left out: has shape (3,)"));
}

// More pairs of a cluster and a template than are counted at once.
TEST(Phy, DepthWhereTemplatesAreMany) {
  constexpr int32_t kTemplates = 2'300'000;
  std::vector<int32_t> clusters, templates;
  for (int32_t n = 0; n < 2; ++n) {
    for (int32_t t = 0; t < kTemplates; ++t) {
      clusters.push_back(n);
      templates.push_back(t);
    }
  }
  for (int32_t i = 0; i < 6; ++i) {
    clusters.push_back(i % 2);
    templates.push_back(1 - i % 2);
  }
  const TempDir dir;
  const std::string shape = fmt::format("({},)", clusters.size());
  std::vector<SourceFile> files;
  const auto write = [&](const std::string& name, const std::string& bytes) {
    files.push_back({name, dir.Write(name, bytes)});
  };
  write("spike_clusters.npy", Npy<int32_t>("<i4", shape, clusters));
  write("spike_templates.npy", Npy<int32_t>("<i4", shape, templates));
  write("templates.npy", Npy<float>("<f4", "(2, 2, 2)", {0, 0, 1, 0, 0, 0, 0, 1}));
  write("channel_positions.npy", Npy<double>("<f8", "(2, 2)", {0, 10, 1, 20}));
  Recording recording;
  recording.units.resize(2);
  recording.units[1].id = 1;
  Notes notes;
  AddClusterDepths(FileSet(files), "", recording, notes);
  EXPECT_EQ(recording.units[0].depth, 20);
  EXPECT_EQ(recording.units[1].depth, 10);
  EXPECT_THAT(notes.Lines(), IsEmpty());
}

TEST(Phy, DepthOfChannelsAndOfSpikes) {
  Folder folder;
  folder.Write("channel_positions.npy", Npy<double>("<f8", "(2, 2)", {0, 10, 1, 20}));
  folder.Write("channel_map.npy", Npy<uint32_t>("<u4", "(1, 2)", {7, 5}));
  folder.Write("cluster_info.tsv", "cluster_id\tch\n2\t5\n9\t\n");
  folder.Write("spike_positions.npy", Npy<float>("<f4", "(3, 2)", {0, 100, 0, 500, 0, 300}));
  const auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].depth, 20);
  EXPECT_EQ(got->recording.units[1].depth, 200);
}

TEST(Phy, IdsThatRunIntoEachOtherAreRefused) {
  Folder folder;
  folder.Write("spike_clusters.npy",
               Npy<int64_t>("<i8", "(3,)", {9007199254740993, 9007199254740992, 9}));
  EXPECT_THAT(folder.Refusal(), HasSubstr("must be whole numbers below 2^53"));
}

TEST(Phy, TablesThatContradictEachOther) {
  Folder folder;
  folder.Write("cluster_a.tsv", "cluster_id\tamp\n2\t1.5\n9\t2\n");
  folder.Write("cluster_b.tsv", "cluster_id\tamp\n2\t1.5\n9\t3\n");
  const auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(std::get<Numbers>(got->recording.unit_columns.Find("amp")->values), (Numbers{1.5, 2}));
  EXPECT_THAT(Lines(*got), HasSubstr("cluster_b.tsv: 1 value of the column 'amp' left out, as "
                                     "cluster_a.tsv has others, the first is '3' of unit 9, which "
                                     "is '2' there"));
  ImportSpec strict;
  strict.strict = true;
  EXPECT_THAT(folder.Refusal(strict), HasSubstr("cluster_b.tsv"));
}

TEST(Phy, ASecondSortingBelowIsSaid) {
  Folder folder;
  folder.Write("kilosort3/spike_times.npy", Npy<int64_t>("<i8", "(1,)", {5}));
  folder.Write("kilosort3/spike_clusters.npy", Npy<int32_t>("<i4", "(1,)", {3}));
  folder.Write("kilosort3/params.py", "sample_rate = 5");
  const auto got = folder.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units.size(), 2u);
  EXPECT_THAT(Lines(*got), HasSubstr("kilosort3/: left out, as the folder above it is a sorting"));
  EXPECT_EQ(folder.Read(With("folder", "kilosort3"))->recording.units[0].id, 3);
}

TEST(Phy, FoldersOneLevelDown) {
  const auto times = Npy<int64_t>("<i8", "(1,)", {5});
  const auto clusters = Npy<int32_t>("<i4", "(1,)", {3});
  Folder folder;
  for (const char* name : {"spike_times.npy", "spike_clusters.npy", "params.py"})
    folder.Remove(name);
  folder.Write("a/sorter_output/spike_times.npy", times);
  folder.Write("a/sorter_output/spike_clusters.npy", clusters);
  folder.Write("a/sorter_output/params.py", "sample_rate = 10");
  folder.Write("a/sorter_output/cluster_group.tsv", "cluster_id\tgroup\n3\tgood\n");
  EXPECT_THAT(LabelsOf(*folder.Read()), ElementsAre("good"));
  folder.Write("b/spike_times.npy", times);
  folder.Write("b/spike_clusters.npy", clusters);
  folder.Write("b/params.py", "sample_rate = 5");
  EXPECT_THAT(folder.Refusal(), HasSubstr("must be one of a/sorter_output/, b/"));
  EXPECT_THAT(folder.Read(With("folder", "b"))->recording.units[0].spike_times, ElementsAre(1));
  EXPECT_THAT(folder.Refusal(With("folder", "c")), HasSubstr("options.folder is 'c/'"));
}

// Every file below `root` with one of `names`, or all.
std::vector<ImportFile> FilesOf(const std::string& root, std::vector<std::string> names = {}) {
  std::vector<ImportFile> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    const std::string name = std::filesystem::relative(entry.path(), root).string();
    const bool wanted = names.empty() || std::find(names.begin(), names.end(), name) != names.end();
    if (entry.is_regular_file() && wanted)
      out.push_back({Role::kMain, name, entry.path().string()});
  }
  return out;
}

size_t Spikes(const Recording& r) {
  size_t out = 0;
  for (const Unit& unit : r.units) out += unit.spike_times.size();
  return out;
}

TEST(Phy, RealKilosortExport) {
  if (RealData().empty()) GTEST_SKIP() << "the real recordings are not there; set SAED_DATA";
  const auto got = Import({}, FilesOf(RealData() + "/neuropixels_ks_export"));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units.size(), 295u);
  EXPECT_EQ(Spikes(got->recording), 58544u);
  EXPECT_EQ(got->recording.sampling_rate, 30000);
  EXPECT_THAT(LabelsOf(*got), testing::Each(""));
  EXPECT_THAT(got->warnings, IsEmpty());
}

TEST(Phy, RealSmallestFolderWithTables) {
  if (RealData().empty()) GTEST_SKIP() << "the real recordings are not there; set SAED_DATA";
  const std::string root = RealData() + "/phy_template_tiny";
  const auto got = Import({}, FilesOf(root));
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(Spikes(got->recording), 314u);
  EXPECT_EQ(got->recording.sampling_rate, 25000);
  for (const Unit& unit : got->recording.units) {
    EXPECT_EQ(unit.label, unit.id == 4 ? "good" : "");
    EXPECT_TRUE(std::isfinite(unit.depth));
  }
  // The summary of another sorting: a unit for each of its clusters.
  TempDir dir;
  std::vector<int64_t> ids(671);
  std::iota(ids.begin(), ids.end(), 0);
  const std::string array = Npy<int64_t>("<i8", "(671,)", ids);
  std::vector<ImportFile> files = {
      {Role::kMain, "spike_times.npy", dir.Write("spike_times.npy", array)},
      {Role::kMain, "spike_clusters.npy", dir.Write("spike_clusters.npy", array)},
      {Role::kMain, "cluster_info.tsv", root + "/other_tables/cluster_info.tsv"},
      {Role::kMain, "cluster_group.tsv", root + "/other_tables/cluster_group.tsv"}};
  ImportSpec spec;
  spec.options.sampling_rate = 30000;
  const auto other = Import(spec, files);
  ASSERT_TRUE(other.ok()) << other.status();
  const Recording& r = other->recording;
  EXPECT_EQ(r.units[1].label, "good");
  EXPECT_EQ(r.units[1].depth, 40);
  EXPECT_EQ(std::get<Numbers>(r.unit_columns.Find("n_spikes")->values)[1], 13987);
  EXPECT_EQ(std::get<Texts>(r.unit_columns.Find("KSLabel")->values)[3], "mua");
  EXPECT_EQ(r.units[3].label, "good");
}

TEST(Phy, RealFolderWithoutRate) {
  if (RealData().empty()) GTEST_SKIP() << "the real recordings are not there; set SAED_DATA";
  ImportSpec spec;
  const auto files = FilesOf(RealData() + "/neuropixels_phy");
  EXPECT_FALSE(Import(spec, files).ok());
  spec.options.sampling_rate = 30000;
  const auto got = Import(spec, files);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units.size(), 404u);
  EXPECT_EQ(Spikes(got->recording), 379321u);
  const auto labels = LabelsOf(*got);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), "good"), 140);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), "mua"), 260);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), "noise"), 4);
}

TEST(Phy, RealUnitTable) {
  if (RealData().empty()) GTEST_SKIP() << "the real recordings are not there; set SAED_DATA";
  const std::string root = RealData() + "/mouse_visual_decision/session12";
  auto files = FilesOf(root, {"spike_times.npy", "spike_clusters.npy"});
  files.push_back({Role::kIntervals, "trials", root + "/trials.csv"});
  files.push_back({Role::kUnits, "units.csv", root + "/units.csv"});
  const auto got = Import({}, files);
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  ASSERT_EQ(r.units.size(), 698u) << "six of them have no spikes, but rows in units.csv";
  const auto count = [&](const std::string& region) {
    return std::count_if(r.units.begin(), r.units.end(),
                         [&](const Unit& u) { return u.region == region; });
  };
  EXPECT_EQ(count("VISp"), 66);
  EXPECT_EQ(count("MD"), 126);
  EXPECT_EQ(count("PL"), 56);
  EXPECT_EQ(r.intervals[0].rows(), 340u);
  // "none" is a word here.
  EXPECT_EQ(std::get<Texts>(r.intervals[0].table.Find("stimulus")->values)[0], "none");
}

}  // namespace
}  // namespace saed::recordings

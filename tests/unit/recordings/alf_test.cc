// ALF folders. The acceptance cases in tests/acceptance/field have more of them.
#include <gtest/gtest.h>

#include "server/base/faults.h"
#include "server/base/npy.h"
#include "server/recordings/import.h"
#include "server/recordings/readers/alf_names.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

using saed::test_tools::TempDir;

class Folder {
 public:
  void Write(const std::string& name, const std::string& bytes) {
    const std::string own = std::to_string(files_.size());
    dir_.Write(own, bytes);
    files_.push_back({Role::kMain, name, dir_ / own});
  }
  void Array(const std::string& name, const std::vector<double>& values,
             std::vector<int64_t> shape = {}) {
    if (shape.empty()) shape = {static_cast<int64_t>(values.size())};
    Write(name, MakeNpy(values, shape));
  }
  absl::StatusOr<Imported> Read(const std::string& collection = "") const {
    ImportSpec spec;
    if (!collection.empty()) spec.options.values["collection"] = collection;
    return Import(spec, files_);
  }

 private:
  TempDir dir_;
  std::vector<ImportFile> files_;
};

TEST(Alf, NamesAreTakenApart) {
  const AlfName a = ParseAlfName("alf/#2024-01-01#/_ibl_trials.goCue_times_bpod.npy");
  EXPECT_EQ(a.collection, "alf");
  EXPECT_EQ(a.revision, "2024-01-01");
  EXPECT_EQ(a.object, "trials");
  EXPECT_EQ(a.attribute, "goCue_times");
  EXPECT_EQ(a.timescale, "bpod");
  const AlfName b = ParseAlfName("trials.visualStim_contrastLeft.npy");
  EXPECT_EQ(b.attribute, "visualStim_contrastLeft");
  EXPECT_EQ(b.timescale, "");
  EXPECT_EQ(ParseAlfName("a.b.8f6a2f1c-7a3e-4a5f-9a39-3c2d2f4f1b11.npy").attribute, "b");
  for (const char* bad :
       {"", "a", "a.npy", ".b.npy", "_ibl_.b.npy", "_ibl.b.npy", "a..npy", "clusters._.npy"}) {
    EXPECT_EQ(ParseAlfName(bad).object, "") << bad;
  }
}

TEST(Alf, SpikesClustersTrialsAndWheel) {
  Folder f;
  f.Array("spikes.times.npy", {0.5, 1, 1.5}, {3, 1});
  f.Array("spikes.clusters.npy", {2, 0, 2});
  f.Array("clusters.depths.npy", {100, 200, 300});
  f.Write("clusters.metrics.csv", "cluster_id,label,ks2_label\n2,1.0,mua\n0,0.67,good\n");
  f.Array("_ibl_trials.intervals.npy", {0, 1, 1, 2}, {2, 2});
  f.Array("_ibl_trials.choice.npy", {-1, 1});
  f.Array("_ibl_wheel.timestamps.npy", {0, 0.5, 1});
  f.Array("_ibl_wheel.position.npy", {1, 2, 3});
  f.Array("_ibl_wheel.times_bpod.npy", {1, 2, 3});
  const auto got = f.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  const Recording& r = got->recording;
  ASSERT_EQ(r.units.size(), 2u);
  EXPECT_EQ(r.units[1].id, 2);
  EXPECT_EQ(r.units[1].spike_times, (SpikeTrain{0.5, 1.5}));
  EXPECT_EQ(r.units[1].label, "good");
  EXPECT_EQ(r.units[0].label, "0.67");
  EXPECT_EQ(r.units[1].depth, 300);
  ASSERT_EQ(r.intervals.size(), 1u);
  EXPECT_EQ(r.intervals[0].table.name, "trials");
  EXPECT_EQ(std::get<Numbers>(r.intervals[0].table.Find("choice")->values), (Numbers{-1, 1}));
  ASSERT_EQ(r.series.size(), 1u);
  EXPECT_EQ(r.series[0].name, "wheel");
  EXPECT_EQ(r.series[0].channels, (Texts{"position"}));
  ASSERT_EQ(got->warnings.size(), 1u);
  EXPECT_NE(got->warnings[0].find("another clock"), std::string::npos);
}

TEST(Alf, TwoProbesAreBothRead) {
  Folder f;
  for (const char* probe : {"alf/probe00/pykilosort/", "alf/probe01/"}) {
    f.Array(std::string(probe) + "spikes.times.npy", {0.5, 1});
    f.Array(std::string(probe) + "spikes.clusters.npy", {4, 4});
  }
  const auto both = f.Read();
  ASSERT_TRUE(both.ok()) << both.status();
  ASSERT_EQ(both->recording.units.size(), 2u);
  EXPECT_EQ(both->recording.units[1].id, 1);
  EXPECT_EQ(std::get<Texts>(both->recording.unit_columns.Find("probe")->values),
            (Texts{"probe00", "probe01"}));
  const auto one = f.Read("alf/probe01");
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->recording.units[0].id, 4);
  EXPECT_EQ(FaultsOf(f.Read("alf").status())[0].field, "options.collection");
  f.Array("alf/probe01/ks4/spikes.times.npy", {0.5});
  f.Array("alf/probe01/ks4/spikes.clusters.npy", {1});
  EXPECT_EQ(FaultsOf(f.Read().status())[0].field, "options.collection");
}

TEST(Alf, NewestRevisionByName) {
  Folder f;
  f.Array("spikes.clusters.npy", {1});
  f.Array("spikes.times.npy", {9});
  f.Array("#2023-01-01#/spikes.times.npy", {1});
  f.Array("#2024-01-01#/spikes.times.npy", {2});
  const auto got = f.Read();
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->recording.units[0].spike_times, (SpikeTrain{2}));
  ASSERT_EQ(got->warnings.size(), 1u);
  EXPECT_NE(got->warnings[0].find("#2024-01-01#"), std::string::npos);
}

}  // namespace
}  // namespace saed::recordings

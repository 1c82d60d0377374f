// Reading in another process: what becomes of its answers and its deaths.
#include "server/recordings/import_apart.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "server/base/faults.h"
#include "server/recordings/count_file.h"
#include "server/recordings/import_wire.h"
#include "server/recordings/open_beneath.h"
#include "server/recordings/put_counts.h"
#include "server/recordings/sandbox.h"
#include "server/recordings/store_format.h"
#include "tests/tools/temp_dir.h"

namespace saed::recordings {
namespace {

class ImportApartTest : public testing::Test {
 protected:
  // A program that runs these commands of the shell; $2 is the directory.
  std::string Program(const std::string& commands) const {
    const std::string path = dir_.Write("program", "#!/bin/sh\n" + commands + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  absl::StatusOr<Imported> Run(const std::string& commands) {
    std::filesystem::create_directories(dir_ / "exchange");
    return ImportApart(Program(commands), dir_ / "exchange", spec_, files_, admission_,
                       [this] { return stop_; });
  }

  // The other half, in this process, which is not to be shut in.
  int ReadHere() const {
    return ReadApart(dir_ / "exchange", {GuardNames().begin(), GuardNames().end()});
  }
  // A program that leaves these bytes as its answer.
  absl::Status Answered(const std::string& bytes) {
    const std::string answer = dir_.Write("left", bytes);
    return Run("cp " + answer + " $2/answer").status();
  }

  test_tools::TempDir dir_;
  ImportSpec spec_{"counts", 0, 0.02};
  std::vector<ImportFile> files_;
  Admission admission_;
  bool stop_ = false;
};

// Both halves in one process: the question as ImportApart() leaves it, the answer of ReadApart().
TEST_F(ImportApartTest, TheAnswerIsThatOfImport) {
  std::string npy("\x93NUMPY\x01\x00", 8);
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2), }";
  header.resize(118, ' ');
  header += "\n";
  npy += std::string("\x77\x00", 2) + header + std::string("\1\0\2\0\1\1", 6);
  files_ = {{Role::kMain, "counts.npy", dir_.Write("counts.npy", npy)}};
  EXPECT_FALSE(Run("exit 0").ok()) << "without an answer";
  ASSERT_EQ(ReadHere(), 0);
  const auto apart = Run("exit 0");
  ASSERT_TRUE(apart.ok()) << apart.status();
  const auto here = Import(spec_, files_);
  ASSERT_TRUE(here.ok()) << here.status();
  EXPECT_EQ(apart->recording.counts.bytes, here->recording.counts.bytes);
  EXPECT_EQ(apart->recording.units.size(), 2U);
  EXPECT_EQ(apart->warnings, here->warnings);
}

TEST_F(ImportApartTest, RefusalsKeepTheirFields) {
  spec_.options.bin_width = -1;
  files_ = {{Role::kMain, "counts.npy", dir_.Write("counts.npy", "no array")}};
  (void)Run("exit 0");
  ASSERT_EQ(ReadHere(), 0);
  const absl::Status apart = Run("exit 0").status(), here = Import(spec_, files_).status();
  EXPECT_EQ(apart.code(), here.code());
  EXPECT_EQ(apart.message(), here.message());
  ASSERT_EQ(FaultsOf(apart).size(), FaultsOf(here).size());
  for (size_t i = 0; i < FaultsOf(here).size(); ++i) {
    EXPECT_EQ(FaultsOf(apart)[i].field, FaultsOf(here)[i].field);
  }
  EXPECT_EQ(ReasonOf(apart), ReasonOf(here));
}

TEST_F(ImportApartTest, AReaderThatBreaksIsTheFilesFault) {
  const absl::Status broken = Run("kill -SEGV $$").status();
  EXPECT_TRUE(absl::IsInvalidArgument(broken)) << broken;
  EXPECT_NE(broken.message().find("Segmentation fault"), std::string::npos) << broken;
  EXPECT_TRUE(absl::IsResourceExhausted(Run("kill -KILL $$").status()));
  EXPECT_TRUE(absl::IsResourceExhausted(Run("exit 1").status())) << "could not write";
  EXPECT_TRUE(
      absl::IsUnavailable(ImportApart(dir_ / "none", dir_ / "exchange", spec_, files_, {}, [] {
                            return false;
                          }).status()));
}

TEST_F(ImportApartTest, EveryDeathHasItsWords) {
  const auto died = [&](const char* signal) {
    return std::string(Run(std::string("kill -") + signal + " $$").status().message());
  };
  EXPECT_NE(died("XCPU").find("took more than the 60 s"), std::string::npos) << died("XCPU");
  EXPECT_NE(died("XFSZ").find("on the server's disk"), std::string::npos) << died("XFSZ");
  EXPECT_NE(died("SYS").find("do not trust it"), std::string::npos) << died("SYS");
  EXPECT_NE(died("BUS").find("was cut while it was read"), std::string::npos) << died("BUS");
}

TEST_F(ImportApartTest, HasNoneOfTheServersEnvironmentOrFiles) {
  setenv("SAED_SECRET", "x", 1);
  EXPECT_TRUE(Run("[ -z \"$SAED_SECRET\" ] && kill -BUS $$").status().message().find("was cut") !=
              std::string::npos);
  unsetenv("SAED_SECRET");
}

TEST_F(ImportApartTest, BelievesNoAnswerThatIsNotOne) {
  EXPECT_TRUE(absl::IsInternal(Answered(""))) << "empty";
  EXPECT_TRUE(absl::IsInternal(Answered(std::string(64, '\xff')))) << "noise";
  EXPECT_TRUE(absl::IsInternal(Answered(ToAnswer(absl::OkStatus(), {}) + "more")));
  EXPECT_TRUE(absl::IsInternal(Answered(ToAnswer(absl::UnauthenticatedError("who?"), {}))))
      << "no import ends so";
  const absl::Status said = Answered(ToAnswer(absl::InvalidArgumentError("a\xff"
                                                                         "b"),
                                              {}));
  EXPECT_EQ(said.message(),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_TRUE(absl::IsInternal(Answered(ToAnswer(absl::OkStatus(), {})))) << "no recording";
  EXPECT_TRUE(absl::IsInternal(Run("ln -s /etc/passwd $2/answer.new && "
                                   "mv -f $2/answer.new $2/answer")
                                   .status()))
      << "a link";
  EXPECT_TRUE(absl::IsInternal(Run("rm $2/answer && mkfifo $2/answer").status())) << "a FIFO";
}

TEST_F(ImportApartTest, BelievesNoRecordingThatIsNotOne) {
  const std::string ok = dir_.Write("ok", ToAnswer(absl::OkStatus(), {}));
  Recording backward;
  backward.duration = 9;
  backward.units.resize(1);
  backward.units[0].spike_times = {2, 1};
  const std::string stored = dir_.Write("stored", Serialise(backward));
  const absl::Status status =
      Run("cp " + ok + " $2/answer; cp " + stored + " $2/recording").status();
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_NE(status.message().find("not ascending"), std::string::npos) << status;
  EXPECT_TRUE(absl::IsInternal(Run("rm $2/recording; ln -s /etc/passwd $2/recording").status()));
}

TEST_F(ImportApartTest, AllFilesTogetherTakeNoMoreThanTheDiskIsGiven) {
  const int64_t each = LimitsFor(0, 0).written_bytes;
  if (std::filesystem::space(dir_.path()).available < static_cast<uint64_t>(4 * each)) {
    GTEST_SKIP() << "there is little room on this disk";
  }
  const std::string room = "fallocate -l " + std::to_string(each) + " $2/";
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status =
      Run(room + "1; " + room + "2; fallocate -l 1M $2/3; exec sleep 60").status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_NE(status.message().find("on the server's disk"), std::string::npos) << status;
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(ImportApartTest, CountsOfTheReaderLieInOneFile) {
  std::filesystem::create_directories(dir_ / "exchange");
  const Descriptor file(open(dir_.Write("counts", "").c_str(), O_RDWR));
  PutCountsInto(file.get());
  {
    auto one = CountFile::Create("/nowhere", 5000), two = CountFile::Create("/nowhere", 100);
    ASSERT_TRUE(one.ok() && two.ok()) << one.status();
    (*one)->data()[4999] = 1;
    (*two)->data()[0] = 2;
    EXPECT_EQ((*one)->data()[4999], 1);
    EXPECT_EQ(std::filesystem::file_size(dir_ / "counts"), 8192U + 100U);
    two->reset();
    auto again = CountFile::Create("/nowhere", 100);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ((*again)->data()[0], 0) << "as new";
    EXPECT_EQ(std::filesystem::file_size(dir_ / "counts"), 8192U + 100U);
  }
  PutCountsInto(-1);
  EXPECT_FALSE(CountFile::Create("/nowhere", 100).ok());
}

TEST_F(ImportApartTest, TakesNoMoreIntoMemoryThanIsAdmitted) {
  Recording long_one;
  long_one.units.resize(1);
  long_one.duration = 1e6;
  Series series;
  series.name = "position";
  series.channels = {"x"};
  series.timestamps.assign(200'000, 1);
  series.values = series.timestamps;
  long_one.series.push_back(series);
  const std::string copy = "cp " + dir_.Write("ok", ToAnswer(absl::OkStatus(), {})) +
                           " $2/answer; cp " + dir_.Write("stored", Serialise(long_one)) +
                           " $2/recording";
  int64_t taken = 0;
  admission_.take = [&](int64_t bytes) -> absl::StatusOr<std::shared_ptr<const void>> {
    taken = bytes;
    return std::shared_ptr<const void>();
  };
  admission_.memory_bytes = 1 << 20;
  const absl::Status refused = Run(copy).status();
  ASSERT_EQ(FaultsOf(refused).size(), 1U) << refused;
  EXPECT_EQ(FaultsOf(refused)[0].field, "series 'position'");
  EXPECT_NE(refused.message().find("at most 1 MB"), std::string::npos) << refused;
  EXPECT_EQ(ReasonOf(refused), "READER_LIMIT");
  EXPECT_EQ(taken, 0);
  admission_.memory_bytes = 1 << 22;
  EXPECT_TRUE(Run(copy).ok());
  EXPECT_GE(taken, 3'200'000);
  admission_.take = [](int64_t) { return absl::ResourceExhaustedError("others hold it"); };
  EXPECT_TRUE(absl::IsResourceExhausted(Run(copy).status()));
}

TEST_F(ImportApartTest, WaitsForItsPlace) {
  ReaderPlaces places({int64_t{4} << 30, 1, 4, 0.2});
  admission_.places = &places;
  auto other = places.Take(1, [] { return false; });
  EXPECT_EQ(ReasonOf(Run("exit 0").status()), "READERS_BUSY");
  *other = nullptr;
  EXPECT_TRUE(absl::IsInternal(Run("exit 0").status())) << "runs, and leaves no answer";
}

TEST_F(ImportApartTest, StopsWhenAsked) {
  stop_ = true;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(absl::IsCancelled(Run("exec sleep 100").status()));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace saed::recordings

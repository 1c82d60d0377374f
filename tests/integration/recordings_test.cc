// What the doors of recordings do: uploads, formats, names, downloads.
#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "server/base/npy.h"
#include "server/base/sha256.h"
#include "tests/integration/fixture.h"

namespace saed {
namespace {

using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RecordingsTest : public test_tools::ServerTest {
 protected:
  struct File {
    std::string name, bytes;
    v1::FileHeader::Role role = v1::FileHeader::ROLE_MAIN;
  };

  // Imports files that are written to the test's folder first.
  absl::StatusOr<v1::ImportRecordingResponse> Import(const std::vector<File>& files,
                                                     const v1::ImportHeader& header = {}) {
    std::vector<client::UploadFile> uploads;
    for (const File& f : files) {
      const std::string path = dir_ / ("upload" + std::to_string(uploads.size()));
      std::ofstream(path, std::ios::binary) << f.bytes;
      uploads.push_back({f.role, f.name, path});
    }
    return client_->Import(header, uploads, {});
  }

  // Three spikes of unit 3 and two of unit 5, s, with a table and a series.
  static std::vector<File> Small() {
    std::string clusters = MakeNpy({3, 5, 3, 3, 5}, {5});
    clusters.replace(clusters.find("<f8"), 3, "<i8");
    const int64_t ids[] = {3, 5, 3, 3, 5};
    std::memcpy(clusters.data() + clusters.size() - sizeof ids, ids, sizeof ids);
    return {{"spike_times.npy", MakeNpy({0.5, 1, 1.25, 2, 9}, {5})},
            {"spike_clusters.npy", clusters},
            {"trials", "start_time,stop_time,side,rt\n0,4,left,0.25\n4,8,\"a \"\"b\"\"\",\n",
             v1::FileHeader::ROLE_INTERVALS},
            {"speed", "timestamps,x,y\n0,1,2\n1,3,4\n2,5,6.5\n", v1::FileHeader::ROLE_SERIES}};
  }

  struct Downloaded {
    grpc::Status status;
    v1::DownloadHeader header;
    std::string bytes;
    size_t largest = 0;
    bool whole = false;  // the digest was right
  };
  Downloaded Download(const std::string& name, const std::string& table = "",
                      const std::string& series = "") {
    grpc::ClientContext context;
    v1::DownloadRecordingRequest request;
    request.set_name(name);
    request.set_interval_table(table);
    request.set_series(series);
    const auto stream = client_->recordings().DownloadRecording(&context, request);
    Downloaded out;
    v1::DownloadRecordingResponse message;
    while (stream->Read(&message)) {
      if (message.has_header()) out.header = message.header();
      out.largest = std::max(out.largest, message.chunk().size());
      out.bytes += message.chunk();
      if (!message.sha256().empty()) out.whole = message.sha256() == Sha256Hex(out.bytes);
    }
    out.status = stream->Finish();
    return out;
  }

  static std::vector<double> Doubles(const std::string& bytes) {
    std::vector<double> out(bytes.size() / sizeof(double));
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
};

TEST_F(RecordingsTest, IntervalTablesComeInPages) {
  std::vector<File> files = Small();
  for (const char* name : {"blocks", "licks"}) {
    files.push_back({name, "start_time,stop_time\n0,1\n2,3\n", v1::FileHeader::ROLE_INTERVALS});
  }
  const auto imported = Import(files);
  ASSERT_TRUE(imported.ok()) << imported.status();
  const auto pages = [&](int size) {
    std::vector<std::vector<std::string>> out;
    v1::ListIntervalTablesRequest request;
    request.set_parent(imported->recording().name());
    request.set_page_size(size);
    do {
      grpc::ClientContext context;
      v1::ListIntervalTablesResponse page;
      const auto s = client_->recordings().ListIntervalTables(&context, request, &page);
      EXPECT_TRUE(s.ok()) << s.error_message();
      out.emplace_back();
      for (const auto& table : page.interval_tables()) out.back().push_back(table.name());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return out;
  };
  const auto all = pages(0);
  ASSERT_EQ(all.size(), 1U);
  ASSERT_EQ(all[0].size(), 3U);
  EXPECT_THAT(pages(2), ElementsAre(ElementsAre(all[0][0], all[0][1]), ElementsAre(all[0][2])));
  EXPECT_THAT(pages(3), ElementsAre(all[0]));
}

TEST_F(RecordingsTest, DownloadsWhatWasImported) {
  const auto imported = Import(Small());
  ASSERT_TRUE(imported.ok()) << imported.status();
  const std::string name = imported->recording().name();
  const Downloaded spikes = Download(name);
  ASSERT_TRUE(spikes.status.ok()) << spikes.status.error_message();
  EXPECT_TRUE(spikes.whole);
  EXPECT_THAT(spikes.header.unit_ids(), ElementsAre(3, 5));
  EXPECT_THAT(spikes.header.spike_counts(), ElementsAre(3, 2));
  EXPECT_THAT(Doubles(spikes.bytes), ElementsAre(0.5, 1.25, 2, 1, 9));
  const Downloaded table = Download(name, "trials");
  ASSERT_TRUE(table.status.ok()) << table.status.error_message();
  EXPECT_TRUE(table.whole && table.header.table());
  const auto json = nlohmann::json::parse(table.bytes);
  EXPECT_EQ(json["start_time"], (std::vector<double>{0, 4}));
  EXPECT_EQ(json["side"], (std::vector<std::string>{"left", "a \"b\""}));
  const Downloaded series = Download(name, "", "speed");
  ASSERT_TRUE(series.status.ok()) << series.status.error_message();
  EXPECT_EQ(series.header.series().samples(), 3);
  EXPECT_THAT(series.header.series().channels(), ElementsAre("x", "y"));
  EXPECT_THAT(Doubles(series.bytes), ElementsAre(0, 1, 2, 1, 2, 3, 4, 5, 6.5));
  const Downloaded missing = Download(name, "trails");
  EXPECT_EQ(missing.status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_THAT(missing.status.error_message(), HasSubstr("it has trials"));
  EXPECT_EQ(Download(name, "trials", "speed").status.error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(RecordingsTest, DownloadsCountsInChunks) {
  std::vector<double> counts(300'000 * 6);
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = static_cast<double>(i % 7);
  v1::ImportHeader header;
  header.set_format_name("counts");
  header.set_bin_width(0.02);
  const auto imported = Import({{"c.npy", MakeNpy(counts, {300'000, 6})}}, header);
  ASSERT_TRUE(imported.ok()) << imported.status();
  const Downloaded d = Download(imported->recording().name());
  ASSERT_TRUE(d.status.ok()) << d.status.error_message();
  EXPECT_TRUE(d.whole);
  EXPECT_EQ(d.largest, size_t{1} << 20);
  EXPECT_EQ(d.header.counts_dtype(), "u8");
  EXPECT_EQ(d.header.bins(), 300'000);
  EXPECT_EQ(d.header.bin_width(), 0.02);
  ASSERT_EQ(d.bytes.size(), counts.size());
  for (const size_t i : {size_t{0}, size_t{12}, size_t{1'000'001}, counts.size() - 1}) {
    EXPECT_EQ(d.bytes[i], static_cast<char>(i % 7)) << i;
  }
}

TEST_F(RecordingsTest, FilesHavePlacesInAFolder) {
  const auto name = [&](const std::string& text, v1::FileHeader::Role role) {
    std::vector<File> files = Small();
    files.push_back({text, "", role});
    return Import(files).status();
  };
  for (const char* bad : {"../x.npy", "a/../x", "/x", "a//x", "a/", "", "a\nb"}) {
    const absl::Status status = name(bad, v1::FileHeader::ROLE_MAIN);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr("file.name")) << bad;
  }
  EXPECT_TRUE(name("sorting/empty.npy", v1::FileHeader::ROLE_MAIN).ok());
  EXPECT_FALSE(name("a/b", v1::FileHeader::ROLE_INTERVALS).ok());
  EXPECT_THAT(std::string(name("spike_times.npy", v1::FileHeader::ROLE_MAIN).message()),
              HasSubstr("as another file's"));
}

TEST_F(RecordingsTest, NamesThatAreNoneAreNoReasonToEnd) {
  v1::DetectFormatRequest request;
  v1::DetectFormatResponse response;
  request.add_files()->set_name("folder/");
  const auto folder = [&] {
    grpc::ClientContext context;
    return client_->recordings().DetectFormat(&context, request, &response);
  };
  EXPECT_EQ(folder().error_code(), StatusCode::INVALID_ARGUMENT);
  request.mutable_files(0)->clear_name();
  EXPECT_THAT(folder().error_message(), HasSubstr("files.name"));
  request.mutable_files(0)->set_name("recording.nwb");
  request.mutable_files(0)->set_head("\x89HDF\r\n\x1a\n");
  EXPECT_TRUE(folder().ok());
}

TEST_F(RecordingsTest, FaultsAreInTheWordsOfTheDoor) {
  v1::ImportHeader header;
  header.set_format_name("spikes");
  (*header.mutable_options())["colour"] = "red";
  EXPECT_THAT(std::string(Import(Small(), header).status().message()),
              HasSubstr("header.options.colour"));
  header.set_format_name("tape");
  EXPECT_THAT(std::string(Import(Small(), header).status().message()), HasSubstr("header.format "));
  header = {};
  header.set_display_name("two\nlines");
  EXPECT_THAT(std::string(Import(Small(), header).status().message()),
              HasSubstr("header.display_name"));
}

TEST_F(RecordingsTest, ColumnsByUnitIdComeBeside) {
  std::vector<File> files = Small();
  files.push_back({"units.csv", "id,region,label,score\n3,CA1,good,0.5\n5,CA3,mua,2\n",
                   v1::FileHeader::ROLE_UNITS});
  const auto imported = Import(files);
  ASSERT_TRUE(imported.ok()) << imported.status();
  ASSERT_EQ(imported->recording().regions_size(), 2);
  EXPECT_EQ(imported->recording().regions(0).name(), "CA1");
  EXPECT_EQ(imported->recording().labels(0).count(), 1);
  grpc::ClientContext context;
  v1::ListUnitsRequest request;
  request.set_parent(imported->recording().name());
  v1::ListUnitsResponse units;
  ASSERT_TRUE(client_->recordings().ListUnits(&context, request, &units).ok());
  EXPECT_EQ(units.units(1).region(), "CA3");
  EXPECT_EQ(units.units(0).columns().at("score"), "0.5");
}

TEST_F(RecordingsTest, PagesOfUnitsStayUnderAMegabyte) {
  constexpr int kUnits = 40;
  std::vector<double> counts(100 * kUnits, 1);
  std::string table = "id,text\n";
  for (int i = 0; i < kUnits; ++i) {
    table += std::to_string(i) + "," + std::string(i == 7 ? 2'000'000 : 100'000, 'x') + "\n";
  }
  v1::ImportHeader header;
  header.set_format_name("counts");
  header.set_bin_width(0.02);
  const auto imported = Import(
      {{"c.npy", MakeNpy(counts, {100, kUnits})}, {"units.csv", table, v1::FileHeader::ROLE_UNITS}},
      header);
  ASSERT_TRUE(imported.ok()) << imported.status();
  v1::ListUnitsRequest request;
  request.set_parent(imported->recording().name());
  request.set_page_size(1000);
  std::vector<int64_t> ids;
  do {
    grpc::ClientContext context;
    v1::ListUnitsResponse page;
    const auto s = client_->recordings().ListUnits(&context, request, &page);
    ASSERT_TRUE(s.ok()) << s.error_message();
    EXPECT_LT(page.ByteSizeLong(), 1'000'000u);
    ASSERT_GT(page.units_size(), 0);
    for (const auto& unit : page.units()) ids.push_back(unit.id());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  ASSERT_EQ(ids.size(), size_t{kUnits});
  for (int i = 0; i < kUnits; ++i) EXPECT_EQ(ids[static_cast<size_t>(i)], i);
}

TEST_F(RecordingsTest, ANameServesWhereverAnIdDoes) {
  const std::string id = Simulate(), other = Simulate(3000);
  const auto rename = [&](const std::string& name, const std::string& to, const std::string& path) {
    grpc::ClientContext context;
    v1::UpdateRecordingRequest request;
    request.set_name(name);
    request.set_display_name(to);
    request.mutable_update_mask()->add_paths(path);
    v1::UpdateRecordingResponse response;
    return client_->recordings().UpdateRecording(&context, request, &response);
  };
  const auto get = [&](const std::string& name, std::string& found) {
    grpc::ClientContext context;
    v1::GetRecordingRequest request;
    request.set_name(name);
    v1::GetRecordingResponse response;
    const auto s = client_->recordings().GetRecording(&context, request, &response);
    found = response.recording().name();
    return s;
  };
  std::string found;
  ASSERT_TRUE(rename(id, "rat 7, day 2", "display_name").ok());
  for (const char* name : {"rat 7, day 2", "recordings/rat 7, day 2"}) {
    ASSERT_TRUE(get(name, found).ok()) << name;
    EXPECT_EQ(found, id);
  }
  auto train = TrainRequest("recordings/rat 7, day 2");
  train.set_validate_only(true);
  EXPECT_TRUE(Create(train).ok());
  EXPECT_EQ(rename(id, "x", "spikes").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(rename(id, "", "display_name").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(rename(id, std::string(201, 'x'), "display_name").error_code(),
            StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(rename(other, "rat 7, day 2", "display_name").ok());
  const auto both = get("rat 7, day 2", found);
  EXPECT_EQ(both.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(both.error_message(), HasSubstr(id));
  EXPECT_THAT(both.error_message(), HasSubstr(other));
  // A name that looks like an id would be mistaken for one.
  EXPECT_EQ(rename(other, id.substr(id.find('/') + 1), "display_name").error_code(),
            StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(get(id, found).ok());
  EXPECT_EQ(found, id);
}

TEST_F(RecordingsTest, TheFirstCommandFits) {
  const auto imported = Import(Small());
  ASSERT_TRUE(imported.ok()) << imported.status();
  const auto& first = imported->recording().first_command();
  EXPECT_THAT(first.command(),
              HasSubstr("saectl train " + imported->recording().name() + " --bin 0.05"));
  EXPECT_GE(first.reasons_size(), 2);
}

TEST_F(RecordingsTest, TheSameContentSaysAgainWhatWasLeftOut) {
  std::vector<File> files = Small();
  files[0].bytes = MakeNpy({0.5, 1, 2, 1.25, 9}, {5});  // unit 3's are not ascending
  const auto first = Import(files), second = Import(files);
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  EXPECT_TRUE(first->created());
  EXPECT_FALSE(second->created());
  ASSERT_GE(first->recording().warnings_size(), 1);
  EXPECT_EQ(second->recording().warnings_size(), first->recording().warnings_size());
}

}  // namespace
}  // namespace saed

// All stores in a directory that goes with them, with one small planted recording.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "server/jobs/library.h"
#include "server/recordings/simulate.h"
#include "storage/database.h"
#include "tests/tools/temp_dir.h"

namespace saed::test_tools {

class RealClock : public saed::jobs::Clock {
 public:
  int64_t NowMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  double MonotonicSeconds() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

class TempStores {
 public:
  TempStores() {
    saed::recordings::PlantedSpec planted;
    planted.units = 12;
    planted.features = 4;
    planted.bins = 1500;
    bool created = false;
    saed::jobs::Library library(stores, clock);
    const auto row = library.Add({saed::recordings::SimulatePlanted(planted), {}}, {}, created);
    EXPECT_TRUE(row.ok()) << row.status();
    recording = row->id;
  }

  TempDir dir;
  std::unique_ptr<storage::Database> db = *storage::Database::Open(dir / "saed.db");
  storage::ObjectStore objects = *storage::ObjectStore::Open(dir / "objects");
  storage::RecordingsTable recordings{*db};
  storage::JobsTable jobs{*db};
  storage::ModelsTable models{*db};
  storage::DictionariesTable dictionaries{*db};
  storage::AnnotationsTable annotations{*db};
  storage::SweepsTable sweeps{*db};
  saed::jobs::Stores stores{recordings, jobs, models, dictionaries, annotations, sweeps, objects};
  RealClock clock;
  std::string recording;  // id
};

}  // namespace saed::test_tools

// What jobs need of the rest: the stores, the time, and someone to tell.
#pragma once

#include <cstdint>
#include <string_view>

#include "storage/annotations_table.h"
#include "storage/dictionaries_table.h"
#include "storage/jobs_table.h"
#include "storage/models_table.h"
#include "storage/objects.h"
#include "storage/recordings_table.h"
#include "storage/sweeps_table.h"

namespace saed::jobs {

struct Stores {
  storage::RecordingsTable& recordings;
  storage::JobsTable& jobs;
  storage::ModelsTable& models;
  storage::DictionariesTable& dictionaries;
  storage::AnnotationsTable& annotations;
  storage::SweepsTable& sweeps;
  storage::ObjectStore& objects;
};

// Thread-safe; tests own it.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t NowMicros() const = 0;        // since 1970
  virtual double MonotonicSeconds() const = 0;  // since any moment
};

// Told of what happens to jobs; thread-safe, must not block.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void JobStarted(double /*seconds_waited*/) {}
  virtual void JobPaused() {}  // to make room for another
  virtual void JobRetried() {}
  virtual void Computed(std::string_view /*user*/, double /*core_seconds*/) {}
  virtual void JobFinished(std::string_view /*kind*/, std::string_view /*state*/) {}
  virtual void Trained(int64_t /*steps*/, int64_t /*windows*/, double /*seconds*/) {}
  virtual void CheckpointWritten(int64_t /*bytes*/, double /*seconds*/) {}
};

}  // namespace saed::jobs

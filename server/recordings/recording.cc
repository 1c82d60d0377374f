#include "server/recordings/recording.h"

namespace saed::recordings {

const Column* Table::Find(std::string_view column) const {
  for (const Column& c : columns) {
    if (c.name == column) return &c;
  }
  return nullptr;
}

const IntervalTable* Recording::FindIntervals(std::string_view name) const {
  for (const IntervalTable& t : intervals) {
    if (t.table.name == name) return &t;
  }
  return nullptr;
}

int64_t Recording::spike_count() const {
  int64_t n = 0;
  for (const Unit& u : units) n += static_cast<int64_t>(u.spike_times.size());
  return n;
}

}  // namespace saed::recordings

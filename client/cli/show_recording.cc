#include "client/cli/show_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "client/cli/output.h"

namespace saed::cli {
namespace {

constexpr int kIndent = 13, kCommandWidth = 90;

// Wide enough to read, and no wider than a page where there is no terminal.
int Width() { return std::clamp(TerminalWidth(), 40, 120); }

void Line(const std::string& label, const std::string& text) {
  fmt::print("  {:<{}}{}\n", label, kIndent - 2, Wrapped(text, Width(), kIndent));
}

std::string Counted(const google::protobuf::RepeatedPtrField<v1::NamedCount>& counts) {
  constexpr int kShown = 12;
  std::string out;
  for (int i = 0; i < std::min(counts.size(), kShown); ++i) {
    out += fmt::format("{}{} {}", i == 0 ? "" : ", ", counts[i].name(), counts[i].count());
  }
  if (counts.size() > kShown) out += fmt::format(" and {} more", counts.size() - kShown);
  return out;
}

void PrintSeries(const v1::SeriesSummary& s) {
  constexpr int kShown = 8;
  std::string channels;
  for (int i = 0; i < std::min(s.channels_size(), kShown); ++i) {
    channels += (i == 0 ? "" : ", ") + s.channels(i);
  }
  if (s.channels_size() > kShown)
    channels += fmt::format(" and {} more", s.channels_size() - kShown);
  Line("series", fmt::format("{}: {} samples{}, {}{}", s.name(), s.samples(),
                             s.rate() > 0 ? fmt::format(" at {:.4g} Hz", s.rate()) : "", channels,
                             s.unit().empty() ? "" : " in " + s.unit()));
}

}  // namespace

void PrintRecording(const v1::Recording& r) {
  fmt::print("{}\n", r.name());
  Line("name", r.display_name());
  Line("source", r.source());
  if (!r.session_start_time().empty()) Line("session", r.session_start_time());
  Line("duration", fmt::format("{:.3f} s", r.duration()));
  if (r.observed_size() > 0) {
    Line("observed",
         fmt::format("{:.3f} s in {} stretch{}, first {:.3f} to {:.3f} s", r.observed_duration(),
                     r.observed_size(), r.observed_size() == 1 ? "" : "es", r.observed(0).start(),
                     r.observed(0).stop()));
  } else if (r.observed_duration() == 0 && r.duration() > 0) {
    Line("observed", "never, by its files");
  }
  Line("units", std::to_string(r.unit_count()));
  if (r.labels_size() > 0) Line("labels", Counted(r.labels()));
  if (r.regions_size() > 0) Line("regions", Counted(r.regions()));
  Line("spikes", std::to_string(r.spike_count()));
  if (r.bin_width() > 0) Line("bins", fmt::format("{} s", r.bin_width()));
  if (r.private_()) Line("private", "only its owner and administrators see it");
  Line("stored", Bytes(static_cast<double>(r.stored_bytes())));
  Line("digest", r.digest());
  if (r.electrode_count() > 0) Line("electrodes", std::to_string(r.electrode_count()));
  for (const auto& t : r.interval_tables()) Line("intervals", t);
  for (const auto& s : r.series()) PrintSeries(s);
  for (const auto& w : r.warnings()) Line("warning", w);
}

void PrintFirstCommand(const v1::Recording& r) {
  if (r.first_command().command().empty()) return;
  fmt::print("\nNext:\n{}\n\n",
             WrappedCommand(r.first_command().command(), std::min(Width(), kCommandWidth)));
  for (const auto& reason : r.first_command().reasons()) {
    fmt::print("  {}\n", Wrapped(reason, Width(), 2));
  }
}

}  // namespace saed::cli

#include "server/recordings/readers/nwb_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "server/base/faults.h"
#include "server/base/text.h"

namespace saed::recordings {
namespace {

constexpr int kMaxDepth = 8;
constexpr size_t kMaxGroups = 20'000;

template <size_t N>
bool IsOneOf(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 14> kRawTypes = {"ElectricalSeries",
                                                        "SpikeEventSeries",
                                                        "ImageSeries",
                                                        "ImageMaskSeries",
                                                        "OpticalSeries",
                                                        "IndexSeries",
                                                        "TwoPhotonSeries",
                                                        "OnePhotonSeries",
                                                        "PatchClampSeries",
                                                        "CurrentClampSeries",
                                                        "CurrentClampStimulusSeries",
                                                        "IZeroClampSeries",
                                                        "VoltageClampSeries",
                                                        "VoltageClampStimulusSeries"};
constexpr std::array<std::string_view, 4> kEventTypes = {"AnnotationSeries", "Events",
                                                         "LabeledEvents", "TTLs"};

// Nothing where the group only holds others.
std::optional<NwbKind> Classify(const Hierarchy& file, const std::string& path,
                                const std::string& type) {
  const auto has = [&](const char* name) { return file.Exists(path + "/" + name); };
  if (has("spike_times") && (type == "Units" || has("spike_times_index") || has("id"))) {
    return NwbKind::kUnits;
  }
  if (IsOneOf(type, kRawTypes) || has("external_file")) return NwbKind::kRaw;
  if (IsOneOf(type, kEventTypes) && has("timestamps")) return NwbKind::kEvents;
  if (type == "IntervalSeries") return NwbKind::kIntervalSeries;
  if (type == "TimeIntervals" || (has("start_time") && (has("stop_time") || has("duration")))) {
    return NwbKind::kIntervals;
  }
  const bool table = !file.TextAttribute(path, "colnames").empty();
  if (type == "EventsTable" || (table && has("timestamp"))) return NwbKind::kEventsTable;
  if (table && has("event_times") && has("event_times_index")) return NwbKind::kAnnotatedEvents;
  if (has("data") && (has("timestamps") || has("starting_time"))) return NwbKind::kSeries;
  if (table || type == "Units") return NwbKind::kTable;
  return std::nullopt;
}

class Survey {
 public:
  Survey(const Hierarchy& file, Notes& notes) : file_(file), notes_(notes) {}

  void Visit(const std::string& path, int depth) {
    if (!file_.IsGroup(path)) {
      CheckLeaf(path);
      return;
    }
    if (depth > kMaxDepth || ++groups_ > kMaxGroups) {
      ++cut_;
      return;
    }
    const Texts types = file_.TextAttribute(path, "neurodata_type");
    const std::string type = types.empty() ? "" : types[0];
    if (const auto kind = Classify(file_, path, type)) {
      found_.push_back({path, type, *kind});
      return;
    }
    for (const std::string& child : file_.Children(path)) Visit(path + "/" + child, depth + 1);
  }

  std::vector<NwbNode> Found() {
    if (cut_ > 0) {
      notes_.Mended("/", fmt::format("{} groups left out: at most {} groups, {} levels deep, are "
                                     "looked into",
                                     cut_, kMaxGroups, kMaxDepth));
    }
    return std::move(found_);
  }

 private:
  // Data sets beside groups say nothing of time; but a link that cannot be followed may have been
  // to something that does.
  void CheckLeaf(const std::string& path) {
    if (!file_.Exists(path)) {
      notes_.Mended(ValidUtf8(path), "left out: a link that leads nowhere");
      return;
    }
    const auto info = file_.Describe(path);
    if (!info.ok()) {
      notes_.Mended(ValidUtf8(path), "left out: " + FaultText(info.status(), path));
    }
  }

  const Hierarchy& file_;
  Notes& notes_;
  std::vector<NwbNode> found_;
  size_t groups_ = 0, cut_ = 0;
};

}  // namespace

std::string FaultText(const absl::Status& status, const std::string& path) {
  std::string out;
  for (const FieldFault& fault : FaultsOf(status)) {
    if (!out.empty()) out += "; ";
    out += fault.field == path ? fault.description : fault.field + " " + fault.description;
  }
  return ValidUtf8(out.empty() ? std::string(status.message()) : out);
}

std::vector<NwbNode> SurveyNwb(const Hierarchy& file, Notes& notes) {
  constexpr std::array<std::string_view, 2> kFirst = {"units", "intervals"};
  // Descriptions of the session, and the schema the file carries.
  constexpr std::array<std::string_view, 3> kNot = {"general", "specifications", ".specloc"};
  Survey survey(file, notes);
  for (std::string_view name : kFirst) {
    if (file.Exists(std::string(name))) survey.Visit(std::string(name), 0);
  }
  for (const std::string& child : file.Children("")) {
    if (IsOneOf(child, kFirst) || IsOneOf(child, kNot)) continue;
    if (child == "stimulus") {  // its templates have no times of their own
      if (file.Exists("stimulus/presentation")) survey.Visit("stimulus/presentation", 1);
    } else {
      survey.Visit(child, 0);
    }
  }
  return survey.Found();
}

}  // namespace saed::recordings

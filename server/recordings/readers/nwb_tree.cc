#include "server/recordings/readers/nwb_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

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

// Breadth first, so that a group to which several paths lead is met under the shortest.
class Survey {
 public:
  Survey(const Hierarchy& file, Notes& notes) : file_(file), notes_(notes) {
    met_.emplace(file.Identity(""), "");
  }

  // Looks at `path` now, and at what is in it with Go().
  void Visit(const std::string& path, int depth) {
    if (!file_.IsGroup(path)) {
      CheckLeaf(path);
      return;
    }
    const auto [at, first] = met_.emplace(file_.Identity(path), path);
    if (!first) {
      again_.Add([&, &met = at->second] {
        return fmt::format("{}, which is /{}", ValidUtf8(path), ValidUtf8(met));
      });
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
    } else {
      open_.emplace_back(path, depth);
    }
  }

  void Go() {
    for (; !open_.empty(); open_.pop_front()) {
      const auto& [path, depth] = open_.front();
      for (const std::string& child : file_.Children(path)) Visit(path + "/" + child, depth + 1);
    }
  }

  // In the order of their paths, below the first ones first.
  template <size_t N>
  std::vector<NwbNode> Found(const std::array<std::string_view, N>& first) {
    if (cut_ > 0) {
      notes_.Mended("/", fmt::format("{} groups left out: at most {} groups, {} levels deep, are "
                                     "looked into",
                                     cut_, kMaxGroups, kMaxDepth));
    }
    again_.Say(notes_, "/", "links", "to a group that is read by another path passed over");
    const auto key = [&](const NwbNode& node) {
      std::string path = node.path;
      const std::string root = path.substr(0, path.find('/'));
      std::replace(path.begin(), path.end(), '/', '\0');  // before every letter
      return std::pair(std::find(first.begin(), first.end(), root) - first.begin(), path);
    };
    std::sort(found_.begin(), found_.end(),
              [&](const NwbNode& a, const NwbNode& b) { return key(a) < key(b); });
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
  std::deque<std::pair<std::string, int>> open_;  // groups that hold others, and how deep they lie
  std::map<std::string, std::string> met_;        // paths of groups by identity
  Tally again_;
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
  survey.Go();
  return survey.Found(kFirst);
}

}  // namespace saed::recordings

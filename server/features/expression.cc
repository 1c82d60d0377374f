#include "server/features/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "server/base/faults.h"
#include "server/base/filter.h"
#include "server/base/status_macros.h"
#include "server/recordings/binning.h"
#include "server/recordings/table_filter.h"

namespace saed::features {
namespace {

using recordings::IntervalTable;
using recordings::Series;

constexpr double kGapIntervals = 5, kGapBins = 2;

absl::Status Fault(const FilterNode& node, std::string_view what) {
  return InvalidField("expression", fmt::format("at position {} {}", node.position + 1, what));
}

std::string TableNames(const recordings::Recording& r) {
  std::vector<std::string> names;
  for (const IntervalTable& t : r.intervals) names.push_back(t.table.name);
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

bool Compare(double a, std::string_view op, double b) {
  if (op == "=" || op == ":") return a == b;
  if (op == "!=") return a != b;
  if (op == "<") return a < b;
  if (op == "<=") return a <= b;
  if (op == ">") return a > b;
  return a >= b;
}

std::optional<double> Number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || *end != '\0' || !std::isfinite(value)) return std::nullopt;
  return value;
}

class Evaluator {
 public:
  Evaluator(const recordings::Recording& recording, const recordings::ViewData& view)
      : recording_(recording), view_(view) {}

  absl::StatusOr<BinLabels> Of(const FilterNode& node) const {
    switch (node.kind) {
      case FilterNode::Kind::kCall:
        return Call(node);
      case FilterNode::Kind::kCompare:
        return Comparison(node);
      case FilterNode::Kind::kNot: {
        SAED_ASSIGN_OR_RETURN(BinLabels out, Of(node.children[0]));
        for (size_t b = 0; b < out.holds.size(); ++b) {
          out.holds[b] = !out.holds[b] && (out.known.empty() || out.known[b]);
        }
        return out;
      }
      case FilterNode::Kind::kAnd:
      case FilterNode::Kind::kOr:
        break;
    }
    SAED_ASSIGN_OR_RETURN(BinLabels out, Of(node.children[0]));
    for (size_t i = 1; i < node.children.size(); ++i) {
      SAED_ASSIGN_OR_RETURN(const BinLabels next, Of(node.children[i]));
      Join(next, node.kind == FilterNode::Kind::kAnd, out);
    }
    return out;
  }

 private:
  // Kleene's logic: an unknown side matters only where the other does not decide.
  static void Join(const BinLabels& next, bool both, BinLabels& out) {
    const auto known = [](const BinLabels& l, size_t b) { return l.known.empty() || l.known[b]; };
    const bool partial = !out.known.empty() || !next.known.empty();
    std::vector<uint8_t> all(partial ? out.holds.size() : 0, 1);
    for (size_t b = 0; b < out.holds.size(); ++b) {
      const bool a = out.holds[b], c = next.holds[b];
      if (partial) {
        const bool ka = known(out, b), kc = known(next, b);
        all[b] = (ka && kc) || (both ? (ka && !a) || (kc && !c) : a || c);
      }
      out.holds[b] = both ? a && c : a || c;
    }
    out.known = std::move(all);
  }

  BinLabels Nothing() const { return {std::vector<uint8_t>(view_.bins, 0), {}}; }

  // Bins whose centre lies in [begin, end).
  void Mark(double begin, double end, BinLabels& out) const {
    const double first =
        (begin - recordings::kTimeTolerance - view_.start_time) / view_.bin_width - 0.5;
    const double last =
        (end - recordings::kTimeTolerance - view_.start_time) / view_.bin_width - 0.5;
    const auto bins = static_cast<double>(view_.bins);
    const auto from = static_cast<int64_t>(std::ceil(std::clamp(first, 0.0, bins)));
    const auto to = static_cast<int64_t>(std::ceil(std::clamp(last, 0.0, bins)));
    for (int64_t b = from; b < to; ++b) out.holds[b] = 1;
  }

  void MarkPoint(double time, BinLabels& out) const {
    const double bin =
        std::floor((time + recordings::kTimeTolerance - view_.start_time) / view_.bin_width);
    if (bin >= 0 && bin < static_cast<double>(view_.bins)) {
      out.holds[static_cast<int64_t>(bin)] = 1;
    }
  }

  // A filter's faults as faults of the expression.
  absl::StatusOr<std::vector<uint8_t>> Rows(const FilterNode& at, const IntervalTable& table,
                                            const FilterNode* filter) const {
    if (filter == nullptr) return std::vector<uint8_t>(table.rows(), 1);
    auto rows = recordings::MatchRows(table.table, *filter);
    if (rows.ok()) return rows;
    const auto faults = FaultsOf(rows.status());
    return Fault(
        at, faults.empty() ? std::string(rows.status().message()) : faults.front().description);
  }

  absl::StatusOr<BinLabels> Call(const FilterNode& node) const {
    const std::string& name = node.field;
    if (name == "rising" || name == "falling") return Slope(node);
    const bool around = name == "around_start" || name == "around_stop";
    if (!around && name != "during" && name != "starts" && name != "stops") {
      return Fault(node, fmt::format("calls '{}'; known are during, around_start, around_stop, "
                                     "starts, stops, rising and falling",
                                     name));
    }
    const auto& arguments = node.arguments;
    if (arguments.size() != (around ? 3 : 1) || node.children.size() > 1) {
      return Fault(node, around ? fmt::format("{} takes a table, a filter if wanted, and two times "
                                              "in seconds, e.g. {}(trials, outcome = hit, -0.1, "
                                              "0.5)",
                                              name, name)
                                : fmt::format("{} takes a table and, if wanted, a filter, e.g. "
                                              "{}(trials, outcome = hit)",
                                              name, name));
    }
    const IntervalTable* table = recording_.FindIntervals(arguments[0]);
    if (table == nullptr) {
      return Fault(node, fmt::format("names the table '{}'; the recording's interval tables are: "
                                     "{}",
                                     arguments[0], TableNames(recording_)));
    }
    std::optional<double> from, to;
    if (around) {
      from = Number(arguments[1]);
      to = Number(arguments[2]);
      if (!from || !to || *from >= *to) {
        return Fault(node, fmt::format("{} goes from '{}' to '{}'; both are times in seconds, the "
                                       "first before the second",
                                       name, arguments[1], arguments[2]));
      }
    }
    const FilterNode* filter = node.children.empty() ? nullptr : node.children.data();
    SAED_ASSIGN_OR_RETURN(const auto rows, Rows(node, *table, filter));
    BinLabels out = Nothing();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!rows[i]) continue;
      const double start = table->start[i], stop = table->stop[i];
      if (around) {
        const double anchor = name == "around_start" ? start : stop;
        Mark(anchor + *from, anchor + *to, out);
      } else if (name == "during") {
        Mark(start, stop, out);
      } else {
        MarkPoint(name == "starts" ? start : stop, out);
      }
    }
    return out;
  }

  absl::StatusOr<BinLabels> Slope(const FilterNode& node) const {
    const auto limit =
        node.arguments.size() == 2 ? Number(node.arguments[1]) : std::optional<double>(0);
    if (node.arguments.empty() || node.arguments.size() > 2 || !node.children.empty() || !limit ||
        *limit < 0) {
      return Fault(node, fmt::format("{} takes a series' channel and, if wanted, the least change "
                                     "per second, e.g. {}(position.x, 0.05)",
                                     node.field, node.field));
    }
    const auto [series, channel] = FindChannel(recording_, node.arguments[0]);
    if (series == nullptr) return NoSuchName(node, node.arguments[0]);
    const std::vector<double> values = OnBins(*series, channel, view_);
    const double sign = node.field == "rising" ? 1 : -1;
    const int64_t bins = view_.bins;
    BinLabels out = Nothing();
    out.known.assign(bins, 0);
    for (int64_t b = 0; b < bins; ++b) {
      const int64_t before = std::max<int64_t>(b - 1, 0), after = std::min(b + 1, bins - 1);
      const double slope =
          (values[after] - values[before]) /
          (view_.bin_width * static_cast<double>(std::max<int64_t>(after - before, 1)));
      out.known[b] = std::isfinite(slope) && std::isfinite(values[b]);
      out.holds[b] = out.known[b] && sign * slope > *limit;
    }
    return out;
  }

  absl::StatusOr<BinLabels> Comparison(const FilterNode& node) const {
    if (node.is_function) {
      return Fault(node, fmt::format("compares {}(…) with '{}'; a function stands alone here",
                                     node.field, node.text));
    }
    const auto [series, channel] = FindChannel(recording_, node.field);
    if (series != nullptr) {
      if (!node.is_number) {
        return Fault(node, fmt::format("compares the series '{}' with '{}'; give a number",
                                       node.field, node.text));
      }
      BinLabels out = Nothing();
      out.known.assign(view_.bins, 0);
      const std::vector<double> values = OnBins(*series, channel, view_);
      for (int64_t b = 0; b < view_.bins; ++b) {
        out.known[b] = std::isfinite(values[b]);
        out.holds[b] = out.known[b] && Compare(values[b], node.op, node.number);
      }
      return out;
    }
    for (const IntervalTable& table : recording_.intervals) {
      const std::string& name = table.table.name;
      if (node.field.size() <= name.size() + 1 || !node.field.starts_with(name) ||
          node.field[name.size()] != '.') {
        continue;
      }
      FilterNode inner = node;
      inner.field = node.field.substr(name.size() + 1);
      SAED_ASSIGN_OR_RETURN(const auto rows, Rows(node, table, &inner));
      BinLabels out = Nothing();
      for (size_t i = 0; i < rows.size(); ++i) {
        if (rows[i]) Mark(table.start[i], table.stop[i], out);
      }
      return out;
    }
    return NoSuchName(node, node.field);
  }

  absl::Status NoSuchName(const FilterNode& node, const std::string& name) const {
    const auto channels = ChannelNames(recording_);
    return Fault(
        node,
        fmt::format("names '{}'; the recording's series are: {}; its interval tables: {}, "
                    "with columns as TABLE.COLUMN",
                    name, channels.empty() ? "none" : fmt::format("{}", fmt::join(channels, ", ")),
                    TableNames(recording_)));
  }

  const recordings::Recording& recording_;
  const recordings::ViewData& view_;
};

double MedianInterval(const recordings::Numbers& times) {
  std::vector<double> gaps;
  for (size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  if (gaps.empty()) return 0;
  std::nth_element(gaps.begin(), gaps.begin() + static_cast<int64_t>(gaps.size() / 2), gaps.end());
  return gaps[gaps.size() / 2];
}

}  // namespace

absl::StatusOr<BinLabels> Evaluate(std::string_view expression,
                                   const recordings::Recording& recording,
                                   const recordings::ViewData& view) {
  SAED_ASSIGN_OR_RETURN(const FilterNode node, ParseExpression(expression));
  return Evaluator(recording, view).Of(node);
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::vector<double> OnBins(const Series& series, size_t channel, const recordings::ViewData& view) {
  const size_t channels = series.channels.size();
  const auto& times = series.timestamps;
  std::vector<double> sum(view.bins, 0), count(view.bins, 0);
  for (size_t i = 0; i < times.size(); ++i) {
    const double value = series.values[i * channels + channel];
    const double bin =
        std::floor((times[i] + recordings::kTimeTolerance - view.start_time) / view.bin_width);
    if (!std::isfinite(value) || !(bin >= 0) || bin >= static_cast<double>(view.bins)) continue;
    sum[static_cast<int64_t>(bin)] += value;
    count[static_cast<int64_t>(bin)] += 1;
  }
  const double gap =
      std::max(kGapIntervals * MedianInterval(times), kGapBins * view.bin_width) + 1e-12;
  std::vector<double> out(view.bins, std::numeric_limits<double>::quiet_NaN());
  size_t next = 0;  // first sample after the bin's centre
  for (int64_t b = 0; b < view.bins; ++b) {
    if (count[b] > 0) {
      out[b] = sum[b] / count[b];
      continue;
    }
    const double centre = view.bin_start(b) + view.bin_width / 2;
    while (next < times.size() && times[next] <= centre) ++next;
    if (next == 0 || next == times.size() || times[next] - times[next - 1] > gap) continue;
    const double share = (centre - times[next - 1]) / (times[next] - times[next - 1]);
    out[b] = (1 - share) * series.values[(next - 1) * channels + channel] +
             share * series.values[next * channels + channel];
  }
  return out;
}

std::pair<const Series*, size_t> FindChannel(const recordings::Recording& recording,
                                             std::string_view name) {
  for (const Series& s : recording.series) {
    if (s.channels.size() == 1 && name == s.name) return {&s, 0};
    if (!name.starts_with(s.name) || name.size() <= s.name.size() || name[s.name.size()] != '.') {
      continue;
    }
    const auto at = std::find(s.channels.begin(), s.channels.end(), name.substr(s.name.size() + 1));
    if (at != s.channels.end()) return {&s, static_cast<size_t>(at - s.channels.begin())};
  }
  return {nullptr, 0};
}

std::vector<std::string> ChannelNames(const recordings::Recording& recording) {
  std::vector<std::string> out;
  for (const Series& s : recording.series) {
    for (const std::string& c : s.channels) {
      out.push_back(s.channels.size() == 1 ? s.name : s.name + "." + c);
    }
  }
  return out;
}

}  // namespace saed::features

#include "server/features/expression.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "server/base/faults.h"
#include "server/base/filter.h"
#include "server/base/status_macros.h"
#include "server/features/movement.h"
#include "server/recordings/binning.h"
#include "server/recordings/table_filter.h"

namespace saed::features {
namespace {

using recordings::IntervalTable;

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

std::string SomeValues(const recordings::Column& column) {
  constexpr size_t kMost = 10;
  return fmt::format("{}", fmt::join(recordings::DistinctValues(column, kMost), ", "));
}

// A function of a table, with a filter of its rows if wanted.
struct TableCall {
  std::string_view name;
  size_t times;     // arguments in seconds
  bool point;       // the one bin at that time
  bool at_stop;     // times are from the stop
  bool among_rows;  // asks of the table's rows alone
  std::string_view example;
};

constexpr TableCall kTableCalls[] = {
    {"during", 0, false, false, false, "during(trials, outcome = hit)"},
    {"among", 0, false, false, true, "among(trials, outcome = hit)"},
    {"each", 1, true, false, true, "each(trials, outcome = hit, 0.2)"},
    {"starts", 0, true, false, false, "starts(trials, outcome = hit)"},
    {"stops", 0, true, true, false, "stops(trials, outcome = hit)"},
    {"around_start", 2, false, false, false, "around_start(trials, outcome = hit, -0.1, 0.5)"},
    {"around_stop", 2, false, true, false, "around_stop(trials, outcome = hit, -0.1, 0.5)"},
};

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
          out.holds[b] = !out.holds[b] && (out.known.empty() || out.known[b]) &&
                         (out.asked.empty() || out.asked[b]);
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
  // AND asks of what both ask of, OR of what either does; of all where nothing is said.
  static void JoinAsked(const BinLabels& next, bool both, BinLabels& out) {
    if (out.asked.empty() || next.asked.empty()) {
      if (!both) out.asked.clear();
      if (both && out.asked.empty()) out.asked = next.asked;
      return;
    }
    for (size_t b = 0; b < out.asked.size(); ++b) {
      out.asked[b] = both ? out.asked[b] && next.asked[b] : out.asked[b] || next.asked[b];
    }
  }

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
    JoinAsked(next, both, out);
  }

  BinLabels Nothing() const { return {std::vector<uint8_t>(view_.bins, 0), {}, {}}; }

  // Bins whose centre lies in [begin, end).
  void Mark(double begin, double end, std::vector<uint8_t>& out) const {
    const double first =
        (begin - recordings::kTimeTolerance - view_.start_time) / view_.bin_width - 0.5;
    const double last =
        (end - recordings::kTimeTolerance - view_.start_time) / view_.bin_width - 0.5;
    const auto bins = static_cast<double>(view_.bins);
    const auto from = static_cast<int64_t>(std::ceil(std::clamp(first, 0.0, bins)));
    const auto to = static_cast<int64_t>(std::ceil(std::clamp(last, 0.0, bins)));
    for (int64_t b = from; b < to; ++b) out[b] = 1;
  }

  void MarkPoint(double time, std::vector<uint8_t>& out) const {
    const double bin =
        std::floor((time + recordings::kTimeTolerance - view_.start_time) / view_.bin_width);
    if (bin >= 0 && bin < static_cast<double>(view_.bins)) {
      out[static_cast<int64_t>(bin)] = 1;
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
    if (name == "contrast") return Contrast(node);
    if (name == "around") return AroundColumn(node);
    std::vector<std::string_view> known = {"contrast", "around", "rising", "falling"};
    for (const TableCall& call : kTableCalls) {
      if (name == call.name) return OfTable(node, call);
      known.push_back(call.name);
    }
    return Fault(node, fmt::format("calls '{}'; known are {}", name, fmt::join(known, ", ")));
  }

  absl::StatusOr<const IntervalTable*> Table(const FilterNode& node,
                                             const std::string& name) const {
    const IntervalTable* table = recording_.FindIntervals(name);
    if (table != nullptr) return table;
    return Fault(node, fmt::format("names the table '{}'; the recording's interval tables are: {}",
                                   name, TableNames(recording_)));
  }

  absl::StatusOr<BinLabels> OfTable(const FilterNode& node, const TableCall& call) const {
    const auto& arguments = node.arguments;
    if (arguments.size() != call.times + 1 || node.children.size() > 1) {
      return Fault(node, fmt::format("{} takes a table, a filter if wanted{}, e.g. {}", call.name,
                                     call.times == 0   ? ""
                                     : call.times == 1 ? ", and a time in seconds"
                                                       : ", and two times in seconds",
                                     call.example));
    }
    SAED_ASSIGN_OR_RETURN(const IntervalTable* table, Table(node, arguments[0]));
    Offsets offsets;
    if (call.times == 1) {
      const auto at = Number(arguments[1]);
      if (!at) {
        return Fault(node, fmt::format("{} is at '{}'; give a time in seconds after the start",
                                       call.name, arguments[1]));
      }
      offsets.from = *at;
    }
    if (call.times == 2) {
      SAED_ASSIGN_OR_RETURN(offsets, Between(node, 1));
    }
    const FilterNode* filter = node.children.empty() ? nullptr : node.children.data();
    SAED_ASSIGN_OR_RETURN(const auto rows, Rows(node, *table, filter));
    const auto mark = [&](size_t i, std::vector<uint8_t>& out) {
      MarkRow(call, *table, i, offsets, out);
    };
    if (!call.among_rows) return {{MarkAll(rows, mark), {}, {}}};
    const auto asked = filter == nullptr ? rows : recordings::AskedRows(table->table, *filter);
    return Among(rows, asked, mark);
  }

  struct Offsets {
    double from = 0, to = 0;  // s
  };

  // The two times from argument `first` on.
  absl::StatusOr<Offsets> Between(const FilterNode& node, size_t first) const {
    const auto from = Number(node.arguments[first]), to = Number(node.arguments[first + 1]);
    if (from && to && *from < *to) return Offsets{*from, *to};
    return Fault(node, fmt::format("{} goes from '{}' to '{}'; both are times in seconds, the "
                                   "first before the second",
                                   node.field, node.arguments[first], node.arguments[first + 1]));
  }

  void MarkRow(const TableCall& call, const IntervalTable& table, size_t i, const Offsets& offsets,
               std::vector<uint8_t>& out) const {
    const double start = table.start[i], stop = table.stop[i];
    const double anchor = call.at_stop ? stop : start;
    if (call.times == 2) {
      Mark(anchor + offsets.from, anchor + offsets.to, out);
    } else if (call.point) {
      MarkPoint(anchor + offsets.from, out);
    } else {
      Mark(start, stop, out);
    }
  }

  template <class MarkOne>
  std::vector<uint8_t> MarkAll(const std::vector<uint8_t>& rows, const MarkOne& mark) const {
    std::vector<uint8_t> out(view_.bins, 0);
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i]) mark(i, out);
    }
    return out;
  }

  // Holds in the bins of `rows`, asks of those of `asked`.
  template <class MarkOne>
  BinLabels Among(const std::vector<uint8_t>& rows, const std::vector<uint8_t>& asked,
                  const MarkOne& mark) const {
    std::vector<uint8_t> both = rows;
    for (size_t i = 0; i < both.size(); ++i) both[i] = both[i] && asked[i];
    return {MarkAll(both, mark), {}, MarkAll(asked, mark)};
  }

  struct TableColumn {
    const IntervalTable* table = nullptr;
    const recordings::Column* column = nullptr;
  };

  // What "table.column" names.
  absl::StatusOr<TableColumn> FindColumn(const FilterNode& node, const std::string& name) const {
    const IntervalTable* lacks = nullptr;
    for (const IntervalTable& table : recording_.intervals) {
      const std::string& prefix = table.table.name;
      if (!name.starts_with(prefix) || name.size() <= prefix.size() || name[prefix.size()] != '.') {
        continue;
      }
      const recordings::Column* found = table.table.Find(name.substr(prefix.size() + 1));
      if (found != nullptr) return TableColumn{&table, found};
      lacks = &table;
    }
    if (lacks != nullptr) {
      std::vector<std::string_view> names;
      for (const auto& c : lacks->table.columns) names.push_back(c.name);
      return Fault(node, fmt::format("names '{}', which is no column of the table '{}'; it has {}",
                                     name, lacks->table.name, fmt::join(names, ", ")));
    }
    if (recording_.FindIntervals(name) != nullptr) {
      return Fault(node, fmt::format("takes the table '{}' where one of its columns is needed, as "
                                     "{}.COLUMN; around_start and around_stop take a table",
                                     name, name));
    }
    return NoSuchName(node, name);
  }

  // Rows in which a column has a value.
  absl::StatusOr<std::vector<uint8_t>> RowsWith(const FilterNode& node, const TableColumn& of,
                                                const std::string& value) const {
    FilterNode compare;
    compare.position = node.position;
    compare.field = of.column->name;
    compare.op.push_back('=');
    compare.text = value;
    const auto number = Number(value);
    compare.is_number = number.has_value();
    compare.number = number.value_or(0);
    return Rows(node, *of.table, &compare);
  }

  absl::StatusOr<BinLabels> Contrast(const FilterNode& node) const {
    const auto& arguments = node.arguments;
    if (arguments.size() != 3 || !node.children.empty() || arguments[1] == arguments[2]) {
      return Fault(node,
                   "contrast takes a table's column and two of its values, e.g. "
                   "contrast(trials.side, left, right)");
    }
    SAED_ASSIGN_OR_RETURN(const TableColumn of, FindColumn(node, arguments[0]));
    SAED_ASSIGN_OR_RETURN(const auto rows, RowsWith(node, of, arguments[1]));
    SAED_ASSIGN_OR_RETURN(auto asked, RowsWith(node, of, arguments[2]));
    for (const auto& [value, has] :
         {std::pair(arguments[1], &rows), std::pair(arguments[2], &std::as_const(asked))}) {
      if (std::find(has->begin(), has->end(), 1) != has->end()) continue;
      return Fault(node, fmt::format("contrasts the value '{}', which no row of {} has; it has {}",
                                     value, arguments[0], SomeValues(*of.column)));
    }
    for (size_t i = 0; i < rows.size(); ++i) asked[i] = asked[i] || rows[i];
    return Among(rows, asked, [&](size_t i, std::vector<uint8_t>& out) {
      Mark(of.table->start[i], of.table->stop[i], out);
    });
  }

  // around(table.column, [filter,] from, to): a column of times.
  absl::StatusOr<BinLabels> AroundColumn(const FilterNode& node) const {
    if (node.arguments.size() != 3 || node.children.size() > 1) {
      return Fault(node,
                   "around takes a table's column of times, a filter if wanted, and two "
                   "times in seconds, e.g. around(trials.press_time, -0.1, 0.1)");
    }
    SAED_ASSIGN_OR_RETURN(const TableColumn of, FindColumn(node, node.arguments[0]));
    const auto* times = std::get_if<recordings::Numbers>(&of.column->values);
    if (times == nullptr) {
      return Fault(node, fmt::format("takes the column '{}' for times, but it has texts",
                                     node.arguments[0]));
    }
    SAED_ASSIGN_OR_RETURN(const Offsets offsets, Between(node, 1));
    const FilterNode* filter = node.children.empty() ? nullptr : node.children.data();
    SAED_ASSIGN_OR_RETURN(const auto rows, Rows(node, *of.table, filter));
    return {{MarkAll(rows,
                     [&](size_t i, std::vector<uint8_t>& out) {
                       const double time = (*times)[i];
                       if (std::isfinite(time)) Mark(time + offsets.from, time + offsets.to, out);
                     }),
             {},
             {}}};
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

  // Values that are NaN are not known.
  BinLabels Compared(const std::vector<double>& values, const FilterNode& node) const {
    BinLabels out = Nothing();
    out.known.assign(view_.bins, 0);
    for (int64_t b = 0; b < view_.bins; ++b) {
      out.known[b] = std::isfinite(values[b]);
      out.holds[b] = out.known[b] && Compare(values[b], node.op, node.number);
    }
    return out;
  }

  // speed(series) and direction(series), compared with a number.
  absl::StatusOr<BinLabels> Movement(const FilterNode& node) const {
    if (node.field != "speed" && node.field != "direction") {
      return Fault(node, fmt::format("compares {}(…) with '{}'; of functions speed and direction "
                                     "have values, others stand alone",
                                     node.field, node.text));
    }
    if (node.arguments.size() != 1 || !node.children.empty() || !node.is_number) {
      return Fault(node, fmt::format("{} takes a series of positions and is compared with a "
                                     "number, e.g. {}(position) > 0.1",
                                     node.field, node.field));
    }
    const auto series =
        std::find_if(recording_.series.begin(), recording_.series.end(),
                     [&](const recordings::Series& s) { return s.name == node.arguments[0]; });
    if (series == recording_.series.end()) return NoSuchName(node, node.arguments[0]);
    const bool direction = node.field == "direction";
    const size_t most = direction ? 2 : kMostDimensions;
    if (series->channels.empty() || series->channels.size() > most) {
      return Fault(node, fmt::format("takes the {} of '{}', which has {} channels; must be of "
                                     "positions in 1 to {}",
                                     node.field, series->name, series->channels.size(), most));
    }
    auto& values = movement_[{&*series, direction}];
    if (values.empty()) values = direction ? Direction(*series, view_) : Speed(*series, view_);
    return Compared(values, node);
  }

  absl::StatusOr<BinLabels> Comparison(const FilterNode& node) const {
    if (node.is_function) return Movement(node);
    const auto [series, channel] = FindChannel(recording_, node.field);
    if (series != nullptr) {
      if (!node.is_number) {
        return Fault(node, fmt::format("compares the series '{}' with '{}'; give a number",
                                       node.field, node.text));
      }
      return Compared(OnBins(*series, channel, view_), node);
    }
    SAED_ASSIGN_OR_RETURN(const TableColumn of, FindColumn(node, node.field));
    FilterNode inner = node;
    inner.field = of.column->name;
    SAED_ASSIGN_OR_RETURN(const auto rows, Rows(node, *of.table, &inner));
    return Among(rows, recordings::AskedRows(of.table->table, inner),
                 [&](size_t i, std::vector<uint8_t>& out) {
                   Mark(of.table->start[i], of.table->stop[i], out);
                 });
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
  // Made once for an expression, however often it asks.
  mutable std::map<std::pair<const recordings::Series*, bool>, std::vector<double>> movement_;
};

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

}  // namespace saed::features

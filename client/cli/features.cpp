#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "client/cli/command.h"
#include "client/cli/evidence.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Score(bool there, double value) { return there ? fmt::format("{:.3f}", value) : "-"; }

std::string UnitsText(const v1::Feature& f, int most) {
  std::string out;
  for (int i = 0; i < f.top_units_size() && i < most; ++i) {
    out += fmt::format("{}{} ({:.0f} %)", out.empty() ? "" : ", ", f.top_units(i).unit_id(),
                       100 * f.top_units(i).share());
  }
  return out;
}

struct ListFlags {
  std::string dictionary, filter, order_by;
  int limit = 20;
};

// The conditions of the dictionary that is listed, by name, and the one that the order or the
// filter names first.
struct Asked {
  std::map<std::string, v1::DictionaryCondition> conditions;
  std::string condition;
  int features = 0;  // of the dictionary
};

absl::StatusOr<Asked> AskedCondition(Session& session, const ListFlags& flags) {
  Asked out;
  if (flags.dictionary == "-") return out;
  grpc::ClientContext context;
  v1::GetDictionaryRequest request;
  request.set_name(FullName("dictionaries", flags.dictionary));
  v1::GetDictionaryResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().GetDictionary(&context, request, &r)));
  out.features = r.dictionary().feature_count();
  const std::string text = flags.order_by + flags.filter;
  size_t first = text.npos;
  for (const auto& c : r.dictionary().conditions()) {
    const std::string& name = c.condition().name();
    out.conditions[name] = c;
    const size_t at = text.find('"' + name + '"');
    if (at >= first) continue;
    first = at;
    out.condition = name;
  }
  return out;
}

// Features that are shown, and how many there are.
struct Found {
  v1::ListFeaturesResponse shown;
  int all = 0;
  bool more = false;  // than `all`: they were not counted to the end
};

// Adds up to `limit` features in all, and counts the others.
absl::Status AddFeatures(Session& session, v1::ListFeaturesRequest request, int limit,
                         Found& found) {
  constexpr int kMost = 1000, kMostCounted = 5000;
  bool more = false;
  do {
    const int room = limit - found.shown.features_size();
    request.set_page_size(room > 0 ? std::min(kMost, room) : kMost);
    grpc::ClientContext context;
    v1::ListFeaturesResponse page;
    SAED_RETURN_IF_ERROR(
        client::FromGrpc(session.client->features().ListFeatures(&context, request, &page)));
    found.all += page.features_size();
    if (room > 0) found.shown.mutable_features()->MergeFrom(page.features());
    request.set_page_token(page.next_page_token());
    more = !request.page_token().empty();
  } while (more && found.all < std::max(limit, kMostCounted));
  found.more |= more;
  return absl::OkStatus();
}

// What the list leaves out; empty where it has all.
std::string LeftOut(const Found& found) {
  const int shown = found.shown.features_size();
  if (shown == found.all && !found.more) return "";
  return fmt::format("{} of {}{}; --limit N shows more\n", shown, found.more ? "more than " : "",
                     found.all);
}

// In the order that was asked for; where that is of a condition's scores, pairs with support come
// before those without, whose scores may be luck.
absl::StatusOr<Found> Listed(Session& session, const ListFlags& flags,
                             const std::string& condition) {
  v1::ListFeaturesRequest request;
  request.set_parent(FullName("dictionaries", flags.dictionary));
  request.set_filter(flags.filter);
  request.set_order_by(flags.order_by);
  request.set_with_association(true);
  request.set_condition(condition);
  Found out;
  if (flags.order_by.find('"') == std::string::npos || condition.empty()) {
    SAED_RETURN_IF_ERROR(AddFeatures(session, request, flags.limit, out));
    return out;
  }
  const std::string given = flags.filter.empty() ? "" : "(" + flags.filter + ") AND ";
  for (const char* supported : {"", "NOT "}) {
    request.set_filter(fmt::format("{}{}p_value(\"{}\") <= 1", given, supported, condition));
    SAED_RETURN_IF_ERROR(AddFeatures(session, request, flags.limit, out));
  }
  return out;
}

// The columns of the list; those that say nothing are empty.
std::vector<std::string> Row(const v1::Feature& f, const Asked& asked, bool all_dictionaries) {
  std::string said = f.label();
  for (const auto& tag : f.tags()) said += (said.empty() ? "#" : " #") + tag;
  const v1::Association& a = f.association();
  const auto c = asked.conditions.find(a.condition());
  const bool best = c != asked.conditions.end() && c->second.has_best_feature() &&
                    c->second.best_feature() == f.latent();
  return {all_dictionaries ? f.name().substr(0, f.name().find("/features/")) : "",
          std::to_string(f.latent()),
          said,
          f.has_association() ? a.condition() : "-",
          Score(a.test().has_auroc(), a.test().auroc()),
          a.has_auroc_low() ? fmt::format("{:.3f}-{:.3f}", a.auroc_low(), a.auroc_high()) : "-",
          Score(a.has_q_value(), a.q_value()),
          Score(a.has_best_unit_test_auroc(), a.best_unit_test_auroc()),
          best ? WorthText(c->second.worth()) : "-",
          fmt::format("{:.2f} %", 100 * f.density()),
          f.has_association() ? JudgedBy(a) : "-",
          Score(a.train().has_auroc(), a.train().auroc()),
          fmt::format("{:.2f}", f.mean_activation()),
          UnitsText(f, 3)};
}

// Instead of a table without rows.
void SayNothingMatches(const ListFlags& flags, int features) {
  const std::string of = flags.dictionary == "-"
                             ? "no feature of any dictionary"
                             : fmt::format("none of the {} features of {}", features,
                                           FullName("dictionaries", flags.dictionary));
  fmt::print("{}\n",
             Wrapped(flags.filter.empty()
                         ? fmt::format("{} has what it is to be ordered by: {}", of, flags.order_by)
                         : fmt::format("{} matches {}", of, flags.filter),
                     TerminalWidth(), 2));
}

absl::Status List(Session& session, ListFlags flags) {
  SAED_ASSIGN_OR_RETURN(const Asked asked, AskedCondition(session, flags));
  if (flags.order_by.empty()) {
    // Without conditions no feature has a best score.
    flags.order_by =
        flags.dictionary != "-" && asked.conditions.empty() ? "density desc" : "best_auroc desc";
  }
  SAED_ASSIGN_OR_RETURN(const Found found, Listed(session, flags, asked.condition));
  const v1::ListFeaturesResponse& all = found.shown;
  if (session.json) {
    fmt::print("{}", Json(all));
    fmt::print(stderr, "{}", LeftOut(found));
    return absl::OkStatus();
  }
  if (all.features().empty()) {
    SayNothingMatches(flags, asked.features);
    return absl::OkStatus();
  }
  const bool all_dictionaries = flags.dictionary == "-";
  std::vector<std::vector<std::string>> rows;
  for (const auto& f : all.features()) rows.push_back(Row(f, asked, all_dictionaries));
  std::vector<std::string> titles = {"DICTIONARY", "FEATURE", "LABEL", "CONDITION", "HELD OUT",
                                     "95 %",       "Q",       "UNIT",  "WORTH",     "ACTIVE",
                                     "JUDGED BY",  "TRAIN",   "MEAN",  "TOP UNITS"};
  std::vector<size_t> right = {1, 4, 5, 6, 7, 9, 11, 12};
  const auto drop = [&](size_t column) {
    titles.erase(titles.begin() + static_cast<std::ptrdiff_t>(column));
    for (auto& row : rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(column));
    for (size_t& r : right) r -= r > column;
  };
  const bool labels =
      std::any_of(rows.begin(), rows.end(), [](const auto& row) { return !row[2].empty(); });
  if (!labels) drop(2);
  if (!all_dictionaries) drop(0);
  fmt::print("{}{}", Table(titles, rows, TerminalWidth(), right), LeftOut(found));
  return absl::OkStatus();
}

void PrintMap(const v1::Tensor& map, const v1::GetFeatureResponse& r) {
  const auto bins = map.shape(0), units = map.shape(1);
  const auto value = [&](int64_t s, int64_t n) {
    float v;
    std::memcpy(&v, map.data().data() + (s * units + n) * sizeof(float), sizeof(float));
    return v;
  };
  std::vector<std::string> titles = {"UNIT"};
  for (int64_t s = 0; s < bins; ++s) titles.push_back(fmt::format("LAG {}", s - bins + 1));
  std::vector<std::vector<std::string>> rows;
  for (const auto& top : r.feature().top_units()) {
    for (int n = 0; n < r.unit_ids_size(); ++n) {
      if (r.unit_ids(n) != top.unit_id()) continue;
      std::vector<std::string> row = {std::to_string(top.unit_id())};
      for (int64_t s = 0; s < bins; ++s) row.push_back(fmt::format("{:.3f}", value(s, n)));
      rows.push_back(std::move(row));
    }
  }
  fmt::print("{}", Table(titles, rows, TerminalWidth()));
}

// A curve as a line of blocks, scaled to its largest value.
template <class Values>
std::string Sparkline(const Values& values) {
  static constexpr const char* kBlocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  float most = 0, least = 0;
  bool first = true;
  for (float v : values) {
    if (!std::isfinite(v)) continue;
    most = first ? v : std::max(most, v);
    least = first ? v : std::min(least, v);
    first = false;
  }
  // From 0 where nothing is below it; evidence from its least.
  const bool below = least < 0;
  if (!below) least = 0;
  std::string out;
  for (float v : values) {
    const bool there = std::isfinite(v) && most > least;
    const auto level = there ? std::lround(8 * (v - least) / (most - least)) : 0;
    out += kBlocks[there && below ? std::max(level, 1L) : level];
  }
  return out;
}

// Two blocks a bin, the largest y on top; where nothing was, a dot.
void PrintPlace(const v1::PlaceMap& map) {
  static constexpr const char* kShades[] = {"░░", "▒▒", "▓▓", "██"};
  const auto bits = [](bool there, double v) { return there ? fmt::format("{:.3f}", v) : "-"; };
  fmt::print(
      "where: {}, held out, judged by {}: {} bits ({} in training); the code {} bits a unit "
      "of\nactivation (Skaggs)\n",
      map.series(), KindName(map.evidence()),
      bits(map.has_test_information(), map.test_information()),
      bits(map.has_train_information(), map.train_information()),
      bits(map.has_code_test_spatial_information(), map.code_test_spatial_information()));
  float least = INFINITY, most = -INFINITY;
  for (float v : map.test_map()) {
    if (!std::isfinite(v)) continue;
    least = std::min(least, v);
    most = std::max(most, v);
  }
  const int columns = std::max(1, map.x_bins());
  for (int row = map.test_map_size() / columns - 1; row >= 0; --row) {
    std::string line = "  ";
    for (int c = 0; c < columns; ++c) {
      const float v = map.test_map(row * columns + c);
      const float share = most > least ? (v - least) / (most - least) : 0;
      line += std::isfinite(v) ? kShades[std::min(3, static_cast<int>(4 * share))] : " ·";
    }
    fmt::print("{}\n", line);
  }
  fmt::print("\n");
}

// The first units that make the feature tell the condition.
std::string Units(const v1::Association& a) {
  std::string out;
  for (int i = 0; i < std::min(3, a.units_size()); ++i) {
    out += (i == 0 ? "" : " ") + std::to_string(a.units(i).unit_id());
  }
  return out;
}

void PrintTunings(const v1::GetFeatureResponse& r) {
  std::vector<const v1::Tuning*> order;
  for (const auto& t : r.tunings()) {
    if (t.has_train_spearman()) order.push_back(&t);
  }
  if (order.empty()) return;
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::abs(a->train_spearman()) > std::abs(b->train_spearman());
  });
  order.resize(std::min<size_t>(order.size(), 8));
  std::vector<std::vector<std::string>> rows;
  for (const auto* t : order) {
    rows.push_back(
        {t->variable(), Score(true, t->train_spearman()),
         Score(t->has_test_spearman(), t->test_spearman()), Score(t->has_q_value(), t->q_value()),
         KindName(t->evidence()), Score(t->has_code_test_spearman(), t->code_test_spearman()),
         Score(t->has_test_information(), t->test_information()), Sparkline(t->test_curve())});
  }
  fmt::print(
      "Spearman's correlation with continuous variables (CODE: of the code alone, held "
      "out),\nheld-out tuning curve\n{}\n",
      Table({"VARIABLE", "TRAIN", "HELD OUT", "Q", "JUDGED BY", "CODE", "BITS", "TUNING"}, rows,
            TerminalWidth(), {1, 2, 3, 5, 6}));
}

void PrintResponses(const v1::GetFeatureResponse& r) {
  if (r.responses().empty()) return;
  std::vector<std::vector<std::string>> rows;
  for (const auto& e : r.responses()) {
    // About 40 blocks, whatever the bins.
    std::vector<float> thin;
    const int step = std::max(1, e.mean_size() / 40);
    for (int i = 0; i < e.mean_size(); i += step) thin.push_back(e.mean(i));
    rows.push_back({e.condition(), std::to_string(e.events()),
                    fmt::format("{:.3f} s", e.peak_latency()), JudgedBy(e.evidence(), e.falls()),
                    Sparkline(thin)});
  }
  const auto& lags = r.responses(0).lags();
  fmt::print(
      "held out around the start of conditions, {:.1f} to {:.1f} s\n(of what falls the "
      "negative)\n{}\n",
      *lags.begin(), *lags.rbegin(),
      Table({"CONDITION", "EVENTS", "PEAK", "JUDGED BY", "MEAN"}, rows, TerminalWidth(), {1, 2}));
}

// Why a feature has no responses, where its model was trained on windows further than a bin apart.
absl::StatusOr<std::string> WithoutResponses(Session& session, const std::string& dictionary) {
  grpc::ClientContext of_dictionary, of_model;
  v1::GetDictionaryRequest request;
  request.set_name(FullName("dictionaries", dictionary));
  v1::GetDictionaryResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().GetDictionary(&of_dictionary, request, &r)));
  v1::GetModelRequest trained;
  trained.set_name(r.dictionary().model());
  v1::GetModelResponse m;
  SAED_RETURN_IF_ERROR(client::FromGrpc(session.client->models().GetModel(&of_model, trained, &m)));
  const int stride = m.model().spec().view().stride();
  return stride > 1 ? fmt::format(
                          "no responses around the start of conditions, as windows begin "
                          "{} bins apart; --stride 1 has them\n\n",
                          stride)
                    : "";
}

absl::Status Show(Session& session, const std::string& dictionary, int latent) {
  grpc::ClientContext context;
  v1::GetFeatureRequest request;
  request.set_name(fmt::format("{}/features/{}", FullName("dictionaries", dictionary), latent));
  v1::GetFeatureResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().GetFeature(&context, request, &r)));
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  const auto& f = r.feature();
  fmt::print("{}\n  active      {:.2f} % of windows ({})\n  activation  mean {:.3f}, max {:.3f}\n",
             f.name(), 100 * f.density(), f.active_windows(), f.mean_activation(),
             f.max_activation());
  if (f.has_importance()) {
    fmt::print("  importance  {:.3g} of the variance is lost without it\n", f.importance());
  }
  for (const auto& a : r.annotations()) {
    const char* kind = a.kind() == v1::Annotation::KIND_LABEL ? "label"
                       : a.kind() == v1::Annotation::KIND_TAG ? "tag"
                                                              : "note";
    fmt::print("  {:<10}  {} ({})\n", kind, a.text(), a.author());
  }
  fmt::print("\n");
  std::vector<std::vector<std::string>> rows;
  for (const auto& a : r.associations()) {
    if (rows.size() == 15) break;
    const auto& t = a.test();
    rows.push_back(
        {a.condition(), Score(a.train().has_auroc(), a.train().auroc()),
         Score(t.has_auroc(), t.auroc()),
         a.has_auroc_low() ? fmt::format("{:.3f}-{:.3f}", a.auroc_low(), a.auroc_high()) : "-",
         Score(a.has_q_value(), a.q_value()),
         a.has_best_unit_test_auroc()
             ? fmt::format("{:.3f} ({})", a.best_unit_test_auroc(), a.best_unit_id())
             : "-",
         JudgedBy(a), Units(a), Score(t.has_coverage(), t.coverage()),
         Score(t.has_precision(), t.precision())});
  }
  fmt::print("AUROC of the best conditions on held-out windows (q: see --help)\n{}\n",
             Table({"CONDITION", "TRAIN", "HELD OUT", "95 %", "Q", "BEST UNIT", "JUDGED BY",
                    "UNITS", "COVERAGE", "PRECISION"},
                   rows, TerminalWidth(), {1, 2, 3, 4, 5, 8, 9}, false));
  if (r.associations_size() > static_cast<int>(rows.size())) {
    fmt::print("{} of {} conditions; --output json has all\n\n", rows.size(),
               r.associations_size());
  }
  PrintTunings(r);
  for (const auto& map : r.place_maps()) PrintPlace(map);
  PrintResponses(r);
  if (r.responses().empty()) {
    SAED_ASSIGN_OR_RETURN(const std::string why, WithoutResponses(session, dictionary));
    fmt::print("{}", why);
  }
  fmt::print("trace-back: mean gradient x input of the top units\n");
  PrintMap(r.trace_map(), r);
  fmt::print("\nexemplars\n");
  rows.clear();
  for (const auto& e : r.exemplars()) {
    rows.push_back(
        {e.kind(), fmt::format("{:.3f} s", e.start_time()), fmt::format("{:.3f}", e.activation())});
  }
  fmt::print("{}", Table({"KIND", "WINDOW START", "ACTIVATION"}, rows, TerminalWidth(), {1, 2}));
  return absl::OkStatus();
}

absl::Status Conditions(Session& session, const std::string& dictionary) {
  grpc::ClientContext context;
  v1::GetDictionaryRequest request;
  request.set_name(FullName("dictionaries", dictionary));
  v1::GetDictionaryResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().GetDictionary(&context, request, &r)));
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& c : r.dictionary().conditions()) {
    const auto optional = [](bool there, double v) { return Score(there, v); };
    rows.push_back(
        {c.condition().name(), std::to_string(c.train_positive()),
         std::to_string(c.test_positive()),
         c.has_best_feature() ? std::to_string(c.best_feature()) : "-",
         optional(c.has_best_feature_test_auroc(), c.best_feature_test_auroc()),
         c.has_best_unit_id()
             ? fmt::format("{}{}", c.best_unit_falls() ? "falls: " : "", c.best_unit_id())
             : "-",
         optional(c.has_best_unit_test_auroc(), c.best_unit_test_auroc()),
         optional(c.has_random_test_auroc(), c.random_test_auroc()),
         optional(c.has_probe_one(), c.probe_one()), optional(c.has_probe_all(), c.probe_all()),
         optional(c.has_probe_counts(), c.probe_counts())});
  }
  fmt::print("{} of {} training and {} held-out windows\n\n{}", r.dictionary().name(),
             r.dictionary().train_windows(), r.dictionary().test_windows(),
             Table({"CONDITION", "TRAIN", "HELD OUT", "FEATURE", "AUROC", "UNIT", "AUROC", "RANDOM",
                    "PROBE", "ALL", "COUNTS"},
                   rows, TerminalWidth(), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  for (const auto& w : r.dictionary().warnings()) fmt::print("warning: {}\n", w);
  return absl::OkStatus();
}

}  // namespace

void AddFeatureCommands(CLI::App& app, Session& session) {
  auto* group = app.add_subcommand("features", "Feature dictionaries: what features stand for");
  group->require_subcommand(1);
  auto* list =
      group->add_subcommand("list",
                            "Features by statistics and scores. CONDITION is each feature's best "
                            "one in training or, where "
                            "the order or the filter names a condition, that one; features with "
                            "support for it come first "
                            "then, others are luck. HELD OUT is the AUROC of what tells it best in "
                            "training, with its 95 % "
                            "interval, Q its p-value corrected for conditions and features, UNIT "
                            "what the best single unit "
                            "reaches, WORTH how the condition's best feature stands beside it.");
  auto flags = std::make_shared<ListFlags>();
  list->add_option("dictionary", flags->dictionary, "Its name or id; - for all dictionaries")
      ->required();
  list->add_option("--filter", flags->filter,
                   "e.g. 'auroc(\"stimuli.kind=flash\") > 0.9 AND density < 0.1', "
                   "'spearman(\"speed\") > 0.3' or 'label:flash'");
  list->add_option("--order-by", flags->order_by,
                   "A field or score, then asc or desc; default: best_auroc desc, or density desc "
                   "where there are no conditions");
  list->add_option("--limit", flags->limit, "Most rows")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  Run(list, session, [&session, flags] { return List(session, *flags); });

  auto* show = group->add_subcommand(
      "show",
      "Everything about one feature. TRAIN and HELD OUT are AUROCs against a condition of what "
      "tells "
      "it best in training, JUDGED BY: the feature's code or a kind of evidence, falls where the "
      "condition lowers it. 95 % is the held-out one's interval over blocks of time, Q its p-value "
      "corrected for conditions and then features, BEST UNIT the held-out AUROC of the single unit "
      "(its id) that does best in training, UNITS those that most make the feature tell the "
      "condition. COVERAGE and PRECISION are of the code.");
  auto dictionary = std::make_shared<std::string>();
  auto latent = std::make_shared<int>(0);
  show->add_option("dictionary", *dictionary, "Its name or id")->required();
  show->add_option("feature", *latent, "Its number")->required();
  Run(show, session,
      [&session, dictionary, latent] { return Show(session, *dictionary, *latent); });

  auto* conditions = group->add_subcommand(
      "conditions",
      "The conditions of a dictionary: in how many windows they hold, the feature and the unit "
      "(falls "
      "where it fires less) with the highest training AUROC and their held-out ones, what the best "
      "of "
      "as many random rows reaches, and the held-out balanced accuracy of logistic probes on that "
      "feature's code, on all codes and on all counts");
  auto of = std::make_shared<std::string>();
  conditions->add_option("dictionary", *of, "Its name or id")->required();
  Run(conditions, session, [&session, of] { return Conditions(session, *of); });
  AddAnnotationCommands(*group, session);
  AddCompareCommands(*group, session);
  AddExportCommand(*group, session);
}

}  // namespace saed::cli

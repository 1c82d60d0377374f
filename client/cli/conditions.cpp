// saectl conditions: what stands for each condition, beside single units.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "client/cli/command.h"
#include "client/cli/evidence.h"
#include "client/cli/output.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Score(bool there, double value) { return there ? fmt::format("{:.3f}", value) : "-"; }

absl::StatusOr<v1::Dictionary> Get(Session& session, const std::string& dictionary) {
  grpc::ClientContext context;
  v1::GetDictionaryRequest request;
  request.set_name(FullName("dictionaries", dictionary));
  v1::GetDictionaryResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().GetDictionary(&context, request, &r)));
  return r.dictionary();
}

// "+0.031 (0.010 to 0.052)".
std::string Difference(double difference, bool interval, double low, double high) {
  return fmt::format("{:+.3f}", difference) +
         (interval ? fmt::format(" ({:+.3f} to {:+.3f})", low, high) : "");
}

// Held-out AUROC of the set that is shown, and of as many units.
template <class Sizes>
std::string OfSize(const Sizes& sizes, int size) {
  if (size < 1 || size > sizes.size()) return "-";
  return Score(sizes[size - 1].has_test_auroc(), sizes[size - 1].test_auroc());
}

// What labels that mean nothing reach.
std::string ControlText(const v1::NegativeControl& n) {
  return fmt::format(
      "{} of {} dealt anew: AUROC {:.3f} on average, {:.3f} at most; q < 0.05 in {} of {} pairs",
      n.labels() == 1 ? "the label" : fmt::format("{} labels", n.labels()),
      n.family().empty() ? "conditions asked for" : n.family(), n.mean_auroc(), n.highest_auroc(),
      n.called(), n.pairs());
}

// "above", "like" or "below".
std::string ShortWorth(v1::Worth worth) {
  const std::string text = WorthText(worth);
  return text.substr(0, text.find(' '));
}

std::vector<std::string> Row(const v1::DictionaryCondition& c) {
  const int size = c.set().members_size();
  return {c.condition().name(),
          c.has_best_feature() ? std::to_string(c.best_feature()) : "-",
          Score(c.has_best_feature_test_auroc(), c.best_feature_test_auroc()),
          Score(c.has_best_unit_test_auroc(), c.best_unit_test_auroc()),
          Score(c.has_random_test_auroc(), c.random_test_auroc()),
          Score(c.has_pca_test_auroc(), c.pca_test_auroc()),
          Score(c.has_ica_test_auroc(), c.ica_test_auroc()),
          Score(c.has_logistic_counts_test_auroc(), c.logistic_counts_test_auroc()),
          ShortWorth(c.worth()),
          OfSize(c.set().sizes(), size),
          size > 0 ? std::to_string(size) : "-",
          OfSize(c.set().unit_sizes(), c.set().units_size()),
          Score(c.has_logistic_latents_test_auroc(), c.logistic_latents_test_auroc()),
          c.has_best_unit_id()
              ? fmt::format("{}{}", c.best_unit_falls() ? "-" : "", c.best_unit_id())
              : "-",
          c.has_over_unit() ? fmt::format("{:+.3f}", c.over_unit()) : "-"};
}

absl::Status List(Session& session, const std::string& name) {
  SAED_ASSIGN_OR_RETURN(const v1::Dictionary d, Get(session, name));
  if (session.json) {
    fmt::print("{}", Json(d));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& c : d.conditions()) rows.push_back(Row(c));
  fmt::print("{}: held-out AUROCs of {} windows\n\n{}", d.name(), d.test_windows(),
             Table({"CONDITION", "FEATURE", "AUROC", "UNIT", "RANDOM", "PCA", "ICA", "COUNTS",
                    "WORTH", "SET", "OF", "UNITS", "LATENTS", "UNIT ID", "OVER"},
                   rows, TerminalWidth(), {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14}, false));
  for (const auto& n : d.controls()) {
    if (!n.has_mean_auroc()) continue;
    fmt::print("{}\n", Wrapped(ControlText(n), TerminalWidth(), 2));
  }
  for (const auto& w : d.warnings()) {
    fmt::print("{}\n", Wrapped("warning: " + w, TerminalWidth(), 2));
  }
  return absl::OkStatus();
}

// What stands beside the feature, in one table.
void PrintBaselines(const v1::DictionaryCondition& c) {
  const auto latents = c.logistic_latents_evidence() == v1::EVIDENCE_KIND_UNSPECIFIED
                           ? std::string("codes")
                           : KindName(c.logistic_latents_evidence()) + " evidence";
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& what, bool there, double auroc) {
    if (there) rows.push_back({what, Score(true, auroc)});
  };
  add("best of as many random rows", c.has_random_test_auroc(), c.random_test_auroc());
  add("best principal component", c.has_pca_test_auroc(), c.pca_test_auroc());
  add("best independent component", c.has_ica_test_auroc(), c.ica_test_auroc());
  add("logistic regression on all latents (" + latents + ")", c.has_logistic_latents_test_auroc(),
      c.logistic_latents_test_auroc());
  add("logistic regression on all counts", c.has_logistic_counts_test_auroc(),
      c.logistic_counts_test_auroc());
  if (rows.empty()) return;
  fmt::print("\n{}", Table({"BESIDE IT", "HELD OUT"}, rows, TerminalWidth(), {1}));
}

void PrintFeature(const v1::DictionaryCondition& c) {
  if (!c.has_best_feature()) {
    fmt::print("  feature   none has support\n");
    return;
  }
  fmt::print("  feature   {}, held out {}\n", c.best_feature(),
             Score(c.has_best_feature_test_auroc(), c.best_feature_test_auroc()));
  if (c.has_best_unit_id()) {
    fmt::print("  unit      {}{}, held out {}\n", c.best_unit_id(),
               c.best_unit_falls() ? " (fires less)" : "",
               Score(c.has_best_unit_test_auroc(), c.best_unit_test_auroc()));
  }
  if (c.has_over_unit()) {
    const bool known = c.worth() != v1::WORTH_UNSPECIFIED;
    fmt::print(
        "  worth     {}: {} over the unit\n", known ? WorthText(c.worth()) : "not known",
        Difference(c.over_unit(), c.has_over_unit_low(), c.over_unit_low(), c.over_unit_high()));
    if (!known) {
      fmt::print(
          "            (too few held-out trials or blocks with it, or without; hold out more)\n");
    }
  }
}

void PrintSet(const v1::FeatureSet& set) {
  const int size = set.members_size();
  fmt::print("\nset of {} feature{}, held out {}{}\n", size, size == 1 ? "" : "s",
             OfSize(set.sizes(), size),
             set.has_auroc_low()
                 ? fmt::format(" ({:.3f} to {:.3f})", set.auroc_low(), set.auroc_high())
                 : "");
  if (set.has_over_unit()) {
    fmt::print("  over the best unit  {}\n", Difference(set.over_unit(), set.has_over_unit_low(),
                                                        set.over_unit_low(), set.over_unit_high()));
  }
  if (set.has_over_units()) {
    fmt::print("  over {:<15}{}\n",
               fmt::format("{} unit{}", set.units_size(), set.units_size() == 1 ? "" : "s"),
               Difference(set.over_units(), set.has_over_units_low(), set.over_units_low(),
                          set.over_units_high()));
  }
  fmt::print("  worth               {}\n\n", WorthText(set.worth()));
  std::vector<std::vector<std::string>> rows;
  for (const auto& m : set.members()) {
    rows.push_back({std::to_string(m.feature()), KindName(m.evidence()),
                    fmt::format("{:+.3f}", m.weight()), fmt::format("{:.4g}", m.mean()),
                    fmt::format("{:.4g}", m.sd())});
  }
  fmt::print("{}\n", Table({"FEATURE", "SCORE", "WEIGHT", "MEAN", "SD"}, rows, TerminalWidth(),
                           {0, 2, 3, 4}));
  rows.clear();
  for (int n = 0; n < std::max(set.sizes_size(), set.unit_sizes_size()); ++n) {
    std::vector<std::string> row = {std::to_string(n + 1)};
    const auto add = [&](const auto& sizes, const auto& id) {
      if (n >= sizes.size()) {
        row.insert(row.end(), 4, "-");
        return;
      }
      const auto& s = sizes[n];
      row.push_back(fmt::format("{}{}", s.added().weight() < 0 ? "-" : "+", id(s.added())));
      row.push_back(Score(s.has_train_auroc(), s.train_auroc()));
      row.push_back(Score(s.has_validated_auroc(), s.validated_auroc()));
      row.push_back(Score(s.has_test_auroc(), s.test_auroc()));
    };
    add(set.sizes(), [](const auto& m) { return m.feature(); });
    add(set.unit_sizes(), [](const auto& m) { return m.unit_id(); });
    rows.push_back(std::move(row));
  }
  fmt::print("{}", Table({"SIZE", "FEATURE", "TRAIN", "FOLDS", "HELD OUT", "UNIT", "TRAIN", "FOLDS",
                          "HELD OUT"},
                         rows, TerminalWidth(), {0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

// What stands for a condition that was left out, as another one holds in the same windows; empty
// where the dictionary tells of none.
std::string SameAs(const v1::Dictionary& d, const std::string& condition) {
  const std::string begin = condition + " (as ";
  for (const std::string& warning : d.warnings()) {
    const size_t at = warning.find(begin);
    if (at == warning.npos || (at > 0 && warning[at - 1] != ' ')) continue;
    const size_t name = at + begin.size();
    for (const auto& c : d.conditions()) {
      const std::string& other = c.condition().name();
      if (warning.compare(name, other.size() + 1, other + ")") == 0) return other;
    }
  }
  return "";
}

// Why it is not there, and how to name what is meant.
absl::Status NoCondition(const v1::Dictionary& d, const std::string& condition) {
  if (const std::string other = SameAs(d, condition); !other.empty()) {
    return absl::NotFoundError(
        fmt::format("'{}' holds in the same windows as '{}', which stands for both; see saectl "
                    "conditions show {} {}",
                    condition, other, d.name(), Quoted(other)));
  }
  std::vector<std::string> names;
  for (const auto& c : d.conditions()) names.push_back(c.condition().name());
  const std::string nearest = Nearest(condition, names);
  std::string why;
  for (const std::string& warning : d.warnings()) {
    if (warning.find(condition) != warning.npos) why += "; " + warning;
  }
  constexpr size_t kShown = 8;
  const size_t all = names.size();
  names.resize(std::min(all, kShown));
  return absl::NotFoundError(fmt::format(
      "{} has no condition '{}'{}{}; it has {}{}", d.name(), condition,
      nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest), why,
      names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")),
      all > kShown
          ? fmt::format(" and {} more, see saectl conditions list {}", all - kShown, d.name())
          : ""));
}

absl::Status Show(Session& session, const std::string& name, const std::string& condition) {
  SAED_ASSIGN_OR_RETURN(const v1::Dictionary d, Get(session, name));
  const auto c = std::find_if(d.conditions().begin(), d.conditions().end(),
                              [&](const auto& one) { return one.condition().name() == condition; });
  if (c == d.conditions().end()) return NoCondition(d, condition);
  if (session.json) {
    fmt::print("{}", Json(*c));
    return absl::OkStatus();
  }
  const std::string title = c->condition().name() + ": ";
  fmt::print("{}{}\n", title, Wrapped(c->condition().expression(), TerminalWidth(), 2));
  fmt::print("  holds in  {} of {} training and {} of {} held-out windows\n", c->train_positive(),
             c->train_asked() > 0 ? c->train_asked() : d.train_windows(), c->test_positive(),
             c->train_asked() > 0 ? c->test_asked() : d.test_windows());
  PrintFeature(*c);
  PrintBaselines(*c);
  if (c->has_set()) {
    PrintSet(c->set());
  } else {
    fmt::print(
        "\nno set of features: sets are looked for where a feature has support, of sixteen "
        "conditions\nat most, those of the request first\n");
  }
  return absl::OkStatus();
}

// One condition over all recordings.
absl::Status Pool(Session& session, const std::string& condition, bool all) {
  grpc::ClientContext context;
  v1::PoolConditionRequest request;
  request.set_condition(condition);
  request.set_all_dictionaries(all);
  v1::PoolConditionResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().PoolCondition(&context, request, &r)));
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& e : r.entries()) {
    const auto& c = e.condition();
    const auto& a = e.association();
    rows.push_back(
        {e.recording_display_name().empty() ? e.recording() : e.recording_display_name(),
         e.dictionary(), c.has_best_feature() ? std::to_string(c.best_feature()) : "-",
         Score(c.has_best_feature_test_auroc(), c.best_feature_test_auroc()),
         a.has_auroc_low() ? fmt::format("{:.2f}-{:.2f}", a.auroc_low(), a.auroc_high()) : "-",
         a.has_q_value() ? fmt::format("{:.2g}", a.q_value()) : "-",
         Score(c.has_best_unit_test_auroc(), c.best_unit_test_auroc()), ShortWorth(c.worth())});
  }
  fmt::print("{}",
             Table({"RECORDING", "DICTIONARY", "FEATURE", "AUROC", "95 %", "Q", "UNIT", "WORTH"},
                   rows, TerminalWidth(), {2, 3, 4, 5, 6}));
  if (!r.has_mean_auroc()) {
    fmt::print("no feature has a held-out score for it; see saectl conditions list DICTIONARY\n");
    return absl::OkStatus();
  }
  fmt::print(
      "{}\n",
      Wrapped(fmt::format(
                  "{}: mean AUROC {:.3f}{} over {} recording{}, above units in "
                  "{}{}",
                  condition, r.mean_auroc(),
                  r.has_sd_auroc() ? fmt::format(" (SD {:.3f})", r.sd_auroc()) : "", r.scored(),
                  r.scored() == 1 ? "" : "s", r.above_units(),
                  r.has_p_value() ? fmt::format("; combined p {:.2g} (Fisher)", r.p_value()) : ""),
              TerminalWidth(), 2));
  return absl::OkStatus();
}

}  // namespace

void AddConditionCommands(CLI::App& app, Session& session) {
  auto* group =
      app.add_subcommand("conditions", "Conditions of a dictionary: what stands for each of them");
  group->require_subcommand(1);
  auto dictionary = std::make_shared<std::string>();
  auto condition = std::make_shared<std::string>();
  auto* list = group->add_subcommand(
      "list",
      "Held-out AUROCs for each condition: of its FEATURE, the best single UNIT, the best of as "
      "many RANDOM rows and of as many principal (PCA) and independent (ICA) components, each with "
      "its sign and chosen on training windows, and of logistic regression on all COUNTS of the "
      "window, about the most that can be read out. WORTH: whether the feature is above the unit, "
      "like it or below, by the 95 % interval of the difference OVER over trials or blocks of "
      "time; - where fewer than ten of these hold it, or are without it: hold out more. SET: what "
      "a set of features reaches, OF how many, and as many UNITS; LATENTS: logistic regression on "
      "all latents; UNIT ID: - where it fires less.");
  list->add_option("dictionary", *dictionary, "Its name or id")->required();
  Run(list, session, [&session, dictionary] { return List(session, *dictionary); });
  auto* show = group->add_subcommand(
      "show",
      "One condition: its feature beside the best unit and plain methods, and the smallest set of "
      "features that stands for it. A set's score is the sum of WEIGHT x (SCORE - MEAN) / SD over "
      "its features. The second table has what each size adds (- where the condition lowers it) "
      "and its AUROC on training windows, over folds of them (by which the size is chosen) and "
      "held out, for features and for single units.");
  auto all = std::make_shared<bool>(false);
  auto* pool = group->add_subcommand(
      "pool",
      "What stands for a condition in all recordings that have it: the newest dictionary of each, "
      "the best first, and their mean. Columns as in list and features list.");
  pool->add_option("condition", *condition, "Its name, e.g. trials.side=left")->required();
  pool->add_flag("--all", *all, "Every dictionary, not only the newest of each recording");
  Run(pool, session, [&session, condition, all] { return Pool(session, *condition, *all); });
  show->add_option("dictionary", *dictionary, "Its name or id")->required();
  show->add_option("condition", *condition, "Its name")->required();
  Run(show, session,
      [&session, dictionary, condition] { return Show(session, *dictionary, *condition); });
}

}  // namespace saed::cli

#include "server/features/dictionary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "server/base/status_macros.h"
#include "server/features/dealt_labels.h"
#include "server/features/describe.h"
#include "server/features/drivers.h"
#include "server/features/events.h"
#include "server/features/labels.h"
#include "server/features/offsets.h"
#include "server/features/random_control.h"
#include "server/features/read_out.h"
#include "server/features/sides.h"
#include "server/features/unit_baseline.h"
#include "server/features/variable_table.h"
#include "server/recordings/plausible.h"
#include "server/sae/ablation.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

// Where so many times as many latents are active in held-out windows as in training ones, codes of
// training windows are no sample of codes: the model knows these windows by heart.
constexpr double kByHeart = 1.75;
constexpr double kCalled = 0.05;  // q below which a pair is usually called
constexpr int64_t kLatentsAtOnce = 64;

// q-values of the variables, over every pair that has a p-value.
void CorrectVariables(std::vector<Feature>& features) {
  std::vector<double> p;
  for (const Feature& f : features) {
    for (const auto& pair : f.variables) {
      if (pair.p) p.push_back(*pair.p);
    }
  }
  const std::vector<double> q = BenjaminiHochberg(p);
  size_t at = 0;
  for (Feature& f : features) {
    for (auto& pair : f.variables) {
      if (pair.p) pair.q = q[at++];
    }
  }
}

// q-values of the labels `some`, a family of conditions: see FamilyQValues.
void CorrectFamily(const std::vector<size_t>& some, std::vector<Feature>& features) {
  std::vector<std::vector<double>> p(some.size());
  for (const Feature& f : features) {
    for (size_t i = 0; i < some.size(); ++i) {
      if (const auto& of = f.certainty[some[i]].p) p[i].push_back(*of);
    }
  }
  const auto q = FamilyQValues(p);
  std::vector<size_t> at(some.size(), 0);
  for (Feature& f : features) {
    for (size_t i = 0; i < some.size(); ++i) {
      Certainty& certainty = f.certainty[some[i]];
      if (certainty.p) certainty.q = q[i][at[i]++];
    }
  }
}

// What needs the model's target: ablation and spectra.
absl::Status AddReconstruction(const sae::Encoder& encoder, const recordings::ViewData& view,
                               const CountView& target, const std::vector<int64_t>& starts,
                               const Progress& progress, Dictionary& out) {
  SAED_ASSIGN_OR_RETURN(const auto importance,
                        sae::AblationImportance(encoder, view.counts(), target, starts,
                                                [&] { return progress(0.9); }));
  for (Feature& f : out.features) f.importance = importance[f.latent];
  SAED_ASSIGN_OR_RETURN(
      out.spectra, sae::SpectralFidelity(encoder, view.counts(), target, starts, view.bin_width,
                                         [&] { return progress(0.95); }));
  return absl::OkStatus();
}

// The parts of progress that the steps take, in order.
constexpr double kEncoded = 0.3, kDescribed = 0.4, kJudged = 0.55, kCertified = 0.7,
                 kControlled = 0.75, kSetsFound = 0.8;

Progress Within(const Progress& progress, double from, double to) {
  return [&progress, from, to](double fraction) { return progress(from + (to - from) * fraction); };
}

// What is drawn as a whole, and counted as one: trials, however few there are, because windows of
// one are alike; else many stretches of one value, or blocks of time.
std::vector<int64_t> DrawnBlocks(const recordings::ViewData& view,
                                 const std::vector<int64_t>& starts) {
  std::vector<int64_t> of_split = SplitBlocks(view, starts);
  const bool trials = view.scored.has_value();
  return trials || of_split.size() > kBlocksToDeal ? of_split : TimeBlocks(starts);
}

class Builder {
 public:
  Builder(const sae::Encoder& encoder, const recordings::Recording& recording,
          const recordings::ViewData& view, const std::optional<CountView>& target,
          const Progress& progress, int64_t held, const Precedent* precedent)
      : encoder_(encoder),
        recording_(recording),
        view_(view),
        target_(target),
        progress_(progress),
        held_(held),
        precedent_(precedent),
        sides_(Sides::Of(view)),
        train_starts_(sides_.TrainStarts()),
        test_starts_(sides_.TestStarts()),
        split_blocks_(SplitBlocks(view, test_starts_)),
        drawn_blocks_(DrawnBlocks(view, test_starts_)),
        train_blocks_(DrawnBlocks(view, train_starts_)) {
    if (!target) return;
    columns_.emplace(encoder, view.counts(), *target);
    kinds_ = columns_->Kinds();
  }

  absl::StatusOr<Dictionary> Build(const std::vector<Condition>& user_conditions,
                                   const ConditionColumns& columns) {
    SAED_RETURN_IF_ERROR(Label(user_conditions, columns));
    Warn(user_conditions.size());
    out_.warnings.insert(out_.warnings.end(), left_out_.begin(), left_out_.end());
    ScoreUnits();
    SAED_ASSIGN_OR_RETURN(
        encoded_, EncodeAll(encoder_, view_, sides_.starts, held_, Within(progress_, 0, kEncoded)));
    SAED_RETURN_IF_ERROR(DescribeAll());
    SAED_RETURN_IF_ERROR(Judge());
    ChooseBest();
    TraceBack();
    SAED_RETURN_IF_ERROR(Certify());
    SAED_RETURN_IF_ERROR(Control());
    SumUpControls();
    encoded_.activations = {};
    SAED_RETURN_IF_ERROR(BesideUnits(user_conditions.size()));
    SAED_RETURN_IF_ERROR(BesideWhatTrains(user_conditions.size()));
    if (target_ && !test_starts_.empty()) {
      SAED_RETURN_IF_ERROR(
          AddReconstruction(encoder_, view_, *target_, test_starts_, progress_, out_));
    }
    return std::move(out_);
  }

 private:
  size_t conditions() const { return out_.conditions.size(); }
  // The conditions, then labels of negative controls, which are scored in the same way.
  size_t labels() const { return labels_.size(); }

  absl::Status Label(const std::vector<Condition>& users, const ConditionColumns& columns) {
    SAED_ASSIGN_OR_RETURN(
        LabelledConditions labelled,
        LabelConditions(recording_, view_, sides_.starts, users, columns, left_out_));
    out_.conditions = std::move(labelled.conditions);
    labels_ = std::move(labelled.labels);
    for (size_t c = 0; c < conditions(); ++c) families_[out_.conditions[c].family].push_back(c);
    if (!sides_.in_sample) {
      for (const auto& [family, members] : families_) {
        for (auto& label : DealtLabels(view_, sides_, labels_, members, labels())) {
          control_families_[family].push_back(labels());
          labels_.push_back(std::move(label));
        }
      }
    }
    LabelRows train_labels;
    for (const auto& row : labels_) {
      train_labels.push_back(TrainLabel(row));
      test_labels_.push_back(TestLabel(row));
    }
    train_ = ByWindow(train_labels, sides_.train);
    test_ = ByWindow(test_labels_, sides_.test());
    events_.emplace(train_labels, train_starts_, train_blocks_);
    out_.train_windows = sides_.train;
    out_.test_windows = sides_.test();
    const auto of_conditions = [&](const std::vector<int64_t>& all) {
      return std::vector<int64_t>(all.begin(), all.begin() + std::ssize(out_.conditions));
    };
    out_.train_positive = of_conditions(train_.positive);
    out_.test_positive = of_conditions(test_.positive);
    out_.train_asked = of_conditions(train_.asked);
    out_.test_asked = of_conditions(test_.asked);
    for (const auto& label : test_labels_) onsets_.push_back(Onsets(label, test_starts_));
    null_.emplace(test_labels_, sides_.test(), split_blocks_);
    for (size_t c = 0; c < users.size(); ++c) WarnOfFewBlocks(c);
    WarnOfFewBlocksBeyond(users.size());
    return absl::OkStatus();
  }

  std::vector<WindowLabel> TrainLabel(const std::vector<WindowLabel>& row) const {
    return {row.begin(), row.begin() + sides_.train};
  }
  std::vector<WindowLabel> TestLabel(const std::vector<WindowLabel>& row) const {
    return {row.begin() + (sides_.in_sample ? 0 : sides_.train), row.end()};
  }

  // What the model's own dictionary chose for a condition; null where it chose nothing.
  const Precedent::Choices* Before(size_t c) const {
    if (precedent_ == nullptr || c >= conditions()) return nullptr;
    const auto at = precedent_->conditions.find(out_.conditions[c].name);
    return at == precedent_->conditions.end() ? nullptr : &at->second;
  }

  // Of the automatic conditions, all in one line.
  void WarnOfFewBlocksBeyond(size_t users) {
    int64_t few = 0;
    for (size_t c = users; c < conditions(); ++c) few += null_->SmallestP(c) > kCalled;
    if (few == 0 || sides_.in_sample) return;
    out_.warnings.push_back(fmt::format(
        "{} of {} automatic conditions keep to so few of the {} held-out trials or blocks that "
        "their p and q cannot be below {}, whatever a feature does; hold out more of them",
        few, conditions() - users, split_blocks_.size() - 1, kCalled));
  }

  void WarnOfFewBlocks(size_t c) {
    const double least = null_->SmallestP(c);
    if (least <= kCalled || sides_.in_sample) return;
    out_.warnings.push_back(fmt::format(
        "condition '{}' keeps to whole held-out trials or blocks of the split, {} in all: no p or "
        "q can be below {:.2g}, whatever a feature does; hold out more of them",
        out_.conditions[c].name, split_blocks_.size() - 1, least));
  }

  // About the bins and the first `users` conditions.
  void Warn(size_t users) {
    if (sides_.in_sample) {
      out_.warnings.emplace_back(
          "held-out windows are the training windows, so AUROCs are optimistic and there are no "
          "p-values of conditions; choose a split");
    }
    if (std::string note = recordings::WideBins(view_.bin_width); !note.empty()) {
      out_.warnings.push_back(std::move(note));
    }
    if (sides_.train == 0) WarnOfPrecedent();
    for (size_t c = 0; c < users; ++c) {
      for (const std::string& line : LongOffsets(out_.conditions[c].expression, recording_)) {
        out_.warnings.push_back(fmt::format("condition '{}': {}", out_.conditions[c].name, line));
      }
      for (const auto& [side, positive, all] :
           {std::tuple("training", train_.positive[c], train_.asked[c]),
            std::tuple("held-out", test_.positive[c], test_.asked[c])}) {
        if (positive > 0 && positive < all) continue;
        if (sides_.train == 0 && all == 0) continue;  // WarnOfPrecedent speaks of it
        out_.warnings.push_back(fmt::format(
            "condition '{}' holds in {} of the {} windows of which it asks, so there are no scores "
            "on that side; choose another split, for instance by a column",
            out_.conditions[c].name, positive == 0 ? "none" : "all", side));
      }
    }
  }

  // Of a recording that has no training windows.
  void WarnOfPrecedent() {
    size_t known = 0;
    for (size_t c = 0; c < conditions(); ++c) {
      const Precedent::Choices* before = Before(c);
      known += before != nullptr && !before->features.empty();
    }
    if (precedent_ == nullptr) {
      out_.warnings.emplace_back(
          "nothing trained here and the model has no dictionary of the recording that it was "
          "trained on, so no feature could be chosen for a condition; analyse that recording "
          "first");
      return;
    }
    out_.warnings.push_back(fmt::format(
        "nothing trained here: which feature, unit and evidence stands for a condition is what {} "
        "chose, and all {} windows are held out; it chose for {} of {} conditions by name. "
        "Units are matched by id: are they the same neurons?",
        precedent_->dictionary, sides_.test(), known, conditions()));
  }

  // Those that the model's own dictionary chose.
  void ScoreUnitsAsBefore() {
    out_.best_units.resize(conditions());
    best_units_.resize(conditions());
    for (size_t c = 0; c < conditions(); ++c) {
      const Precedent::Choices* before = Before(c);
      if (before == nullptr || !before->unit) continue;
      const auto found = FindUnit(*before->unit, view_, test_starts_, test_, c);
      if (!found) continue;
      best_units_[c] = found->unit;
      out_.best_units[c] = Dictionary::BestUnit{before->unit->id, found->unit.falls,
                                                before->unit->train_auroc, found->auroc};
    }
  }

  void ScoreUnits() {
    if (precedent_ != nullptr) return ScoreUnitsAsBefore();
    for (const auto& best : BestUnits(view_, train_starts_, train_, test_starts_, test_)) {
      if (out_.best_units.size() == conditions()) break;
      out_.best_units.emplace_back();
      best_units_.emplace_back();
      if (!best) continue;
      best_units_.back() = ViewUnit{best->unit, best->falls};
      out_.best_units.back() =
          Dictionary::BestUnit{recording_.units[view_.units[best->unit]].id, best->falls,
                               best->train_auroc, best->test_auroc};
    }
  }

  // Calls use(latent, activations over all windows) for every latent, several at once.
  absl::Status ForLatents(const Progress& progress,
                          const std::function<void(int64_t, const Activations&)>& use) {
    const auto features = static_cast<int64_t>(encoded_.entries.size());
    for (const auto& [begin, end] : Groups(encoded_, held_)) {
      std::vector<Activations> some;
      if (!encoded_.whole) {
        std::vector<bool> wanted(features);
        std::fill(wanted.begin() + begin, wanted.begin() + end, true);
        const double at = static_cast<double>(begin) / static_cast<double>(features);
        SAED_ASSIGN_OR_RETURN(some, Activate(
                                        encoder_, view_, sides_.starts,
                                        [&](double) { return progress(at); }, wanted));
      }
      const auto& activations = encoded_.whole ? encoded_.activations : some;
      for (int64_t first = begin; first < end; first += kLatentsAtOnce) {
        if (!progress(static_cast<double>(first) / static_cast<double>(features))) {
          return absl::CancelledError("stopped while building the dictionary");
        }
        sae::ForBlocks(std::min(kLatentsAtOnce, end - first), 1, [&](int64_t, int64_t i, int64_t) {
          use(first + i, activations[first + i]);
        });
      }
    }
    return absl::OkStatus();
  }

  Activations OnTrain(const Activations& active) const { return Part(active, 0, sides_.train); }
  Activations OnTest(const Activations& active) const {
    return sides_.in_sample ? active : Part(active, sides_.train, sides_.windows());
  }

  // What latents are and how their codes and the variables go together.
  absl::Status DescribeAll() {
    variables_.emplace(AutomaticVariables(recording_, view_, sides_.starts, out_.warnings),
                       recording_, view_, sides_.starts, sides_.train, sides_.in_sample,
                       split_blocks_);
    out_.variables = variables_->summaries();
    places_.emplace(recording_, view_, sides_.starts, sides_.train, sides_.in_sample);
    out_.places = places_->summaries();
    out_.features.resize(encoded_.entries.size());
    active_.resize(out_.features.size());
    active_held_out_.resize(out_.features.size());
    active_events_.resize(out_.features.size());
    SAED_RETURN_IF_ERROR(ForLatents(
        Within(progress_, kEncoded, kDescribed), [&](int64_t j, const Activations& active) {
          Feature& f = out_.features[j];
          f.latent = static_cast<int>(j);
          Describe(encoder_.model(), recording_, view_, sides_.starts, active, f);
          const Activations on_train = OnTrain(active), on_test = OnTest(active);
          active_[j] = static_cast<int64_t>(on_train.size());
          active_held_out_[j] = static_cast<int64_t>(on_test.size());
          f.train = Score(on_train, train_);
          f.test = Score(on_test, test_);
          active_events_[j] = events_->ActiveIn(on_train, train_);
          f.certainty.resize(labels());
          f.variables = variables_->ByCode(on_train, on_test);
          f.places = places_->ByCode(on_train, on_test);
        }));
    return absl::OkStatus();
  }

  // Leaves what depends on codes out of what features are judged by where codes of training windows
  // say little of others (see kByHeart). Whether fixed filters alone judge.
  bool JudgeByFiltersAlone() {
    const auto mean = [](const std::vector<int64_t>& active, int64_t windows) {
      const auto sum =
          static_cast<double>(std::accumulate(active.begin(), active.end(), int64_t{0}));
      return sum / static_cast<double>(std::max<int64_t>(1, windows));
    };
    const double train = mean(active_, sides_.train), test = mean(active_held_out_, sides_.test());
    const bool filters = std::any_of(kinds_.begin(), kinds_.end(),
                                     [](sae::EvidenceKind kind) { return !sae::NeedsCodes(kind); });
    if (!filters || sides_.in_sample || test <= kByHeart * train) return false;
    std::erase_if(kinds_, sae::NeedsCodes);
    out_.warnings.push_back(fmt::format(
        "{:.3g} latents are active in held-out windows and {:.3g} in training ones, which the "
        "model knows by heart: features are judged by fixed filters, not by codes; train more "
        "windows or fewer features",
        test, train));
    return true;
  }

  void JudgeAsBefore() {
    for (Feature& f : out_.features) {
      f.judged.assign(labels(), {});
      for (size_t c = 0; c < conditions(); ++c) {
        const Precedent::Choices* before = Before(c);
        if (before == nullptr) continue;
        const auto at = before->features.find(f.latent);
        if (at == before->features.end()) continue;
        // Evidence is not there where the model's target is not known.
        const auto& kind = at->second.kind;
        if (kind && std::find(kinds_.begin(), kinds_.end(), *kind) == kinds_.end()) continue;
        f.judged[c] = at->second;
      }
    }
  }

  absl::Status Judge() {
    if (precedent_ != nullptr) {
      JudgeAsBefore();
    } else {
      SAED_RETURN_IF_ERROR(JudgeByTraining());
    }
    for (Feature& f : out_.features) {
      for (size_t c = 0; c < labels(); ++c) {
        Judged& j = f.judged[c];
        if (j.kind || !f.test[c].auroc) continue;
        j.test_auroc = j.falls ? 1 - *f.test[c].auroc : *f.test[c].auroc;
      }
    }
    return absl::OkStatus();
  }

  absl::Status JudgeByTraining() {
    const bool filters_alone = JudgeByFiltersAlone();
    std::vector<std::vector<Judged>> judged(out_.features.size());
    std::vector<int32_t> alive;
    for (const Feature& f : out_.features) {
      JudgeByCode(f.train, judged[f.latent]);
      if (static_cast<double>(active_[f.latent]) < kMinimumSupport) continue;
      alive.push_back(f.latent);
      if (filters_alone) judged[f.latent].assign(labels(), {});
    }
    for (const int32_t j : alive) {
      if (!filters_alone) break;
      for (VariableScores& s : out_.features[j].variables) s.train_spearman.reset();
      for (PlaceScores& s : out_.features[j].places) s.train_information.reset();
    }
    if (columns_) {
      SAED_RETURN_IF_ERROR(
          JudgeByEvidence(*columns_, kinds_, alive, train_starts_, train_, held_,
                          Within(progress_, kDescribed, kJudged), judged,
                          [&](sae::EvidenceKind kind, int32_t j, const Activations& column) {
                            variables_->Judge(kind, column, out_.features[j].variables);
                            places_->Judge(kind, column, out_.features[j].places);
                          }));
    }
    for (Feature& f : out_.features) f.judged = std::move(judged[f.latent]);
    return absl::OkStatus();
  }

  // See kMinimumSupport and kSupportEvents.
  bool Supported(const Feature& f, size_t c) const {
    const Judged& judged = f.judged[c];
    if (precedent_ != nullptr) return judged.train_auroc && f.test[c].auroc;
    const auto positive = static_cast<double>(train_.positive[c]);
    const int64_t events = events_->holding(c);
    const auto negative = static_cast<double>(train_.asked[c]) - positive;
    if (!judged.train_auroc || !f.test[c].auroc || positive < kMinimumSupport ||
        negative < kMinimumSupport || events < kFewestEvents ||
        events_->without(c) < kFewestEvents) {
      return false;
    }
    if (judged.kind || judged.falls) {
      return static_cast<double>(active_[f.latent]) >= kMinimumSupport;
    }
    const int64_t active = active_events_[f.latent][c];
    // A whole number, of which coverage is a quotient.
    return std::round(f.train[c].coverage.value_or(0) * positive) >= kMinimumSupport &&
           active >= std::min(kSupportEvents, (events + 1) / 2) &&
           static_cast<double>(active) >= kSupportShare * static_cast<double>(events);
  }

  // The best condition of every feature, and the best feature of every label.
  void ChooseBest() {
    best_of_.assign(labels(), std::nullopt);
    best_auroc_.assign(labels(), 0);
    supported_.assign(out_.features.size(), std::vector<bool>(labels()));
    wants_interval_.assign(out_.features.size(), std::vector<bool>(labels()));
    for (Feature& f : out_.features) {
      std::vector<size_t> order;
      for (size_t c = 0; c < labels(); ++c) {
        if (!Supported(f, c)) continue;
        supported_[f.latent][c] = true;
        if (c < conditions()) order.push_back(c);
        const double auroc = *f.judged[c].train_auroc - (f.judged[c].falls ? kFallingMargin : 0);
        if (!best_of_[c] || auroc > best_auroc_[c]) {
          best_auroc_[c] = auroc;
          best_of_[c] = f.latent;
        }
      }
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return *f.judged[a].train_auroc > *f.judged[b].train_auroc;
      });
      if (!order.empty()) f.best_condition = static_cast<int>(order[0]);
      order.resize(std::min(order.size(), kIntervals));
      for (const size_t c : order) wants_interval_[f.latent][c] = true;
    }
    out_.best_features.assign(best_of_.begin(), best_of_.begin() + std::ssize(out_.conditions));
    // A label's feature has its interval even where other labels suit that feature better.
    for (size_t c = 0; c < labels(); ++c) {
      if (best_of_[c]) wants_interval_[*best_of_[c]][c] = true;
    }
  }

  // Largest first.
  std::vector<TopUnit> Drivers(const Contrasts& contrasts, const Feature& f, size_t c) const {
    const std::vector<double> drives = contrasts.Drives(f.latent, c, f.judged[c]);
    double total = 0;
    std::vector<TopUnit> out;
    for (size_t n = 0; n < drives.size(); ++n) {
      total += std::abs(drives[n]);
      out.push_back({view_.unit_ids[n], drives[n], 0});
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const TopUnit& a, const TopUnit& b) { return a.drive > b.drive; });
    out.resize(std::min(out.size(), kDrivers));
    std::erase_if(out, [](const TopUnit& unit) { return unit.drive <= 0; });
    for (TopUnit& unit : out) unit.share = total > 0 ? unit.drive / total : 0;
    return out;
  }

  void TraceBack() {
    const bool held_out = sides_.train == 0;
    const Contrasts contrasts(encoder_.model(), view_.counts(),
                              held_out ? test_starts_ : train_starts_, held_out ? test_ : train_);
    for (Feature& f : out_.features) {
      f.drivers.resize(conditions());
      for (size_t c = 0; c < conditions(); ++c) {
        if (wants_interval_[f.latent][c]) f.drivers[c] = Drivers(contrasts, f, c);
      }
    }
  }

  // p-values, intervals, responses and held-out AUROCs of the pairs that `kind` judges with this
  // sign, from the held-out values whose largest speak for the condition.
  void CertifyPairs(std::optional<sae::EvidenceKind> kind, bool falls, const Activations& values,
                    Feature& f) const {
    std::vector<bool> shown(labels()), others(labels());
    for (size_t c = 0; c < labels(); ++c) {
      const Judged& judged = f.judged[c];
      if (!supported_[f.latent][c] || judged.kind != kind || judged.falls != falls) continue;
      (wants_interval_[f.latent][c] ? shown : others)[c] = true;
    }
    const auto stream = static_cast<uint64_t>(f.latent);
    for (size_t c = 0; c < labels(); ++c) {
      if (!shown[c] || drawn_blocks_.size() <= kBlocksToDeal) continue;
      f.certainty[c].interval = BootstrapAuroc(values, test_labels_[c], drawn_blocks_, stream);
    }
    for (size_t c = 0; c < conditions(); ++c) {
      if (!shown[c] || onsets_[c].empty()) continue;
      f.responses.emplace_back(static_cast<int>(c),
                               PeriEvent(values, onsets_[c], test_starts_, view_.bin_width));
    }
    // Where held-out windows are those on which kind and sign were chosen, nothing could be tested.
    if (sides_.in_sample) return;
    const auto p = null_->PValues(values, shown, stream, Draws());
    const auto rough = null_->PValues(values, others, stream, std::min(Draws(), kFewerShifts));
    for (size_t c = 0; c < labels(); ++c) {
      if (shown[c] || others[c]) f.certainty[c].p = shown[c] ? p[c] : rough[c];
    }
  }

  // Both signs, and the variables that it judges.
  void CertifyKind(std::optional<sae::EvidenceKind> kind, const Activations& values,
                   Feature& f) const {
    bool rises = false, falls = false;
    for (const Judged& judged : f.judged) {
      if (judged.kind == kind) (judged.falls ? falls : rises) = true;
    }
    if (rises) CertifyPairs(kind, false, values, f);
    if (falls) CertifyPairs(kind, true, Negated(values, sides_.test()), f);
    if (static_cast<double>(active_[f.latent]) >= kMinimumSupport) {
      variables_->Certify(kind, values, static_cast<uint64_t>(f.latent),
                          static_cast<int64_t>(out_.features.size()), f.variables);
    }
    if (!kind) return;
    places_->Certify(*kind, values, f.places);
    const auto aurocs = Aurocs(values, test_);
    for (size_t c = 0; c < labels(); ++c) {
      Judged& judged = f.judged[c];
      if (judged.kind != kind || !aurocs[c]) continue;
      judged.test_auroc = judged.falls ? 1 - *aurocs[c] : *aurocs[c];
    }
  }

  int Draws() const {
    return AffordableDraws(static_cast<int64_t>(out_.features.size()), null_->stretches());
  }

  absl::Status Certify() {
    const Progress progress = Within(progress_, kJudged, kCertified);
    SAED_RETURN_IF_ERROR(ForLatents(progress, [&](int64_t j, const Activations& active) {
      Feature& f = out_.features[j];
      CertifyKind(std::nullopt, OnTest(active), f);
    }));
    for (const sae::EvidenceKind kind : kinds_) {
      std::vector<int32_t> latents;
      for (const Feature& f : out_.features) {
        const auto judges = [&](const auto& pair) { return pair.kind == kind; };
        if (std::any_of(f.judged.begin(), f.judged.end(), judges) ||
            std::any_of(f.variables.begin(), f.variables.end(), judges) ||
            std::any_of(f.places.begin(), f.places.end(), judges)) {
          latents.push_back(f.latent);
        }
      }
      SAED_RETURN_IF_ERROR(ForColumns(
          *columns_, kind, latents, test_starts_, held_, progress,
          [&](const std::vector<int32_t>& some, const std::vector<Activations>& values) {
            sae::ForBlocks(static_cast<int64_t>(some.size()), 1, [&](int64_t, int64_t i, int64_t) {
              CertifyKind(kind, values[i], out_.features[some[i]]);
            });
          }));
    }
    for (Feature& f : out_.features) {
      std::stable_sort(f.responses.begin(), f.responses.end(), [&](const auto& a, const auto& b) {
        const double left = *f.judged[a.first].train_auroc, right = *f.judged[b.first].train_auroc;
        return left > right || (left == right && a.first < b.first);
      });
    }
    for (const auto& [family, members] : families_) CorrectFamily(members, out_.features);
    for (const auto& [family, members] : control_families_) CorrectFamily(members, out_.features);
    CorrectVariables(out_.features);
    return absl::OkStatus();
  }

  // What features reached for labels that mean nothing; then only conditions are left.
  void SumUpControls() {
    for (const auto& [family, members] : control_families_) {
      NegativeControl& control = out_.controls.emplace_back();
      control.family = family;
      control.labels = static_cast<int>(members.size());
      double sum = 0, scored = 0;
      for (const size_t c : members) {
        for (const Feature& f : out_.features) {
          control.pairs += f.certainty[c].q.has_value();
          control.called += f.certainty[c].q.value_or(1) < kCalled;
        }
        if (!best_of_[c]) continue;
        const auto& auroc = out_.features[*best_of_[c]].judged[c].test_auroc;
        if (!auroc) continue;
        sum += *auroc;
        scored += 1;
        control.highest_auroc = std::max(control.highest_auroc.value_or(0), *auroc);
      }
      if (scored > 0) control.mean_auroc = sum / scored;
    }
    for (Feature& f : out_.features) {
      f.train.resize(conditions());
      f.test.resize(conditions());
      f.judged.resize(conditions());
      f.certainty.resize(conditions());
    }
    out_.random.resize(conditions());
    labels_.resize(conditions());
    test_labels_.resize(conditions());
  }

  absl::Status Control() {
    out_.random.resize(labels());
    if (!target_) return absl::OkStatus();
    SAED_ASSIGN_OR_RETURN(
        out_.random, RandomControl(encoder_.model(), *target_, train_starts_, train_, test_starts_,
                                   test_, held_, Within(progress_, kCertified, kControlled)));
    return absl::OkStatus();
  }

  SetSearch Search() const {
    return {encoder_,         view_,         columns_ ? &*columns_ : nullptr,
            train_starts_,    test_starts_,  labels_,
            test_labels_,     train_blocks_, drawn_blocks_,
            sides_.in_sample, held_};
  }

  // Methods that learn on the training side themselves.
  absl::Status BesideWhatTrains(size_t users) {
    out_.probes.resize(conditions());
    out_.baselines.resize(conditions());
    if (sides_.train == 0) return absl::OkStatus();
    SAED_RETURN_IF_ERROR(BesideBaselines(users));
    SAED_ASSIGN_OR_RETURN(out_.probes,
                          ReadOut(encoder_, view_, sides_.starts, sides_.train, sides_.in_sample,
                                  labels_, out_.best_features, best_auroc_, users,
                                  [&](double) { return progress_(kSetsFound); }));
    return absl::OkStatus();
  }

  absl::Status BesideBaselines(size_t users) {
    const auto chosen =
        ChosenConditions(out_.best_features, best_auroc_, users, kLogisticConditions);
    SAED_ASSIGN_OR_RETURN(out_.baselines,
                          ScoreBaselines(Search(), train_, test_, chosen,
                                         [&](double) { return progress_(kSetsFound); }));
    return absl::OkStatus();
  }

  // What best features are worth, and the sets.
  absl::Status BesideUnits(size_t users) {
    const SetSearch search = Search();
    const Progress progress = Within(progress_, kControlled, kSetsFound);
    std::vector<JudgedPair> pairs;
    for (size_t c = 0; c < conditions(); ++c) {
      const auto& best = out_.best_features[c];
      if (best) pairs.push_back({*best, c, out_.features[*best].judged[c]});
    }
    SAED_ASSIGN_OR_RETURN(const auto margins,
                          MarginsOverUnits(search, pairs, best_units_, progress));
    out_.margins.resize(conditions());
    for (size_t i = 0; i < pairs.size(); ++i) {
      auto& margin = out_.margins[pairs[i].condition] = margins[i];
      // What may be at chance itself is not worth more than a unit that is below.
      const auto& own = out_.features[pairs[i].latent].certainty[pairs[i].condition].interval;
      const bool sure = own && own->low > 0.5;
      const bool above = margin && margin->interval && margin->interval->low > 0;
      if (above && !sure) margin->interval.reset();
    }
    const auto chosen = ChosenConditions(out_.best_features, best_auroc_, users, kSetConditions);
    std::vector<int32_t> alive;
    for (const Feature& f : out_.features) {
      if (static_cast<double>(active_[f.latent]) >= kMinimumSupport) alive.push_back(f.latent);
    }
    const auto judged = [&](int32_t latent, size_t c) -> const Judged& {
      return out_.features[latent].judged[c];
    };
    out_.sets.resize(conditions());
    if (chosen.empty() || sides_.train == 0) return absl::OkStatus();
    SAED_ASSIGN_OR_RETURN(auto sets,
                          FindSets(search, chosen, alive, judged, best_units_, progress));
    for (size_t i = 0; i < chosen.size(); ++i) out_.sets[chosen[i]] = std::move(sets[i]);
    return absl::OkStatus();
  }

  const sae::Encoder& encoder_;
  const recordings::Recording& recording_;
  const recordings::ViewData& view_;
  const std::optional<CountView>& target_;
  const Progress& progress_;
  const int64_t held_;
  const Precedent* const precedent_;
  const Sides sides_;
  const std::vector<int64_t> train_starts_, test_starts_, split_blocks_, drawn_blocks_,
      train_blocks_;
  std::optional<EvidenceColumns> columns_;  // where there is a target
  std::vector<sae::EvidenceKind> kinds_;

  std::vector<std::string> left_out_;  // what made no conditions
  LabelRows labels_, test_labels_;     // of all windows; of the held-out ones; see labels()
  WindowConditions train_, test_;
  std::vector<std::vector<int64_t>> onsets_;  // per condition, held-out
  std::optional<NullLabels> null_;
  std::optional<VariableTable> variables_;
  std::optional<PlaceMaps> places_;
  Encoded encoded_;
  // Windows in which each latent is active.
  std::vector<int64_t> active_, active_held_out_;
  std::vector<std::optional<ViewUnit>> best_units_;
  std::map<std::string, std::vector<size_t>> families_, control_families_;  // their labels
  std::optional<Events> events_;                     // of labels, on the training side
  std::vector<std::vector<int64_t>> active_events_;  // [latent][label]
  std::vector<std::optional<int>> best_of_;          // per label, its feature
  std::vector<double> best_auroc_;  // per label; less kFallingMargin where the feature falls
  std::vector<std::vector<bool>> supported_, wants_interval_;  // [latent][condition]
  Dictionary out_;
};

}  // namespace

absl::StatusOr<Dictionary> BuildDictionary(
    const sae::Encoder& encoder, const recordings::Recording& recording,
    const recordings::ViewData& view, const std::optional<CountView>& target,
    const std::vector<Condition>& user_conditions, const ConditionColumns& columns,
    const Progress& progress, int64_t held, const Precedent* precedent) {
  return Builder(encoder, recording, view, target, progress, held, precedent)
      .Build(user_conditions, columns);
}

}  // namespace saed::features

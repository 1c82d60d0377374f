#include <algorithm>
#include <iterator>
#include <map>
#include <memory>

#include "server/base/status_macros.h"
#include "server/features/stages.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

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

// What judges pairs of one latent in held-out windows: a kind of evidence, or its code.
struct Column {
  std::optional<sae::EvidenceKind> kind;
  Activations values;
};

// One latent. What is drawn, and the order of each column, is made once for all of its pairs.
class Certifier {
 public:
  Certifier(const Draft& d, const std::vector<Column>& columns, Feature& f)
      : d_(d), f_(f), stream_(static_cast<uint64_t>(f.latent)) {
    for (const Column& column : columns) Add(column);
    // Where held-out windows are those on which kind and sign were chosen, nothing could be tested.
    if (d.sides.in_sample) return;
    const int draws = AffordableDraws(std::ssize(d.out.features), d.null->stretches());
    Test(shown_, draws);
    Test(others_, std::min(draws, kFewerShifts));
  }

 private:
  // Both signs, and the variables and places that the column judges.
  void Add(const Column& column) {
    const auto& [kind, values] = column;
    const Ordered& ordered = *ordered_.emplace_back(std::make_unique<const Ordered>(values));
    for (const bool falls : {false, true}) AddPairs(column, falls, ordered);
    if (static_cast<double>(d_.active[f_.latent]) >= kMinimumSupport) {
      d_.variables->Certify(kind, values, ordered, stream_, std::ssize(d_.out.features),
                            f_.variables);
    }
    if (!kind) return;
    d_.places->Certify(*kind, values, f_.places);
    const auto aurocs = Aurocs(ordered, d_.test);
    for (size_t c = 0; c < d_.label_count(); ++c) {
      Judged& judged = f_.judged[c];
      if (judged.kind != kind || !aurocs[c]) continue;
      judged.test_auroc = judged.falls ? 1 - *aurocs[c] : *aurocs[c];
    }
  }

  // Intervals and responses of the pairs that the column judges with this sign; what is to be
  // tested.
  void AddPairs(const Column& column, bool falls, const Ordered& ordered) {
    std::vector<bool> shown(d_.label_count()), others(d_.label_count());
    for (size_t c = 0; c < d_.label_count(); ++c) {
      const Judged& judged = f_.judged[c];
      if (!d_.supported[f_.latent][c] || judged.kind != column.kind || judged.falls != falls)
        continue;
      (d_.wants_interval[f_.latent][c] ? shown : others)[c] = true;
    }
    const auto any = [](const std::vector<bool>& some) {
      return std::find(some.begin(), some.end(), true) != some.end();
    };
    if (any(others)) others_.push_back({&ordered, falls, others});
    if (!any(shown)) return;
    shown_.push_back({&ordered, falls, shown});
    const int64_t windows = d_.sides.test();
    const Ordered turned = falls ? ordered.Negated(windows) : ordered;
    const Activations negated = falls ? Negated(column.values, windows) : Activations();
    for (size_t c = 0; c < d_.label_count(); ++c) {
      if (!shown[c]) continue;
      if (d_.drawn_blocks.size() > kBlocksToDeal) {
        const BlockDraws& drawn =
            drawn_.try_emplace(d_.label_blocks[c], d_.label_blocks[c], stream_).first->second;
        f_.certainty[c].interval = drawn.Auroc(turned, d_.test_labels[c]);
      }
      if (c >= d_.condition_count() || d_.onsets[c].empty()) continue;
      f_.responses.emplace_back(static_cast<int>(c),
                                PeriEvent(falls ? negated : column.values, d_.onsets[c],
                                          d_.test_starts, d_.view.bin_width));
    }
  }

  void Test(const std::vector<Tested>& tested, int draws) {
    const auto p = d_.null->PValuesOf(tested, stream_, draws);
    for (size_t t = 0; t < tested.size(); ++t) {
      for (size_t c = 0; c < d_.label_count(); ++c) {
        if (tested[t].wanted[c]) f_.certainty[c].p = p[t][c];
      }
    }
  }

  const Draft& d_;
  Feature& f_;
  uint64_t stream_;
  std::vector<std::unique_ptr<const Ordered>> ordered_;
  std::map<std::vector<int64_t>, BlockDraws> drawn_;  // by their blocks
  std::vector<Tested> shown_, others_;
};

bool Judges(const Feature& f, sae::EvidenceKind kind) {
  const auto judges = [&](const auto& pair) { return pair.kind == kind; };
  return std::any_of(f.judged.begin(), f.judged.end(), judges) ||
         std::any_of(f.variables.begin(), f.variables.end(), judges) ||
         std::any_of(f.places.begin(), f.places.end(), judges);
}

// Values that judge each of the latents [first, first + count): its code where it is active, and
// the kinds that judge some of its pairs.
std::vector<int64_t> JudgingValues(const Draft& d, int64_t first, int64_t count) {
  std::vector<int64_t> out;
  for (int64_t j = first; j < first + count; ++j) {
    const auto judging = std::count_if(d.kinds.begin(), d.kinds.end(), [&](sae::EvidenceKind kind) {
      return Judges(d.out.features[j], kind);
    });
    out.push_back(d.active_held_out[j] + judging * d.sides.test());
  }
  return out;
}

// What judges the latents first, first + 1, … in held-out windows.
absl::StatusOr<std::vector<std::vector<Column>>> ColumnsOf(const Draft& d, int64_t first,
                                                           std::span<const Activations> codes,
                                                           const Progress& progress) {
  // Those that need codes together, each of the others alone.
  std::vector<std::vector<EvidenceColumns::Wanted>> asked(1);
  for (const sae::EvidenceKind kind : d.kinds) {
    EvidenceColumns::Wanted wanted{kind, {}};
    for (int64_t j = first; j < first + std::ssize(codes); ++j) {
      if (Judges(d.out.features[j], kind)) wanted.latents.push_back(d.out.features[j].latent);
    }
    if (wanted.latents.empty()) continue;
    (sae::NeedsCodes(kind) ? asked.front() : asked.emplace_back()).push_back(std::move(wanted));
  }
  std::vector<std::vector<Column>> out(codes.size());
  for (size_t i = 0; i < codes.size(); ++i) out[i].push_back({std::nullopt, d.OnTest(codes[i])});
  for (const auto& together : asked) {
    if (together.empty()) continue;
    SAED_ASSIGN_OR_RETURN(auto values, d.columns->Of(together, d.test_starts, progress));
    for (size_t k = 0; k < together.size(); ++k) {
      const auto& [kind, latents] = together[k];
      for (size_t i = 0; i < latents.size(); ++i) {
        out[latents[i] - first].push_back({kind, std::move(values[k][i])});
      }
    }
  }
  return out;
}

absl::Status CertifyGroup(Draft& d, int64_t first, std::span<const Activations> codes,
                          const Progress& progress) {
  const auto at = [&](int64_t latent) {
    return progress(static_cast<double>(latent) / static_cast<double>(d.out.features.size()));
  };
  SAED_ASSIGN_OR_RETURN(const auto columns,
                        ColumnsOf(d, first, codes, [&](double) { return at(first); }));
  for (int64_t begin = 0; begin < std::ssize(codes); begin += kLatentsAtOnce) {
    if (!at(first + begin)) return absl::CancelledError("stopped while rearranging labels");
    sae::ForBlocks(std::min(kLatentsAtOnce, std::ssize(codes) - begin), 1,
                   [&](int64_t, int64_t i, int64_t) {
                     Certifier(d, columns[begin + i], d.out.features[first + begin + i]);
                   });
  }
  return absl::OkStatus();
}

}  // namespace

int64_t BytesPerThread(const recordings::ViewData& view) {
  const std::vector<int64_t> test = Sides::Of(view).TestStarts();
  const auto windows = std::ssize(test), drawn = std::ssize(DrawnBlocks(view, test)) - 1;
  const auto blocks = drawn + (view.scored ? 0 : std::ssize(TimeBlocks(test)) - 1);
  // Of one latent the order of its code and of every kind, and while labels are rearranged the sums
  // of each and of its negative.
  constexpr int64_t kColumns = 1 + std::ssize(sae::kEvidenceKinds);
  constexpr int64_t kWindow = kColumns * (sizeof(Activations::value_type) + 2 * sizeof(int64_t));
  // How often it is drawn, the same sums, and how it is dealt.
  constexpr int64_t kBlock = kReplicates + 2 * kColumns * 2 * sizeof(int64_t) + 4 * sizeof(int64_t);
  // Before, of every training window and kind the order, and what variables make of it.
  constexpr int64_t kJudged =
      std::ssize(sae::kEvidenceKinds) *
      (sizeof(Activations::value_type) + sizeof(int32_t) + 2 * sizeof(float) + sizeof(double));
  return std::max(windows * kWindow + blocks * kBlock, Sides::Of(view).train * kJudged);
}

absl::Status Certify(Draft& d) {
  const Progress progress = Within(d.progress, kJudged, kCertified);
  for (const auto& label : d.test_labels) {
    d.label_blocks.push_back(BlocksToDraw(label, d.drawn_blocks, d.shorter_blocks));
  }
  SAED_RETURN_IF_ERROR(
      ForGroups(d, std::max<int64_t>(1, std::ssize(d.out.features)), progress,
                [&](int64_t first, std::span<const Activations> codes) -> absl::Status {
                  for (const auto& [begin, end] :
                       Groups(JudgingValues(d, first, std::ssize(codes)), d.held)) {
                    SAED_RETURN_IF_ERROR(CertifyGroup(d, first + begin,
                                                      codes.subspan(begin, end - begin), progress));
                  }
                  return absl::OkStatus();
                }));
  for (Feature& f : d.out.features) {
    std::stable_sort(f.responses.begin(), f.responses.end(), [&](const auto& a, const auto& b) {
      const double left = *f.judged[a.first].train_auroc, right = *f.judged[b.first].train_auroc;
      return left > right || (left == right && a.first < b.first);
    });
  }
  for (const auto& [family, members] : d.families) CorrectFamily(members, d.out.features);
  for (const auto& [family, members] : d.control_families) CorrectFamily(members, d.out.features);
  CorrectVariables(d.out.features);
  d.encoded.activations = {};
  return absl::OkStatus();
}

}  // namespace saed::features

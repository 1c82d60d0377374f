#include <algorithm>

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

int Draws(const Draft& d) {
  return AffordableDraws(static_cast<int64_t>(d.out.features.size()), d.null->stretches());
}

// p-values, intervals, responses and held-out AUROCs of the pairs that `kind` judges with this
// sign, from the held-out values whose largest speak for the condition.
void CertifyPairs(const Draft& d, std::optional<sae::EvidenceKind> kind, bool falls,
                  const Activations& values, Feature& f) {
  std::vector<bool> shown(d.label_count()), others(d.label_count());
  for (size_t c = 0; c < d.label_count(); ++c) {
    const Judged& judged = f.judged[c];
    if (!d.supported[f.latent][c] || judged.kind != kind || judged.falls != falls) continue;
    (d.wants_interval[f.latent][c] ? shown : others)[c] = true;
  }
  const auto stream = static_cast<uint64_t>(f.latent);
  for (size_t c = 0; c < d.label_count(); ++c) {
    if (!shown[c] || d.drawn_blocks.size() <= kBlocksToDeal) continue;
    f.certainty[c].interval = BootstrapAuroc(values, d.test_labels[c], d.drawn_blocks, stream);
  }
  for (size_t c = 0; c < d.condition_count(); ++c) {
    if (!shown[c] || d.onsets[c].empty()) continue;
    f.responses.emplace_back(static_cast<int>(c),
                             PeriEvent(values, d.onsets[c], d.test_starts, d.view.bin_width));
  }
  // Where held-out windows are those on which kind and sign were chosen, nothing could be tested.
  if (d.sides.in_sample) return;
  const auto p = d.null->PValues(values, shown, stream, Draws(d));
  const auto rough = d.null->PValues(values, others, stream, std::min(Draws(d), kFewerShifts));
  for (size_t c = 0; c < d.label_count(); ++c) {
    if (shown[c] || others[c]) f.certainty[c].p = shown[c] ? p[c] : rough[c];
  }
}

// Both signs, and the variables that it judges.
void CertifyKind(const Draft& d, std::optional<sae::EvidenceKind> kind, const Activations& values,
                 Feature& f) {
  bool rises = false, falls = false;
  for (const Judged& judged : f.judged) {
    if (judged.kind == kind) (judged.falls ? falls : rises) = true;
  }
  if (rises) CertifyPairs(d, kind, false, values, f);
  if (falls) CertifyPairs(d, kind, true, Negated(values, d.sides.test()), f);
  if (static_cast<double>(d.active[f.latent]) >= kMinimumSupport) {
    d.variables->Certify(kind, values, static_cast<uint64_t>(f.latent),
                         static_cast<int64_t>(d.out.features.size()), f.variables);
  }
  if (!kind) return;
  d.places->Certify(*kind, values, f.places);
  const auto aurocs = Aurocs(values, d.test);
  for (size_t c = 0; c < d.label_count(); ++c) {
    Judged& judged = f.judged[c];
    if (judged.kind != kind || !aurocs[c]) continue;
    judged.test_auroc = judged.falls ? 1 - *aurocs[c] : *aurocs[c];
  }
}

}  // namespace

absl::Status Certify(Draft& d) {
  const Progress progress = Within(d.progress, kJudged, kCertified);
  SAED_RETURN_IF_ERROR(ForLatents(d, progress, [&](int64_t j, const Activations& active) {
    Feature& f = d.out.features[j];
    CertifyKind(d, std::nullopt, d.OnTest(active), f);
  }));
  for (const sae::EvidenceKind kind : d.kinds) {
    std::vector<int32_t> latents;
    for (const Feature& f : d.out.features) {
      const auto judges = [&](const auto& pair) { return pair.kind == kind; };
      if (std::any_of(f.judged.begin(), f.judged.end(), judges) ||
          std::any_of(f.variables.begin(), f.variables.end(), judges) ||
          std::any_of(f.places.begin(), f.places.end(), judges)) {
        latents.push_back(f.latent);
      }
    }
    SAED_RETURN_IF_ERROR(ForColumns(
        *d.columns, kind, latents, d.test_starts, d.held, progress,
        [&](const std::vector<int32_t>& some, const std::vector<Activations>& values) {
          sae::ForBlocks(static_cast<int64_t>(some.size()), 1, [&](int64_t, int64_t i, int64_t) {
            CertifyKind(d, kind, values[i], d.out.features[some[i]]);
          });
        }));
  }
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

#include "server/features/judge.h"

#include <algorithm>
#include <memory>

#include "server/base/status_macros.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

constexpr int64_t kWindowsAtOnce = 8192;
constexpr int64_t kEncodeBlock = 512;

// Codes of the windows `starts`, one after another.
sae::Codes<float> EncodeRows(const sae::Encoder& encoder, const CountView& input,
                             sae::Starts starts) {
  const auto n = static_cast<int64_t>(starts.size());
  std::vector<sae::Codes<float>> parts(sae::BlockCount(n, kEncodeBlock));
  sae::ForBlocks(n, kEncodeBlock, [&](int64_t block, int64_t begin, int64_t end) {
    encoder.Encode(input, starts.subspan(begin, end - begin),
                   sae::DefaultRule(encoder.model().spec), parts[block]);
  });
  sae::Codes<float> out;
  out.row_begin = {0};
  for (const auto& part : parts) {
    const int64_t before = out.row_begin.back();
    for (int64_t b = 1; b <= part.rows(); ++b) out.row_begin.push_back(before + part.row_begin[b]);
    out.latent.insert(out.latent.end(), part.latent.begin(), part.latent.end());
    out.value.insert(out.value.end(), part.value.begin(), part.value.end());
  }
  return out;
}

constexpr int64_t kLatents = 16;  // whose columns are made at once

std::vector<Activations> EmptyColumns(int64_t count, int64_t windows) {
  std::vector<Activations> out(count);
  sae::ForBlocks(count, kLatents, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t l = first; l < last; ++l) out[l].resize(windows);
  });
  return out;
}

// The rows of scores [rows, columns] from window `begin` on.
void CopyRows(const std::vector<float>& scores, int64_t begin, int64_t rows,
              std::vector<Activations>& columns) {
  const auto count = static_cast<int64_t>(columns.size());
  sae::ForBlocks(count, kLatents, [&](int64_t, int64_t first, int64_t last) {
    for (int64_t b = 0; b < rows; ++b) {
      for (int64_t l = first; l < last; ++l) {
        columns[l][begin + b] = {static_cast<int32_t>(begin + b), scores[b * count + l]};
      }
    }
  });
}

}  // namespace

std::vector<sae::EvidenceKind> EvidenceColumns::Kinds() const {
  std::vector<sae::EvidenceKind> out;
  for (const sae::EvidenceKind kind : sae::kEvidenceKinds) {
    if (sae::HasEvidence(encoder_.model(), kind).ok()) out.push_back(kind);
  }
  return out;
}

absl::StatusOr<std::vector<Activations>> EvidenceColumns::Of(sae::EvidenceKind kind,
                                                             const std::vector<int32_t>& latents,
                                                             const std::vector<int64_t>& starts,
                                                             const Progress& progress) const {
  SAED_ASSIGN_OR_RETURN(auto out, Of({{kind, latents}}, starts, progress));
  return std::move(out.front());
}

absl::StatusOr<std::vector<std::vector<Activations>>> EvidenceColumns::Of(
    const std::vector<Wanted>& wanted, const std::vector<int64_t>& starts, const Progress& progress,
    const EncodedWindows& known) const {
  const auto windows = static_cast<int64_t>(starts.size());
  std::vector<sae::EvidenceScorer> scorers;
  std::vector<std::vector<Activations>> out;
  int64_t most = 0;
  bool coded = false;
  for (const auto& [kind, latents] : wanted) {
    scorers.emplace_back(encoder_.model(), kind, latents);
    out.push_back(EmptyColumns(std::ssize(latents), windows));
    most = std::max<int64_t>(most, std::ssize(latents));
    coded = coded || NeedsCodes(kind);
  }
  std::vector<float> scores(std::min(windows, kWindowsAtOnce) * most);
  for (int64_t begin = 0; begin < windows; begin += kWindowsAtOnce) {
    if (!progress(static_cast<double>(begin) / static_cast<double>(windows))) {
      return absl::CancelledError("stopped while scoring evidence");
    }
    const auto part = sae::Starts(starts).subspan(begin, std::min(kWindowsAtOnce, windows - begin));
    sae::Codes<float> own;
    if (coded && known.empty()) own = EncodeRows(encoder_, input_, part);
    const auto& codes = known.empty() ? own : known[begin / kWindowsAtOnce];
    for (size_t k = 0; k < wanted.size(); ++k) {
      scorers[k].Score(target_, part, codes, scores.data());
      CopyRows(scores, begin, std::ssize(part), out[k]);
    }
  }
  return out;
}

absl::StatusOr<EncodedWindows> EvidenceColumns::Encode(const std::vector<int64_t>& starts,
                                                       int64_t most,
                                                       const Progress& progress) const {
  const auto windows = static_cast<int64_t>(starts.size());
  EncodedWindows out;
  int64_t entries = 0;
  for (int64_t begin = 0; begin < windows; begin += kWindowsAtOnce) {
    if (!progress(0)) return absl::CancelledError("stopped while encoding windows");
    out.push_back(
        EncodeRows(encoder_, input_,
                   sae::Starts(starts).subspan(begin, std::min(kWindowsAtOnce, windows - begin))));
    entries += out.back().row_begin.back();
    if (entries > most) return EncodedWindows();
  }
  return out;
}

Activations Negated(const Activations& activations, int64_t windows) {
  Activations out(windows);
  for (int64_t w = 0; w < windows; ++w) out[w] = {static_cast<int32_t>(w), 0.0F};
  for (const auto& [w, value] : activations) out[w].second = -value;
  return out;
}

void JudgeByCode(const std::vector<Scores>& train, std::vector<Judged>& out) {
  out.assign(train.size(), {});
  for (size_t c = 0; c < out.size(); ++c) {
    if (!train[c].auroc) continue;
    out[c].falls = *train[c].auroc < 0.5;
    out[c].train_auroc = out[c].falls ? 1 - *train[c].auroc : *train[c].auroc;
  }
}

absl::Status ForColumns(
    const EvidenceColumns& columns, sae::EvidenceKind kind, const std::vector<int32_t>& latents,
    const std::vector<int64_t>& starts, int64_t held, const Progress& progress,
    const std::function<void(const std::vector<int32_t>&, const std::vector<Activations>&)>& use) {
  const auto windows = static_cast<int64_t>(starts.size());
  const auto count = static_cast<int64_t>(latents.size());
  const int64_t group = std::max<int64_t>(1, held / std::max<int64_t>(1, windows));
  for (int64_t begin = 0; begin < count; begin += group) {
    const std::vector<int32_t> some(latents.begin() + begin,
                                    latents.begin() + std::min(count, begin + group));
    const auto at = static_cast<double>(begin) / static_cast<double>(count);
    SAED_ASSIGN_OR_RETURN(const auto values,
                          columns.Of(kind, some, starts, [&](double) { return progress(at); }));
    use(some, values);
  }
  return absl::OkStatus();
}

namespace {

void TakeHigher(sae::EvidenceKind kind, const std::vector<std::optional<double>>& aurocs,
                std::vector<Judged>& out) {
  for (size_t c = 0; c < aurocs.size(); ++c) {
    if (!aurocs[c]) continue;
    const bool falls = *aurocs[c] < 0.5;
    const double auroc = falls ? 1 - *aurocs[c] : *aurocs[c];
    if (out[c].train_auroc && auroc <= *out[c].train_auroc) continue;
    out[c] = {kind, falls, auroc, std::nullopt};
  }
}

// values[kind]: of one latent.
void JudgeLatent(int32_t latent, const std::vector<sae::EvidenceKind>& kinds,
                 const std::vector<const Activations*>& values, const WindowConditions& train,
                 std::vector<Judged>& out, const AlsoJudge& also) {
  std::vector<std::unique_ptr<const Ordered>> ordered;
  std::vector<EvidenceOfKind> evidence;
  for (size_t k = 0; k < kinds.size(); ++k) {
    auto order = std::make_unique<const Ordered>(*values[k]);
    TakeHigher(kinds[k], Aurocs(*order, train), out);
    if (!also) continue;
    evidence.push_back({kinds[k], values[k], order.get()});
    ordered.push_back(std::move(order));
  }
  if (also) also(latent, evidence);
}

}  // namespace

absl::Status JudgeByEvidence(const EvidenceColumns& columns,
                             const std::vector<sae::EvidenceKind>& kinds,
                             const std::vector<int32_t>& latents,
                             const std::vector<int64_t>& starts, const WindowConditions& train,
                             int64_t held, const Progress& progress,
                             std::vector<std::vector<Judged>>& out, const AlsoJudge& also) {
  const auto count = std::ssize(latents);
  const int64_t values = std::max<int64_t>(1, std::ssize(starts) * std::ssize(kinds));
  const int64_t group = std::max<int64_t>(1, held / values);
  EncodedWindows codes;
  if (group < count && std::any_of(kinds.begin(), kinds.end(), sae::NeedsCodes)) {
    SAED_ASSIGN_OR_RETURN(codes, columns.Encode(starts, held, progress));
  }
  for (int64_t begin = 0; begin < count; begin += group) {
    const std::vector<int32_t> some(latents.begin() + begin,
                                    latents.begin() + std::min(count, begin + group));
    std::vector<EvidenceColumns::Wanted> wanted;
    for (const sae::EvidenceKind kind : kinds) wanted.push_back({kind, some});
    const auto at = [&](double fraction) {
      const auto done = static_cast<double>(begin) + fraction * static_cast<double>(some.size());
      return progress(done / static_cast<double>(count));
    };
    SAED_ASSIGN_OR_RETURN(const auto made, columns.Of(wanted, starts, at, codes));
    sae::ForBlocks(std::ssize(some), 1, [&](int64_t, int64_t i, int64_t) {
      std::vector<const Activations*> of_latent;
      for (const auto& of_kind : made) of_latent.push_back(&of_kind[i]);
      JudgeLatent(some[i], kinds, of_latent, train, out[some[i]], also);
    });
  }
  return absl::OkStatus();
}

}  // namespace saed::features

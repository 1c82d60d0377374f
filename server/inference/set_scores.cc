#include "server/inference/set_scores.h"

#include <algorithm>
#include <map>

namespace saed::inference {
namespace {

// Values of some latents by one kind, [windows, latents].
struct Table {
  std::vector<int32_t> latents;  // ascending
  std::vector<float> values;

  float At(int64_t window, int32_t latent) const {
    const auto at = std::lower_bound(latents.begin(), latents.end(), latent) - latents.begin();
    return values[window * static_cast<int64_t>(latents.size()) + at];
  }
};

void FillCodes(const sae::Codes<float>& codes, Table& out) {
  for (int64_t w = 0; w < codes.rows(); ++w) {
    for (int64_t e = codes.row_begin[w]; e < codes.row_begin[w + 1]; ++e) {
      const auto at = std::lower_bound(out.latents.begin(), out.latents.end(), codes.latent[e]);
      if (at == out.latents.end() || *at != codes.latent[e]) continue;
      out.values[w * static_cast<int64_t>(out.latents.size()) + (at - out.latents.begin())] =
          codes.value[e];
    }
  }
}

}  // namespace

std::vector<float> ScoreSets(const sae::Model& model, const std::vector<Set>& sets,
                             const CountView& counts, sae::Starts starts,
                             const sae::Codes<float>& codes) {
  std::map<std::optional<sae::EvidenceKind>, Table> tables;
  for (const Set& set : sets) {
    for (const SetMember& m : set) tables[m.kind].latents.push_back(m.latent);
  }
  const auto windows = static_cast<int64_t>(starts.size());
  for (auto& [kind, table] : tables) {
    auto& latents = table.latents;
    std::sort(latents.begin(), latents.end());
    latents.erase(std::unique(latents.begin(), latents.end()), latents.end());
    table.values.resize(windows * static_cast<int64_t>(latents.size()));
    if (kind) {
      sae::EvidenceScorer(model, *kind, latents).Score(counts, starts, codes, table.values.data());
    } else {
      FillCodes(codes, table);
    }
  }
  std::vector<float> out;
  out.reserve(windows * static_cast<int64_t>(sets.size()));
  for (int64_t w = 0; w < windows; ++w) {
    for (const Set& set : sets) {
      double sum = 0;
      for (const SetMember& m : set) {
        const auto value = static_cast<double>(tables[m.kind].At(w, m.latent));
        sum += m.weight * ((value - m.mean) / m.sd);
      }
      out.push_back(static_cast<float>(sum));
    }
  }
  return out;
}

}  // namespace saed::inference

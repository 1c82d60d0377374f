#include "server/features/activate.h"

#include <algorithm>

#include "server/base/status_macros.h"
#include "server/sae/parallel.h"

namespace saed::features {
namespace {

constexpr int64_t kBlock = 512;

// Calls sink(window, latent, value) for every activation, windows in order.
template <class Sink>
absl::Status EncodeWindows(const sae::Encoder& encoder, const recordings::ViewData& view,
                           const std::vector<int64_t>& starts, const Progress& progress,
                           const Sink& sink) {
  const auto windows = static_cast<int64_t>(starts.size());
  constexpr int64_t kGroup = 16 * kBlock;
  for (int64_t g = 0; g < windows; g += kGroup) {
    if (!progress(static_cast<double>(g) / static_cast<double>(windows))) {
      return absl::CancelledError("stopped while encoding the recording");
    }
    const int64_t group = std::min(kGroup, windows - g);
    std::vector<sae::Codes<float>> codes(sae::BlockCount(group, kBlock));
    sae::ForBlocks(group, kBlock, [&](int64_t block, int64_t begin, int64_t end) {
      encoder.Encode(view.counts(), sae::Starts(starts).subspan(g + begin, end - begin),
                     sae::DefaultRule(encoder.model().spec), codes[block]);
    });
    for (size_t block = 0; block < codes.size(); ++block) {
      const auto& c = codes[block];
      for (int64_t b = 0; b < c.rows(); ++b) {
        const int64_t w = g + static_cast<int64_t>(block) * kBlock + b;
        for (int64_t e = c.row_begin[b]; e < c.row_begin[b + 1]; ++e) {
          sink(w, c.latent[e], c.value[e]);
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Activations>> Activate(const sae::Encoder& encoder,
                                                  const recordings::ViewData& view,
                                                  const std::vector<int64_t>& starts,
                                                  const Progress& progress,
                                                  const std::vector<bool>& wanted) {
  std::vector<Activations> out(encoder.model().spec.features());
  SAED_RETURN_IF_ERROR(
      EncodeWindows(encoder, view, starts, progress, [&](int64_t w, int32_t latent, float value) {
        if (!wanted.empty() && !wanted[latent]) return;
        out[latent].emplace_back(w, value);
      }));
  return out;
}

absl::StatusOr<Encoded> EncodeAll(const sae::Encoder& encoder, const recordings::ViewData& view,
                                  const std::vector<int64_t>& starts, int64_t held,
                                  const Progress& progress) {
  Encoded out;
  out.entries.resize(encoder.model().spec.features());
  out.activations.resize(out.entries.size());
  int64_t total = 0;
  SAED_RETURN_IF_ERROR(
      EncodeWindows(encoder, view, starts, progress, [&](int64_t w, int32_t latent, float value) {
        ++out.entries[latent];
        if (++total <= held) {
          out.activations[latent].emplace_back(w, value);
        } else if (out.whole) {
          out.whole = false;
          out.activations = {};
        }
      }));
  return out;
}

std::vector<std::pair<int64_t, int64_t>> Groups(const Encoded& encoded, int64_t held) {
  if (encoded.whole) return {{0, std::ssize(encoded.entries)}};
  return Groups(encoded.entries, held);
}

std::vector<std::pair<int64_t, int64_t>> Groups(const std::vector<int64_t>& values, int64_t held) {
  const auto features = static_cast<int64_t>(values.size());
  std::vector<std::pair<int64_t, int64_t>> out;
  for (int64_t begin = 0; begin < features; begin = out.back().second) {
    int64_t end = begin, total = 0;
    do total += values[end++];
    while (end < features && total + values[end] <= held);
    out.emplace_back(begin, end);
  }
  return out;
}

Activations Part(const Activations& all, int64_t begin, int64_t end) {
  Activations out;
  for (const auto& [w, value] : all) {
    if (w >= begin && w < end) out.emplace_back(w - begin, value);
  }
  return out;
}

}  // namespace saed::features

// Backward of one minibatch: from slopes of the codes to gradients of the parameters.
#include <tbb/task_arena.h>

#include <algorithm>

#include "server/sae/kernels/dispatch.h"
#include "server/sae/parallel.h"
#include "server/sae/step.h"

namespace saed::sae {

// A counting sort in shards of rows, all at once: where a latent's entries of a shard begin follows
// from how many there are in the shards before.
template <class T>
void Step<T>::SortByLatent(Pass<T>& pass) {
  const auto rows = static_cast<int64_t>(pass.begin.size());
  const auto entries = static_cast<int64_t>(pass.latent.size());
  // Few enough that adding them up costs less than what is sorted.
  const int64_t wanted = std::clamp<int64_t>(entries / (2 * int64_t{features_}), 1, 64);
  const int64_t size = std::max<int64_t>(1, BlockCount(rows, wanted));
  const int64_t shards = BlockCount(rows, size), F = features_;
  std::vector<int32_t> next(std::max<int64_t>(1, shards) * F, 0);
  ForBlocks(rows, size, [&](int64_t shard, int64_t first, int64_t last) {
    int32_t* count = next.data() + shard * F;
    for (int64_t b = first; b < last; ++b) {
      for (int64_t e = pass.begin[b]; e < pass.end[b]; ++e) ++count[pass.latent[e]];
    }
  });
  pass.column_begin.resize(F + 1);
  int64_t at = 0;
  for (int64_t j = 0; j < F; ++j) {
    pass.column_begin[j] = at;
    for (int64_t s = 0; s < shards; ++s) {
      const int32_t count = next[s * F + j];
      next[s * F + j] = static_cast<int32_t>(at - pass.column_begin[j]);
      at += count;
    }
  }
  pass.column_begin[F] = at;
  pass.column_row.resize(at);
  pass.column_value.resize(at);
  pass.column_slope.resize(at);
  pass.column_extra.resize(pass.extra_slope.size());
  for (auto& extra : pass.column_extra) extra.resize(at);
  ForBlocks(rows, size, [&](int64_t shard, int64_t first, int64_t last) {
    int32_t* to = next.data() + shard * F;
    for (int64_t b = first; b < last; ++b) {
      for (int64_t e = pass.begin[b]; e < pass.end[b]; ++e) {
        const int64_t place = pass.column_begin[pass.latent[e]] + to[pass.latent[e]]++;
        pass.column_row[place] = static_cast<int32_t>(b);
        pass.column_value[place] = pass.value[e];
        pass.column_slope[place] = pass.slope[e];
        for (size_t x = 0; x < pass.extra_slope.size(); ++x) {
          pass.column_extra[x][place] = pass.extra_slope[x][e];
        }
      }
    }
  });
}

template <class T>
void Step<T>::EncoderColumns(int64_t base, int64_t first, int64_t last, int64_t column, int width) {
  const auto& k = Kernels<T>();
  for (int64_t j = first; j < last; ++j) {
    T* out = encoder_gradient_.data() + (j - base) * inputs_ + column;
    const T* start = nullptr;
    const auto add = [&](const Pass<T>& pass) {
      const int64_t at = pass.column_begin[j];
      const int count = static_cast<int>(pass.column_begin[j + 1] - at);
      if (count == 0) return;
      const int32_t* rows = pass.column_row.data() + at;
      const T* slope = pass.column_slope.data() + at;
      if (counts_path_) {
        k.weighted_counts(start, counts_.data() + column, inputs_, rows, slope, count, width, out);
      } else {
        k.weighted_rows(start, x_.data() + column, inputs_, rows, slope, count, width, out);
      }
      start = out;
    };
    for (const Pass<T>& pass : passes_) add(pass);
    if (!aux_.begin.empty()) add(aux_);
    if (start == nullptr) std::fill_n(out, width, T(0));
  }
}

template <class T>
void Step<T>::DecoderColumns(int64_t base, int64_t first, int64_t last, int64_t column, int width) {
  const auto& k = Kernels<T>();
  for (int64_t j = first; j < last; ++j) {
    T* out = decoder_gradient_.data() + (j - base) * outputs_ + column;
    const T* start = nullptr;
    const auto add = [&](const Pass<T>& pass) {
      const int64_t at = pass.column_begin[j];
      const int count = static_cast<int>(pass.column_begin[j + 1] - at);
      if (count == 0 || !pass.trains_decoder) return;
      k.weighted_rows(start, pass.output_slope.data() + column, outputs_,
                      pass.column_row.data() + at, pass.column_value.data() + at, count, width,
                      out);
      start = out;
    };
    for (const Pass<T>& pass : passes_) add(pass);
    if (!aux_.begin.empty()) add(aux_);
    if (start == nullptr) std::fill_n(out, width, T(0));
  }
}

template <class T>
LatentGradient<T> Step<T>::Gather(const Parameters<T>& p, int64_t j, int64_t first, bool again,
                                  T* extra, T& slopes) {
  LatentGradient<T> out{j, encoder_gradient_.data() + (j - first) * inputs_,
                        decoder_gradient_.data() + (j - first) * outputs_, T(0), extra};
  std::fill_n(extra, latent_parameters_.size(), T(0));
  slopes = T(0);
  const auto add = [&](const Pass<T>& pass) {
    for (int64_t e = pass.column_begin[j]; e < pass.column_begin[j + 1]; ++e) {
      slopes += pass.column_slope[e];
      if (pass.trains_bias) out.encoder_bias += pass.column_slope[e];
      for (size_t x = 0; x < pass.column_extra.size(); ++x) extra[x] += pass.column_extra[x][e];
    }
  };
  for (const Pass<T>& pass : passes_) add(pass);
  if (!aux_.begin.empty()) add(aux_);
  if (again) return out;
  if (counts_path_ && hidden_.any()) {
    // ∂z/∂W of the counts that were seen, which have a gain.
    Kernels<T>().scale(static_cast<T>(hidden_.gain()), inputs_, out.encoder);
  }
  if (counts_path_ && !input_offset_.empty()) {
    // ∂z/∂W = x' = (count − offset)/scale.
    for (int i = 0; i < inputs_; ++i) {
      out.encoder[i] = (out.encoder[i] - static_cast<T>(input_offset_[i]) * slopes) /
                       static_cast<T>(input_scale_[i]);
    }
  }
  if (spec_.subtract_bias) {
    Kernels<T>().add_scaled(-slopes, p.decoder_bias.data(), inputs_, out.encoder);
  }
  return out;
}

template <class T>
void Step<T>::Columns(int64_t first, int64_t last) {
  // All windows' slopes for these columns fit the second cache.
  const int64_t width = rows_ <= 1024 ? 64 : rows_ <= 2048 ? 32 : 16;
  const int64_t input_chunks = BlockCount(inputs_, 64);
  const int64_t chunks = input_chunks + BlockCount(outputs_, width);
  // Where there are fewer chunks than keep every thread busy, parts of the latents too: each sum is
  // a latent's own, however they are shared out.
  const int64_t threads = tbb::this_task_arena::max_concurrency();
  const int64_t parts = std::clamp<int64_t>(BlockCount(2 * threads, chunks), 1,
                                            BlockCount(last - first, kPackLatents));
  const int64_t latents = BlockCount(last - first, parts);
  ForBlocks(parts * chunks, 1, [&](int64_t task, int64_t, int64_t) {
    const Timed timed(clock, kGradientStage);
    const int64_t chunk = task % chunks, begin = first + task / chunks * latents,
                  end = std::min(last, begin + latents);
    if (chunk < input_chunks) {
      const int64_t column = chunk * 64;
      return EncoderColumns(first, begin, end, column,
                            static_cast<int>(std::min<int64_t>(64, inputs_ - column)));
    }
    const int64_t column = (chunk - input_chunks) * width;
    const int n = static_cast<int>(std::min<int64_t>(width, outputs_ - column));
    DecoderColumns(first, begin, end, column, n);
    for (const Pass<T>& pass : passes_) {
      if (begin != 0 || !pass.trains_decoder) continue;
      for (int64_t b = 0; b < rows_; ++b) {
        Kernels<T>().add_scaled(T(1), pass.output_slope.data() + b * outputs_ + column, n,
                                decoder_bias_gradient_.data() + column);
      }
    }
  });
}

template <class T>
void Step<T>::Pour(const Parameters<T>& p, int64_t first, int64_t last, T* through_input,
                   bool again, const std::function<void(const LatentGradient<T>&)>& sink,
                   const std::function<void(int64_t, int64_t)>& block_done) {
  ForBlocks(BlockCount(last - first, kPackLatents), 1, [&](int64_t block, int64_t, int64_t) {
    const Timed timed(clock, kUpdateStage);
    const int64_t begin = first + block * kPackLatents,
                  end = std::min<int64_t>(last, begin + kPackLatents);
    std::vector<T> extra(latent_parameters_.size());
    for (int64_t j = begin; j < end; ++j) {
      T slopes;
      const LatentGradient<T> gradient = Gather(p, j, first, again, extra.data(), slopes);
      if (spec_.subtract_bias && !again) {
        Kernels<T>().add_scaled(-slopes, p.encoder_row(j), inputs_,
                                through_input + begin / kPackLatents * inputs_);
      }
      sink(gradient);
    }
    block_done(begin, end);
  });
}

template <class T>
void Step<T>::Backward(const Parameters<T>& p,
                       const std::function<void(const LatentGradient<T>&)>& sink,
                       const std::function<void(int64_t, int64_t)>& block_done) {
  {
    const Timed timed(clock, kSortStage);
    for (Pass<T>& pass : passes_) SortByLatent(pass);
    if (!aux_.begin.empty()) SortByLatent(aux_);
  }
  decoder_bias_gradient_.assign(outputs_, T(0));
  const int64_t blocks = BlockCount(features_, kPackLatents);
  // Through the encoder's input, where b_d is subtracted from it.
  std::vector<T> through_input(spec_.subtract_bias ? blocks * inputs_ : 0, T(0));
  // At most this many gradients are held at once.
  constexpr int64_t kHeld = int64_t{1} << 24;
  const int64_t group =
      std::clamp<int64_t>(kHeld / (inputs_ + outputs_) / kPackLatents, 1, blocks) * kPackLatents;
  all_held_ = group >= features_;
  encoder_gradient_.resize(std::min<int64_t>(group, features_) * inputs_);
  decoder_gradient_.resize(std::min<int64_t>(group, features_) * outputs_);
  for (int64_t first = 0; first < features_; first += group) {
    const int64_t last = std::min<int64_t>(features_, first + group);
    Columns(first, last);
    Pour(p, first, last, through_input.data(), false, sink, block_done);
  }
  if (spec_.subtract_bias) {
    for (int64_t block = 0; block < blocks; ++block) {
      Kernels<T>().add_scaled(T(1), through_input.data() + block * inputs_, inputs_,
                              decoder_bias_gradient_.data());
    }
  }
}

template <class T>
void Step<T>::BackwardAgain(const Parameters<T>& p,
                            const std::function<void(const LatentGradient<T>&)>& sink,
                            const std::function<void(int64_t, int64_t)>& block_done) {
  Pour(p, 0, features_, nullptr, true, sink, block_done);
}

template void Step<float>::Backward(const Parameters<float>&,
                                    const std::function<void(const LatentGradient<float>&)>&,
                                    const std::function<void(int64_t, int64_t)>&);
template void Step<float>::BackwardAgain(const Parameters<float>&,
                                         const std::function<void(const LatentGradient<float>&)>&,
                                         const std::function<void(int64_t, int64_t)>&);
template void Step<double>::Backward(const Parameters<double>&,
                                     const std::function<void(const LatentGradient<double>&)>&,
                                     const std::function<void(int64_t, int64_t)>&);
template void Step<double>::BackwardAgain(const Parameters<double>&,
                                          const std::function<void(const LatentGradient<double>&)>&,
                                          const std::function<void(int64_t, int64_t)>&);

}  // namespace saed::sae

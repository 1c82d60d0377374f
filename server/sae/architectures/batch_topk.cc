// BatchTopK (Bussmann et al. 2024): the B·k largest of max(z, 0) over the whole minibatch, earlier
// (row, latent) first among equals; every Matryoshka level chooses by itself. ∂f/∂z is 1 for the
// chosen. After training a fixed threshold θ takes the place of the choice: f = z·1[z ≥ θ].
#include <algorithm>

#include "server/sae/architectures/rows.h"
#include "server/sae/architectures/topk_of_all.h"
#include "server/sae/kernels/dispatch.h"

namespace saed::sae {
namespace {

template <class T>
class BatchTopK final : public Architecture<T> {
 public:
  explicit BatchTopK(const ModelSpec& spec)
      : levels_(spec.levels),
        gathered_(levels_.size()),
        hint_(levels_.size(), T(0)),
        cutoff_(levels_.size(), T(0)) {}

  std::vector<Pass<T>> Passes() const override { return LevelPasses<T>(levels_); }

  void Begin(const Batch<T>& batch, std::vector<Pass<T>>& /*passes*/) override {
    for (auto& g : gathered_) g.Begin(batch.rows);
  }

  bool needs_batch() const override { return true; }

  void SelectRows(const Batch<T>& batch, int64_t first, int64_t last,
                  std::vector<Pass<T>>& /*passes*/) override {
    for (size_t l = 0; l < levels_.size(); ++l) Gather(batch, first, last, l, hint_[l]);
  }

  void SelectBatch(const Batch<T>& batch, std::vector<Pass<T>>& passes) override {
    for (size_t l = 0; l < levels_.size(); ++l) {
      const int64_t n = batch.rows * SelectedNow(levels_[l], batch.coefficients);
      if (hint_[l] > T(0) && gathered_[l].size() < n) {
        gathered_[l].Begin(batch.rows);
        ForBlocks(batch.rows, RowBlock(batch.rows), [&](int64_t, int64_t first, int64_t last) {
          Gather(batch, first, last, l, T(0));
        });
      }
      cutoff_[l] = KeepLargest(gathered_[l], batch.rows, n, passes[l]);
      // Candidates for the next minibatch: what reaches a little less than this one's cutoff. The
      // hint saves time and changes nothing: too few candidates are gathered anew.
      hint_[l] = T(0.8) * cutoff_[l];
    }
  }

  std::vector<T> Cutoffs(const std::vector<Pass<T>>& /*passes*/) const override { return cutoff_; }

 private:
  void Gather(const Batch<T>& batch, int64_t first, int64_t last, size_t l, T bound) {
    const int width = levels_[l].features;
    gathered_[l].Gather(first, last, width, [&](int64_t b, int32_t* index, T* value) {
      return Kernels<T>().at_least(batch.row(b), width, bound, index, value);
    });
  }

  std::vector<Level> levels_;
  std::vector<GatheredRows<T>> gathered_;
  std::vector<T> hint_, cutoff_;
};

int Code(const CodeInput& in, const float* z, float* scratch, int32_t* index, float* value) {
  const int width = in.spec.features();
  if (in.top_k) return Kernels<float>().top_k(z, width, in.spec.k(), scratch, index, value);
  return Kernels<float>().at_least(z, width, in.threshold, index, value);
}

}  // namespace

ArchitectureEntry BatchTopKEntry() { return EntryOf<BatchTopK>(Selection::kBatchTopK, Code); }

}  // namespace saed::sae

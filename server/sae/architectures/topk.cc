// TopK (Gao et al. 2024): of each window the k largest of max(z, 0), lower latent first among
// equals. ∂f/∂z is 1 for the chosen, 0 for the others. Every Matryoshka level chooses by itself.
#include <algorithm>

#include "server/sae/architectures/architecture.h"
#include "server/sae/kernels/dispatch.h"

namespace saed::sae {
namespace {

template <class T>
class TopK final : public Architecture<T> {
 public:
  explicit TopK(const ModelSpec& spec) : levels_(spec.levels) {}

  std::vector<Pass<T>> Passes() const override { return LevelPasses<T>(levels_); }

  void Begin(const Batch<T>& batch, std::vector<Pass<T>>& passes) override {
    for (size_t l = 0; l < levels_.size(); ++l) {
      const int64_t k = SelectedNow(levels_[l], batch.coefficients);
      passes[l].begin.resize(batch.rows);
      passes[l].end.resize(batch.rows);
      passes[l].latent.resize(batch.rows * k);
      passes[l].value.resize(batch.rows * k);
    }
  }

  bool needs_batch() const override { return false; }

  void SelectRows(const Batch<T>& batch, int64_t first, int64_t last,
                  std::vector<Pass<T>>& passes) override {
    std::vector<T> scratch(2 * (batch.parameters.features + kLanes));
    for (size_t l = 0; l < levels_.size(); ++l) {
      Pass<T>& pass = passes[l];
      const int64_t k = SelectedNow(levels_[l], batch.coefficients);
      for (int64_t b = first; b < last; ++b) {
        pass.begin[b] = b * k;
        pass.end[b] =
            b * k + Kernels<T>().top_k(batch.row(b), levels_[l].features, static_cast<int>(k),
                                       scratch.data(), pass.latent.data() + b * k,
                                       pass.value.data() + b * k);
      }
    }
  }

  // The mean over rows of each row's smallest selected value.
  std::vector<T> Cutoffs(const std::vector<Pass<T>>& passes) const override {
    std::vector<T> out;
    for (size_t l = 0; l < levels_.size(); ++l) {
      const Pass<T>& pass = passes[l];
      double sum = 0;
      for (size_t b = 0; b < pass.begin.size(); ++b) {
        const auto begin = pass.value.begin() + pass.begin[b],
                   end = pass.value.begin() + pass.end[b];
        if (begin != end) sum += static_cast<double>(*std::min_element(begin, end));
      }
      out.push_back(
          static_cast<T>(sum / static_cast<double>(std::max<size_t>(1, pass.begin.size()))));
    }
    return out;
  }

 private:
  std::vector<Level> levels_;
};

int Code(const CodeInput& in, const float* z, float* scratch, int32_t* index, float* value) {
  const int width = in.spec.features();
  if (!in.top_k) return Kernels<float>().at_least(z, width, in.threshold, index, value);
  return Kernels<float>().top_k(z, width, in.spec.k(), scratch, index, value);
}

}  // namespace

ArchitectureEntry TopKEntry() { return EntryOf<TopK>(Selection::kTopK, Code); }

}  // namespace saed::sae

// Codes of unknown length gathered by blocks of rows, then laid out one after another.
#pragma once

#include <tbb/task_arena.h>

#include <algorithm>
#include <vector>

#include "server/sae/architectures/architecture.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/parallel.h"

namespace saed::sae {

// Rows that go through encoding and selection together: enough to share the weights while they are
// in cache, few enough that every thread has some.
inline int64_t RowBlock(int64_t rows) {
  // Blocks decide who does what, and nothing else: every row's results are its own. So they may
  // follow the number of threads, which sixteen blocks would not keep busy on larger machines.
  const int64_t blocks = std::max<int64_t>(16, 2 * tbb::this_task_arena::max_concurrency());
  return std::clamp<int64_t>(rows / blocks / 16 * 16, 16, 128);
}

template <class T>
class GatheredRows {
 public:
  void Begin(int64_t rows) {
    row_block_ = RowBlock(rows);
    blocks_.resize(BlockCount(rows, row_block_));
    for (Block& b : blocks_) b.latent.clear(), b.value.clear(), b.count.clear();
  }

  // Calls fill(row, index, value) → count for each row of the block that starts at `first`; index
  // and value have room for `most` + 16 entries.
  template <class Fill>
  void Gather(int64_t first, int64_t last, int most, const Fill& fill) {
    Block& block = blocks_[first / row_block_];
    size_t used = 0;
    for (int64_t b = first; b < last; ++b) {
      if (block.latent.size() < used + most + 16) {
        block.latent.resize(2 * used + most + 16);
        block.value.resize(2 * used + most + 16);
      }
      const int n = fill(b, block.latent.data() + used, block.value.data() + used);
      block.count.push_back(n);
      used += n;
    }
    block.latent.resize(used);
    block.value.resize(used);
  }

  int64_t size() const {
    int64_t n = 0;
    for (const Block& b : blocks_) n += static_cast<int64_t>(b.latent.size());
    return n;
  }

  // Every gathered value, in row order.
  std::vector<T> Values() const {
    const std::vector<int64_t> at = Places([](const Block& b) { return b.value.size(); });
    std::vector<T> out(at.back());
    ForBlocks(block_count(), 1, [&](int64_t i, int64_t, int64_t) {
      std::copy(blocks_[i].value.begin(), blocks_[i].value.end(), out.begin() + at[i]);
    });
    return out;
  }

  // Writes the entries above `cutoff` into the pass, and of those equal to it the first `equal`.
  void Write(int64_t rows, Pass<T>& pass, T cutoff, int64_t equal) const {
    const std::vector<int64_t> above = Places([&](const Block& b) {
      return std::count_if(b.value.begin(), b.value.end(), [&](T v) { return v > cutoff; });
    });
    const std::vector<int64_t> ties =
        Places([&](const Block& b) { return std::count(b.value.begin(), b.value.end(), cutoff); });
    const auto place = [&](int64_t block) { return above[block] + std::min(equal, ties[block]); };
    Lay(rows, pass, place, [&](int64_t block, const auto& each) {
      int64_t left = std::max<int64_t>(0, equal - ties[block]);
      each([&](T v) { return v > cutoff || (v == cutoff && left-- > 0); });
    });
  }

  // Writes all entries.
  void Write(int64_t rows, Pass<T>& pass) const {
    const std::vector<int64_t> at = Places([](const Block& b) { return b.value.size(); });
    Lay(
        rows, pass, [&](int64_t block) { return at[block]; },
        [](int64_t, const auto& each) { each([](T) { return true; }); });
  }

 private:
  struct Block {
    std::vector<int32_t> latent;
    std::vector<T> value;
    std::vector<int> count;
  };

  int64_t block_count() const { return static_cast<int64_t>(blocks_.size()); }

  // Where each block's entries begin if it has so many, and behind the last the sum.
  template <class Count>
  std::vector<int64_t> Places(const Count& count) const {
    std::vector<int64_t> out(blocks_.size() + 1, 0);
    ForBlocks(block_count(), 1, [&](int64_t i, int64_t, int64_t) {
      out[i + 1] = static_cast<int64_t>(count(blocks_[i]));
    });
    for (size_t i = 0; i < blocks_.size(); ++i) out[i + 1] += out[i];
    return out;
  }

  // Lays blocks side by side, all at once: block i from place(i) on, which for the number of blocks
  // is the end; with(i, each) calls each(keep) once, and keep is called in row order.
  template <class Place, class With>
  void Lay(int64_t rows, Pass<T>& pass, const Place& place, const With& with) const {
    pass.begin.resize(rows);
    pass.end.resize(rows);
    pass.latent.resize(place(block_count()));
    pass.value.resize(place(block_count()));
    ForBlocks(block_count(), 1, [&](int64_t i, int64_t, int64_t) {
      with(i, [&](const auto& keep) { LayBlock(i, place(i), keep, pass); });
    });
  }

  template <class Keep>
  void LayBlock(int64_t block, int64_t out, const Keep& keep, Pass<T>& pass) const {
    const Block& b = blocks_[block];
    int64_t row = block * row_block_;
    size_t e = 0;
    for (const int n : b.count) {
      pass.begin[row] = out;
      for (const size_t end = e + n; e < end; ++e) {
        if (!keep(b.value[e])) continue;
        pass.latent[out] = b.latent[e];
        pass.value[out++] = b.value[e];
      }
      pass.end[row++] = out;
    }
  }

  int64_t row_block_ = 16;
  std::vector<Block> blocks_;
};

// The base of architectures with one level whose codes have any length: gathers every positive z.
template <class T>
class GatheringArchitecture : public Architecture<T> {
 public:
  explicit GatheringArchitecture(const ModelSpec& spec) : levels_(spec.levels) {}

  std::vector<Pass<T>> Passes() const override { return LevelPasses<T>(levels_); }
  void Begin(const Batch<T>& batch, std::vector<Pass<T>>& /*passes*/) override {
    gathered_.Begin(batch.rows);
  }
  bool needs_batch() const override { return true; }
  void SelectRows(const Batch<T>& batch, int64_t first, int64_t last,
                  std::vector<Pass<T>>& /*passes*/) override {
    const int width = batch.parameters.features;
    gathered_.Gather(first, last, width, [&](int64_t b, int32_t* index, T* value) {
      return Kernels<T>().at_least(batch.row(b), width, T(0), index, value);
    });
  }
  void SelectBatch(const Batch<T>& batch, std::vector<Pass<T>>& passes) override {
    gathered_.Write(batch.rows, passes[0]);
  }

 protected:
  GatheredRows<T> gathered_;

 private:
  std::vector<Level> levels_;  // one
};

}  // namespace saed::sae

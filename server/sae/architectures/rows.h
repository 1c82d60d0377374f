// Codes of unknown length gathered by blocks of rows, then laid out one after another.
#pragma once

#include <algorithm>
#include <vector>

#include "server/sae/architectures/architecture.h"
#include "server/sae/kernels/dispatch.h"
#include "server/sae/parallel.h"

namespace saed::sae {

// Rows that go through encoding and selection together: enough to share the weights while they are
// in cache, few enough that every thread has some.
inline int64_t RowBlock(int64_t rows) { return std::clamp<int64_t>(rows / 16 / 16 * 16, 16, 128); }

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
  template <class Fn>
  void ForValues(const Fn& fn) const {
    for (const Block& b : blocks_) {
      for (const T v : b.value) fn(v);
    }
  }

  // Writes entries with keep(value) into the pass; keep is called in row order.
  template <class Keep>
  void Write(int64_t rows, Pass<T>& pass, const Keep& keep) const {
    pass.begin.resize(rows);
    pass.end.resize(rows);
    pass.latent.resize(size());
    pass.value.resize(size());
    int64_t out = 0, row = 0;
    for (const Block& b : blocks_) {
      size_t e = 0;
      for (const int n : b.count) {
        pass.begin[row] = out;
        for (const size_t end = e + n; e < end; ++e) {
          pass.latent[out] = b.latent[e];
          pass.value[out] = b.value[e];
          out += keep(b.value[e]);
        }
        pass.end[row++] = out;
      }
    }
    pass.latent.resize(out);
    pass.value.resize(out);
  }

  // Writes all entries.
  void Write(int64_t rows, Pass<T>& pass) const {
    Write(rows, pass, [](T) { return true; });
  }

 private:
  struct Block {
    std::vector<int32_t> latent;
    std::vector<T> value;
    std::vector<int> count;
  };
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

// What differs between architectures: how the code is chosen, what is added to the loss, and how
// gradients pass through the choice. Encoder, decoder, losses and updates are the same for all and
// live in step.h. A new architecture is a file here and a line in architecture.cc.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/sae/parameters.h"
#include "server/sae/spec.h"

namespace saed::sae {

// One reconstruction of the minibatch: a Matryoshka level, a gated model's auxiliary one, or that
// of dead latents. Entries of row b are [begin[b], end[b]), latents ascending.
template <class T>
struct Pass {
  double weight = 1;           // of its reconstruction loss
  bool trains_decoder = true;  // else W_d and b_d are constants of this pass
  bool trains_bias = true;     // whether b_e gets the slopes too

  std::vector<int64_t> begin, end;
  std::vector<int32_t> latent;
  std::vector<T> value;  // f
  std::vector<T> slope;  // ∂L/∂f, then ∂L/∂z
  // Per-entry gradients of the architecture's own parameters; empty where a pass has none.
  std::vector<std::vector<T>> extra_slope;
  std::vector<T> output_slope;  // ∂L/∂(W_d·f + b_d), [B, E]
  double loss = 0;              // weighted

  // The same entries by latent, rows ascending: of latent j [column_begin[j], column_begin[j+1]).
  std::vector<int64_t> column_begin;
  std::vector<int32_t> column_row;
  std::vector<T> column_value, column_slope;
  std::vector<std::vector<T>> column_extra;
};

// Coefficients of the step, from the schedule.
struct Coefficients {
  double lambda = 0;  // λ
  double p = 1;       // exponent of p-anneal
  double spare = 0;   // k-anneal: the part of the latents beyond k that is chosen as well
};

// How many latents a level selects at this step.
inline int64_t SelectedNow(const Level& level, const Coefficients& c) {
  return level.k + std::llround(c.spare * (level.features - level.k));
}

// The minibatch as an architecture sees it.
template <class T>
struct Batch {
  const Parameters<T>& parameters;
  const T* z;  // [rows, F]
  int64_t rows;
  Coefficients coefficients;

  const T* row(int64_t b) const { return z + b * parameters.features; }
};

// A parameter per latent beside the encoder bias.
struct LatentParameter {
  std::string name;  // of its stored tensor
  double start;
};
std::vector<LatentParameter> LatentParameters(const ModelSpec& spec);

// Not thread-safe as a whole: SelectRows and FinishRow may run for different rows at once, the
// others alone.
template <class T>
class Architecture {
 public:
  virtual ~Architecture() = default;

  // Passes with their weights, flags and extra_slope slots.
  virtual std::vector<Pass<T>> Passes() const = 0;
  // Sizes buffers for a minibatch; its z is not there yet.
  virtual void Begin(const Batch<T>& batch, std::vector<Pass<T>>& passes) = 0;
  // Chooses the codes of rows [first, last), or gathers candidates for SelectBatch.
  virtual void SelectRows(const Batch<T>& batch, int64_t first, int64_t last,
                          std::vector<Pass<T>>& passes) = 0;
  // True where codes exist only after SelectBatch.
  virtual bool needs_batch() const = 0;
  virtual void SelectBatch(const Batch<T>& /*batch*/, std::vector<Pass<T>>& /*passes*/) {}
  // With ∂L/∂f of one row in pass.slope: adds the penalty's part, turns it into ∂L/∂z and fills
  // extra_slope. Returns the row's penalty (its part of the mean over rows).
  virtual double FinishRow(const Batch<T>& /*batch*/, int64_t /*b*/, size_t /*pass*/,
                           Pass<T>& /*entries*/) const {
    return 0;
  }
  // The smallest selected value of each level, for threshold calibration; 0 where there is none.
  virtual std::vector<T> Cutoffs(const std::vector<Pass<T>>& passes) const;
};

// exp of the first of the architecture's own parameters, [F], which is a logarithm wherever there
// is one; empty where there is none.
template <class T>
std::vector<T> Exponentials(const Parameters<T>& p) {
  if (p.extra.empty()) return {};
  std::vector<T> out = p.extra[0];
  for (T& v : out) v = std::exp(v);
  return out;
}

template <class T>
std::unique_ptr<Architecture<T>> MakeArchitecture(const ModelSpec& spec);

// The code of one window for use after training. `rule`: see CodeRule in model.h; architectures
// without a k ignore it. index and value have room for F + 16. Returns how many.
struct CodeInput {
  const ModelSpec& spec;
  const Parameters<float>& parameters;
  const float* exponentials;  // Exponentials(parameters)
  float threshold;            // of the last level
  bool top_k;                 // the k largest instead of the threshold
};
int CodeOfRow(const CodeInput& input, const float* z, float* scratch, int32_t* index, float* value);

// Each architecture's own functions, registered in architecture.cc.
struct ArchitectureEntry {
  Selection selection;
  std::vector<LatentParameter> (*parameters)(const ModelSpec&);
  std::unique_ptr<Architecture<float>> (*make_float)(const ModelSpec&);
  std::unique_ptr<Architecture<double>> (*make_double)(const ModelSpec&);
  int (*code)(const CodeInput&, const float*, float*, int32_t*, float*);
};
using CodeFunction = int (*)(const CodeInput&, const float*, float*, int32_t*, float*);

// The entry of a class template, without parameters of its own unless given.
template <template <class> class A>
ArchitectureEntry EntryOf(
    Selection selection, CodeFunction code,
    std::vector<LatentParameter> (*parameters)(const ModelSpec&) = [](const ModelSpec&) {
      return std::vector<LatentParameter>{};
    }) {
  return {selection, parameters,
          [](const ModelSpec& s) -> std::unique_ptr<Architecture<float>> {
            return std::make_unique<A<float>>(s);
          },
          [](const ModelSpec& s) -> std::unique_ptr<Architecture<double>> {
            return std::make_unique<A<double>>(s);
          },
          code};
}

// A pass for every Matryoshka level, with its weight.
template <class T>
std::vector<Pass<T>> LevelPasses(const std::vector<Level>& levels) {
  std::vector<Pass<T>> out(levels.size());
  for (size_t l = 0; l < levels.size(); ++l) out[l].weight = levels[l].weight;
  return out;
}

ArchitectureEntry TopKEntry();
ArchitectureEntry BatchTopKEntry();
ArchitectureEntry ReluEntry();
ArchitectureEntry JumpReluEntry();
ArchitectureEntry GatedEntry();

}  // namespace saed::sae

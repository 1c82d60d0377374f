// Models held ready, and encoding with them.
#pragma once

#include <tbb/task_arena.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "server/base/counts.h"
#include "server/inference/set_scores.h"
#include "server/sae/evidence.h"
#include "server/sae/model.h"
#include "storage/models_table.h"

namespace saed::inference {

// Scorers of one model's evidence, made when they are first asked for and kept while they are
// small. Thread-safe.
class Scorers {
 public:
  std::shared_ptr<const sae::EvidenceScorer> Get(const sae::Model& model, sae::EvidenceKind kind,
                                                 const std::vector<int32_t>& latents);

 private:
  std::mutex mutex_;
  std::map<sae::EvidenceKind, std::shared_ptr<const sae::EvidenceScorer>> whole_;  // of all latents
};

// A model in memory. Immutable, shared by requests.
struct LoadedModel {
  storage::ModelRow row;
  std::vector<int64_t> unit_ids;
  sae::Model model;
  std::unique_ptr<sae::Encoder> encoder;  // of `model`
  std::unique_ptr<Scorers> scorers;       // of `model`
};

// A batch of windows to encode: counts [windows, S, units], row-major, of any supported dtype.
struct EncodeRequest {
  CountView counts;  // bins = windows·S
  bool use_rule = false;
  sae::CodeRule rule = sae::CodeRule::kThreshold;  // where use_rule; else the model's own
  bool reconstruct = false;
  std::optional<sae::EvidenceKind> evidence;
  std::vector<int32_t> evidence_latents;  // empty: all
  std::vector<Set> sets;
};

struct EncodeResult {
  sae::Codes<float> codes;
  std::vector<float> reconstruction;  // [windows, S, units] in normalised units; empty unless asked
  std::vector<float> evidence;        // [windows, latents]; empty unless asked
  std::vector<float> set_scores;      // [windows, sets]
};

inline constexpr int64_t kMaxEncodeWindows = 1 << 16;

// Thread-safe. Encodes in a TBB arena of its own with high priority, so that training does not hold
// live requests up.
class Engine {
 public:
  // `bytes`: of models held ready beside the last one used, about.
  Engine(storage::ModelsTable& models, int threads, int64_t bytes = kHeldBytes);

  // From memory, or read from the store, one model at a time and each once; NOT_FOUND where neither
  // has it, and what StillWanted() says where the call ends while it waits.
  absl::StatusOr<std::shared_ptr<const LoadedModel>> Get(const std::string& id);
  void Forget(const std::string& id);
  // Models held, and about how many bytes they take.
  std::pair<size_t, int64_t> Holds() const;

  EncodeResult Encode(const LoadedModel& loaded, const EncodeRequest& request);

 private:
  static constexpr int64_t kHeldBytes = int64_t{1} << 30;
  struct Entry {
    std::string id;
    std::shared_ptr<const LoadedModel> model;
    int64_t bytes = 0;
  };

  std::shared_ptr<const LoadedModel> Held(const std::string& id);
  absl::StatusOr<Entry> Load(const std::string& id);

  const int64_t most_bytes_;
  storage::ModelsTable& models_;
  tbb::task_arena arena_;
  std::timed_mutex loading_;  // held while a model is read
  mutable std::mutex mutex_;
  std::list<Entry> recent_;  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
  int64_t held_bytes_ = 0;
  uint64_t forgotten_ = 0;  // how often; what was read meanwhile is not held
};

}  // namespace saed::inference

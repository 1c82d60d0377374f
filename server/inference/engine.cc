#include "server/inference/engine.h"

#include <chrono>
#include <numeric>
#include <utility>

#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/inference/model_record.h"

namespace saed::inference {

std::shared_ptr<const sae::EvidenceScorer> Scorers::Get(const sae::Model& model,
                                                        sae::EvidenceKind kind,
                                                        const std::vector<int32_t>& latents) {
  if (!latents.empty()) return std::make_shared<sae::EvidenceScorer>(model, kind, latents);
  constexpr int64_t kKept = int64_t{1} << 24;  // weights of a scorer that is kept
  const std::lock_guard lock(mutex_);
  if (const auto it = whole_.find(kind); it != whole_.end()) return it->second;
  std::vector<int32_t> all(model.spec.features());
  std::iota(all.begin(), all.end(), 0);
  auto scorer = std::make_shared<sae::EvidenceScorer>(model, kind, std::move(all));
  if (int64_t{model.spec.features()} * model.outputs() <= kKept) whole_[kind] = scorer;
  return scorer;
}

Engine::Engine(storage::ModelsTable& models, int threads, int64_t bytes)
    : most_bytes_(bytes), models_(models), arena_(threads, 1, tbb::task_arena::priority::high) {}

std::shared_ptr<const LoadedModel> Engine::Held(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto it = index_.find(id);
  if (it == index_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, it->second);
  return it->second->model;
}

absl::StatusOr<Engine::Entry> Engine::Load(const std::string& id) {
  auto loaded = std::make_shared<LoadedModel>();
  SAED_ASSIGN_OR_RETURN(loaded->row, models_.Get(id));
  SAED_ASSIGN_OR_RETURN(auto tensors, models_.Tensors(id));
  int64_t values = 0;
  for (const storage::TensorRow& tensor : tensors) {
    values += static_cast<int64_t>(tensor.data.size());
  }
  SAED_ASSIGN_OR_RETURN(loaded->model, ToModel(loaded->row, std::move(tensors)));
  loaded->unit_ids = UnitIds(loaded->row);
  loaded->encoder = std::make_unique<sae::Encoder>(loaded->model);
  loaded->scorers = std::make_unique<Scorers>();
  // The parameters, the encoder's copy, and scorers of evidence, which are made later.
  constexpr int64_t kCopies = 4;
  return Entry{id, std::move(loaded), kCopies * static_cast<int64_t>(sizeof(float)) * values};
}

absl::StatusOr<std::shared_ptr<const LoadedModel>> Engine::Get(const std::string& id) {
  if (auto held = Held(id)) return held;
  std::unique_lock loading(loading_, std::defer_lock);
  while (!loading.try_lock_for(std::chrono::milliseconds(50))) {
    SAED_RETURN_IF_ERROR(StillWanted());
  }
  if (auto held = Held(id)) return held;
  uint64_t forgotten = 0;
  {
    const std::lock_guard lock(mutex_);
    forgotten = forgotten_;
  }
  SAED_ASSIGN_OR_RETURN(Entry entry, Load(id));
  auto model = entry.model;
  const std::lock_guard lock(mutex_);
  if (forgotten != forgotten_) return model;
  held_bytes_ += entry.bytes;
  recent_.push_front(std::move(entry));
  index_[id] = recent_.begin();
  while (held_bytes_ > most_bytes_ && recent_.size() > 1) {
    held_bytes_ -= recent_.back().bytes;
    index_.erase(recent_.back().id);
    recent_.pop_back();
  }
  return model;
}

void Engine::Forget(const std::string& id) {
  const std::lock_guard lock(mutex_);
  ++forgotten_;
  const auto it = index_.find(id);
  if (it == index_.end()) return;
  held_bytes_ -= it->second->bytes;
  recent_.erase(it->second);
  index_.erase(it);
}

std::pair<size_t, int64_t> Engine::Holds() const {
  const std::lock_guard lock(mutex_);
  return {recent_.size(), held_bytes_};
}

EncodeResult Engine::Encode(const LoadedModel& loaded, const EncodeRequest& request) {
  const sae::Model& model = loaded.model;
  const int64_t windows = request.counts.bins / model.S;
  EncodeResult out;
  const auto run = [&] {
    std::vector<int64_t> starts(windows);
    for (int64_t w = 0; w < windows; ++w) starts[w] = w * model.S;
    const sae::CodeRule rule = request.use_rule ? request.rule : sae::DefaultRule(model.spec);
    loaded.encoder->Encode(request.counts, starts, rule, out.codes);
    if (request.reconstruct) {
      out.reconstruction.resize(windows * model.outputs());
      loaded.encoder->Decode(out.codes, out.reconstruction.data());
    }
    if (request.evidence) {
      const auto scorer = loaded.scorers->Get(model, *request.evidence, request.evidence_latents);
      out.evidence.resize(windows * scorer->latents());
      scorer->Score(request.counts, starts, out.codes, out.evidence.data());
    }
    if (!request.sets.empty()) {
      // Sets were made of codes by the model's own rule, whatever the request's.
      sae::Codes<float> own;
      const sae::CodeRule own_rule = sae::DefaultRule(model.spec);
      if (rule != own_rule) loaded.encoder->Encode(request.counts, starts, own_rule, own);
      out.set_scores = ScoreSets(model, request.sets, request.counts, starts,
                                 rule != own_rule ? own : out.codes);
    }
  };
  // A few windows are done sooner on this thread than handed over.
  constexpr int64_t kInline = 32;
  if (windows <= kInline) {
    run();
  } else {
    arena_.execute(run);
  }
  return out;
}

}  // namespace saed::inference

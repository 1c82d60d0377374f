#include "server/jobs/own_choices.h"

#include <limits>
#include <vector>

#include "server/base/status_macros.h"

namespace saed::jobs {
namespace {

absl::StatusOr<std::optional<storage::DictionaryRow>> OwnDictionary(const Stores& stores,
                                                                    const storage::ModelRow& model,
                                                                    const std::string& owner) {
  constexpr int kMost = 100;
  const auto trains = [&](const storage::DictionaryRow& row) {
    return row.recording_id == model.recording_id && row.train_windows > 0;
  };
  const auto own = stores.dictionaries.Get(model.id);
  if (own.ok() && trains(*own)) return *own;
  const storage::Viewer viewer{owner.empty(), owner};
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      stores.dictionaries.List(model.id, kMost, std::numeric_limits<int64_t>::max(), "", viewer));
  for (const storage::DictionaryRow& row : all) {
    if (trains(row)) return row;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::optional<features::Precedent>> OwnChoices(const Stores& stores,
                                                              const storage::ModelRow& model,
                                                              const std::string& owner) {
  SAED_ASSIGN_OR_RETURN(const auto dictionary, OwnDictionary(stores, model, owner));
  if (!dictionary) return std::nullopt;
  features::Precedent out;
  out.dictionary = "dictionaries/" + dictionary->id;
  SAED_ASSIGN_OR_RETURN(const auto conditions, stores.dictionaries.Conditions(dictionary->id));
  std::map<int, features::Precedent::Choices*> at;
  for (const storage::ConditionRow& row : conditions) {
    features::Precedent::Choices& choices = out.conditions[row.name];
    at[row.position] = &choices;
    if (row.best_unit && row.best_unit_train_auroc) {
      choices.unit = {*row.best_unit, row.best_unit_falls, *row.best_unit_train_auroc};
    }
  }
  for (int latent = 0; latent < dictionary->features; ++latent) {
    SAED_ASSIGN_OR_RETURN(const auto pairs,
                          stores.dictionaries.Associations(dictionary->id, latent));
    for (const storage::AssociationRow& row : pairs) {
      // Only pairs with support have a p-value; in sample, where nothing is tested, an interval.
      const bool supported = row.p_value || row.auroc_low;
      if (!supported || !row.train.auroc || at.count(row.condition) == 0) continue;
      features::Judged& judged = at[row.condition]->features[latent];
      judged.kind = sae::EvidenceNamed(row.evidence);
      judged.falls = row.falls;
      judged.train_auroc = row.train.auroc;
    }
  }
  // One that was deleted meanwhile was read in part.
  if (!stores.dictionaries.Get(dictionary->id).ok()) return std::nullopt;
  return out;
}

}  // namespace saed::jobs

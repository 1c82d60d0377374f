// What a condition's feature and sets are worth beside single units, as messages.
#include "server/jobs/set_json.h"
#include "server/rpc/convert.h"

namespace saed::rpc {
namespace {

v1::Worth ToProto(features::Worth worth) {
  switch (worth) {
    case features::Worth::kAboveUnits:
      return v1::WORTH_ABOVE_UNITS;
    case features::Worth::kLikeUnits:
      return v1::WORTH_LIKE_UNITS;
    case features::Worth::kBelowUnits:
      return v1::WORTH_BELOW_UNITS;
    case features::Worth::kUnknown:
      break;
  }
  return v1::WORTH_UNSPECIFIED;
}

void Fill(const features::SetMember& m, v1::FeatureSet::Member& out) {
  out.set_feature(m.latent);
  if (m.kind) out.set_evidence(EvidenceKindOf(sae::Name(*m.kind)));
  out.set_weight(m.weight);
  out.set_mean(m.mean);
  out.set_sd(m.sd);
}

void Fill(const features::UnitMember& m, v1::FeatureSet::Unit& out) {
  out.set_unit_id(m.unit_id);
  out.set_weight(m.weight);
  out.set_mean(m.mean);
  out.set_sd(m.sd);
}

template <class Size, class Message>
void FillSize(const Size& size, Message& out) {
  Fill(size.added, *out.mutable_added());
  if (size.train_auroc) out.set_train_auroc(*size.train_auroc);
  if (size.validated_auroc) out.set_validated_auroc(*size.validated_auroc);
  if (size.test_auroc) out.set_test_auroc(*size.test_auroc);
}

v1::FeatureSet ToProto(const features::FeatureSet& set) {
  v1::FeatureSet out;
  for (const auto& m : set.members) Fill(m, *out.add_members());
  for (const auto& m : set.units) Fill(m, *out.add_units());
  for (const auto& size : set.sizes) FillSize(size, *out.add_sizes());
  for (const auto& size : set.unit_sizes) FillSize(size, *out.add_unit_sizes());
  if (set.interval) {
    out.set_auroc_low(set.interval->low);
    out.set_auroc_high(set.interval->high);
  }
  if (set.over_unit) {
    out.set_over_unit(set.over_unit->difference);
    if (set.over_unit->interval) {
      out.set_over_unit_low(set.over_unit->interval->low);
      out.set_over_unit_high(set.over_unit->interval->high);
    }
  }
  if (set.over_units) {
    out.set_over_units(set.over_units->difference);
    if (set.over_units->interval) {
      out.set_over_units_low(set.over_units->interval->low);
      out.set_over_units_high(set.over_units->interval->high);
    }
  }
  out.set_worth(ToProto(set.worth()));
  return out;
}

}  // namespace

void AddBesideUnits(const storage::ConditionRow& row, v1::DictionaryCondition& out) {
  if (row.over_unit) out.set_over_unit(*row.over_unit);
  if (row.over_unit_low && row.over_unit_high) {
    out.set_over_unit_low(*row.over_unit_low);
    out.set_over_unit_high(*row.over_unit_high);
    out.set_worth(ToProto(features::WorthOf(
        features::Margin{row.over_unit.value_or(0), {{*row.over_unit_low, *row.over_unit_high}}})));
  }
  if (const auto set = jobs::ParseFeatureSet(row.feature_set)) *out.mutable_set() = ToProto(*set);
}

}  // namespace saed::rpc

#include "server/jobs/set_json.h"

#include "server/inference/spec_json.h"

namespace saed::jobs {
namespace {

using features::FeatureSet;
using features::SetMember;
using features::SetSize;
using features::UnitMember;
using nlohmann::json;

json MemberJson(const SetMember& m) {
  return {m.latent, m.kind ? std::string(sae::Name(*m.kind)) : "", m.weight, m.mean, m.sd};
}

json MemberJson(const UnitMember& m) { return {m.unit_id, "", m.weight, m.mean, m.sd}; }

void Parse(const json& j, SetMember& out) {
  const auto kind = j.at(1).get<std::string>();
  out = {j.at(0).get<int>(), sae::EvidenceNamed(kind), j.at(3).get<double>(), j.at(4).get<double>(),
         j.at(2).get<double>()};
  if (!kind.empty() && !out.kind) throw json::other_error::create(501, "unknown kind", nullptr);
}

void Parse(const json& j, UnitMember& out) {
  out = {j.at(0).get<int64_t>(), j.at(3).get<double>(), j.at(4).get<double>(),
         j.at(2).get<double>()};
}

template <class Member>
json MembersJson(const std::vector<Member>& members) {
  json out = json::array();
  for (const Member& m : members) out.push_back(MemberJson(m));
  return out;
}

template <class Member>
json SizesJson(const std::vector<SetSize<Member>>& sizes) {
  json out = json::array();
  for (const auto& s : sizes) {
    out.push_back({{"added", MemberJson(s.added)},
                   {"train", OptionalJson(s.train_auroc)},
                   {"validated", OptionalJson(s.validated_auroc)},
                   {"test", OptionalJson(s.test_auroc)}});
  }
  return out;
}

template <class Member>
void ParseMembers(const json& j, std::vector<Member>& out) {
  for (const json& m : j) Parse(m, out.emplace_back());
}

template <class Member>
void ParseSizes(const json& j, std::vector<SetSize<Member>>& out) {
  for (const json& s : j) {
    auto& size = out.emplace_back();
    Parse(s.at("added"), size.added);
    size.train_auroc = OptionalNumber(s, "train");
    size.validated_auroc = OptionalNumber(s, "validated");
    size.test_auroc = OptionalNumber(s, "test");
  }
}

json IntervalJson(const std::optional<features::Interval>& interval) {
  return interval ? json{interval->low, interval->high} : json(nullptr);
}

std::optional<features::Interval> IntervalOf(const json& j) {
  if (!j.is_array()) return std::nullopt;
  return features::Interval{j.at(0).get<double>(), j.at(1).get<double>()};
}

json MarginJson(const std::optional<features::Margin>& margin) {
  if (!margin) return nullptr;
  return {{"difference", margin->difference}, {"interval", IntervalJson(margin->interval)}};
}

std::optional<features::Margin> MarginOf(const json& j) {
  if (!j.is_object()) return std::nullopt;
  return features::Margin{j.at("difference").get<double>(), IntervalOf(j.at("interval"))};
}

}  // namespace

json ToJson(const FeatureSet& set) {
  return {{"members", MembersJson(set.members)},     {"units", MembersJson(set.units)},
          {"sizes", SizesJson(set.sizes)},           {"unit_sizes", SizesJson(set.unit_sizes)},
          {"interval", IntervalJson(set.interval)},  {"over_unit", MarginJson(set.over_unit)},
          {"over_units", MarginJson(set.over_units)}};
}

std::optional<FeatureSet> ParseFeatureSet(const std::string& text) {
  if (text.empty()) return std::nullopt;
  try {
    const json j = json::parse(text);
    FeatureSet out;
    ParseMembers(j.at("members"), out.members);
    ParseMembers(j.at("units"), out.units);
    ParseSizes(j.at("sizes"), out.sizes);
    ParseSizes(j.at("unit_sizes"), out.unit_sizes);
    out.interval = IntervalOf(j.at("interval"));
    out.over_unit = MarginOf(j.at("over_unit"));
    out.over_units = MarginOf(j.at("over_units"));
    if (out.members.empty()) return std::nullopt;
    return out;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace saed::jobs

#include "client/cli/evidence.h"

#include <algorithm>
#include <cctype>

namespace saed::cli {

const std::map<std::string, v1::EvidenceKind>& EvidenceKinds() {
  static const std::map<std::string, v1::EvidenceKind> kinds = {
      {"given_others", v1::EVIDENCE_KIND_GIVEN_OTHERS},
      {"given_others_z", v1::EVIDENCE_KIND_GIVEN_OTHERS_Z},
      {"marginal", v1::EVIDENCE_KIND_MARGINAL},
      {"rate", v1::EVIDENCE_KIND_RATE},
      {"core_3", v1::EVIDENCE_KIND_CORE_3},
      {"core_10", v1::EVIDENCE_KIND_CORE_10},
      {"core_30", v1::EVIDENCE_KIND_CORE_30},
      {"quasi_rate", v1::EVIDENCE_KIND_QUASI_RATE},
      {"quasi_core_3", v1::EVIDENCE_KIND_QUASI_CORE_3}};
  return kinds;
}

std::string KindName(v1::EvidenceKind kind) {
  if (kind == v1::EVIDENCE_KIND_UNSPECIFIED) return "code";
  constexpr std::string_view kPrefix = "EVIDENCE_KIND_";
  std::string name = v1::EvidenceKind_Name(kind);
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

std::string WorthText(v1::Worth worth) {
  switch (worth) {
    case v1::WORTH_ABOVE_UNITS:
      return "above units";
    case v1::WORTH_LIKE_UNITS:
      return "like units";
    case v1::WORTH_BELOW_UNITS:
      return "below units";
    default:
      return "-";
  }
}

std::string JudgedBy(v1::EvidenceKind kind, bool falls) {
  return falls ? "falls: " + KindName(kind) : KindName(kind);
}

std::string JudgedBy(const v1::Association& association) {
  return JudgedBy(association.evidence(), association.falls());
}

}  // namespace saed::cli

#include "client/cli/evidence.h"

namespace saed::cli {

const std::map<std::string, v1::EvidenceKind>& EvidenceKinds() {
  static const std::map<std::string, v1::EvidenceKind> kinds = {
      {"given_others", v1::EVIDENCE_KIND_GIVEN_OTHERS},
      {"given_others_z", v1::EVIDENCE_KIND_GIVEN_OTHERS_Z},
      {"marginal", v1::EVIDENCE_KIND_MARGINAL},
      {"rate", v1::EVIDENCE_KIND_RATE},
      {"core_3", v1::EVIDENCE_KIND_CORE_3},
      {"core_10", v1::EVIDENCE_KIND_CORE_10},
      {"core_30", v1::EVIDENCE_KIND_CORE_30}};
  return kinds;
}

std::string JudgedBy(const v1::Association& association) {
  std::string name = "code";
  for (const auto& [kind_name, kind] : EvidenceKinds()) {
    if (kind == association.evidence()) name = kind_name;
  }
  return association.falls() ? "falls: " + name : name;
}

}  // namespace saed::cli

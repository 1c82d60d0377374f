// Kinds of evidence as words.
#pragma once

#include <map>
#include <string>

#include "saed/v1/features.pb.h"
#include "saed/v1/types.pb.h"

namespace saed::cli {

// "core_3" and the like.
const std::map<std::string, v1::EvidenceKind>& EvidenceKinds();
// What judges a pair: "code", "core_3", …, with "falls: " before it where the condition lowers it.
std::string JudgedBy(v1::EvidenceKind kind, bool falls);
std::string JudgedBy(const v1::Association& association);
// "code" where it is none.
std::string KindName(v1::EvidenceKind kind);
// "above units", "like units", "below units"; "-" where it is not known.
std::string WorthText(v1::Worth worth);

}  // namespace saed::cli

#include "server/rpc/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/base/display_name.h"
#include "server/base/faults.h"
#include "server/base/text.h"

namespace saed::rpc {
bool GoodId(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
  });
}

absl::StatusOr<std::string> IdOf(std::string_view name, std::string_view collection,
                                 std::string_view field) {
  const std::string prefix = std::string(collection) + "/";
  if (!name.starts_with(prefix) || !GoodId(name.substr(prefix.size()))) {
    return InvalidField(
        field, fmt::format("is '{}'; must be {}{{id}}{}", ValidUtf8(name), prefix,
                           collection == "tokens" ? "" : " or the name of one that you may see"));
  }
  return std::string(name.substr(prefix.size()));
}

bool GoodUser(std::string_view name) {
  return !name.empty() && name.size() <= 40 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == name.npos;
}

absl::StatusOr<std::string> UserOf(std::string_view name, std::string_view field) {
  constexpr std::string_view kPrefix = "users/";
  if (name.starts_with(kPrefix) && GoodUser(name.substr(kPrefix.size()))) {
    return std::string(name.substr(kPrefix.size()));
  }
  return InvalidField(field, fmt::format("is '{}'; must be users/{{name}}, the name 1 to 40 of "
                                         "a-z, 0-9, '.', '_' and '-'",
                                         ValidUtf8(name.substr(0, 100))));
}

absl::Status CheckDisplayName(std::string_view name, std::string_view field) {
  const std::string fault = DisplayNameFault(name);
  return fault.empty() ? absl::OkStatus() : InvalidField(field, fault);
}

absl::Status CheckRename(const google::protobuf::FieldMask& mask, std::string_view name) {
  for (const std::string& path : mask.paths()) {
    if (path != "display_name") {
      return InvalidField("update_mask",
                          fmt::format("names '{}'; must name display_name", ValidUtf8(path)));
    }
  }
  if (!name.empty()) return CheckDisplayName(name, "display_name");
  if (!mask.paths().empty()) return absl::OkStatus();
  return InvalidField("update_mask",
                      "is empty and so is display_name; must name display_name, to take the name "
                      "away");
}

absl::StatusOr<FeatureName> ParseFeatureName(std::string_view name) {
  const size_t at = name.find("/features/");
  const auto bad = [&] {
    return InvalidField(
        "name", fmt::format("is '{}'; must be dictionaries/{{id}}/features/{{latent}}", name));
  };
  if (at == std::string_view::npos) return bad();
  const auto dictionary = IdOf(name.substr(0, at), "dictionaries", "name");
  const std::string latent(name.substr(at + 10));
  const bool digits =
      !latent.empty() && latent.size() < 10 &&
      std::all_of(latent.begin(), latent.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!dictionary.ok() || !digits) return bad();
  return FeatureName{*dictionary, std::stoi(latent)};
}

absl::StatusOr<ConditionName> ParseConditionName(std::string_view name, std::string_view field) {
  constexpr std::string_view kCollection = "/conditions/";
  const size_t at = name.find(kCollection);
  const auto id = IdOf(name.substr(0, at), "dictionaries", field);
  if (at == std::string_view::npos || !id.ok() || at + kCollection.size() == name.size()) {
    return InvalidField(field, fmt::format("is '{}'; must be dictionaries/{{id}}/conditions/{{name "
                                           "of a condition}}",
                                           ValidUtf8(name)));
  }
  return ConditionName{*id, std::string(name.substr(at + kCollection.size()))};
}

absl::StatusOr<int> PageSize(int asked, int usual) {
  if (asked < 0 || asked > kMostRows) {
    return InvalidField("page_size",
                        fmt::format("is {}; must be 0 ({} rows) to {}", asked, usual, kMostRows));
  }
  return asked == 0 ? usual : asked;
}

}  // namespace saed::rpc

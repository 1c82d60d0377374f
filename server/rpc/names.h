// Resource names and page tokens.
#pragma once

#include <google/protobuf/field_mask.pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace saed::rpc {

// The id of "collection/id"; INVALID_ARGUMENT on `field` where the name has another form.
absl::StatusOr<std::string> IdOf(std::string_view name, std::string_view collection,
                                 std::string_view field);

// The name of "users/name"; INVALID_ARGUMENT on `field` where it has another form.
absl::StatusOr<std::string> UserOf(std::string_view name, std::string_view field);
// Whether a user may be called so: 1 to 40 of a-z, 0-9, '.', '_' and '-'.
bool GoodUser(std::string_view name);

// Whether a text has the form of an id.
bool GoodId(std::string_view id);

// INVALID_ARGUMENT on `field` where a display name is empty or not good (display_name.h).
absl::Status CheckDisplayName(std::string_view name, std::string_view field);

// What an update asks for whose only field is display_name: whether the mask names it, or there is
// none and it is set. As at creation it may be empty, with the mask. INVALID_ARGUMENT on
// "update_mask" or "display_name".
absl::Status CheckRename(const google::protobuf::FieldMask& mask, std::string_view name);

struct FeatureName {
  std::string dictionary;
  int latent = 0;
};
// Of "dictionaries/{id}/features/{latent}".
absl::StatusOr<FeatureName> ParseFeatureName(std::string_view name);

struct ConditionName {
  std::string dictionary, condition;
};
// Of "dictionaries/{id}/conditions/{the condition's name}"; INVALID_ARGUMENT on `field`.
absl::StatusOr<ConditionName> ParseConditionName(std::string_view name, std::string_view field);

// 0 is `usual`; INVALID_ARGUMENT below 0 or above kMostRows.
inline constexpr int kMostRows = 1000;
absl::StatusOr<int> PageSize(int asked, int usual = 50);

// A token holds the key of the last row sent, sealed (page_tokens.cc): it is refused with another
// query, from another user than the one that this thread works for, and after a restart.
std::string MakePageToken(std::string_view query, const std::vector<std::string>& key);
// Empty where the token is empty (the first page).
absl::StatusOr<std::vector<std::string>> ParsePageToken(std::string_view token,
                                                        std::string_view query, size_t parts);

}  // namespace saed::rpc

// FeatureService: what people say about features.
#include <fmt/format.h>

#include "saed/v1/features.pb.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

constexpr size_t kMaxNote = 10'000, kMaxLabel = 200, kMaxAuthor = 100;

void CheckLength(const std::string& text, size_t most, const char* field, Faults& faults) {
  if (!text.empty() && text.size() <= most) return;
  faults.Add(field, fmt::format("is {} bytes long; must be 1 to {}", text.size(), most));
}

absl::Status CreateAnnotation(Context& context, const Caller& caller,
                              const v1::CreateAnnotationRequest& request,
                              v1::CreateAnnotationResponse& response) {
  Faults faults;
  storage::AnnotationRow row;
  const auto name = ParseFeatureName(request.parent());
  faults.Merge(name.status());
  switch (request.kind()) {
    case v1::Annotation::KIND_LABEL:
      row.kind = "label";
      break;
    case v1::Annotation::KIND_TAG:
      row.kind = "tag";
      break;
    case v1::Annotation::KIND_NOTE:
      row.kind = "note";
      break;
    default:
      faults.Add("kind", fmt::format("is {}; must be KIND_LABEL, KIND_TAG or KIND_NOTE",
                                     static_cast<int>(request.kind())));
  }
  CheckLength(request.text(), row.kind == "note" ? kMaxNote : kMaxLabel, "text", faults);
  if (!caller.known()) CheckLength(request.author(), kMaxAuthor, "author", faults);
  if (!faults.empty()) return faults.ToStatus();
  SAED_ASSIGN_OR_RETURN(const auto dictionary, context.stores.dictionaries.Get(name->dictionary));
  row.model_id = dictionary.model_id;
  row.latent = name->latent;
  row.text = request.text();
  row.author = caller.known() ? caller.user : request.author();
  row.created_at = context.clock.NowMicros();
  row.recording_id = dictionary.recording_id;
  SAED_ASSIGN_OR_RETURN(row, context.stores.annotations.Add(row, caller.viewer()));
  *response.mutable_annotation() = ToProto(name->dictionary, row);
  return absl::OkStatus();
}

absl::Status ListAnnotations(Context& context, const Caller& caller,
                             const v1::ListAnnotationsRequest& request,
                             v1::ListAnnotationsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const FeatureName name, ParseFeatureName(request.parent()));
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size(), kMostRows));
  const std::string query =
      fmt::format("annotations/{}/{}", request.parent(), request.show_deleted());
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  SAED_ASSIGN_OR_RETURN(const auto dictionary, context.stores.dictionaries.Get(name.dictionary));
  SAED_ASSIGN_OR_RETURN(
      const auto rows,
      context.stores.annotations.List(
          dictionary.model_id, name.latent, request.show_deleted(), caller.viewer(), size,
          after.empty() ? 0 : std::strtoll(after[0].c_str(), nullptr, 10)));
  for (const auto& row : rows) *response.add_annotations() = ToProto(name.dictionary, row);
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(MakePageToken(query, {std::to_string(rows.back().id)}));
  }
  return absl::OkStatus();
}

absl::Status DeleteAnnotation(Context& context, const Caller& caller,
                              const v1::DeleteAnnotationRequest& request,
                              v1::DeleteAnnotationResponse&) {
  const std::string_view whole = request.name();
  constexpr std::string_view kPart = "/annotations/";
  const size_t at = whole.rfind(kPart);
  char* end = nullptr;
  const std::string digits(at == std::string_view::npos ? "" : whole.substr(at + kPart.size()));
  const int64_t id = std::strtoll(digits.c_str(), &end, 10);
  if (digits.empty() || *end != '\0' || id < 1) {
    return InvalidField("name", fmt::format("is '{}'; must be "
                                            "dictionaries/{{id}}/features/{{latent}}/annotations/"
                                            "{{id}}",
                                            whole));
  }
  SAED_ASSIGN_OR_RETURN(const FeatureName name, ParseFeatureName(whole.substr(0, at)));
  Faults faults;
  if (!caller.known()) CheckLength(request.deleter(), kMaxAuthor, "deleter", faults);
  if (!faults.empty()) return faults.ToStatus();
  SAED_ASSIGN_OR_RETURN(const auto dictionary, context.stores.dictionaries.Get(name.dictionary));
  return context.stores.annotations.Delete(dictionary.model_id, name.latent, id,
                                           caller.known() ? caller.user : request.deleter(),
                                           context.clock.NowMicros(), caller.viewer());
}

}  // namespace

void AddAnnotationMethods(Methods& methods) {
  methods.Add(CreateAnnotation);
  methods.Add(ListAnnotations);
  methods.Add(DeleteAnnotation);
}

}  // namespace saed::rpc

// saectl features label, tag, note, annotations, forget.
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

std::string Me() {
  const char* user = std::getenv("USER");
  return user != nullptr && *user != '\0' ? user : "unknown";
}

const char* KindName(v1::Annotation::Kind kind) {
  return kind == v1::Annotation::KIND_LABEL ? "label"
         : kind == v1::Annotation::KIND_TAG ? "tag"
                                            : "note";
}

struct Flags {
  std::string dictionary, text, author = Me();
  int latent = 0;
  bool deleted = false;

  std::string name() const {
    return fmt::format("{}/features/{}", FullName("dictionaries", dictionary), latent);
  }
};

absl::Status Say(Session& session, const Flags& flags, v1::Annotation::Kind kind) {
  v1::CreateAnnotationRequest request;
  request.set_parent(flags.name());
  request.set_kind(kind);
  request.set_text(flags.text);
  request.set_author(flags.author);
  grpc::ClientContext context;
  v1::CreateAnnotationResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().CreateAnnotation(&context, request, &response)));
  fmt::print("{}", session.json ? Json(response)
                                : fmt::format("{}: {} \"{}\"\n", response.annotation().name(),
                                              KindName(kind), flags.text));
  return absl::OkStatus();
}

absl::Status List(Session& session, const Flags& flags) {
  v1::ListAnnotationsRequest request;
  request.set_parent(flags.name());
  request.set_show_deleted(flags.deleted);
  SAED_ASSIGN_OR_RETURN(
      const auto response,
      AllPages<v1::ListAnnotationsResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->features().ListAnnotations(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(response));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& a : response.annotations()) {
    const std::time_t seconds = a.create_time().seconds();
    char day[32];
    std::tm parts{};
    std::strftime(day, sizeof day, "%F %R", gmtime_r(&seconds, &parts));
    rows.push_back({a.name().substr(a.name().rfind('/') + 1), KindName(a.kind()), day, a.author(),
                    a.has_delete_time() ? "by " + a.deleter() : "", a.text()});
  }
  fmt::print("{}", Listing("annotations", false,
                           {"ID", "KIND", "TIME (UTC)", "AUTHOR", "DELETED", "TEXT"}, rows));
  return absl::OkStatus();
}

absl::Status Forget(Session& session, const Flags& flags) {
  v1::DeleteAnnotationRequest request;
  request.set_name(flags.name() + "/annotations/" + flags.text);
  request.set_deleter(flags.author);
  grpc::ClientContext context;
  v1::DeleteAnnotationResponse response;
  return client::FromGrpc(
      session.client->features().DeleteAnnotation(&context, request, &response));
}

}  // namespace

void AddAnnotationCommands(CLI::App& group, Session& session) {
  const auto add = [&](const char* name, const char* help, const char* text, const char* text_help,
                       auto body) {
    auto* c = group.add_subcommand(name, help);
    auto flags = std::make_shared<Flags>();
    c->add_option("dictionary", flags->dictionary, "Its name or id")->required();
    c->add_option("feature", flags->latent, "Its number")->required();
    if (text != nullptr) c->add_option(text, flags->text, text_help)->required();
    c->add_option("--author", flags->author, "Who says so")->capture_default_str();
    if (text == nullptr) c->add_flag("--deleted", flags->deleted, "Also deleted and replaced ones");
    Run(c, session, [&session, flags, body] { return body(session, *flags); });
  };
  add("label", "Names a feature; a new label takes the old one's place", "text", "The label",
      [](Session& s, const Flags& f) { return Say(s, f, v1::Annotation::KIND_LABEL); });
  add("tag", "Tags a feature", "text", "The tag",
      [](Session& s, const Flags& f) { return Say(s, f, v1::Annotation::KIND_TAG); });
  add("note", "Writes a note to a feature", "text", "The note",
      [](Session& s, const Flags& f) { return Say(s, f, v1::Annotation::KIND_NOTE); });
  add("annotations", "What people said about a feature", nullptr, nullptr, List);
  add("forget", "Deletes a label, tag or note; the history keeps it", "id", "Its number", Forget);
}

}  // namespace saed::cli

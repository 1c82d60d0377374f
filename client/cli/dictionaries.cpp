// Feature dictionaries as things: which there are, and away with them. What is in them: features
// and conditions.
#include <fmt/format.h>

#include "client/cli/ask.h"
#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

absl::Status List(Session& session, const std::string& model) {
  v1::ListDictionariesRequest request;
  if (!model.empty()) request.set_model(FullName("models", model));
  SAED_ASSIGN_OR_RETURN(
      const auto all,
      AllPages<v1::ListDictionariesResponse>(request, [&](auto* context, const auto& r, auto* out) {
        return session.client->features().ListDictionaries(context, r, out);
      }));
  if (session.json) {
    fmt::print("{}", Json(all));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& d : all.dictionaries()) {
    rows.push_back({d.name(), std::to_string(d.feature_count()), d.model(), d.recording(),
                    Utc(d.create_time())});
  }
  fmt::print("{}", Listing("dictionaries", !model.empty(),
                           {"DICTIONARY", "FEATURES", "MODEL", "RECORDING", "CREATED"}, rows, {1}));
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const std::string& name) {
  v1::DeleteDictionaryRequest request;
  request.set_name(FullName("dictionaries", name));
  return Erase<v1::DeleteDictionaryResponse>(session, request, [&](auto... a) {
    return session.client->features().DeleteDictionary(a...);
  });
}

}  // namespace

void AddDictionaryCommands(CLI::App& app, Session& session) {
  auto* group = app.add_subcommand("dictionaries", "Feature dictionaries: list, delete");
  group->require_subcommand(1);
  auto* list = group->add_subcommand("list", "All dictionaries, newest first");
  auto model = std::make_shared<std::string>();
  list->add_option("--model", *model, "Only dictionaries of this model");
  Run(list, session, [&session, model] { return List(session, *model); });
  auto* erase = group->add_subcommand(
      "delete", "Delete a dictionary; its model, and labels, tags and notes on it, stay");
  auto name = std::make_shared<std::string>();
  erase->add_option("dictionary", *name, "Its name or id")->required();
  Run(erase, session, [&session, name] { return Delete(session, *name); });
}

}  // namespace saed::cli

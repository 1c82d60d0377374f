// What every command of saectl shares.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/cpp/client.h"

namespace saed::cli {

// Exit codes.
enum ExitCode {
  kOk = 0,
  kFailed = 1,       // the server refused or failed
  kUsage = 2,        // wrong flags
  kJobFailed = 3,    // a watched job failed or was cancelled
  kUnreachable = 4,  // no server there
};

struct Session {
  std::string server = "127.0.0.1:7070";
  bool json = false;
  std::string ca, certificate, key;        // files
  std::unique_ptr<client::Client> client;  // made before the command runs
  int exit_code = kOk;
};

// A command's body; its status becomes the message and the exit code.
using Body = std::function<absl::Status()>;

// Sets the body of a (sub)command.
void Run(CLI::App* command, Session& session, Body body);

// "abc" or "collection/abc" → "collection/abc".
std::string FullName(const std::string& collection, const std::string& name);

void AddRecordingCommands(CLI::App& app, Session& session);
// Below "recordings".
void AddImportCommand(CLI::App& group, Session& session);
void AddFormatsCommand(CLI::App& group, Session& session);
void AddDownloadCommand(CLI::App& group, Session& session);
void AddTrainCommand(CLI::App& app, Session& session);
void AddAnalyseCommand(CLI::App& app, Session& session);
void AddSweepCommands(CLI::App& app, Session& session);
void AddJobCommands(CLI::App& app, Session& session);
void AddModelCommands(CLI::App& app, Session& session);
void AddDictionaryCommands(CLI::App& app, Session& session);
void AddFeatureCommands(CLI::App& app, Session& session);
void AddConditionCommands(CLI::App& app, Session& session);
// Below "features".
void AddAnnotationCommands(CLI::App& group, Session& session);
void AddCompareCommands(CLI::App& group, Session& session);
void AddExportCommand(CLI::App& group, Session& session);
void AddReportCommand(CLI::App& app, Session& session);
void AddEncodeCommand(CLI::App& app, Session& session);
void AddAdminCommands(CLI::App& app, Session& session);
void AddServerCommand(CLI::App& app, Session& session);
void AddWhoamiCommand(CLI::App& app, Session& session);
// Below "admin".
void AddUserCommands(CLI::App& admin, Session& session);
// Of the caller alone, or of anyone, which is below "admin".
enum class Whose { kOwn, kAnyones };
void AddTokenCommands(CLI::App& parent, Session& session, Whose whose);
void AddTopCommand(CLI::App& app, Session& session);
void AddCompletionCommand(CLI::App& app, Session& session);

// All pages of a list call as one response, or the first `most` of them: it has a page token then,
// where there are more.
//   call(grpc::ClientContext*, const Request&, Response*) → grpc::Status
template <class Response, class Request, class Call>
absl::StatusOr<Response> AllPages(Request request, const Call& call, int most = 0) {
  constexpr int kRows = 1000;  // of a page, as many as the server sends
  if (most == 0 && request.page_size() == 0) request.set_page_size(kRows);
  Response all;
  for (int page_number = 0; most == 0 || page_number < most; ++page_number) {
    grpc::ClientContext context;
    Response page;
    if (auto s = client::FromGrpc(call(&context, request, &page)); !s.ok()) return s;
    all.MergeFrom(page);
    request.set_page_token(page.next_page_token());
    if (request.page_token().empty()) break;
  }
  all.set_next_page_token(request.page_token());
  return all;
}

// From a flag checked to be none, zscore or minmax.
v1::Normaliser NormaliserOf(const std::string& name);

// Follows a job to its end with a progress line; prints what it made.
absl::Status WatchJob(Session& session, const std::string& name);

}  // namespace saed::cli

// A command that is one call.
#pragma once

#include <fmt/format.h>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {

// Calls, and prints JSON or what `show` makes of the answer.
template <class Request, class Response, class Call, class Show>
absl::Status Ask(const Session& session, const Request& request, const Call& call,
                 const Show& show) {
  grpc::ClientContext context;
  Response response;
  SAED_RETURN_IF_ERROR(client::FromGrpc(call(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response));
  } else {
    show(response);
  }
  return absl::OkStatus();
}

// Calls, and says that what the request names is gone, with `more` that went with it.
template <class Response, class Request, class Call>
absl::Status Erase(const Session& session, const Request& request, const Call& call,
                   const std::string& more = "") {
  return Ask<Request, Response>(session, request, call, [&](const Response&) {
    fmt::print("deleted {}{}\n", request.name(), more);
  });
}

}  // namespace saed::cli

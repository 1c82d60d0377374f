// What stands before every method of a service: who calls is known before their message is read.
#pragma once

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/service_type.h>

#include <deque>
#include <string>

#include "server/rpc/gate.h"
#include "server/rpc/methods.h"
#include "server/rpc/stall_guard.h"

namespace saed::rpc {

// Registered with gRPC as a service. gRPC reads the one message of a call before it hands
// the call over, so that strangers could fill the memory. Behind this door a call
//   - is refused without a valid token before a byte of its message is read,
//   - has a place among its user's calls, whatever it is,
//   - takes memory from the budget for its message before that is parsed.
class Door : public grpc::Service {
 public:
  // `methods` has all of the service's; they must outlive the door. `arrivals` ends calls whose
  // message does not come.
  Door(const google::protobuf::ServiceDescriptor& service, Methods& methods, Gate& gate,
       StallGuard& arrivals);

 private:
  std::deque<std::string> names_;  // gRPC keeps pointers to them
};

}  // namespace saed::rpc

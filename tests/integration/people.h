// A server with an administrator, members and a reader, and calls of any method by name.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "server/rpc/rules.h"
#include "tests/integration/fixture.h"

namespace saed::test_tools {

using google::protobuf::MethodDescriptor;

// Of every service of the interface.
inline std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> out;
  const google::protobuf::FileDescriptor* files[] = {
      v1::CreateUserRequest::descriptor()->file(),
      v1::GetFeatureRequest::descriptor()->file(),
      v1::EncodeRequest::descriptor()->file(),
      v1::GetJobRequest::descriptor()->file(),
      v1::GetModelRequest::descriptor()->file(),
      v1::GetRecordingRequest::descriptor()->file(),
      v1::GetServerStatusRequest::descriptor()->file(),
      v1::GetSweepRequest::descriptor()->file()};
  for (const auto* file : files) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        out.push_back(file->service(s)->method(m));
      }
    }
  }
  return out;
}

inline std::string Name(const MethodDescriptor& method) {
  return method.service()->name() + "." + method.name();
}

class PeopleTest : public ServerTest {
 protected:
  struct Person {
    std::string token;
    std::unique_ptr<client::Client> client;
  };

  std::string Address() const { return "127.0.0.1:" + std::to_string(daemon_->port()); }

  // The server without a token, before there are users.
  void MakePeople() {
    recording_ = Simulate();
    job_ = Create(TrainRequest(recording_))->name();
    Watch(job_);  // nobody's: made before there were users
    MakeUser(*client_, "root", v1::ROLE_ADMIN);
    MakeUser(*client_, "ivy", v1::ROLE_READER);
    people_["root"].client = std::make_unique<client::Client>(Address());
    EXPECT_EQ(MakeToken("ivy"), "") << "the first token must be an administrator's";
    const std::string token = MakeToken("root");
    people_["root"] = {token, std::make_unique<client::Client>(Address(), Credentials(token))};
    for (const auto& [name, role] :
         {std::pair("ada", v1::ROLE_MEMBER), {"bea", v1::ROLE_MEMBER}, {"rex", v1::ROLE_READER}}) {
      MakeUser(*people_["root"].client, name, role);
      const std::string secret = MakeToken(name);
      people_[name] = {secret, std::make_unique<client::Client>(Address(), Credentials(secret))};
    }
  }

  static client::Credentials Credentials(const std::string& token) { return {token, "", "", ""}; }

  static void MakeUser(client::Client& as, const std::string& name, v1::Role role) {
    grpc::ClientContext context;
    v1::CreateUserRequest request;
    request.mutable_user()->set_name("users/" + name);
    request.mutable_user()->set_role(role);
    v1::CreateUserResponse response;
    const auto s = as.admin().CreateUser(&context, request, &response);
    ASSERT_TRUE(s.ok()) << s.error_message();
  }

  std::string MakeToken(const std::string& user, v1::Token* made = nullptr) {
    grpc::ClientContext context;
    v1::CreateTokenRequest request;
    request.set_user("users/" + user);
    v1::CreateTokenResponse response;
    const auto s = people_["root"].client->admin().CreateToken(&context, request, &response);
    EXPECT_EQ(s.ok(), user != "ivy") << s.error_message();
    if (made != nullptr) *made = response.token();
    return response.secret();
  }

  // A planted recording of ada's; another seed makes another one.
  std::string AdasRecording(bool is_private, uint64_t seed) {
    grpc::ClientContext context;
    v1::SimulateRecordingRequest request;
    auto* planted = request.mutable_planted();
    planted->set_units(20);
    planted->set_features(8);
    planted->set_bins(2000);
    planted->set_seed(seed);
    request.set_private_(is_private);
    v1::SimulateRecordingResponse response;
    const auto s =
        people_["ada"].client->recordings().SimulateRecording(&context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    return response.recording().name();
  }

  v1::Job AdasJob(const std::string& recording) {
    auto& ada = *people_["ada"].client;
    grpc::ClientContext context;
    v1::CreateJobResponse response;
    const auto s = ada.jobs().CreateJob(&context, TrainRequest(recording), &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    grpc::ClientContext watching;
    v1::WatchJobRequest watch;
    watch.set_name(response.job().name());
    const auto stream = ada.jobs().WatchJob(&watching, watch);
    v1::WatchJobResponse event;
    while (stream->Read(&event)) {
    }
    EXPECT_EQ(event.job().state(), v1::Job::STATE_SUCCEEDED) << event.job().error().message();
    return event.job();
  }

  // What a call with any method came to.
  struct Answer {
    grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
    std::string message;  // of the error
    std::string bytes;    // of all answers
  };

  // A request that names `things` in the rule's fields, and nothing else.
  static std::unique_ptr<google::protobuf::Message> Request(
      const MethodDescriptor& method, const std::map<std::string, std::string>& things) {
    std::unique_ptr<google::protobuf::Message> request(
        google::protobuf::MessageFactory::generated_factory()
            ->GetPrototype(method.input_type())
            ->New());
    std::istringstream fields{std::string(rpc::FindRule(Name(method))->fields)};
    for (std::string path; fields >> path;) {
      google::protobuf::Message* message = request.get();
      std::istringstream parts(path);
      std::vector<std::string> names;
      for (std::string part; std::getline(parts, part, '.');) names.push_back(part);
      for (size_t i = 0; i + 1 < names.size(); ++i) {
        message = message->GetReflection()->MutableMessage(
            message, message->GetDescriptor()->FindFieldByName(names[i]));
      }
      const auto* field = message->GetDescriptor()->FindFieldByName(names.back());
      const std::string value = Thing(method, names.back(), things);
      if (field->is_repeated()) {
        message->GetReflection()->AddString(message, field, value);
      } else {
        message->GetReflection()->SetString(message, field, value);
      }
    }
    return request;
  }

  Answer Call(const std::string& token, const MethodDescriptor& method,
              const std::map<std::string, std::string>& things) {
    return Send(token, method, *Request(method, things));
  }

  // `more`: the bytes of messages behind the first.
  Answer Send(const std::string& token, const MethodDescriptor& method,
              const google::protobuf::Message& request, const std::vector<std::string>& more = {}) {
    const auto channel = grpc::CreateChannel(Address(), grpc::InsecureChannelCredentials());
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(
        &context, "/saed.v1." + method.service()->name() + "/" + method.name(), &queue);
    void* tag = nullptr;
    bool ok = false;
    call->StartCall(reinterpret_cast<void*>(1));
    queue.Next(&tag, &ok);
    std::vector<std::string> messages = {request.SerializeAsString()};
    messages.insert(messages.end(), more.begin(), more.end());
    for (size_t i = 0; ok && i < messages.size(); ++i) {
      grpc::Slice slice(messages[i]);
      grpc::WriteOptions options;
      if (i + 1 == messages.size()) options.set_last_message();
      call->Write(grpc::ByteBuffer(&slice, 1), options, reinterpret_cast<void*>(2));
      queue.Next(&tag, &ok);
    }
    Answer out;
    bool endless = false;
    for (bool more = true; more;) {
      grpc::ByteBuffer answer;
      call->Read(&answer, reinterpret_cast<void*>(3));
      queue.Next(&tag, &more);
      if (endless) continue;
      if (more && method.name() == "WatchJobs") {
        endless = true;  // it was let in, and its first message has all that there is
        context.TryCancel();
      }
      std::vector<grpc::Slice> slices;
      if (more && answer.Dump(&slices).ok()) {
        for (const auto& s : slices) out.bytes.append(s.begin(), s.end());
      }
    }
    grpc::Status status;
    call->Finish(&status, reinterpret_cast<void*>(4));
    queue.Next(&tag, &ok);
    out.code = endless ? grpc::StatusCode::OK : status.error_code();
    if (!endless) out.message = status.error_message();
    return out;
  }

  // The resource of the kind that this field of this method takes.
  static std::string Thing(const MethodDescriptor& method, const std::string& field,
                           const std::map<std::string, std::string>& things) {
    const std::string service = method.service()->name();
    if (service == "AdminService") {
      return things.at(method.name() == "RevokeToken" ? "tokens" : "users");
    }
    if (field == "recording") return things.at("recordings");
    if (field == "model") return things.at("models");
    if (field == "dependencies") return things.at("jobs");
    if (field == "others" || field == "dictionary") return things.at("dictionaries");
    if (service == "RecordingService") return things.at("recordings");
    if (service == "JobService") return things.at("jobs");
    if (service == "ModelService") return things.at("models");
    if (service == "SweepService") return things.at("sweeps");
    const bool feature = method.name() == "GetFeature" || method.name() == "GetActivations" ||
                         method.name() == "ListNearestFeatures" ||
                         method.name().find("Annotation") != std::string::npos;
    const std::string dictionary = things.at("dictionaries");
    if (!feature) return dictionary;
    return dictionary + "/features/0" +
           (method.name() == "DeleteAnnotation" ? "/annotations/1" : "");
  }

  std::string recording_, job_;
  std::map<std::string, Person> people_;
};

}  // namespace saed::test_tools

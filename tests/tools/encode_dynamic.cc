// Calls InferenceService.Encode without generated code: messages are made at run time from what
// protoc --include_imports --descriptor_set_out reads from the .proto files.
//   encode_dynamic DESCRIPTOR_SET ADDRESS REQUEST.json   prints the codes as JSON
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iostream>
#include <sstream>

namespace {

namespace pb = google::protobuf;

int Fail(const std::string& what) {
  std::cerr << what << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return Fail("usage: encode_dynamic DESCRIPTOR_SET ADDRESS REQUEST.json");
  pb::FileDescriptorSet set;
  std::ifstream in_set(argv[1], std::ios::binary);
  if (!set.ParseFromIstream(&in_set)) return Fail("cannot read the descriptor set");
  pb::DescriptorPool pool;
  for (const auto& f : set.file()) {
    if (pool.BuildFile(f) == nullptr) return Fail("bad file " + f.name());
  }
  const pb::FileDescriptor* file = pool.FindFileByName("saed/v1/inference.proto");
  if (file == nullptr) return Fail("the set has no saed/v1/inference.proto");
  const pb::MethodDescriptor* method = file->FindServiceByName("InferenceService")->method(0);
  pb::DynamicMessageFactory factory;
  const std::unique_ptr<pb::Message> request(factory.GetPrototype(method->input_type())->New());
  const std::unique_ptr<pb::Message> response(factory.GetPrototype(method->output_type())->New());
  std::stringstream json;
  json << std::ifstream(argv[3]).rdbuf();
  if (const auto s = pb::util::JsonStringToMessage(json.str(), request.get()); !s.ok()) {
    return Fail(s.ToString());
  }
  std::string bytes = request->SerializeAsString();
  const grpc::Slice slice(bytes);
  const grpc::ByteBuffer out(&slice, 1);
  grpc::ByteBuffer in;
  grpc::GenericStub stub(grpc::CreateChannel(argv[2], grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareUnaryCall(&context, "/saed.v1.InferenceService/Encode", out, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&in, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return Fail(status.error_message());
  std::vector<grpc::Slice> slices;
  in.Dump(&slices);
  bytes.clear();
  for (const auto& s : slices) bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  if (!response->ParseFromString(bytes)) return Fail("the answer does not parse");
  std::string text;
  if (!pb::util::MessageToJsonString(*response, &text).ok()) return Fail("cannot print the answer");
  std::cout << text << "\n";
  return 0;
}

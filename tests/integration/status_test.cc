// What a refusal says reaches the client, however much there is to say.
#include "server/rpc/status.h"

#include <gmock/gmock.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/faults.h"
#include "server/base/text.h"
#include "tests/integration/fixture.h"

namespace saed {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;

// Bytes of metadata: the message in percent-encoding, the details in base64.
size_t Sent(const grpc::Status& status) {
  size_t out = 4 * status.error_details().size() / 3;
  for (const char c : status.error_message()) out += c >= ' ' && c <= '~' && c != '%' ? 1 : 3;
  return out;
}

google::rpc::BadRequest FieldsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::BadRequest out;
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&out)) return out;
  }
  return out;
}

TEST(Refusals, OfManyFieldsFitAndSayHowManyMoreThereAre) {
  for (const int many : {1, 200, 20'000}) {
    Faults faults;
    for (int i = 0; i < many; ++i) {
      faults.Add("conditions[" + std::to_string(i) + "].expression", std::string(3000, 'x'));
    }
    const grpc::Status status = rpc::ToGrpc(faults.ToStatus());
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_LT(Sent(status), 8000U) << many;
    const auto fields = FieldsOf(status);
    ASSERT_GE(fields.field_violations_size(), 1);
    EXPECT_EQ(fields.field_violations(0).field(), "conditions[0].expression");
    const int left = many - fields.field_violations_size();
    const std::string& last =
        fields.field_violations(fields.field_violations_size() - 1).description();
    EXPECT_EQ(left > 0, last.find("more wrong fields") != std::string::npos) << many;
    if (left > 0) {
      EXPECT_THAT(last, HasSubstr("(and " + std::to_string(left) + " more wrong fields)"));
    }
  }
}

TEST(Refusals, OfLongTextAreCutBetweenLetters) {
  for (const char* letter : {"x", "é", "鼠", "%"}) {
    std::string text;
    for (int i = 0; i < 50'000; ++i) text += letter;
    const grpc::Status status = rpc::ToGrpc(absl::NotFoundError(text));
    EXPECT_LT(Sent(status), 8000U) << letter;
    EXPECT_EQ(ValidUtf8(status.error_message()), status.error_message()) << letter;
    EXPECT_THAT(status.error_message(), ::testing::EndsWith("..."));
  }
}

using Refused = test_tools::ServerTest;

TEST_F(Refused, LongNamesAreToldAsWrong) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_name("jobs/" + std::string(100'000, 'x'));
  v1::GetJobResponse response;
  const auto status = client_->jobs().GetJob(&context, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("name"));
  EXPECT_THAT(status.error_message(), ::testing::Not(HasSubstr("metadata")));
  request.set_name("jobs/" + std::string(64, 'x'));
  grpc::ClientContext again;
  EXPECT_EQ(client_->jobs().GetJob(&again, request, &response).error_code(), StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace saed

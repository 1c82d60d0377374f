// What users may ask of themselves, and what becomes of what is theirs when they leave.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <limits>
#include <set>
#include <thread>

#include "tests/integration/people.h"

namespace saed {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;

class Users : public test_tools::PeopleTest {
 protected:
  template <class Response, class Request, class Method>
  std::pair<grpc::Status, Response> As(const std::string& who, const Request& request,
                                       Method method) {
    grpc::ClientContext context;
    Response response;
    auto s = method(*people_[who].client, &context, request, &response);
    return {s, response};
  }

  auto Get(const std::string& who, const std::string& name) {
    v1::GetUserRequest request;
    request.set_name(name);
    return As<v1::GetUserResponse>(who, request,
                                   [](auto& c, auto... a) { return c.admin().GetUser(a...); });
  }
  auto Delete(const std::string& who, const std::string& name, const std::string& heir) {
    v1::DeleteUserRequest request;
    request.set_name(name);
    request.set_reassign_to(heir);
    return As<v1::DeleteUserResponse>(
        who, request, [](auto& c, auto... a) { return c.admin().DeleteUser(a...); });
  }
  auto NewToken(const std::string& who, const std::string& user, int days = 0) {
    v1::CreateTokenRequest request;
    request.set_user(user);
    request.set_valid_days(days);
    return As<v1::CreateTokenResponse>(
        who, request, [](auto& c, auto... a) { return c.admin().CreateToken(a...); });
  }
  auto Tokens(const std::string& who, const v1::ListTokensRequest& request) {
    return As<v1::ListTokensResponse>(
        who, request, [](auto& c, auto... a) { return c.admin().ListTokens(a...); });
  }
  auto Revoke(const std::string& who, const std::string& name, bool with_made = false) {
    v1::RevokeTokenRequest request;
    request.set_name(name);
    request.set_with_made(with_made);
    return As<v1::RevokeTokenResponse>(
        who, request, [](auto& c, auto... a) { return c.admin().RevokeToken(a...); });
  }
  StatusCode Status(const std::string& token) {
    client::Client client(Address(), Credentials(token));
    grpc::ClientContext context;
    v1::GetServerStatusResponse response;
    return client.server().GetServerStatus(&context, {}, &response).error_code();
  }
  v1::Job JobOf(const std::string& who, const std::string& name) {
    v1::GetJobRequest request;
    request.set_name(name);
    auto [s, r] = As<v1::GetJobResponse>(who, request,
                                         [](auto& c, auto... a) { return c.jobs().GetJob(a...); });
    EXPECT_TRUE(s.ok()) << s.error_message();
    return r.job();
  }
  // Of ada's, without an end.
  std::string Endless(const std::string& recording) {
    auto request = TrainRequest(recording);
    request.mutable_train()->set_epochs(100'000);
    request.mutable_train()->set_max_steps(50'000'000);
    const auto [s, r] = As<v1::CreateJobResponse>(
        "ada", request, [](auto& c, auto... a) { return c.jobs().CreateJob(a...); });
    EXPECT_TRUE(s.ok()) << s.error_message();
    return r.job().name();
  }
};

TEST_F(Users, SeeThemselvesAndWhatTheyHave) {
  grpc::ClientContext context;
  v1::GetUserResponse nobody;
  const auto open = client_->admin().GetUser(&context, {}, &nobody);
  EXPECT_EQ(open.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(open.error_message(), HasSubstr("asks nobody who they are"));

  ASSERT_NO_FATAL_FAILURE(MakePeople());
  v1::UpdateUserRequest quota;
  quota.mutable_user()->set_name("users/ada");
  quota.mutable_user()->mutable_quota()->set_running_jobs(3);
  quota.mutable_user()->mutable_quota()->set_stored_bytes(10 << 20);
  ASSERT_TRUE(As<v1::UpdateUserResponse>("root", quota, [](auto& c, auto... a) {
                return c.admin().UpdateUser(a...);
              }).first.ok());
  AdasJob(AdasRecording(true, 3));
  for (const auto& [who, name] :
       {std::pair("ada", ""), {"ada", "users/ada"}, {"root", "users/ada"}}) {
    const auto [s, r] = Get(who, name);
    ASSERT_TRUE(s.ok()) << s.error_message();
    EXPECT_EQ(r.user().name(), "users/ada");
    EXPECT_EQ(r.user().role(), v1::ROLE_MEMBER);
    EXPECT_EQ(r.limits().running_jobs(), 3);
    EXPECT_EQ(r.limits().stored_bytes(), 10 << 20);
    EXPECT_EQ(r.limits().unfinished_jobs(), 1000) << "everyone's, where she has none of her own";
    EXPECT_EQ(r.holdings().recordings(), 1);
    EXPECT_EQ(r.holdings().jobs(), 1);
    EXPECT_EQ(r.holdings().unfinished_jobs(), 0);
    EXPECT_EQ(r.holdings().models(), 1);
    EXPECT_EQ(r.holdings().dictionaries(), 1);
    EXPECT_EQ(r.holdings().tokens(), 1);
    EXPECT_GT(r.holdings().stored_bytes(), 1000);
  }
  EXPECT_EQ(Get("rex", "").second.user().role(), v1::ROLE_READER);
  EXPECT_EQ(Get("root", "").second.limits().stored_bytes(), 0) << "no limit for administrators";
  EXPECT_THAT(Get("ada", "ada").first.error_message(), HasSubstr("must be users/{name}"));
}

TEST_F(Users, MakeListAndRevokeTokensOfTheirOwn) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const auto [s, made] = NewToken("ada", "");
  ASSERT_TRUE(s.ok()) << s.error_message();
  EXPECT_EQ(made.token().user(), "users/ada");
  EXPECT_NE(made.token().made_with(), "");
  EXPECT_EQ(Status(made.secret()), StatusCode::OK);
  // No longer than the one that she asks with, which lasts a year from a moment before.
  v1::ListTokensRequest all;
  const auto first = Tokens("ada", all).second.tokens(1);
  EXPECT_EQ(made.token().made_with(), first.name());
  EXPECT_LE(made.token().expire_time().seconds(), first.expire_time().seconds());
  const auto longer = NewToken("ada", "users/ada", 366).first;
  EXPECT_EQ(longer.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(longer.error_message(), HasSubstr("is 366, longer than the token lasts"));
  const auto week = NewToken("ada", "users/ada", 7).second.token();
  EXPECT_NEAR(static_cast<double>(week.expire_time().seconds() - week.create_time().seconds()),
              7 * 86400, 1);
  EXPECT_TRUE(NewToken("root", "users/root", 3000).first.ok()) << "administrators may";
  for (const int days :
       {-1, 3651, std::numeric_limits<int>::max(), std::numeric_limits<int>::min()}) {
    const auto wrong = NewToken("ada", "", days).first;
    EXPECT_EQ(wrong.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(wrong.error_message(), HasSubstr(fmt::format("is {}; must be 1 to 3650", days)));
  }

  // Hers alone are there, page by page too, and others are not there for her.
  EXPECT_EQ(Tokens("ada", all).second.tokens_size(), 3);
  EXPECT_EQ(Tokens("bea", all).second.tokens_size(), 1);
  EXPECT_EQ(Tokens("root", all).second.tokens_size(), 7);
  std::set<std::string> seen;
  v1::ListTokensRequest page;
  page.set_page_size(2);
  do {
    const auto r = Tokens("ada", page).second;
    for (const auto& t : r.tokens()) {
      EXPECT_EQ(t.user(), "users/ada");
      EXPECT_TRUE(seen.insert(t.name()).second);
    }
    page.set_page_token(r.next_page_token());
  } while (!page.page_token().empty());
  EXPECT_EQ(seen.size(), 3U);
  page.set_page_token("x");
  EXPECT_EQ(Tokens("ada", page).first.error_code(), StatusCode::INVALID_ARGUMENT);
  v1::ListTokensRequest of_bea;
  of_bea.set_user("users/bea");
  EXPECT_EQ(Tokens("ada", of_bea).first.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(NewToken("ada", "users/bea").first.error_code(), StatusCode::NOT_FOUND);
  const auto of_another = Tokens("bea", all).second.tokens(0).name();
  const auto hidden = Revoke("ada", of_another).first;
  const auto missing = Revoke("ada", "tokens/0123456789ab").first;
  EXPECT_EQ(hidden.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(missing.error_code(), StatusCode::NOT_FOUND);

  EXPECT_EQ(Revoke("ada", made.token().name()).second.revoked(), 1);
  EXPECT_EQ(Status(made.secret()), StatusCode::UNAUTHENTICATED);
  const std::string last = NewToken("ada", "").second.secret();
  EXPECT_EQ(Revoke("root", first.name(), true).second.revoked(), 3);
  EXPECT_EQ(Status(last), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Status(people_["ada"].token), StatusCode::UNAUTHENTICATED);
}

TEST_F(Users, RevokeWhateverALeakedTokenMade) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const auto as = [&](const std::string& name, const std::string& token) {
    people_[name] = {token, std::make_unique<client::Client>(Address(), Credentials(token))};
  };
  const auto role = [&](v1::Role value) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/bea");
    request.mutable_user()->set_role(value);
    return As<v1::UpdateUserResponse>("root", request,
                                      [](auto& c, auto... a) { return c.admin().UpdateUser(a...); })
        .first.ok();
  };
  const auto leaked = NewToken("root", "users/root").second;
  as("thief", leaked.secret());
  const auto of_bea = NewToken("thief", "users/bea").second;
  EXPECT_EQ(of_bea.token().made_with(), "") << "an administrator made it";
  as("bea's", of_bea.secret());
  const auto own = NewToken("bea's", "").second;
  EXPECT_EQ(own.token().made_with(), of_bea.token().name());
  // What one made for others as an administrator is not one's own to revoke later.
  ASSERT_TRUE(role(v1::ROLE_ADMIN));
  const auto of_rex = NewToken("bea's", "users/rex").second;
  ASSERT_TRUE(role(v1::ROLE_MEMBER));
  EXPECT_EQ(Revoke("bea's", own.token().name(), true).second.revoked(), 1);
  EXPECT_EQ(Revoke("bea's", of_bea.token().name(), true).second.revoked(), 1);
  EXPECT_EQ(Status(of_rex.secret()), StatusCode::OK);
  EXPECT_EQ(Revoke("root", leaked.token().name(), true).second.revoked(), 2);
  EXPECT_EQ(Status(of_rex.secret()), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Status(leaked.secret()), StatusCode::UNAUTHENTICATED);
  for (const char* name : {"root", "ada", "bea", "rex"}) {
    EXPECT_EQ(Status(people_[name].token), StatusCode::OK) << name;
  }
}

TEST_F(Users, LeaveWithWhatIsTheirsGoingToAnother) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const std::string secret = AdasRecording(true, 5);
  const v1::Job done = AdasJob(secret);
  v1::CreateAnnotationRequest note;
  note.set_parent(done.dictionary() + "/features/0");
  note.set_kind(v1::Annotation::KIND_NOTE);
  note.set_text("mine");
  ASSERT_TRUE(As<v1::CreateAnnotationResponse>("ada", note, [](auto& c, auto... a) {
                return c.features().CreateAnnotation(a...);
              }).first.ok());
  const std::string running = Endless(secret), waiting = Endless(secret);
  for (int i = 0; i < 200 && JobOf("root", running).state() != v1::Job::STATE_RUNNING; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  grpc::ClientContext watching;
  watching.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::WatchJobRequest watch;
  watch.set_name(running);
  const auto stream = people_["ada"].client->jobs().WatchJob(&watching, watch);

  EXPECT_EQ(Delete("bea", "users/ada", "users/bea").first.error_code(),
            StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(Delete("root", "users/root", "").first.error_code(), StatusCode::FAILED_PRECONDITION);
  const auto owns = Delete("root", "users/ada", "").first;
  EXPECT_EQ(owns.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(owns.error_message(),
              HasSubstr("'ada' has 1 recording, 3 jobs, 1 model, 1 dictionary; name in"));
  EXPECT_EQ(Delete("root", "users/ada", "users/rex").first.error_code(),
            StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Status(people_["ada"].token), StatusCode::OK) << "nothing was done so far";

  const auto [s, r] = Delete("root", "users/ada", "users/bea");
  ASSERT_TRUE(s.ok()) << s.error_message();
  EXPECT_EQ(r.reassigned().recordings(), 1);
  EXPECT_EQ(r.reassigned().jobs(), 3);
  EXPECT_EQ(r.reassigned().unfinished_jobs(), 2);
  EXPECT_EQ(Status(people_["ada"].token), StatusCode::UNAUTHENTICATED);
  v1::WatchJobResponse event;
  while (stream->Read(&event)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::UNAUTHENTICATED);

  // All of it is bea's, what runs too.
  EXPECT_EQ(JobOf("bea", running).owner(), "bea");
  EXPECT_EQ(JobOf("bea", running).state(), v1::Job::STATE_RUNNING);
  const v1::Holdings has = Get("bea", "").second.holdings();
  EXPECT_EQ(has.jobs(), 3);
  EXPECT_EQ(has.models(), 1);
  for (const std::string& name : {running, waiting}) {
    v1::CancelJobRequest cancel;
    cancel.set_name(name);
    EXPECT_TRUE(As<v1::CancelJobResponse>("bea", cancel, [](auto& c, auto... a) {
                  return c.jobs().CancelJob(a...);
                }).first.ok());
  }
  // What she said stays under her name, which nobody gets again.
  v1::ListAnnotationsRequest said;
  said.set_parent(note.parent());
  const auto notes = As<v1::ListAnnotationsResponse>("bea", said, [](auto& c, auto... a) {
                       return c.features().ListAnnotations(a...);
                     }).second;
  ASSERT_EQ(notes.annotations_size(), 1);
  EXPECT_EQ(notes.annotations(0).author(), "ada");
  v1::CreateUserRequest again;
  again.mutable_user()->set_name("users/ada");
  again.mutable_user()->set_role(v1::ROLE_MEMBER);
  const auto taken = As<v1::CreateUserResponse>("root", again, [](auto& c, auto... a) {
                       return c.admin().CreateUser(a...);
                     }).first;
  EXPECT_EQ(taken.error_code(), StatusCode::ALREADY_EXISTS);
  const auto gone = Get("root", "users/ada").first;
  EXPECT_EQ(gone.error_code(), StatusCode::NOT_FOUND);
  v1::GetServerStatusResponse status =
      As<v1::GetServerStatusResponse>("root", v1::GetServerStatusRequest(), [](auto& c, auto... a) {
        return c.server().GetServerStatus(a...);
      }).second;
  for (const auto& user : status.users()) EXPECT_NE(user.user(), "ada");

  v1::ListAuditRecordsRequest audit;
  audit.set_user("users/root");
  audit.set_page_size(1);
  const auto records = As<v1::ListAuditRecordsResponse>("root", audit, [](auto& c, auto... a) {
                         return c.admin().ListAuditRecords(a...);
                       }).second;
  EXPECT_EQ(records.records(0).method(), "AdminService.CreateUser");
  EXPECT_EQ(records.records(0).resource(), "users/ada");
  Restart();
  const auto page = [&] {
    people_["root"].client =
        std::make_unique<client::Client>(Address(), Credentials(people_["root"].token));
    v1::ListUsersRequest list;
    list.set_page_size(2);
    return As<v1::ListUsersResponse>("root", list,
                                     [](auto& c, auto... a) { return c.admin().ListUsers(a...); })
        .second;
  }();
  ASSERT_EQ(page.users_size(), 2);
  EXPECT_EQ(page.users(0).name(), "users/bea") << "ada is not there after a restart either";
  EXPECT_NE(page.next_page_token(), "");
}

TEST_F(Users, MayHaveADotInTheirName) {
  MakeUser(*client_, "dr.no", v1::ROLE_ADMIN);
  people_["root"].client = std::make_unique<client::Client>(Address());
  const std::string token = MakeToken("dr.no");
  people_["dr.no"] = {token, std::make_unique<client::Client>(Address(), Credentials(token))};
  EXPECT_EQ(Get("dr.no", "").second.user().name(), "users/dr.no");
  EXPECT_EQ(Get("dr.no", "users/dr.no").second.user().role(), v1::ROLE_ADMIN);
}

TEST_F(Users, AnnotationsComeInPages) {
  const v1::Job job = Trained();
  const std::string feature = job.dictionary() + "/features/0";
  for (int i = 0; i < 7; ++i) {
    grpc::ClientContext context;
    v1::CreateAnnotationRequest request;
    request.set_parent(feature);
    request.set_kind(v1::Annotation::KIND_NOTE);
    request.set_text("note " + std::to_string(i));
    request.set_author("me");
    v1::CreateAnnotationResponse made;
    ASSERT_TRUE(client_->features().CreateAnnotation(&context, request, &made).ok());
  }
  std::vector<std::string> texts;
  v1::ListAnnotationsRequest list;
  list.set_parent(feature);
  list.set_page_size(3);
  int pages = 0;
  do {
    grpc::ClientContext context;
    v1::ListAnnotationsResponse page;
    ASSERT_TRUE(client_->features().ListAnnotations(&context, list, &page).ok());
    EXPECT_LE(page.annotations_size(), 3);
    for (const auto& a : page.annotations()) texts.push_back(a.text());
    list.set_page_token(page.next_page_token());
    ++pages;
  } while (!list.page_token().empty());
  EXPECT_EQ(pages, 3);
  ASSERT_EQ(texts.size(), 7U);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(texts[i], "note " + std::to_string(i));
  grpc::ClientContext context;
  list.set_page_size(1001);
  v1::ListAnnotationsResponse page;
  const auto s = client_->features().ListAnnotations(&context, list, &page);
  EXPECT_THAT(s.error_message(), HasSubstr("page_size: is 1001; must be 0 (1000 rows) to 1000"));
}

}  // namespace
}  // namespace saed

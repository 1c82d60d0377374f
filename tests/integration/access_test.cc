// Who may do what: every method for every role and ownership, tokens, privacy, the audit log.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>

#include <set>

#include "server/rpc/rules.h"
#include "tests/integration/people.h"

namespace saed {
namespace {

using grpc::StatusCode;
using rpc::Role;
using test_tools::AllMethods;
using test_tools::Name;
using ::testing::HasSubstr;

TEST(Rules, EveryMethodHasOneAndEveryFieldExists) {
  std::set<std::string> methods;
  for (const auto* method : AllMethods()) {
    methods.insert(Name(*method));
    const rpc::Rule* rule = rpc::FindRule(Name(*method));
    ASSERT_NE(rule, nullptr) << Name(*method) << " has no rule in server/rpc/rules.cc";
    EXPECT_EQ(rule->needs == rpc::Rule::Needs::kRole, rule->fields.empty()) << Name(*method);
    std::istringstream fields{std::string(rule->fields)};
    for (std::string path; fields >> path;) {
      const auto* message = method->input_type();
      std::istringstream parts(path);
      for (std::string part; std::getline(parts, part, '.');) {
        ASSERT_NE(message, nullptr) << path;
        const auto* field = message->FindFieldByName(part);
        ASSERT_NE(field, nullptr) << Name(*method) << " has no field " << path;
        message = field->message_type();
      }
    }
  }
  EXPECT_EQ(methods.size(), rpc::Rules().size()) << "rules for methods that do not exist";
}

using Access = test_tools::PeopleTest;

TEST_F(Access, EveryMethodForEveryRoleAndOwnership) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  uint64_t seed = 1;
  for (const bool is_private : {false, true}) {
    const std::string recording = AdasRecording(is_private, ++seed);
    const v1::Job job = AdasJob(recording);
    grpc::ClientContext context;
    v1::CreateSweepRequest sweep;
    *sweep.mutable_spec()->mutable_base() = TrainRequest(recording).train();
    auto* lr = sweep.mutable_spec()->add_parameters();
    lr->set_field("lr");
    lr->add_values()->set_number_value(0.01);
    sweep.mutable_spec()->set_trials(1);
    sweep.mutable_spec()->set_skip_best(true);
    v1::CreateSweepResponse made;
    const auto s = people_["ada"].client->sweeps().CreateSweep(&context, sweep, &made);
    ASSERT_TRUE(s.ok()) << s.error_message();
    v1::Token token;
    MakeToken("ada", &token);
    const std::map<std::string, std::string> things = {
        {"users", "users/ada"},         {"tokens", token.name()},
        {"recordings", recording},      {"jobs", job.name()},
        {"models", job.model()},        {"dictionaries", job.dictionary()},
        {"sweeps", made.sweep().name()}};
    for (const auto* method : AllMethods()) {
      const rpc::Rule& rule = *rpc::FindRule(Name(*method));
      // The owner, last and only for what changes nothing that others still need.
      for (const auto& [who, role] :
           {std::pair("", Role::kReader), {"rex", Role::kReader}, {"bea", Role::kMember}}) {
        const StatusCode code = Call(people_[who].token, *method, things).code;
        const std::string what = Name(*method) + " by '" + who + "' on " +
                                 (is_private ? "private" : "shared") + " things";
        if (std::string(who).empty()) {
          EXPECT_EQ(code, StatusCode::UNAUTHENTICATED) << what;
        } else if (role < rule.least) {
          EXPECT_EQ(code, StatusCode::PERMISSION_DENIED) << what;
        } else if (rule.needs == rpc::Rule::Needs::kSelf ||
                   (rule.needs != rpc::Rule::Needs::kRole && is_private)) {
          EXPECT_EQ(code, StatusCode::NOT_FOUND) << what;
        } else if (rule.needs == rpc::Rule::Needs::kChange) {
          EXPECT_EQ(code, StatusCode::PERMISSION_DENIED) << what;
        } else {
          EXPECT_NE(code, StatusCode::PERMISSION_DENIED) << what;
          EXPECT_NE(code, StatusCode::UNAUTHENTICATED) << what;
        }
      }
      // Their owner would change what the rest of the test needs: delete it, or share it.
      if (rule.least == Role::kAdmin || method->name().starts_with("Delete") ||
          method->name() == "UpdateRecording") {
        continue;
      }
      for (const char* who : {"ada", "root"}) {
        const StatusCode code = Call(people_[who].token, *method, things).code;
        EXPECT_NE(code, StatusCode::PERMISSION_DENIED) << Name(*method) << " by " << who;
        EXPECT_NE(code, StatusCode::NOT_FOUND) << Name(*method) << " by " << who;
      }
    }
  }
}

TEST_F(Access, ListsShowWhatTheCallerMaySee) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const std::string secret = AdasRecording(true, 5);
  const v1::Job job = AdasJob(secret);
  const auto counts = [&](const std::string& who) {
    auto& client = *people_[who].client;
    std::vector<int> out;
    {
      grpc::ClientContext c;
      v1::ListRecordingsResponse r;
      client.recordings().ListRecordings(&c, {}, &r);
      out.push_back(r.recordings_size());
    }
    {
      grpc::ClientContext c;
      v1::ListJobsResponse r;
      client.jobs().ListJobs(&c, {}, &r);
      out.push_back(r.jobs_size());
    }
    {
      grpc::ClientContext c;
      v1::ListModelsResponse r;
      client.models().ListModels(&c, {}, &r);
      out.push_back(r.models_size());
    }
    {
      grpc::ClientContext c;
      v1::ListDictionariesResponse r;
      client.features().ListDictionaries(&c, {}, &r);
      out.push_back(r.dictionaries_size());
    }
    {
      grpc::ClientContext c;
      v1::ListFeaturesRequest request;
      request.set_parent("dictionaries/-");
      v1::ListFeaturesResponse r;
      client.features().ListFeatures(&c, request, &r);
      std::set<std::string> dictionaries;
      for (const auto& f : r.features()) {
        dictionaries.insert(f.name().substr(0, f.name().find("/features")));
      }
      out.push_back(static_cast<int>(dictionaries.size()));
    }
    return out;
  };
  EXPECT_THAT(counts("ada"), ::testing::Each(2));
  EXPECT_THAT(counts("root"), ::testing::Each(2));
  EXPECT_THAT(counts("bea"), ::testing::Each(1));
  // Shared afterwards, they are there.
  grpc::ClientContext c;
  v1::UpdateRecordingRequest share;
  share.set_name(secret);
  share.mutable_update_mask()->add_paths("private");
  v1::UpdateRecordingResponse shared;
  ASSERT_TRUE(people_["ada"].client->recordings().UpdateRecording(&c, share, &shared).ok());
  EXPECT_EQ(shared.recording().owner(), "ada");
  EXPECT_THAT(counts("bea"), ::testing::Each(2));
}

TEST_F(Access, TokensExpireAndAreRevokedAtOnce) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const auto status = [&](const std::string& token) {
    client::Client client(Address(), Credentials(token));
    grpc::ClientContext context;
    v1::GetServerStatusResponse response;
    return client.server().GetServerStatus(&context, {}, &response);
  };
  v1::Token token;
  const std::string secret = MakeToken("ada", &token);
  EXPECT_TRUE(status(secret).ok());
  EXPECT_GT(token.expire_time().seconds(), token.create_time().seconds() + 364 * 86400);
  std::string wrong = secret;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const auto& [text, why] : {std::pair(std::string(), "wants a token"),
                                  {wrong, "not known"},
                                  {"saed_x", "malformed"},
                                  {"saed_00_00", "not known"}}) {
    const auto s = status(text);
    EXPECT_EQ(s.error_code(), StatusCode::UNAUTHENTICATED) << text;
    EXPECT_THAT(s.error_message(), HasSubstr(why));
  }
  grpc::ClientContext context;
  v1::RevokeTokenRequest revoke;
  revoke.set_name(token.name());
  v1::RevokeTokenResponse response;
  ASSERT_TRUE(people_["root"].client->admin().RevokeToken(&context, revoke, &response).ok());
  EXPECT_THAT(status(secret).error_message(), HasSubstr("revoked"));
  EXPECT_TRUE(status(people_["ada"].token).ok()) << "her other token is not touched";

  {
    daemon_.reset();
    SQLite::Database db(dir_ / "data/saed.db", SQLite::OPEN_READWRITE);
    EXPECT_EQ(db.execAndGet("SELECT count(*) FROM tokens WHERE hash LIKE '%" +
                            people_["ada"].token.substr(18) + "%'")
                  .getInt(),
              0)
        << "the secret itself is stored";
    db.exec("UPDATE tokens SET expires_at = 1 WHERE user = 'bea'");
    db.exec("UPDATE users SET disabled = 1 WHERE name = 'rex'");
  }
  Start();
  EXPECT_THAT(status(people_["bea"].token).error_message(), HasSubstr("expired"));
  EXPECT_THAT(status(people_["rex"].token).error_message(), HasSubstr("disabled"));
}

TEST_F(Access, ARevokedTokenStopsWatching) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  auto& ada = *people_["ada"].client;
  v1::CreateJobRequest create = TrainRequest(recording_);
  create.mutable_train()->set_epochs(100'000);
  create.mutable_train()->set_max_steps(50'000'000);
  grpc::ClientContext creating;
  v1::CreateJobResponse made;
  ASSERT_TRUE(ada.jobs().CreateJob(&creating, create, &made).ok());
  v1::Token token;
  client::Client watcher(Address(), Credentials(MakeToken("ada", &token)));
  grpc::ClientContext watching;
  watching.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::WatchJobRequest watch;
  watch.set_name(made.job().name());
  const auto stream = watcher.jobs().WatchJob(&watching, watch);
  v1::WatchJobResponse event;
  ASSERT_TRUE(stream->Read(&event));
  grpc::ClientContext revoking;
  v1::RevokeTokenRequest revoke;
  revoke.set_name(token.name());
  v1::RevokeTokenResponse revoked;
  ASSERT_TRUE(people_["root"].client->admin().RevokeToken(&revoking, revoke, &revoked).ok());
  while (stream->Read(&event)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(Access, ARevokedTokenStopsSending) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  v1::Token token;
  client::Client sender(Address(), Credentials(MakeToken("ada", &token)));
  grpc::ClientContext sending;
  sending.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::ImportRecordingResponse response;
  const auto stream = sender.recordings().ImportRecording(&sending, &response);
  v1::ImportRecordingRequest message;
  message.mutable_header()->set_display_name("endless");
  ASSERT_TRUE(stream->Write(message));
  message.mutable_file()->set_name("spikes.csv");
  message.mutable_file()->set_size(1 << 20);
  ASSERT_TRUE(stream->Write(message));
  grpc::ClientContext revoking;
  v1::RevokeTokenRequest revoke;
  revoke.set_name(token.name());
  v1::RevokeTokenResponse revoked;
  ASSERT_TRUE(people_["root"].client->admin().RevokeToken(&revoking, revoke, &revoked).ok());
  message.set_chunk(std::string(100, 'x'));
  for (int i = 0; i < 100 && stream->Write(message); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::UNAUTHENTICATED);
}

TEST_F(Access, OneUserWatchesAllJobsEightTimesAtOnce) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  struct Watching {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::WatchJobsResponse>> stream;
  };
  std::vector<std::unique_ptr<Watching>> open;
  const auto watch = [&](const std::string& who) {
    auto w = std::make_unique<Watching>();
    w->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    w->stream = people_[who].client->jobs().WatchJobs(&w->context, {});
    v1::WatchJobsResponse first;
    if (!w->stream->Read(&first)) return w->stream->Finish();
    open.push_back(std::move(w));
    return grpc::Status::OK;
  };
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(watch("ada").ok());
  const auto refused = watch("ada");
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("'ada' watches all jobs 8 times already"));
  EXPECT_TRUE(watch("bea").ok());
  open.front()->context.TryCancel();
  EXPECT_EQ(open.front()->stream->Finish().error_code(), StatusCode::CANCELLED);
  bool found = false;  // a place, once the server saw that she went away
  for (int i = 0; i < 100 && !found; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    found = watch("ada").ok();
  }
  EXPECT_TRUE(found);
  for (auto& w : open) w->context.TryCancel();
  for (size_t i = 1; i < open.size(); ++i) open[i]->stream->Finish();
}

TEST_F(Access, AnOwnDictionaryThatIsHalfRemovedCanBeRemovedToTheEnd) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const v1::Job job = AdasJob(AdasRecording(false, 7));
  const auto drop = [&](const std::string& who) {
    grpc::ClientContext context;
    v1::DeleteDictionaryRequest request;
    request.set_name(job.dictionary());
    v1::DeleteDictionaryResponse response;
    return people_[who].client->features().DeleteDictionary(&context, request, &response);
  };
  SQLite::Database db(dir_ / "data/saed.db", SQLite::OPEN_READWRITE, 5000);
  db.exec("CREATE TRIGGER full BEFORE DELETE ON features BEGIN SELECT RAISE(ABORT, 'full'); END");
  EXPECT_FALSE(drop("ada").ok());
  EXPECT_EQ(drop("bea").error_code(), StatusCode::NOT_FOUND);
  db.exec("DROP TRIGGER full");
  EXPECT_EQ(drop("bea").error_code(), StatusCode::NOT_FOUND);
  EXPECT_TRUE(drop("ada").ok());
  EXPECT_EQ(drop("ada").error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(db.execAndGet("SELECT count(*) FROM features WHERE dictionary_id = '" +
                          job.dictionary().substr(13) + "'")
                .getInt(),
            0);
}

TEST_F(Access, WhatWasChangedOrRefusedIsWrittenDown) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const std::string recording = AdasRecording(false, 7);
  grpc::ClientContext deleting;
  v1::DeleteRecordingRequest request;
  request.set_name(recording);
  v1::DeleteRecordingResponse gone;
  EXPECT_EQ(
      people_["bea"].client->recordings().DeleteRecording(&deleting, request, &gone).error_code(),
      StatusCode::PERMISSION_DENIED);
  auto& root = *people_["root"].client;
  grpc::ClientContext context;
  v1::ListAuditRecordsRequest list;
  list.set_user("users/bea");
  v1::ListAuditRecordsResponse response;
  ASSERT_TRUE(root.admin().ListAuditRecords(&context, list, &response).ok());
  ASSERT_EQ(response.records_size(), 1);
  EXPECT_EQ(response.records(0).method(), "RecordingService.DeleteRecording");
  EXPECT_EQ(response.records(0).resource(), recording);
  EXPECT_EQ(response.records(0).outcome(), "PERMISSION_DENIED");
  EXPECT_THAT(response.records(0).peer(), HasSubstr("127.0.0.1"));
}

TEST_F(Access, FailedTokensAndRefusedActsAreWrittenDownAsThat) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const auto records = [&](const std::string& user) {
    grpc::ClientContext context;
    v1::ListAuditRecordsRequest request;
    if (!user.empty()) request.set_user("users/" + user);
    v1::ListAuditRecordsResponse response;
    EXPECT_TRUE(
        people_["root"].client->admin().ListAuditRecords(&context, request, &response).ok());
    return response;
  };
  auto job = TrainRequest(recording_);
  job.set_priority(v1::JOB_PRIORITY_URGENT);
  grpc::ClientContext submitting;
  v1::CreateJobResponse made;
  EXPECT_EQ(people_["ada"].client->jobs().CreateJob(&submitting, job, &made).error_code(),
            StatusCode::INVALID_ARGUMENT);
  ASSERT_EQ(records("ada").records_size(), 1);
  EXPECT_EQ(records("ada").records(0).outcome(), "INVALID_ARGUMENT");
  job.clear_priority();
  grpc::ClientContext again;
  EXPECT_TRUE(people_["ada"].client->jobs().CreateJob(&again, job, &made).ok());
  EXPECT_EQ(records("ada").records(0).outcome(), "allowed");

  std::string wrong = people_["ada"].token;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  client::Client stranger(Address(), Credentials(wrong));
  for (int i = 0; i < 100; ++i) {
    grpc::ClientContext context;
    v1::GetServerStatusResponse status;
    EXPECT_EQ(stranger.server().GetServerStatus(&context, {}, &status).error_code(),
              StatusCode::UNAUTHENTICATED);
  }
  const auto all = records("");
  int failed = 0;
  for (const auto& r : all.records()) {
    if (r.outcome() != "UNAUTHENTICATED") continue;
    ++failed;
    EXPECT_EQ(r.user(), "");
    EXPECT_THAT(r.resource(), ::testing::StartsWith("tokens/" + wrong.substr(5, 12)));
  }
  EXPECT_GE(failed, 30);
  EXPECT_LE(failed, 62) << "more than fits two minutes";
}

TEST_F(Access, TheDataAreClosedToOthersAndMetricsToOtherMachines) {
  daemon_.reset();
  std::filesystem::permissions(dir_ / "data", std::filesystem::perms(0755));
  Start();
  EXPECT_EQ(std::filesystem::status(dir_ / "data").permissions(), std::filesystem::perms(0700));
  DaemonOptions options;
  options.data_dir = dir_ / "other";
  options.listen = "127.0.0.1:0";
  options.metrics_listen = "0.0.0.0:0";
  const auto refused = Daemon::Start(options);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--metrics-listen is 0.0.0.0:0"));
}

TEST_F(Access, AnUpdateChangesWhatItNames) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const auto update = [&](const v1::UpdateUserRequest& request) {
    grpc::ClientContext context;
    v1::UpdateUserResponse response;
    const auto s = people_["root"].client->admin().UpdateUser(&context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    return response.user();
  };
  v1::UpdateUserRequest request;
  request.mutable_user()->set_name("users/ada");
  request.mutable_user()->mutable_quota()->set_threads(3);
  request.mutable_user()->mutable_quota()->set_running_jobs(2);
  update(request);
  request.mutable_user()->clear_quota();
  request.mutable_user()->set_share(2);
  const v1::User after = update(request);
  EXPECT_EQ(after.share(), 2);
  EXPECT_EQ(after.role(), v1::ROLE_MEMBER);
  EXPECT_EQ(after.quota().threads(), 3);
  request.mutable_update_mask()->add_paths("quota.threads");
  const v1::User less = update(request);
  EXPECT_FALSE(less.quota().has_threads());
  EXPECT_EQ(less.quota().running_jobs(), 2);
  for (const char* path : {"", "quota.", "quota.none"}) {
    request.mutable_update_mask()->Clear();
    request.mutable_update_mask()->add_paths(path);
    grpc::ClientContext context;
    v1::UpdateUserResponse response;
    EXPECT_EQ(people_["root"].client->admin().UpdateUser(&context, request, &response).error_code(),
              StatusCode::INVALID_ARGUMENT)
        << path;
  }

  const std::string secret = AdasRecording(true, 5);
  const auto change = [&](const v1::UpdateRecordingRequest& of) {
    grpc::ClientContext context;
    v1::UpdateRecordingResponse response;
    const auto s = people_["ada"].client->recordings().UpdateRecording(&context, of, &response);
    return std::pair(s, response.recording());
  };
  v1::UpdateRecordingRequest recording;
  recording.set_name(secret);
  EXPECT_THAT(change(recording).first.error_message(), HasSubstr("must name private"));
  recording.set_display_name("night");
  EXPECT_EQ(change(recording).second.display_name(), "night");
  EXPECT_TRUE(change(recording).second.private_());
}

TEST_F(Access, TheLastAdministratorStaysAndUrgentIsForAdministrators) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  grpc::ClientContext context;
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("users/root");
  update.mutable_user()->set_role(v1::ROLE_MEMBER);
  v1::UpdateUserResponse updated;
  EXPECT_EQ(people_["root"].client->admin().UpdateUser(&context, update, &updated).error_code(),
            StatusCode::FAILED_PRECONDITION);
  auto request = TrainRequest(recording_);
  request.set_priority(v1::JOB_PRIORITY_URGENT);
  grpc::ClientContext submitting;
  v1::CreateJobResponse response;
  const auto s = people_["ada"].client->jobs().CreateJob(&submitting, request, &response);
  EXPECT_EQ(s.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(s.error_message(), HasSubstr("only administrators may"));
}

TEST_F(Access, EveryUserHasTheirOwnQuota) {
  ASSERT_NO_FATAL_FAILURE(MakePeople());
  const auto update = [&](const v1::Quota& quota) {
    grpc::ClientContext context;
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("users/ada");
    request.mutable_user()->set_role(v1::ROLE_MEMBER);
    *request.mutable_user()->mutable_quota() = quota;
    request.mutable_update_mask()->add_paths("quota");
    v1::UpdateUserResponse response;
    const auto s = people_["root"].client->admin().UpdateUser(&context, request, &response);
    if (s.ok()) {
      EXPECT_EQ(response.user().quota().SerializeAsString(), quota.SerializeAsString());
    }
    return s;
  };
  v1::Quota quota;
  quota.set_threads(-1);
  quota.set_requests_per_second(-2);
  const auto wrong = update(quota);
  EXPECT_EQ(wrong.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(wrong.error_message(), HasSubstr("user.quota.threads: is -1"));
  EXPECT_THAT(wrong.error_message(), HasSubstr("user.quota.requests_per_second: is -2"));
  quota.Clear();
  quota.set_requests_per_second(1e-300);
  EXPECT_THAT(update(quota).error_message(), HasSubstr("or 0.01 to a million"));

  quota.Clear();
  quota.set_unfinished_jobs(1);
  ASSERT_TRUE(update(quota).ok());
  const auto submit = [&](const std::string& who) {
    auto request = TrainRequest(recording_);
    request.mutable_train()->set_epochs(100'000);
    request.mutable_train()->set_max_steps(50'000'000);
    grpc::ClientContext context;
    v1::CreateJobResponse response;
    return people_[who].client->jobs().CreateJob(&context, request, &response);
  };
  EXPECT_TRUE(submit("ada").ok());
  const auto one_too_many = submit("ada");
  EXPECT_EQ(one_too_many.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(one_too_many.error_message(), HasSubstr("1 jobs of yours are queued or running"));
  EXPECT_TRUE(submit("bea").ok());
  EXPECT_TRUE(submit("bea").ok());

  quota.Clear();
  quota.set_stored_bytes(100);
  ASSERT_TRUE(update(quota).ok());
  const auto simulate = [&](const std::string& who, uint64_t seed) {
    grpc::ClientContext context;
    v1::SimulateRecordingRequest request;
    request.mutable_planted()->set_bins(1000);
    request.mutable_planted()->set_seed(seed);
    v1::SimulateRecordingResponse response;
    return people_[who].client->recordings().SimulateRecording(&context, request, &response);
  };
  const auto too_large = simulate("ada", 8);
  EXPECT_EQ(too_large.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(too_large.error_message(), HasSubstr("that you may store"));
  EXPECT_TRUE(simulate("bea", 9).ok());

  quota.Clear();
  quota.set_requests_per_second(0.5);
  ASSERT_TRUE(update(quota).ok());
  const auto ask = [&](const std::string& who) {
    grpc::ClientContext context;
    v1::GetServerStatusResponse response;
    return people_[who].client->server().GetServerStatus(&context, {}, &response).error_code();
  };
  EXPECT_EQ(ask("ada"), StatusCode::OK);
  EXPECT_EQ(ask("ada"), StatusCode::RESOURCE_EXHAUSTED);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask("bea"), StatusCode::OK);
}

TEST_F(Access, ABackupIsWholeAndComesBack) {
  const v1::Job job = Trained();
  auto forever = TrainRequest(job.train().recording());
  forever.mutable_train()->set_epochs(100000);
  forever.mutable_train()->set_max_steps(50'000'000);
  ASSERT_TRUE(Create(forever).ok());
  grpc::ClientContext context;
  v1::CreateBackupRequest request;
  request.set_directory(dir_ / "backup");
  v1::CreateBackupResponse response;
  const auto s = client_->admin().CreateBackup(&context, request, &response);
  ASSERT_TRUE(s.ok()) << s.error_message();
  EXPECT_GE(response.objects(), 1);
  grpc::ClientContext again;
  EXPECT_EQ(client_->admin().CreateBackup(&again, request, &response).error_code(),
            StatusCode::FAILED_PRECONDITION);
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckData(dir_ / "data").status())) << "it is in use";
  daemon_.reset();
  for (const char* directory : {"data", "backup"}) {
    const auto faults = CheckData(dir_ / directory);
    ASSERT_TRUE(faults.ok()) << faults.status();
    EXPECT_THAT(*faults, ::testing::IsEmpty());
  }
  ASSERT_TRUE(RestoreData(dir_ / "backup", dir_ / "restored").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(RestoreData(dir_ / "backup", dir_ / "restored")));
  std::filesystem::remove_all(dir_ / "data");
  std::filesystem::rename(dir_ / "restored", dir_ / "data");
  Start();
  grpc::ClientContext getting;
  v1::GetModelRequest get;
  get.set_name(job.model());
  v1::GetModelResponse model;
  EXPECT_TRUE(client_->models().GetModel(&getting, get, &model).ok());
  daemon_.reset();
  // Damage is found, and not restored.
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir_ / "backup/objects")) {
    if (file.is_regular_file()) {
      std::filesystem::permissions(file.path(), std::filesystem::perms::owner_all);
      std::ofstream(file.path(), std::ios::app) << "x";
      break;
    }
  }
  EXPECT_EQ(CheckData(dir_ / "backup")->size(), 1U);
  EXPECT_TRUE(absl::IsDataLoss(RestoreData(dir_ / "backup", dir_ / "other")));
  Start();
}

}  // namespace
}  // namespace saed

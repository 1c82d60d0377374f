#include <algorithm>
#include <cstring>
#include <numeric>

#include "tests/integration/fixture.h"

namespace saed {
namespace {

class Features : public test_tools::ServerTest {
 protected:
  v1::EncodeResponse Encode(const std::string& model, const std::string& data,
                            std::vector<int64_t> shape, v1::CodeRule rule, bool reconstruct) {
    v1::EncodeRequest request;
    request.set_model(model);
    request.mutable_counts()->set_dtype(v1::DATA_TYPE_U8);
    request.mutable_counts()->mutable_shape()->Assign(shape.begin(), shape.end());
    request.mutable_counts()->set_data(data);
    request.set_rule(rule);
    request.set_reconstruct(reconstruct);
    grpc::ClientContext context;
    v1::EncodeResponse response;
    const auto s = client_->inference().Encode(&context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    return response;
  }
};

// Of all latents and of some, against the decoder's rows: a marginal filter is one weight for each
// row entry, so doubled counts double it; of fixed filters nothing depends on other windows.
TEST_F(Features, EvidenceIsGradedAndOfTheLatentsAskedFor) {
  const v1::Job job = Trained();
  v1::EncodeRequest request;
  request.set_model(job.model());
  request.mutable_counts()->set_dtype(v1::DATA_TYPE_U8);
  for (const int d : {2, 2, 20}) request.mutable_counts()->add_shape(d);
  std::string counts(80, 1);
  std::fill(counts.begin() + 40, counts.end(), 2);
  request.mutable_counts()->set_data(counts);
  const auto evidence = [&](v1::EvidenceKind kind, std::vector<int32_t> latents) {
    request.mutable_evidence()->set_kind(kind);
    request.mutable_evidence()->mutable_latents()->Assign(latents.begin(), latents.end());
    grpc::ClientContext context;
    v1::EncodeResponse response;
    const auto s = client_->inference().Encode(&context, request, &response);
    EXPECT_TRUE(s.ok()) << s.error_message();
    std::vector<float> out(response.evidence().data().size() / sizeof(float));
    std::memcpy(out.data(), response.evidence().data().data(), response.evidence().data().size());
    EXPECT_EQ(response.evidence().shape_size(), 2);
    return out;
  };
  for (int kind = 1; kind <= v1::EvidenceKind_MAX; ++kind) {
    const auto of = static_cast<v1::EvidenceKind>(kind);
    const std::vector<float> all = evidence(of, {}), some = evidence(of, {7, 3});
    ASSERT_EQ(all.size(), 32U);
    ASSERT_EQ(some.size(), 4U);
    EXPECT_EQ(some[0], all[7]);
    EXPECT_EQ(some[1], all[3]);
    EXPECT_EQ(some[3], all[16 + 3]);
    EXPECT_NE(all[7], 0);
    if (of >= v1::EVIDENCE_KIND_MARGINAL) {
      EXPECT_NEAR(all[16 + 7], 2 * all[7], 1e-5F);
    }
  }
}

TEST_F(Features, AssociationsSayWhatJudgesThem) {
  const v1::Job job = Trained();
  v1::GetDictionaryRequest ask;
  ask.set_name(job.dictionary());
  grpc::ClientContext ask_context;
  v1::GetDictionaryResponse dictionary;
  ASSERT_TRUE(client_->features().GetDictionary(&ask_context, ask, &dictionary).ok());
  int judged = 0;
  for (const auto& c : dictionary.dictionary().conditions()) {
    if (!c.has_best_feature()) continue;
    EXPECT_GE(c.best_unit_train_auroc(), 0.5) << "the sign is chosen too";
    EXPECT_TRUE(c.has_random_test_auroc());
    v1::GetFeatureRequest request;
    request.set_name(job.dictionary() + "/features/" + std::to_string(c.best_feature()));
    grpc::ClientContext context;
    v1::GetFeatureResponse r;
    ASSERT_TRUE(client_->features().GetFeature(&context, request, &r).ok());
    for (const auto& a : r.associations()) {
      if (a.condition() != c.condition().name()) continue;
      EXPECT_EQ(a.train().auroc(), c.best_feature_train_auroc());
      EXPECT_GE(a.train().auroc(), std::max(a.code_train_auroc(), 1 - a.code_train_auroc()));
      EXPECT_LE(a.auroc_low(), a.test().auroc());
      EXPECT_GE(a.auroc_high(), a.test().auroc());
      judged += a.evidence() != v1::EVIDENCE_KIND_UNSPECIFIED;
    }
  }
  EXPECT_GT(judged, 0);
}

// What Encode gives for a set is the sum over its members of what it gives for them, and errors
// name the set.
TEST_F(Features, SetsAreScoredAsTheirMembers) {
  const v1::Job job = Trained();
  v1::GetDictionaryRequest ask;
  ask.set_name(job.dictionary());
  grpc::ClientContext ask_context;
  v1::GetDictionaryResponse dictionary;
  ASSERT_TRUE(client_->features().GetDictionary(&ask_context, ask, &dictionary).ok());
  v1::EncodeRequest request;
  request.set_model(job.model());
  request.mutable_counts()->set_dtype(v1::DATA_TYPE_U8);
  for (const int d : {2, 2, 20}) request.mutable_counts()->add_shape(d);
  std::string counts(80, 0);
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = static_cast<char>(i * i % 5 / 2);
  request.mutable_counts()->set_data(counts);
  const auto encode = [&](std::string* error = nullptr) {
    grpc::ClientContext context;
    v1::EncodeResponse response;
    const auto s = client_->inference().Encode(&context, request, &response);
    EXPECT_EQ(s.ok(), error == nullptr) << s.error_message();
    if (error) *error = std::string(client::FromGrpc(s).message());
    return response;
  };
  const auto floats = [](const v1::Tensor& tensor) {
    std::vector<float> out(tensor.data().size() / sizeof(float));
    std::memcpy(out.data(), tensor.data().data(), tensor.data().size());
    return out;
  };
  std::vector<const v1::DictionaryCondition*> with_set;
  for (const auto& c : dictionary.dictionary().conditions()) {
    if (!c.has_set()) continue;
    with_set.push_back(&c);
    EXPECT_LE(c.set().members_size(), 5);
    EXPECT_EQ(c.set().units_size(), c.set().members_size());
    EXPECT_TRUE(c.set().sizes(0).has_validated_auroc());
    EXPECT_TRUE(c.has_over_unit());
    EXPECT_EQ(c.has_over_unit_low(), c.worth() != v1::WORTH_UNSPECIFIED);
    request.add_sets(job.dictionary() + "/conditions/" + c.condition().name());
  }
  ASSERT_GE(with_set.size(), 2U);
  request.set_rule(v1::CODE_RULE_TOP_K);  // sets are of codes by the model's own rule all the same
  const v1::EncodeResponse all = encode();
  const std::vector<float> scores = floats(all.set_scores());
  ASSERT_EQ(scores.size(), 2 * with_set.size());
  request.clear_rule();
  request.clear_sets();
  for (size_t i = 0; i < with_set.size(); ++i) {
    std::vector<double> sum(2, 0);
    for (const auto& m : with_set[i]->set().members()) {
      std::vector<double> values(2, 0);
      if (m.evidence() == v1::EVIDENCE_KIND_UNSPECIFIED) {
        request.clear_evidence();
        const auto codes = encode().codes();
        for (int w = 0; w < 2; ++w) {
          for (int64_t e = codes.row_offsets(w); e < codes.row_offsets(w + 1); ++e) {
            if (codes.indices(static_cast<int>(e)) == m.feature()) {
              values[w] = static_cast<double>(codes.values(static_cast<int>(e)));
            }
          }
        }
      } else {
        request.mutable_evidence()->set_kind(m.evidence());
        request.mutable_evidence()->clear_latents();
        request.mutable_evidence()->add_latents(m.feature());
        const std::vector<float> evidence = floats(encode().evidence());
        values.assign(evidence.begin(), evidence.end());
      }
      for (int w = 0; w < 2; ++w) sum[w] += m.weight() * ((values[w] - m.mean()) / m.sd());
    }
    for (size_t w = 0; w < 2; ++w) {
      EXPECT_EQ(scores[w * with_set.size() + i], static_cast<float>(sum[w]));
    }
  }
  std::string error;
  for (const auto& [name, said] :
       {std::pair<std::string, std::string>("flash", "sets[0] is 'flash'; must be dictionaries/"),
        {job.dictionary() + "/conditions/", "sets[0] is 'dictionaries/"},
        {job.dictionary() + "/conditions/nobody", "sets[0] names the condition 'nobody'"},
        {"dictionaries/nothing/conditions/a", "there is no dictionary 'dictionaries/nothing'"}}) {
    request.clear_sets();
    request.add_sets(name);
    encode(&error);
    EXPECT_NE(error.find(said), std::string::npos) << error;
  }
}

TEST_F(Features, ListingPagesThroughAllFeaturesInOrder) {
  const v1::Job job = Trained();
  v1::ListFeaturesRequest request;
  request.set_parent(job.dictionary());
  request.set_order_by("density desc");
  request.set_page_size(5);
  std::vector<double> densities;
  do {
    grpc::ClientContext context;
    v1::ListFeaturesResponse response;
    ASSERT_TRUE(client_->features().ListFeatures(&context, request, &response).ok());
    for (const auto& f : response.features()) densities.push_back(f.density());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  ASSERT_EQ(densities.size(), 16u);
  EXPECT_TRUE(std::is_sorted(densities.rbegin(), densities.rend()));
}

TEST_F(Features, OneFeatureHasEverything) {
  const v1::Job job = Trained();
  v1::ListFeaturesRequest list;
  list.set_parent(job.dictionary());
  list.set_order_by("active_windows desc");
  list.set_page_size(1);
  grpc::ClientContext list_context, context, stream_context;
  v1::ListFeaturesResponse listed;
  ASSERT_TRUE(client_->features().ListFeatures(&list_context, list, &listed).ok());
  v1::GetFeatureRequest request;
  request.set_name(listed.features(0).name());
  v1::GetFeatureResponse r;
  ASSERT_TRUE(client_->features().GetFeature(&context, request, &r).ok());
  EXPECT_EQ(r.decoder().shape(0), 2);
  EXPECT_EQ(r.decoder().shape(1), 20);
  EXPECT_EQ(r.trace_map().data().size(), 2 * 20 * sizeof(float));
  EXPECT_EQ(r.unit_ids_size(), 20);
  EXPECT_GT(r.exemplars_size(), 10);
  EXPECT_EQ(r.associations_size(), 9) << "8 planted features, and their table";
  double norm = 0;
  for (int i = 0; i < 40; ++i) {
    float v;
    std::memcpy(&v, r.decoder().data().data() + 4 * i, 4);
    norm += static_cast<double>(v) * v;
  }
  EXPECT_NEAR(norm, 1, 1e-5);
  // The streamed activations are those that the statistics count.
  v1::GetActivationsRequest activations;
  activations.set_name(request.name());
  const auto stream = client_->features().GetActivations(&stream_context, activations);
  v1::GetActivationsResponse part;
  int64_t n = 0;
  double most = 0, last = -1;
  while (stream->Read(&part)) {
    for (int i = 0; i < part.values_size(); ++i, ++n) {
      most = std::max<double>(most, part.values(i));
      EXPECT_GT(part.start_times(i), last);
      last = part.start_times(i);
    }
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(n, r.feature().active_windows());
  EXPECT_FLOAT_EQ(most, r.feature().max_activation());
  // Evidence has a value in every window.
  activations.set_evidence(v1::EVIDENCE_KIND_CORE_3);
  grpc::ClientContext evidence_context;
  const auto evidence = client_->features().GetActivations(&evidence_context, activations);
  int64_t windows = 0;
  while (evidence->Read(&part)) windows += part.values_size();
  EXPECT_TRUE(evidence->Finish().ok());
  EXPECT_NEAR(static_cast<double>(windows), n / r.feature().density(), 0.5);
}

// Windows further than a bin apart show neither where a condition begins nor a rhythm.
TEST_F(Features, WhatAStrideLeavesOutIsSaid) {
  const std::string said =
      "windows begin 4 bins apart, so that there are no responses around the start of conditions "
      "and no spectra; a stride of 1 has both";
  v1::CreateJobRequest request = TrainRequest(Simulate());
  request.mutable_train()->mutable_view()->mutable_split()->set_train_fraction(0.5);
  for (const int stride : {1, 4}) {
    request.mutable_train()->mutable_view()->set_stride(stride);
    const auto job = Create(request);
    ASSERT_TRUE(job.ok()) << job.status();
    const auto& warnings = job->train().warnings();
    EXPECT_EQ(std::count(warnings.begin(), warnings.end(), said), stride == 4);
    const v1::Job done = Watch(job->name()).back().job();
    ASSERT_EQ(done.state(), v1::Job::STATE_SUCCEEDED) << done.error().message();
    v1::GetDictionaryRequest get;
    get.set_name(done.dictionary());
    grpc::ClientContext context;
    v1::GetDictionaryResponse response;
    ASSERT_TRUE(client_->features().GetDictionary(&context, get, &response).ok());
    const auto& lines = response.dictionary().warnings();
    EXPECT_EQ(std::count(lines.begin(), lines.end(), said), stride == 4);
    EXPECT_EQ(response.dictionary().spectra().segments() > 0, stride == 1);
  }
}

// The newest dictionary of each recording, and what they make together.
TEST_F(Features, OneConditionOverAllRecordings) {
  const v1::Job first = Trained();
  v1::CreateJobRequest again;
  again.mutable_analyse()->set_model(first.model());
  again.mutable_analyse()->set_recording(first.train().recording());
  const auto job = Create(again);
  ASSERT_TRUE(job.ok()) << job.status();
  const std::string newest = Watch(job->name()).back().job().dictionary();
  v1::PoolConditionRequest request;
  request.set_condition("planted.feature=f00");
  const auto pool = [&](v1::PoolConditionResponse& r) {
    grpc::ClientContext context;
    return client_->features().PoolCondition(&context, request, &r);
  };
  v1::PoolConditionResponse r;
  ASSERT_TRUE(pool(r).ok());
  ASSERT_EQ(r.entries_size(), 1);
  EXPECT_EQ(r.entries(0).dictionary(), newest);
  EXPECT_EQ(r.entries(0).recording(), first.train().recording());
  const auto& c = r.entries(0).condition();
  EXPECT_EQ(c.condition().name(), "planted.feature=f00");
  EXPECT_EQ(c.family(), "planted");
  EXPECT_EQ(r.scored(), 1);
  EXPECT_EQ(r.mean_auroc(), c.best_feature_test_auroc());
  EXPECT_NEAR(r.p_value(), r.entries(0).association().p_value(), 1e-12);
  EXPECT_FALSE(r.has_sd_auroc());
  request.set_all_dictionaries(true);
  v1::PoolConditionResponse all;
  ASSERT_TRUE(pool(all).ok());
  EXPECT_EQ(all.entries_size(), 2);
  EXPECT_EQ(all.scored(), 1);
  request.set_condition("trials.side=left");
  v1::PoolConditionResponse none;
  EXPECT_EQ(pool(none).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Features, StatusNamesTheKernelsInUse) {
  grpc::ClientContext context;
  v1::GetServerStatusResponse r;
  ASSERT_TRUE(client_->server().GetServerStatus(&context, {}, &r).ok());
  EXPECT_EQ(r.threads(), 2);
  EXPECT_EQ(r.running_jobs() + r.queued_jobs(), 0);
  int in_use = 0;
  for (const auto& path : r.kernel_paths()) {
    in_use += path.in_use();
    EXPECT_EQ(path.reason().empty(), path.available()) << path.name();
    EXPECT_TRUE(path.available() || !path.in_use());
  }
  EXPECT_EQ(in_use, 1);
}

TEST_F(Features, CodesDoNotDependOnTheBatch) {
  const v1::Job job = Trained();
  std::string data(70 * 40, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 % 11 == 0 ? i % 3 : 0);
  const auto all = Encode(job.model(), data, {70, 2, 20}, v1::CODE_RULE_UNSPECIFIED, true);
  for (int w : {0, 33, 69}) {
    const auto one =
        Encode(job.model(), data.substr(w * 40, 40), {1, 40}, v1::CODE_RULE_UNSPECIFIED, true);
    const auto begin = all.codes().row_offsets(w), end = all.codes().row_offsets(w + 1);
    ASSERT_EQ(one.codes().indices_size(), end - begin);
    for (int64_t e = begin; e < end; ++e) {
      EXPECT_EQ(one.codes().indices(e - begin), all.codes().indices(e));
      EXPECT_EQ(one.codes().values(e - begin), all.codes().values(e));
    }
    EXPECT_EQ(one.reconstruction().data(), all.reconstruction().data().substr(w * 160, 160));
  }
  const auto top = Encode(job.model(), data, {70, 2, 20}, v1::CODE_RULE_TOP_K, false);
  for (int w = 0; w < 70; ++w) {
    EXPECT_LE(top.codes().row_offsets(w + 1) - top.codes().row_offsets(w), 3);
  }
}

// Three units are predicted from the twenty: the patterns and reconstructions have their width.
TEST_F(Features, PairedTargetHasItsOwnWidth) {
  auto request = TrainRequest(Simulate());
  for (int64_t id : {2, 5, 7}) request.mutable_train()->mutable_target()->add_unit_ids(id);
  const auto created = Create(request);
  ASSERT_TRUE(created.ok()) << created.status();
  const v1::Job job = Watch(created->name()).back().job();
  ASSERT_EQ(job.state(), v1::Job::STATE_SUCCEEDED) << job.error().message();

  grpc::ClientContext context;
  v1::GetFeatureRequest get;
  get.set_name(job.dictionary() + "/features/15");  // the last one: nothing lies behind it
  v1::GetFeatureResponse feature;
  ASSERT_TRUE(client_->features().GetFeature(&context, get, &feature).ok());
  EXPECT_EQ(feature.decoder().shape(0), 2);
  EXPECT_EQ(feature.decoder().shape(1), 3);
  ASSERT_EQ(feature.decoder().data().size(), 6 * sizeof(float));
  EXPECT_EQ(feature.trace_map().shape(1), 20);
  float pattern[6];
  std::memcpy(pattern, feature.decoder().data().data(), sizeof pattern);
  EXPECT_NEAR(std::inner_product(pattern, pattern + 6, pattern, 0.0), 1, 1e-5);

  const auto codes =
      Encode(job.model(), std::string(5 * 40, '\1'), {5, 2, 20}, v1::CODE_RULE_UNSPECIFIED, true);
  EXPECT_EQ(codes.reconstruction().shape(2), 3);
  EXPECT_EQ(codes.reconstruction().data().size(), 5 * 6 * sizeof(float));

  grpc::ClientContext model_context;
  v1::GetModelRequest model_request;
  model_request.set_name(job.model());
  v1::GetModelResponse model;
  ASSERT_TRUE(client_->models().GetModel(&model_context, model_request, &model).ok());
  EXPECT_NE(model.model().provenance().find("\"target_unit_ids\":[2,5,7]"), std::string::npos);
  EXPECT_EQ(model.model().evaluation().unit_r2_size(), 3);
}

TEST_F(Features, DownloadIsASafetensorsFileWithItsDigest) {
  const v1::Job job = Trained();
  grpc::ClientContext context;
  v1::DownloadModelRequest request;
  request.set_name(job.model());
  const auto stream = client_->models().DownloadModel(&context, request);
  v1::DownloadModelResponse part;
  std::string bytes, digest;
  while (stream->Read(&part)) {
    bytes += part.chunk();
    digest = part.sha256();
  }
  ASSERT_TRUE(stream->Finish().ok());
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), 8);
  EXPECT_NE(bytes.substr(8, header).find("\"encoder\""), std::string::npos);
  EXPECT_EQ(bytes.size(), 8 + header + 4 * (2 * 16 * 40 + 16 + 40 + 1 + 40 + 20));
  EXPECT_EQ(digest.size(), 64u);
}

}  // namespace
}  // namespace saed

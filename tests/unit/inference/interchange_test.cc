#include "server/inference/interchange.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "server/inference/safetensors.h"

namespace saed::inference {
namespace {

using nlohmann::json;

constexpr int kInputs = 4, kFeatures = 6;

// A SAELens directory whose config has `more`.
ModelFiles Directory(const json& more, const std::string& weights = "") {
  json config = {{"d_in", kInputs}, {"d_sae", kFeatures}};
  if (more.is_object()) config.update(more);
  Safetensors file;
  file.tensors = {{"W_enc", {kInputs, kFeatures}, std::vector<float>(kInputs * kFeatures, 0.5f)},
                  {"W_dec", {kFeatures, kInputs}, std::vector<float>(kInputs * kFeatures, 0.25f)},
                  {"b_enc", {kFeatures}, std::vector<float>(kFeatures)},
                  {"b_dec", {kInputs}, std::vector<float>(kInputs)}};
  return {{"cfg.json", config.dump()},
          {"sae_weights.safetensors", weights.empty() ? WriteSafetensors(file) : weights}};
}

// The directory's weights with a tensor of `dtype`, 8 bytes, before the others.
std::string WithTensor(const std::string& dtype, const std::vector<int>& shape) {
  const std::string plain = Directory({}).at("sae_weights.safetensors");
  uint64_t size = 0;
  std::memcpy(&size, plain.data(), sizeof size);
  json header = json::parse(plain.substr(8, size));
  for (auto& [name, entry] : header.items()) {
    for (auto& offset : entry["data_offsets"]) offset = offset.get<int>() + 8;
  }
  header["n_steps"] = {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {0, 8}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + text + std::string(8, '\1') +
         plain.substr(plain.size() - 4 * (2 * kInputs * kFeatures + kInputs + kFeatures));
}

TEST(FromSaeLens, TheActivationFunctionSaysTopK) {
  std::vector<std::string> notes;
  for (const char* key : {"activation_fn_str", "activation_fn"}) {
    const auto model = FromSaeLens(
        Directory(
            {{"architecture", "standard"}, {key, "topk"}, {"activation_fn_kwargs", {{"k", 3}}}}),
        1, kInputs, notes);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->spec.selection, sae::Selection::kTopK);
    EXPECT_EQ(model->spec.k(), 3);
  }
  const auto relu = FromSaeLens(
      Directory({{"architecture", "standard"}, {"activation_fn_str", "relu"}}), 1, kInputs, notes);
  ASSERT_TRUE(relu.ok()) << relu.status();
  EXPECT_EQ(relu->spec.selection, sae::Selection::kRelu);
  EXPECT_TRUE(notes.empty());
}

TEST(FromSaeLens, AnActivationWithoutItsKOrUnknownIsRefused) {
  std::vector<std::string> notes;
  for (const json& more :
       {json{{"activation_fn_str", "topk"}}, json{{"architecture", "topk"}},
        json{{"activation_fn_str", "topk"}, {"activation_fn_kwargs", {{"k", 7}}}},
        json{{"activation_fn_str", "topk"}, {"activation_fn_kwargs", {{"k", "3"}}}},
        json{{"activation_fn_str", "tanh-relu"}}, json{{"finetuning_scaling_factor", true}}}) {
    const auto model = FromSaeLens(Directory(more), 1, kInputs, notes);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << more;
    EXPECT_NE(model.status().message().find("cfg.json"), std::string::npos) << more;
  }
}

// The codes of a model with an output function go out; what they decode to goes into the function.
TEST(ToSaeLensLinear, NamesTheOutputFunctionAndComesBack) {
  std::vector<std::string> notes;
  auto model = *FromSaeLens(Directory({}), 1, kInputs, notes);
  model.spec.loss = sae::Loss::kPoisson;
  model.spec.output = sae::Output::kSoftplus;
  const auto refused = ToSaeLens(model, "m");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("saelens-linear"), std::string::npos);
  const auto files = ToSaeLensLinear(model, "m");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(json::parse(files->at("cfg.json"))["metadata"]["saed_output"], "softplus");
  const auto back = FromSaeLens(*files, 1, kInputs, notes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->spec.output, sae::Output::kSoftplus);
  EXPECT_EQ(back->spec.loss, sae::Loss::kPoisson);
  EXPECT_EQ(back->parameters.decoder, model.parameters.decoder);
  for (const auto& [loss, output] : {std::pair(sae::Loss::kMse, sae::Output::kSoftplus),
                                     std::pair(sae::Loss::kMsle, sae::Output::kRelu)}) {
    model.spec.loss = loss;
    model.spec.output = output;
    const auto other = FromSaeLens(*ToSaeLensLinear(model, "m"), 1, kInputs, notes);
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ(other->spec.output, output);
    EXPECT_EQ(other->spec.loss, loss);
  }
  // Outputs that are scaled behind the function have no place.
  model.normaliser = {std::vector<float>(kInputs, 1), std::vector<float>(kInputs, 2)};
  EXPECT_EQ(ToSaeLensLinear(model, "m").status().code(), absl::StatusCode::kFailedPrecondition);
  // A linear model has no function to name.
  const auto linear = ToSaeLensLinear(*FromSaeLens(Directory({}), 1, kInputs, notes), "m");
  ASSERT_TRUE(linear.ok()) << linear.status();
  EXPECT_FALSE(json::parse(linear->at("cfg.json"))["metadata"].contains("saed_output"));
}

TEST(FromSaeLens, AnUnknownOutputFunctionIsRefused) {
  std::vector<std::string> notes;
  for (const json& name : {json("exp"), json(7), json(nullptr)}) {
    const auto model =
        FromSaeLens(Directory({{"metadata", {{"saed_output", name}}}}), 1, kInputs, notes);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_NE(model.status().message().find("saed_output"), std::string::npos) << name;
  }
}

TEST(FromSaeLens, ALossThatDoesNotGoWithTheOutputIsRefused) {
  std::vector<std::string> notes;
  for (const auto& metadata : {json{{"saed_loss", "poisson"}}, json{{"saed_loss", "hinge"}},
                               json{{"saed_loss", "msle"}, {"saed_output", "identity"}}}) {
    const auto model = FromSaeLens(Directory({{"metadata", metadata}}), 1, kInputs, notes);
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << metadata;
    EXPECT_NE(model.status().message().find("saed_loss"), std::string::npos) << metadata;
  }
}

TEST(FromSaeLens, AnIntegerTensorIsLeftOutAndSaid) {
  std::vector<std::string> notes;
  const auto model = FromSaeLens(Directory({}, WithTensor("I64", {1})), 1, kInputs, notes);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->parameters.encoder, std::vector<float>(kInputs * kFeatures, 0.5f));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("n_steps (I64)"), std::string::npos) << notes[0];
  // Its size is checked as any other's, and a tensor of the model must be of floats.
  EXPECT_FALSE(FromSaeLens(Directory({}, WithTensor("I64", {2})), 1, kInputs, notes).ok());
  EXPECT_FALSE(FromSaeLens(Directory({}, WithTensor("C64", {1})), 1, kInputs, notes).ok());
  std::string integers = Directory({}).at("sae_weights.safetensors");
  integers.replace(integers.find("F32"), 3, "I32");
  EXPECT_FALSE(FromSaeLens(Directory({}, integers), 1, kInputs, notes).ok());
}

}  // namespace
}  // namespace saed::inference

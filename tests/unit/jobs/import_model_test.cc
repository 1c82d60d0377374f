// An import of a model ends with its call, and leaves nothing where it did.
#include "server/jobs/import_model.h"

#include <gtest/gtest.h>

#include "server/base/on_behalf.h"
#include "server/inference/safetensors.h"
#include "tests/tools/temp_stores.h"

namespace saed::jobs {
namespace {

class ImportedModels : public testing::Test, public test_tools::TempStores {
 protected:
  // Of 12 units and 8 features, as SAELens keeps it.
  ModelImport Import() const {
    inference::Safetensors weights;
    weights.tensors = {{"W_enc", {12, 8}, std::vector<float>(96, 0.5F)},
                       {"W_dec", {8, 12}, std::vector<float>(96, 0.25F)},
                       {"b_enc", {8}, std::vector<float>(8)},
                       {"b_dec", {12}, std::vector<float>(12)}};
    ModelImport out;
    out.recording_id = recording;
    out.owner = "ada";
    out.view.bin_width = 0.02;
    out.sae_lens = true;
    out.files = {{"cfg.json", R"({"d_in": 12, "d_sae": 8})"},
                 {"sae_weights.safetensors", inference::WriteSafetensors(weights)}};
    return out;
  }
  size_t Stored() { return models.List("", 10, 0, "")->size(); }
};

TEST_F(ImportedModels, EndWithTheirCallWheneverThatEnds) {
  const ModelImport import = Import();
  int asked = 0, last = 1 << 30;  // how often the work asks, and when the answer is no
  const OnBehalf call("ada", [&] {
    return ++asked > last ? absl::DeadlineExceededError("the deadline passed") : absl::OkStatus();
  });
  ASSERT_TRUE(ImportModel(stores, clock, import, "test").ok());
  EXPECT_EQ(Stored(), 1U);
  const int all = asked;
  EXPECT_GE(all, 5) << "after each of reading, choosing, building, measuring and evaluating";
  for (int no = 0; no < all; ++no) {
    asked = 0;
    last = no;
    const absl::Status s = ImportModel(stores, clock, import, "test").status();
    EXPECT_TRUE(absl::IsDeadlineExceeded(s)) << "after " << no << " of " << all << ": " << s;
    EXPECT_LE(asked, no + 2) << "it goes on though nobody waits";
    EXPECT_EQ(Stored(), 1U);
  }
}

}  // namespace
}  // namespace saed::jobs

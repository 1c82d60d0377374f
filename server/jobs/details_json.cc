#include "server/jobs/details_json.h"

#include <nlohmann/json.hpp>

#include "server/inference/spec_json.h"
#include "server/jobs/place_json.h"

namespace saed::jobs {
namespace {

using nlohmann::json;

// An object, empty where the text is none.
json Parsed(const std::string& details) {
  json out = json::parse(details, nullptr, false);
  return out.is_object() ? out : json::object();
}

json ToJson(const features::NegativeControl& n) {
  return {{"family", n.family},
          {"labels", n.labels},
          {"mean_auroc", OptionalJson(n.mean_auroc)},
          {"highest_auroc", OptionalJson(n.highest_auroc)},
          {"pairs", n.pairs},
          {"called", n.called}};
}

}  // namespace

std::string DictionaryDetails(const features::Dictionary& dictionary) {
  json controls = json::array();
  for (const auto& n : dictionary.controls) controls.push_back(ToJson(n));
  json out = {{"controls", controls}, {"responses", "judged"}};
  for (const auto& bins : dictionary.places) out["places"].push_back(ToJson(bins));
  return out.dump();
}

std::string ConditionDetails(const features::Dictionary& dictionary, size_t condition) {
  const features::Baselines& b = dictionary.baselines[condition];
  json out = {{"train_asked", dictionary.train_asked[condition]},
              {"test_asked", dictionary.test_asked[condition]},
              {"baselines",
               {{"logistic_counts", OptionalJson(b.logistic_counts)},
                {"logistic_latents", OptionalJson(b.logistic_latents)},
                {"pca", OptionalJson(b.pca)},
                {"ica", OptionalJson(b.ica)}}}};
  if (b.latents_by) out["baselines"]["latents_by"] = sae::Name(*b.latents_by);
  return out.dump();
}

std::vector<features::NegativeControl> ParseControls(const std::string& details) {
  std::vector<features::NegativeControl> out;
  for (const json& n : Parsed(details).value("controls", json::array())) {
    if (!n.is_object()) continue;
    out.push_back({n.value("family", ""), n.value("labels", 0), OptionalNumber(n, "mean_auroc"),
                   OptionalNumber(n, "highest_auroc"), n.value("pairs", int64_t{0}),
                   n.value("called", int64_t{0})});
  }
  return out;
}

features::Baselines ParseBaselines(const std::string& details) {
  const json b = Parsed(details).value("baselines", json::object());
  features::Baselines out;
  out.logistic_counts = OptionalNumber(b, "logistic_counts");
  out.logistic_latents = OptionalNumber(b, "logistic_latents");
  out.pca = OptionalNumber(b, "pca");
  out.ica = OptionalNumber(b, "ica");
  out.latents_by = sae::EvidenceNamed(b.value("latents_by", ""));
  return out;
}

Asked ParseAsked(const std::string& details) {
  const json parsed = Parsed(details);
  return {parsed.value("train_asked", int64_t{0}), parsed.value("test_asked", int64_t{0})};
}

bool ResponsesAreJudged(const std::string& details) {
  return Parsed(details).value("responses", "") == "judged";
}

}  // namespace saed::jobs

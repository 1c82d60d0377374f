#include "server/jobs/progress.h"

#include "server/inference/spec_json.h"

namespace saed::jobs {

nlohmann::json ToJson(const ProgressReport& r) {
  return {{"stage", r.stage},
          {"fraction", r.fraction},
          {"time", r.time},
          {"attempt", r.attempt},
          {"step", r.step},
          {"total_steps", r.total_steps},
          {"loss", r.loss},
          {"reconstruction_loss", r.reconstruction_loss},
          {"l0", r.l0},
          {"dead_fraction", r.dead_fraction},
          {"learning_rate", r.learning_rate},
          {"lambda", r.lambda},
          {"gradient_norm", r.gradient_norm},
          {"windows_per_second", r.windows_per_second},
          {"seconds_left", OptionalJson(r.seconds_left)}};
}

ProgressReport ParseProgress(const std::string& json) {
  ProgressReport r;
  const auto j = nlohmann::json::parse(json, nullptr, false);
  if (!j.is_object()) return r;
  r.stage = j.value("stage", "");
  r.fraction = NumberOr(j, "fraction");
  r.time = j.value("time", int64_t{0});
  r.attempt = j.value("attempt", 0);
  r.step = j.value("step", int64_t{0});
  r.total_steps = j.value("total_steps", int64_t{0});
  r.loss = NumberOr(j, "loss");
  r.reconstruction_loss = NumberOr(j, "reconstruction_loss");
  r.l0 = NumberOr(j, "l0");
  r.dead_fraction = NumberOr(j, "dead_fraction");
  r.learning_rate = NumberOr(j, "learning_rate");
  r.lambda = NumberOr(j, "lambda");
  r.gradient_norm = NumberOr(j, "gradient_norm");
  r.windows_per_second = NumberOr(j, "windows_per_second");
  r.seconds_left = OptionalNumber(j, "seconds_left");
  return r;
}

}  // namespace saed::jobs

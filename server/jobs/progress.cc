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
          {"windows_per_second", r.windows_per_second},
          {"seconds_left", OptionalJson(r.seconds_left)}};
}

ProgressReport ParseProgress(const std::string& json) {
  ProgressReport r;
  const auto j = nlohmann::json::parse(json, nullptr, false);
  if (!j.is_object()) return r;
  r.stage = j.value("stage", "");
  r.fraction = j.value("fraction", 0.0);
  r.time = j.value("time", int64_t{0});
  r.attempt = j.value("attempt", 0);
  r.step = j.value("step", int64_t{0});
  r.total_steps = j.value("total_steps", int64_t{0});
  r.loss = j.value("loss", 0.0);
  r.reconstruction_loss = j.value("reconstruction_loss", 0.0);
  r.l0 = j.value("l0", 0.0);
  r.dead_fraction = j.value("dead_fraction", 0.0);
  r.learning_rate = j.value("learning_rate", 0.0);
  r.windows_per_second = j.value("windows_per_second", 0.0);
  r.seconds_left = OptionalNumber(j, "seconds_left");
  return r;
}

}  // namespace saed::jobs

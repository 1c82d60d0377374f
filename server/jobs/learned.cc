#include "server/jobs/learned.h"

#include <fmt/format.h>

#include <cmath>

#include "server/jobs/choose.h"

namespace saed::jobs {
namespace {

constexpr double kMiss = 1.5, kMostDead = 0.5;

// What to do about a training that ended early or was steered badly.
std::string Advice(const sae::FitSpec& fit, int64_t steps) {
  std::string out =
      fmt::format("it had {} step{} of {} windows", steps, steps == 1 ? "" : "s", fit.batch_size);
  if (steps < kFewestSteps)
    out += "; a thousand steps or more are needed as a rule: leave out epochs and max_steps";
  if (fit.model.penalty.weight > 0) out += "; a smaller penalty, or 0, lets more latents be active";
  return out;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> Shortcomings(const sae::FitSpec& fit, int64_t steps,
                                                      const sae::Evaluation& e) {
  std::vector<std::string> out;
  if (e.windows == 0) return out;
  if (!(e.l0 > 0)) {
    return absl::FailedPreconditionError(fmt::format(
        "nothing was learned: no latent is active in any of the {} held-out windows; {}", e.windows,
        Advice(fit, steps)));
  }
  const double k = fit.model.k();
  if (fit.model.penalty.weight == 0 && (e.l0 >= kMiss * k || e.l0 * kMiss <= k)) {
    // λ reached the target where it looked.
    const bool on_training = e.l0 > k && steps >= kFewestSteps;
    out.push_back(fmt::format(
        "L0 is {:.2f} on held-out windows and should be {}; {}{}", e.l0, k, Advice(fit, steps),
        !on_training            ? ""
        : fit.hidden_inputs > 0 ? "; more windows to train on, or fewer features, would help"
                                : "; windows that trained have fewer active latents: "
                                  "hidden_inputs 0.5, more windows or fewer features would help"));
  }
  if (e.explained_variance && *e.explained_variance < 0) {
    out.push_back(
        fmt::format("explained variance is {:.3f} on held-out windows: what is reconstructed is "
                    "worse than a constant; {}",
                    *e.explained_variance, Advice(fit, steps)));
  }
  if (e.bits_per_spike && *e.bits_per_spike < 0) {
    out.push_back(
        fmt::format("bits per spike are {:.3f} on held-out windows: what is reconstructed is worse "
                    "than each unit's mean rate; {}",
                    *e.bits_per_spike, Advice(fit, steps)));
  }
  if (e.dead_fraction > kMostDead) {
    out.push_back(
        fmt::format("{:.0f} % of {} latents are active in no held-out window; fewer features, or "
                    "more steps, would use them ({})",
                    100 * e.dead_fraction, fit.model.features(), Advice(fit, steps)));
  }
  return out;
}

}  // namespace saed::jobs

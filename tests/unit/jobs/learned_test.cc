#include "server/jobs/learned.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saed::jobs {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

sae::FitSpec Asked() {
  sae::FitSpec fit;
  fit.model.selection = sae::Selection::kRelu;
  fit.model.levels = {{48, 8}};
  fit.batch_size = 256;
  return fit;
}

sae::Evaluation Good() {
  sae::Evaluation e;
  e.windows = 500;
  e.l0 = 7.5;
  e.explained_variance = 0.3;
  e.bits_per_spike = 0.4;
  e.dead_fraction = 0.1;
  return e;
}

std::vector<std::string> Said(const sae::FitSpec& fit, const sae::Evaluation& e) {
  const auto out = Shortcomings(fit, 1000, e);
  EXPECT_TRUE(out.ok()) << out.status();
  return out.ok() ? *out : std::vector<std::string>{};
}

TEST(Learned, AGoodModelHasNothingToSay) {
  EXPECT_THAT(Said(Asked(), Good()), IsEmpty());
  sae::Evaluation e = Good();
  for (const double l0 : {5.34, 11.99}) {
    e.l0 = l0;
    EXPECT_THAT(Said(Asked(), e), IsEmpty()) << l0;
  }
}

TEST(Learned, EachShortcomingIsSaidWithItsFigure) {
  for (const double l0 : {5.33, 12.0, 0.05}) {
    sae::Evaluation e = Good();
    e.l0 = l0;
    EXPECT_THAT(Said(Asked(), e), ElementsAre(HasSubstr("should be 8"))) << l0;
  }
  sae::Evaluation e = Good();
  e.explained_variance = -0.125;
  EXPECT_THAT(Said(Asked(), e), ElementsAre(HasSubstr("explained variance is -0.125")));
  e = Good();
  e.bits_per_spike = -0.5;
  EXPECT_THAT(Said(Asked(), e), ElementsAre(HasSubstr("bits per spike are -0.500")));
  e = Good();
  e.dead_fraction = 0.75;
  EXPECT_THAT(Said(Asked(), e), ElementsAre(HasSubstr("75 % of 48 latents")));
}

// What does not hold beyond the windows that trained has another cause than too few steps.
TEST(Learned, TooManyActiveLatentsHaveAnotherCause) {
  sae::Evaluation e = Good();
  e.l0 = 17;
  EXPECT_THAT(Said(Asked(), e), ElementsAre(HasSubstr("hidden_inputs 0.5")));
  sae::FitSpec fit = Asked();
  fit.hidden_inputs = 0.5;
  EXPECT_THAT(Said(fit, e), ElementsAre(HasSubstr("more windows to train on")));
  e.l0 = 0.05;
  EXPECT_THAT(Said(Asked(), e), ElementsAre(testing::Not(HasSubstr("hidden_inputs"))));
}

// With a penalty that was given there is no target.
TEST(Learned, AGivenPenaltyHasNoTarget) {
  sae::FitSpec fit = Asked();
  fit.model.penalty.weight = 0.01;
  sae::Evaluation e = Good();
  e.l0 = 0.5;
  EXPECT_THAT(Said(fit, e), IsEmpty());
}

TEST(Learned, NoActiveLatentIsAFailure) {
  sae::Evaluation e = Good();
  e.l0 = 0;
  const auto out = Shortcomings(Asked(), 80, e);
  EXPECT_TRUE(absl::IsFailedPrecondition(out.status()));
  EXPECT_THAT(std::string(out.status().message()),
              AllOf(HasSubstr("nothing was learned"), HasSubstr("80 steps of 256 windows"),
                    HasSubstr("a thousand steps")));
}

}  // namespace
}  // namespace saed::jobs

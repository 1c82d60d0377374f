// Analytic gradients against central differences of a dense restatement of every architecture,
// loss, output and revival, in double precision. The restatement shares no code with the step: it
// loops over all latents and writes the objective as the papers have it, with what they hold
// constant (residual, frozen decoder, straight-through windows) taken from unperturbed parameters.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "server/sae/random.h"
#include "server/sae/step.h"

namespace saed::sae {
namespace {

using Matrix = std::vector<std::vector<double>>;

struct Case {
  std::string name;
  ModelSpec spec;
  bool dead = false, paired = false, normalised = false;
  HiddenUnits hidden = {};
};

constexpr int kS = 2, kUnits = 5, kTargetUnits = 3, kBins = 60, kRows = 20;
constexpr double kLambda = 0.03, kPower = 0.6;

class Problem {
 public:
  explicit Problem(const Case& c)
      : case_(c), counts_(kBins * kUnits), target_(kBins * kTargetUnits) {
    const CounterRandom random(11, 5);
    for (size_t i = 0; i < counts_.size(); ++i) {
      counts_[i] = static_cast<uint8_t>(random.Below(i, 4));
    }
    for (size_t i = 0; i < target_.size(); ++i) {
      target_[i] = static_cast<uint8_t>(random.Below(5000 + i, 3));
    }
    starts_.resize(kRows);
    std::iota(starts_.begin(), starts_.end(), 3);
    data_ = {{counts_.data(), DType::kU8, kBins, kUnits}, {}, starts_, kS};
    if (c.normalised) data_.normaliser = {{0.5f, 1, 0.25f, 0, 1.5f}, {1, 2, 0.5f, 1, 1.25f}};
    if (c.paired) data_.target = {target_.data(), DType::kU8, kBins, kTargetUnits};
    p_ = InitialParameters<double>(c.spec, data_.inputs(), data_.outputs(), 9);
    for (size_t i = 0; i < p_.decoder_bias.size(); ++i) {
      p_.decoder_bias[i] = 0.1 * random.Normal(900 + i);
    }
    for (size_t i = 0; i < p_.encoder_bias.size(); ++i) {
      p_.encoder_bias[i] = 0.1 * random.Normal(950 + i);
    }
    for (size_t x = 0; x < p_.extra.size(); ++x) {
      for (size_t j = 0; j < p_.extra[x].size(); ++j) {
        p_.extra[x][j] += 0.2 * random.Normal(1000 + 100 * x + j);
      }
    }
    if (c.dead) dead_ = {3, 8, 11};
    hidden_.assign(kRows, std::vector<uint8_t>(kUnits, 0));
    for (int b = 0; b < kRows; ++b) DrawHidden(c.hidden, b, kUnits, hidden_[b].data());
  }

  const TrainingData& data() const { return data_; }
  const Parameters<double>& parameters() const { return p_; }
  const std::vector<int32_t>& dead() const { return dead_; }
  const std::vector<int64_t>& starts() const { return starts_; }
  static Coefficients coefficients() { return {kLambda, kPower}; }

  double x(const Parameters<double>& q, int b, int i) const {
    const int n = i % kUnits;
    double v = counts_[(starts_[b] * kUnits) + i];
    v *= hidden_[b][n] != 0 ? 0 : 1 / (1 - case_.hidden.fraction);
    if (case_.normalised) {
      v = (v - data_.normaliser.offset[n]) / static_cast<double>(data_.normaliser.scale[n]);
    }
    return case_.spec.subtract_bias ? v - q.decoder_bias[i] : v;
  }
  double y(int b, int i) const {
    if (case_.paired) return target_[starts_[b] * kTargetUnits + i];
    const double v = counts_[starts_[b] * kUnits + i];
    if (!case_.normalised) return v;
    const int n = i % kUnits;
    return (v - data_.normaliser.offset[n]) / static_cast<double>(data_.normaliser.scale[n]);
  }

  Matrix Z(const Parameters<double>& q) const {
    Matrix z(kRows, std::vector<double>(q.features));
    for (int b = 0; b < kRows; ++b) {
      for (int j = 0; j < q.features; ++j) {
        z[b][j] = q.encoder_bias[j];
        for (int i = 0; i < q.inputs; ++i) z[b][j] += q.encoder_row(j)[i] * x(q, b, i);
      }
    }
    return z;
  }

  // Keeps the n largest positive entries of some latents over rows [b0, b1).
  static void Keep(const Matrix& z, const std::vector<int>& latents, int b0, int b1, int n,
                   bool positive, Matrix& f) {
    std::vector<std::tuple<double, int, int>> all;
    for (int b = b0; b < b1; ++b) {
      for (int j : latents) {
        if (!positive || z[b][j] > 0) all.emplace_back(-z[b][j], b, j);
      }
    }
    std::sort(all.begin(), all.end());
    for (int e = 0; e < std::min<int>(n, static_cast<int>(all.size())); ++e) {
      const auto [v, b, j] = all[e];
      f[b][j] = -v;
    }
  }

  Matrix Code(const Parameters<double>& q, const Matrix& z, int features, int k) const {
    Matrix f(kRows, std::vector<double>(q.features, 0.0));
    std::vector<int> latents(features);
    std::iota(latents.begin(), latents.end(), 0);
    for (int b = 0; b < kRows; ++b) {
      for (int j = 0; j < features; ++j) {
        const double v = z[b][j];
        switch (case_.spec.selection) {
          case Selection::kRelu:
            f[b][j] = std::max(v, 0.0);
            break;
          case Selection::kJumpRelu:
            f[b][j] = v > std::exp(q.extra[0][j]) ? v : 0.0;
            break;
          case Selection::kGated:
            if (v > 0) {
              f[b][j] =
                  std::max(0.0, std::exp(q.extra[0][j]) * (v - q.encoder_bias[j]) + q.extra[1][j]);
            }
            break;
          default:
            break;
        }
      }
      if (case_.spec.selection == Selection::kTopK) Keep(z, latents, b, b + 1, k, true, f);
    }
    if (case_.spec.selection == Selection::kBatchTopK) {
      Keep(z, latents, 0, kRows, kRows * k, true, f);
    }
    return f;
  }

  static double Out(Output output, double a) {
    if (output == Output::kIdentity) return a;
    return output == Output::kRelu ? std::max(a, 0.0) : std::log1p(std::exp(a));
  }
  static double LossOf(Loss loss, double prediction, double y) {
    if (loss == Loss::kMse) return (prediction - y) * (prediction - y);
    if (loss == Loss::kMsle) return std::pow(std::log1p(prediction) - std::log1p(y), 2);
    return prediction - y * std::log(prediction + 1e-8);
  }
  // W_d·f + b_d with the given decoder.
  static double Linear(const Parameters<double>& decoder, const std::vector<double>& f, int i) {
    double a = decoder.decoder_bias[i];
    for (size_t j = 0; j < f.size(); ++j) a += f[j] * decoder.decoder_row(j)[i];
    return a;
  }
  double Reconstruction(const Parameters<double>& decoder, const Matrix& f) const {
    double sum = 0;
    for (int b = 0; b < kRows; ++b) {
      for (int i = 0; i < decoder.outputs; ++i) {
        sum += LossOf(case_.spec.loss, Out(case_.spec.output, Linear(decoder, f[b], i)), y(b, i));
      }
    }
    return sum / (kRows * decoder.outputs);
  }

  // The objective at q; constants of the step come from the unperturbed parameters.
  double Objective(const Parameters<double>& q) const {
    const ModelSpec& spec = case_.spec;
    const Matrix z = Z(q);
    double total = 0;
    Matrix f;
    for (const Level& level : spec.levels) {
      f = Code(q, z, level.features, level.k);
      total += level.weight * Reconstruction(q, f);
    }
    if (spec.selection == Selection::kRelu) {
      for (const auto& row : f) {
        for (double v : row) {
          total += kLambda * (std::pow(v + 0.01, kPower) - std::pow(0.01, kPower)) / kRows;
        }
      }
    }
    if (spec.selection == Selection::kGated) {
      Matrix gate = z;
      for (auto& row : gate) {
        for (double& v : row) {
          v = std::max(v, 0.0);
          total += kLambda * v / kRows;
        }
      }
      total += spec.levels[0].weight * Reconstruction(p_, gate);
    }
    if (!dead_.empty() && spec.revival != Revival::kNone) total += Auxiliary(q, z);
    return total;
  }

  double Auxiliary(const Parameters<double>& q, const Matrix& z) const {
    const ModelSpec& spec = case_.spec;
    const Matrix f0 = Code(p_, Z(p_), spec.features(), spec.k());
    const int E = q.outputs;
    Matrix residual(kRows, std::vector<double>(E));
    double variance = 0;
    for (int i = 0; i < E; ++i) {
      double mean = 0, square = 0;
      for (int b = 0; b < kRows; ++b) {
        const double e = y(b, i) - Out(spec.output, Linear(p_, f0[b], i));
        residual[b][i] = e;
        mean += e / kRows;
        square += e * e / kRows;
      }
      variance += (square - mean * mean) / E;
    }
    const std::vector<int> latents(dead_.begin(), dead_.end());
    Matrix f(kRows, std::vector<double>(q.features, 0.0));
    double weight = spec.aux.weight / variance;
    if (spec.revival == Revival::kNldisco) {
      weight = 1;
      const int budget =
          std::max(1, std::min<int>(static_cast<int>(dead_.size()), q.features / 10));
      Keep(z, latents, 0, kRows, kRows * budget, true, f);
    } else {
      for (int b = 0; b < kRows; ++b) {
        Keep(z, latents, b, b + 1, spec.aux.k, !spec.aux.pre_activation, f);
      }
    }
    const bool through = spec.revival == Revival::kAuxK && spec.aux.through_output &&
                         spec.output != Output::kIdentity;
    if (through) weight = spec.aux.weight;
    double sum = 0;
    for (int b = 0; b < kRows; ++b) {
      for (int i = 0; i < E; ++i) {
        double a = 0;
        for (int j : latents) a += f[b][j] * q.decoder_row(j)[i];
        if (through) {
          sum += LossOf(spec.loss, Out(spec.output, Linear(p_, f0[b], i) + a), y(b, i));
          continue;
        }
        sum += (a - residual[b][i]) * (a - residual[b][i]);
      }
    }
    return weight * sum / (kRows * E);
  }

  // JumpReLU's ∂/∂log θ by its definition: straight-through, so no difference quotient shows it.
  std::vector<double> ThresholdGradient() const {
    const ModelSpec& spec = case_.spec;
    const Matrix z = Z(p_), f = Code(p_, z, spec.features(), spec.k());
    const double width = spec.penalty.bandwidth;
    std::vector<double> out(p_.features, 0.0);
    for (int b = 0; b < kRows; ++b) {
      for (int j = 0; j < p_.features; ++j) {
        const double theta = std::exp(p_.extra[0][j]);
        if (std::abs(z[b][j] - theta) >= width / 2) continue;
        double slope = 0;  // ∂L/∂f, by a difference quotient in f
        for (int i = 0; i < p_.outputs; ++i) {
          const double a = Linear(p_, f[b], i), h = 1e-6, w = p_.decoder_row(j)[i];
          slope += spec.levels[0].weight *
                   (LossOf(spec.loss, Out(spec.output, a + h * w), y(b, i)) -
                    LossOf(spec.loss, Out(spec.output, a - h * w), y(b, i))) /
                   (2 * h * kRows * p_.outputs);
        }
        out[j] += theta * (-theta / width * slope - kLambda / kRows / width);
      }
    }
    return out;
  }

 private:
  const Case& case_;
  std::vector<uint8_t> counts_, target_;
  std::vector<int64_t> starts_;
  TrainingData data_;
  Parameters<double> p_;
  std::vector<int32_t> dead_;
  std::vector<std::vector<uint8_t>> hidden_;
};

class Gradient : public testing::TestWithParam<Case> {};

template <class T>
Parameters<T> Backward(Step<T>& step, const Parameters<T>& p) {
  Parameters<T> out = p;
  step.Backward(
      p,
      [&](const LatentGradient<T>& g) {
        std::copy_n(g.encoder, p.inputs, out.encoder_row(g.latent));
        std::copy_n(g.decoder, p.outputs, out.decoder_row(g.latent));
        out.encoder_bias[g.latent] = g.encoder_bias;
        for (size_t x = 0; x < p.extra.size(); ++x) out.extra[x][g.latent] = g.extra[x];
      },
      [](int64_t, int64_t) {});
  out.decoder_bias = step.decoder_bias_gradient();
  return out;
}

// What trains: single precision, and counts that stay integers.
TEST_P(Gradient, IsTheSameInThePrecisionAndOnThePathThatTrains) {
  const Case& c = GetParam();
  const Problem problem(c);
  const Parameters<double>& p = problem.parameters();
  auto narrow = InitialParameters<float>(c.spec, p.inputs, p.outputs, 9);
  const auto copy = [](const std::vector<double>& from, std::vector<float>& to) {
    std::copy(from.begin(), from.end(), to.begin());
  };
  copy(p.encoder, narrow.encoder);
  copy(p.encoder_bias, narrow.encoder_bias);
  copy(p.decoder, narrow.decoder);
  copy(p.decoder_bias, narrow.decoder_bias);
  for (size_t x = 0; x < p.extra.size(); ++x) copy(p.extra[x], narrow.extra[x]);
  const auto gradient = [&](auto step, const auto& q) {
    step.PackAll(q);
    step.Forward(problem.starts(), q, Problem::coefficients(), problem.dead(), c.hidden);
    return Backward(step, q);
  };
  const auto want = gradient(Step<double>(c.spec, problem.data()), p);
  const auto got = gradient(Step<float>(c.spec, problem.data()), narrow);
  const auto compare = [](const std::vector<double>& a, const std::vector<float>& b,
                          const char* name) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      error += std::pow(a[i] - static_cast<double>(b[i]), 2);
      norm += a[i] * a[i];
    }
    EXPECT_LE(std::sqrt(error / norm), 1e-4) << name;
  };
  compare(want.encoder, got.encoder, "encoder");
  compare(want.encoder_bias, got.encoder_bias, "encoder_bias");
  compare(want.decoder, got.decoder, "decoder");
  compare(want.decoder_bias, got.decoder_bias, "decoder_bias");
  for (size_t x = 0; x < p.extra.size(); ++x) compare(want.extra[x], got.extra[x], "extra");
}

TEST_P(Gradient, MatchesCentralDifferences) {
  const Case& c = GetParam();
  const Problem problem(c);
  const Parameters<double>& p = problem.parameters();
  Step<double> step(c.spec, problem.data());
  step.PackAll(p);
  const double loss =
      step.Forward(problem.starts(), p, Problem::coefficients(), problem.dead(), c.hidden);
  double l0_penalty = 0;
  if (c.spec.selection == Selection::kJumpRelu) l0_penalty = kLambda * step.l0();
  EXPECT_NEAR(loss, problem.Objective(p) + l0_penalty, 1e-12 + 1e-12 * std::abs(loss));

  Parameters<double> gradient = Backward(step, p);

  const auto compare = [&](const std::vector<double>& want, const std::vector<double>& got,
                           const std::string& name) {
    double error = 0, norm = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      error += std::pow(want[i] - got[i], 2);
      norm += want[i] * want[i];
    }
    ASSERT_GT(norm, 1e-12) << name;
    EXPECT_LE(std::sqrt(error / norm), 1e-5) << name;
  };
  const auto numeric = [&](auto tensor_of, const std::string& name) {
    std::vector<double> want;
    for (size_t i = 0; i < tensor_of(gradient).size(); ++i) {
      const double h = 1e-6;
      Parameters<double> up = p, down = p;
      tensor_of(up)[i] += h;
      tensor_of(down)[i] -= h;
      want.push_back((problem.Objective(up) - problem.Objective(down)) / (2 * h));
    }
    compare(want, tensor_of(gradient), name);
  };
  using P = Parameters<double>;
  numeric([](P& q) -> std::vector<double>& { return q.encoder; }, "encoder");
  numeric([](P& q) -> std::vector<double>& { return q.encoder_bias; }, "encoder_bias");
  numeric([](P& q) -> std::vector<double>& { return q.decoder; }, "decoder");
  numeric([](P& q) -> std::vector<double>& { return q.decoder_bias; }, "decoder_bias");
  if (c.spec.selection == Selection::kGated) {
    numeric([](P& q) -> std::vector<double>& { return q.extra[0]; }, "log_gain");
    numeric([](P& q) -> std::vector<double>& { return q.extra[1]; }, "magnitude_bias");
  }
  if (c.spec.selection == Selection::kJumpRelu) {
    compare(problem.ThresholdGradient(), gradient.extra[0], "log_threshold");
  }
}

std::vector<Case> Cases() {
  std::vector<Case> out;
  const std::pair<Loss, Output> losses[] = {
      {Loss::kMse, Output::kIdentity},  {Loss::kMse, Output::kRelu},
      {Loss::kMse, Output::kSoftplus},  {Loss::kMsle, Output::kRelu},
      {Loss::kMsle, Output::kSoftplus}, {Loss::kPoisson, Output::kSoftplus}};
  for (Selection s : {Selection::kTopK, Selection::kBatchTopK, Selection::kRelu,
                      Selection::kJumpRelu, Selection::kGated}) {
    for (const auto& [loss, output] : losses) {
      for (Revival r : {Revival::kNone, Revival::kAuxK, Revival::kNldisco}) {
        Case c;
        c.spec.selection = s;
        c.spec.levels = {{14, 3, 0.75}};
        if (s == Selection::kTopK || s == Selection::kBatchTopK) {
          c.spec.levels = {{6, 2, 1.5}, {14, 3, 0.75}};
        }
        c.spec.loss = loss;
        c.spec.output = output;
        c.spec.decoder_start = DecoderStart::kIndependent;
        c.spec.revival = r;
        c.spec.aux.weight = 0.5;
        c.spec.aux.k = 2;
        c.spec.penalty.bandwidth = 0.4;
        c.spec.penalty.threshold = 0.3;
        c.dead = r != Revival::kNone;
        c.name = std::string(Name(s)) + "_" + std::string(Name(loss)) + "_" +
                 std::string(Name(output)) + "_" + std::string(Name(r));
        out.push_back(c);
        if (loss == Loss::kPoisson && r != Revival::kNldisco) {
          Case hidden = c;
          hidden.hidden = {0.4, 17, 3};
          hidden.name += "_hidden";
          out.push_back(hidden);
        }
        if (r == Revival::kAuxK && output != Output::kIdentity) {
          Case linear = c;
          linear.spec.aux.through_output = false;
          linear.name += "_linear";
          out.push_back(linear);
        }
        if (loss != Loss::kMse || output != Output::kIdentity) continue;
        if (r == Revival::kAuxK) {
          Case signed_code = c;
          signed_code.spec.aux.pre_activation = true;
          signed_code.name += "_pre";
          out.push_back(signed_code);
        }
        if (r != Revival::kNone) continue;
        Case paired = c, subtracted = c, normalised = c;
        paired.paired = true;
        paired.name += "_paired";
        subtracted.spec.subtract_bias = true;
        subtracted.name += "_minus_bias";
        normalised.normalised = true;
        normalised.name += "_normalised";
        Case hidden = normalised;
        hidden.hidden = {0.5, 21, 40};
        hidden.spec.subtract_bias = true;
        hidden.name += "_hidden";
        out.insert(out.end(), {paired, subtracted, normalised, hidden});
      }
    }
  }
  return out;
}

// Raw counts, of which the integer encoder and its gradient have the gain at other places, against
// the plain path in double precision.
TEST(HiddenUnits, CountsAndFloatsAgree) {
  for (const bool normalised : {false, true}) {
    Case c;
    c.spec.selection = Selection::kRelu;
    c.spec.levels = {{14, 3}};
    c.spec.loss = normalised ? Loss::kMse : Loss::kPoisson;
    c.spec.output = normalised ? Output::kIdentity : Output::kSoftplus;
    c.spec.subtract_bias = normalised;
    c.normalised = normalised;
    c.hidden = {0.3, 5, 8};
    const Problem problem(c);
    const Parameters<double>& exact = problem.parameters();
    auto p = InitialParameters<float>(c.spec, exact.inputs, exact.outputs, 9);
    std::copy(exact.encoder.begin(), exact.encoder.end(), p.encoder.begin());
    std::copy(exact.encoder_bias.begin(), exact.encoder_bias.end(), p.encoder_bias.begin());
    std::copy(exact.decoder.begin(), exact.decoder.end(), p.decoder.begin());
    std::copy(exact.decoder_bias.begin(), exact.decoder_bias.end(), p.decoder_bias.begin());
    const auto gradient = [&](auto& step, const auto& q) {
      step.PackAll(q);
      step.Forward(problem.starts(), q, Problem::coefficients(), {}, c.hidden);
      std::vector<double> out(q.encoder.size() + q.features);
      step.Backward(
          q,
          [&](const auto& g) {
            std::copy_n(g.encoder, q.inputs, out.data() + g.latent * q.inputs);
            out[q.encoder.size() + g.latent] = g.encoder_bias;
          },
          [](int64_t, int64_t) {});
      return out;
    };
    Step<double> plain(c.spec, problem.data());
    Step<float> counts(c.spec, problem.data());
    const auto want = gradient(plain, exact), got = gradient(counts, p);
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 2e-6) << i;
    std::vector<double> a(exact.inputs);
    std::vector<float> b(exact.inputs);
    for (int row = 0; row < kRows; ++row) {
      plain.ReadInput(row, a.data());
      counts.ReadInput(row, b.data());
      for (int i = 0; i < exact.inputs; ++i) {
        EXPECT_NEAR(a[i], problem.x(exact, row, i) + (normalised ? exact.decoder_bias[i] : 0),
                    1e-12);
        EXPECT_NEAR(b[i], a[i], 1e-6);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sae, Gradient, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace saed::sae

// Fits one SAE to a count matrix, without a server: fit COUNTS.npy SPEC.json OUT THREADS
// COUNTS.npy: uint8 [bins, units]. SPEC.json: the stored form of a FitSpec, and beside it
// "window" (1), "train_starts" and "test_starts" (.npy of first bins; default: every window on both
// sides), "zscore" (false). Writes OUT.decoder.npy [F, E], OUT.{rows,latents,values}.npy (the codes
// of the test windows), and prints the evaluation on them, seconds and windows per second as one
// line of JSON.
#include <tbb/task_arena.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>

#include "server/base/npy.h"
#include "server/inference/model_record.h"
#include "server/inference/spec_json.h"
#include "server/sae/evaluate.h"
#include "server/sae/trainer.h"

namespace {

using namespace saed;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(in), {}};
}

template <class T>
T Or(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(1);
}

template <class Values>
void Save(const std::string& path, const Values& values, std::vector<int64_t> shape) {
  std::ofstream(path, std::ios::binary)
      << MakeNpy(std::vector<double>(values.begin(), values.end()), shape);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::fputs("usage: fit COUNTS.npy SPEC.json OUT THREADS\n", stderr), 2;
  const std::string out = argv[3];
  const NpyArray counts = Or(ParseNpy(argv[1], ReadFile(argv[1])));
  const auto json = nlohmann::json::parse(ReadFile(argv[2]));
  const auto spec = json.get<sae::FitSpec>();
  const int S = json.value("window", 1), units = static_cast<int>(counts.shape.at(1));
  const int64_t bins = counts.shape[0];
  const CountView view{counts.data.data(), DType::kU8, bins, units};
  const auto starts = [&](const char* key) {
    if (!json.contains(key)) {
      std::vector<int64_t> all(bins - S + 1);
      std::iota(all.begin(), all.end(), 0);
      return all;
    }
    const std::string path = json.at(key);
    return Or(ToIntegers(path, Or(ParseNpy(path, ReadFile(path)))));
  };
  const std::vector<int64_t> train = starts("train_starts"), test = starts("test_starts");
  sae::Normaliser normaliser;
  if (json.value("zscore", false)) {
    const std::vector<double> mean = sae::MeanTarget(view, {}, train, 1);
    std::vector<double> square(units, 0.0);
    for (int64_t t : train) {
      for (int n = 0; n < units; ++n) {
        const auto c = static_cast<uint8_t>(counts.data[t * units + n]);
        square[n] += c * c / static_cast<double>(train.size());
      }
    }
    for (int n = 0; n < units; ++n) {
      const double sd = std::sqrt(square[n] - mean[n] * mean[n]);
      normaliser.offset.push_back(static_cast<float>(mean[n]));
      normaliser.scale.push_back(sd > 0 ? static_cast<float>(sd) : 1.0f);
    }
  }
  if (const auto status = sae::Validate(spec, !normaliser.identity()); !status.ok()) {
    return std::fprintf(stderr, "%s\n", status.ToString().c_str()), 1;
  }
  tbb::task_arena arena(std::atoi(argv[4]));
  return arena.execute([&] {
    sae::TrainingData data{view, normaliser, train, S};
    sae::Trainer<float> trainer(spec, data);
    const auto begin = std::chrono::steady_clock::now();
    double lambda = 0, dead = 0;
    int64_t windows = 0;
    while (!trainer.done()) {
      const auto report = Or(trainer.Next());
      lambda = report.lambda;
      dead = report.dead_fraction;
      windows += report.rows;
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    sae::Model model;
    model.spec = spec.model;
    model.S = S;
    model.units = units;
    model.parameters = trainer.parameters();
    const auto thresholds = Or(trainer.CalibrateThresholds([] { return true; }));
    model.thresholds.assign(thresholds.begin(), thresholds.end());
    model.normaliser = normaliser;
    const sae::Encoder encoder(model);
    const auto evaluation =
        Or(sae::EvaluateModel(encoder, view, view, test,
                              sae::MeanTarget(view, normaliser, train, S), [] { return true; }));
    sae::Codes<float> codes;
    encoder.Encode(view, test, sae::DefaultRule(model.spec), codes);
    Save(out + ".decoder.npy", model.parameters.decoder, {model.spec.features(), model.outputs()});
    Save(out + ".rows.npy", codes.row_begin, {static_cast<int64_t>(codes.row_begin.size())});
    Save(out + ".latents.npy", codes.latent, {static_cast<int64_t>(codes.latent.size())});
    Save(out + ".values.npy", codes.value, {static_cast<int64_t>(codes.value.size())});
    nlohmann::json result = ToJson(evaluation);
    for (const char* bulky : {"density", "unit_r2", "l0_histogram"}) result.erase(bulky);
    result["lambda"] = lambda;
    result["dead_in_training"] = dead;
    result["seconds"] = seconds.count();
    result["windows_per_second"] = static_cast<double>(windows) / seconds.count();
    result["tensor_digest"] = sae::TensorDigest(model);
    std::printf("%s\n", result.dump().c_str());
    return 0;
  });
}

// Feature queries on a large store.
//
//   queries STORE [DICTIONARIES FEATURES CONDITIONS]
//
// Makes the store where it is not there (250 dictionaries of 4,000 features and 20 conditions: a
// million features, twenty million associations; minutes and some gigabytes), then runs 30
// different queries, each 20 times warm, and prints the median and the slowest of each and the 99th
// percentile of all. Exits with 0 where that is under 20 ms.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "storage/annotations_table.h"
#include "storage/dictionaries_table.h"
#include "storage/models_table.h"
#include "storage/recordings_table.h"

namespace saed::storage {
namespace {

constexpr int kRepeats = 20;

absl::Status Fill(Database& db, int dictionaries, int features, int conditions) {
  RecordingsTable recordings(db);
  ModelsTable models(db);
  DictionariesTable table(db);
  AnnotationsTable annotations(db);
  RecordingRow recording;
  bool created = false;
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int d = 0; d < dictionaries; ++d) {
    const std::string id = fmt::format("{:016x}", d);
    const std::string recording_id = fmt::format("{:016x}", d / 10);
    if (d % 10 == 0) {
      recording = {};
      recording.id = recording.digest = recording_id;
      recording.source = "simulation";
      recording.summary = "{}";
      if (auto s = recordings.Insert(recording, {}, created); !s.ok()) return s.status();
    }
    ModelRow model;
    model.id = model.digest = id;
    model.recording_id = recording_id;
    model.features = features;
    model.spec = model.evaluation = model.provenance = "{}";
    if (auto s = models.Insert(model, {}); !s.ok()) return s;
    DictionaryRows rows;
    rows.dictionary.id = rows.dictionary.model_id = id;
    rows.dictionary.recording_id = recording_id;
    rows.dictionary.created_at = d;
    rows.dictionary.features = features;
    for (int c = 0; c < conditions; ++c) {
      ConditionRow row;
      row.position = c;
      row.name = c == 0 && d % 5 != 0 ? "other" : fmt::format("trials.kind={}", c);
      row.spec = "{}";
      rows.conditions.push_back(row);
    }
    rows.variables.push_back({0, "speed", "{}", {}, {}, {}});
    for (int j = 0; j < features; ++j) {
      FeatureRow f;
      f.latent = j;
      f.density = uniform(random) * uniform(random) * uniform(random);
      f.mean_activation = 3 * uniform(random);
      f.max_activation = f.mean_activation * (1 + 5 * uniform(random));
      f.active_windows = static_cast<int64_t>(1e5 * f.density);
      f.top_unit = static_cast<int64_t>(300 * uniform(random));
      f.best_condition = static_cast<int>(conditions * uniform(random));
      f.best_test_auroc = f.best_train_auroc = 0.5 + 0.5 * uniform(random) * uniform(random);
      f.importance = 0.01 * uniform(random);
      f.decoder = f.trace_map = std::vector<float>(100, 0.5F);
      for (int c = 0; c < conditions; ++c) {
        AssociationRow a;
        a.condition = c;
        a.latent = j;
        a.test.auroc = a.train.auroc =
            0.5 + 0.5 * uniform(random) * uniform(random) * uniform(random);
        a.test.coverage = a.train.coverage = uniform(random);
        a.test.selectivity = a.train.selectivity = uniform(random);
        a.test.precision = a.train.precision = uniform(random);
        a.p_value = a.q_value = uniform(random);
        rows.associations.push_back(a);
      }
      const double rho = 2 * uniform(random) - 1;
      rows.tunings.push_back(
          {0, j, rho, rho, rho * rho, rho * rho, 0.5, 0.5, std::vector<float>(40, 0.5F), "{}"});
      rows.features.push_back(std::move(f));
    }
    if (auto s = table.Insert(rows); !s.ok()) return s;
    AnnotationRow label;
    label.model_id = id;
    label.latent = d % features;
    label.kind = "label";
    label.text = fmt::format("cell type {}", d % 20);
    label.author = "ada";
    if (auto s = annotations.Add(label); !s.ok()) return s.status();
    if (d % 25 == 24) fmt::print(stderr, "{} of {} dictionaries\n", d + 1, dictionaries);
  }
  return absl::OkStatus();
}

std::vector<FeatureQuery> Queries(const std::string& one) {
  const auto query = [](const std::string& in, const char* filter, const char* order) {
    FeatureQuery q;
    q.dictionary_id = in;
    q.filter = filter;
    q.order_by = order;
    return q;
  };
  const char* x = "auroc(\"trials.kind=7\")";
  const std::string over = fmt::format("{} > 0.95", x), desc = fmt::format("{} desc", x);
  std::vector<FeatureQuery> out = {
      query(one, "", ""),
      query(one, "", "density desc"),
      query(one, "", "mean_activation asc"),
      query(one, "", "max_activation desc"),
      query(one, "", "active_windows desc"),
      query(one, "", "best_auroc desc"),
      query(one, "", "importance desc"),
      query(one, "density < 0.01", "best_auroc desc"),
      query(one, "density > 0.5", ""),
      query(one, "best_auroc > 0.9 AND density < 0.1", "best_auroc desc"),
      query(one, "top_unit = 17", "best_auroc desc"),
      query(one, "best_condition = \"trials.kind=3\"", "best_auroc desc"),
      query(one, over.c_str(), desc.c_str()),
      query(one, over.c_str(), "density asc"),
      query(one, "auroc(\"trials.kind=7\") > 0.8 AND auroc(\"trials.kind=8\") < 0.6", desc.c_str()),
      query(one, "auroc(\"trials.kind=7\", \"train\") > 0.9", ""),
      query(one, "q_value(\"trials.kind=7\") < 0.01", "q_value(\"trials.kind=7\") asc"),
      query(one, "coverage(\"trials.kind=7\") > 0.5 AND selectivity(\"trials.kind=7\") > 0.9",
            "selectivity(\"trials.kind=7\") desc"),
      query(one, "spearman(speed) > 0.9", "spearman(speed) desc"),
      query(one, "NOT auroc(\"trials.kind=7\") < 0.9 OR density > 0.7", "density desc"),
      query("", "", "best_auroc desc"),
      query("", "", "density desc"),
      query("", "density < 0.001", "best_auroc desc"),
      query("", over.c_str(), "best_auroc desc"),
      query("", "auroc(\"trials.kind=0\") > 0.99", "best_auroc desc"),
      query("", "label = \"cell type 3\"", "best_auroc desc"),
      query("", "label:type", "latent asc"),
      query("", "recording = \"recordings/0000000000000003\"", "best_auroc desc"),
      query("", "best_auroc > 0.97 AND density < 0.05", "best_auroc desc"),
      query("", "importance > 0.0099", "importance desc")};
  return out;
}

int Main(int argc, char** argv) {
  if (argc != 2 && argc != 5) {
    fmt::print(stderr, "queries STORE [DICTIONARIES FEATURES CONDITIONS]\n");
    return 2;
  }
  const std::string path = argv[1];
  const int dictionaries = argc == 5 ? std::atoi(argv[2]) : 250;
  const int features = argc == 5 ? std::atoi(argv[3]) : 4000;
  const int conditions = argc == 5 ? std::atoi(argv[4]) : 20;
  const bool there = std::filesystem::exists(path);
  auto db = Database::Open(path);
  if (!db.ok()) {
    fmt::print(stderr, "{}\n", std::string(db.status().message()));
    return 1;
  }
  if (!there) {
    if (const auto s = Fill(**db, dictionaries, features, conditions); !s.ok()) {
      fmt::print(stderr, "{}\n", std::string(s.message()));
      return 1;
    }
  }
  DictionariesTable table(**db);
  std::vector<double> all;
  for (const FeatureQuery& q : Queries(fmt::format("{:016x}", dictionaries / 2))) {
    std::vector<double> times;
    size_t rows = 0;
    for (int i = 0; i <= kRepeats; ++i) {
      const auto start = std::chrono::steady_clock::now();
      const auto found = table.ListFeatures(q);
      const std::chrono::duration<double, std::milli> took =
          std::chrono::steady_clock::now() - start;
      if (!found.ok()) {
        fmt::print(stderr, "{}\n", std::string(found.status().message()));
        return 1;
      }
      rows = found->size();
      if (i > 0) times.push_back(took.count());
    }
    std::sort(times.begin(), times.end());
    all.insert(all.end(), times.begin(), times.end());
    fmt::print("{:8.2f} {:8.2f} ms  {:4} rows  {}  {} | {}\n", times[kRepeats / 2], times.back(),
               rows, q.dictionary_id.empty() ? "all" : "one", q.filter, q.order_by);
  }
  std::sort(all.begin(), all.end());
  const double p99 = all[all.size() * 99 / 100];
  fmt::print("{}: 99th percentile {:.2f} ms of {} queries (20 promised)\n",
             p99 < 20 ? "PASS" : "FAIL", p99, all.size());
  return p99 < 20 ? 0 : 1;
}

}  // namespace
}  // namespace saed::storage

int main(int argc, char** argv) { return saed::storage::Main(argc, argv); }

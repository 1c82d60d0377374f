// saectl features export: what a dictionary knows, as files for other programs.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "client/cli/command.h"
#include "client/cli/evidence.h"
#include "client/cli/npz.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// RFC 4180.
std::string Quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string Cell(bool there, double value) {
  return there && std::isfinite(value) ? fmt::format("{}", value) : "";
}

void WriteScores(std::ofstream& out, int latent, const v1::Association& a) {
  out << latent << ',' << Quoted(a.condition());
  const auto put = [&](bool there, double value) { out << ',' << Cell(there, value); };
  for (const v1::Scores* s : {&a.train(), &a.test()}) {
    put(s->has_auroc(), s->auroc());
    put(s->has_coverage(), s->coverage());
    put(s->has_specificity(), s->specificity());
    put(s->has_selectivity(), s->selectivity());
    put(s->has_precision(), s->precision());
    put(s->has_prevalence(), s->prevalence());
  }
  put(a.has_auroc_low(), a.auroc_low());
  put(a.has_auroc_high(), a.auroc_high());
  put(a.has_p_value(), a.p_value());
  put(a.has_q_value(), a.q_value());
  out << ',' << (a.has_best_unit_id() ? std::to_string(a.best_unit_id()) : "");
  put(a.has_best_unit_test_auroc(), a.best_unit_test_auroc());
  out << ',' << JudgedBy(a);
  put(a.has_code_train_auroc(), a.code_train_auroc());
  put(a.has_code_test_auroc(), a.code_test_auroc());
  out << '\n';
}

absl::Status Scores(Session& session, const std::string& dictionary,
                    const std::filesystem::path& folder) {
  v1::ListFeaturesRequest request;
  request.set_parent(dictionary);
  request.set_page_size(1000);
  SAED_ASSIGN_OR_RETURN(
      const auto features,
      (AllPages<v1::ListFeaturesResponse>(request, [&](auto* c, auto& q, auto* r) {
        return session.client->features().ListFeatures(c, q, r);
      })));
  std::ofstream list(folder / "features.csv"), scores(folder / "scores.csv"),
      variables(folder / "variables.csv");
  list << "feature,label,tags,density,mean_activation,max_activation,active_windows,importance,"
          "best_condition,best_train_auroc,best_test_auroc,top_units\n";
  scores << "feature,condition";
  for (const char* side : {"train", "test"}) {
    for (const char* score :
         {"auroc", "coverage", "specificity", "selectivity", "precision", "prevalence"}) {
      scores << ',' << side << '_' << score;
    }
  }
  scores << ",auroc_low,auroc_high,p_value,q_value,best_unit,best_unit_test_auroc,"
            "judged_by,code_train_auroc,code_test_auroc\n";
  variables << "feature,variable,train_spearman,test_spearman,train_information_bits,"
               "test_information_bits,p_value,q_value,judged_by,code_train_spearman,"
               "code_test_spearman\n";
  ProgressLine line;
  for (int i = 0; i < features.features_size(); ++i) {
    const auto& f = features.features(i);
    line.Show(static_cast<double>(i) / features.features_size(), "scores");
    std::string tags, units;
    for (const auto& t : f.tags()) tags += (tags.empty() ? "" : " ") + t;
    for (const auto& u : f.top_units()) {
      units += (units.empty() ? "" : " ") + std::to_string(u.unit_id());
    }
    list << f.latent() << ',' << Quoted(f.label()) << ',' << Quoted(tags) << ',' << f.density()
         << ',' << f.mean_activation() << ',' << f.max_activation() << ',' << f.active_windows()
         << ',' << Cell(f.has_importance(), f.importance()) << ',' << Quoted(f.best_condition())
         << ',' << Cell(f.has_best_train_auroc(), f.best_train_auroc()) << ','
         << Cell(f.has_best_test_auroc(), f.best_test_auroc()) << ',' << units << '\n';
    v1::GetFeatureRequest one;
    one.set_name(f.name());
    grpc::ClientContext context;
    v1::GetFeatureResponse r;
    SAED_RETURN_IF_ERROR(
        client::FromGrpc(session.client->features().GetFeature(&context, one, &r)));
    for (const auto& a : r.associations()) WriteScores(scores, f.latent(), a);
    for (const auto& t : r.tunings()) {
      variables << f.latent() << ',' << Quoted(t.variable()) << ','
                << Cell(t.has_train_spearman(), t.train_spearman()) << ','
                << Cell(t.has_test_spearman(), t.test_spearman()) << ','
                << Cell(t.has_train_information(), t.train_information()) << ','
                << Cell(t.has_test_information(), t.test_information()) << ','
                << Cell(t.has_p_value(), t.p_value()) << ',' << Cell(t.has_q_value(), t.q_value())
                << ',' << KindName(t.evidence()) << ','
                << Cell(t.has_code_train_spearman(), t.code_train_spearman()) << ','
                << Cell(t.has_code_test_spearman(), t.code_test_spearman()) << '\n';
    }
  }
  line.End();
  list.close();
  scores.close();
  variables.close();
  if (!list || !scores || !variables) {
    return absl::ResourceExhaustedError(fmt::format("cannot write to {}", folder.string()));
  }
  return absl::OkStatus();
}

absl::Status Activations(Session& session, const std::string& dictionary,
                         const std::filesystem::path& folder) {
  v1::GetActivationsRequest request;
  request.set_name(dictionary + "/features/-");
  grpc::ClientContext context;
  const auto stream = session.client->features().GetActivations(&context, request);
  std::vector<double> times;
  std::vector<int32_t> latents;
  std::vector<float> values;
  v1::GetActivationsResponse part;
  while (stream->Read(&part)) {
    times.insert(times.end(), part.start_times().begin(), part.start_times().end());
    latents.insert(latents.end(), part.latents().begin(), part.latents().end());
    values.insert(values.end(), part.values().begin(), part.values().end());
  }
  SAED_RETURN_IF_ERROR(client::FromGrpc(stream->Finish()));
  NpzWriter npz(folder / "activations.npz");
  if (!npz.ok()) {
    return absl::FailedPreconditionError(fmt::format("cannot write to {}", folder.string()));
  }
  const auto n = static_cast<int64_t>(values.size());
  npz.Add("start_time", "<f8", n, times.data(), times.size() * sizeof(double));
  npz.Add("feature", "<i4", n, latents.data(), latents.size() * sizeof(int32_t));
  npz.Add("activation", "<f4", n, values.data(), values.size() * sizeof(float));
  return npz.Finish();
}

absl::Status Export(Session& session, const std::string& dictionary, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::FailedPreconditionError(
        fmt::format("cannot make {}: {}", folder, error.message()));
  }
  SAED_RETURN_IF_ERROR(Scores(session, dictionary, folder));
  SAED_RETURN_IF_ERROR(Activations(session, dictionary, folder));
  fmt::print(
      "{0}/features.csv     a row for every feature\n{0}/scores.csv       every feature against "
      "every condition\n{0}/variables.csv    every feature against every continuous "
      "variable\n{0}/activations.npz  start_time (s), feature, activation of every active "
      "window\n",
      folder);
  return absl::OkStatus();
}

}  // namespace

void AddExportCommand(CLI::App& group, Session& session) {
  auto* c = group.add_subcommand("export", "All scores as CSV, all activations as npz");
  auto dictionary = std::make_shared<std::string>();
  auto folder = std::make_shared<std::string>();
  c->add_option("dictionary", *dictionary, "Its name or id")->required();
  c->add_option("-o,--out", *folder, "Folder to write to")->required();
  Run(c, session, [&session, dictionary, folder] {
    return Export(session, FullName("dictionaries", *dictionary), *folder);
  });
}

}  // namespace saed::cli

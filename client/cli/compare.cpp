// saectl features match and nearest, saectl report.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "client/cli/command.h"
#include "client/cli/output.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

const std::map<std::string, v1::Likeness> kLikeness = {{"decoder", v1::LIKENESS_DECODER},
                                                       {"activation", v1::LIKENESS_ACTIVATION},
                                                       {"tuning", v1::LIKENESS_TUNING}};

struct Flags {
  std::string dictionary, in, by = "decoder";
  std::vector<std::string> others;
  int latent = 0, count = 10;
};

void AddBy(CLI::App* c, Flags& flags) {
  c->add_option("--by", flags.by,
                "decoder (same units), activation (same recording) or tuning (shared conditions)")
      ->check(CLI::IsMember(kLikeness))
      ->capture_default_str();
}

absl::Status Match(Session& session, const Flags& flags) {
  v1::MatchFeaturesRequest request;
  request.set_name(FullName("dictionaries", flags.dictionary));
  for (const auto& other : flags.others) request.add_others(FullName("dictionaries", other));
  request.set_likeness(kLikeness.at(flags.by));
  grpc::ClientContext context;
  v1::MatchFeaturesResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().MatchFeatures(&context, request, &r)));
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& d : r.dictionaries()) {
    rows.push_back(
        {d.other(), std::to_string(d.matches_size()), fmt::format("{:.3f}", d.mean_likeness()),
         fmt::format("{:.3f}", d.mean_maximum()), fmt::format("{:.3f}", d.mean_maximum_back())});
  }
  fmt::print("{} beside\n{}\n", request.name(),
             Table({"DICTIONARY", "MATCHED", "MEAN", "MEAN OF MAXIMA", "AND BACK"}, rows,
                   TerminalWidth(), {1, 2, 3, 4}));
  std::map<int, std::vector<std::string>> features;
  for (const auto& s : r.stabilities()) {
    features[s.latent()] = {std::to_string(s.latent()), fmt::format("{:.3f}", s.stability())};
    features[s.latent()].resize(2 + r.dictionaries_size(), "-");
  }
  std::vector<std::string> titles = {"FEATURE", "STABILITY"};
  for (int i = 0; i < r.dictionaries_size(); ++i) {
    titles.push_back(r.dictionaries(i).other());
    for (const auto& m : r.dictionaries(i).matches()) {
      features[m.latent()][2 + i] = fmt::format("{} ({:.2f})", m.other(), m.likeness());
    }
  }
  rows.clear();
  for (auto& [latent, row] : features) rows.push_back(std::move(row));
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return std::stod(a[1]) > std::stod(b[1]); });
  fmt::print("{}", Table(titles, rows, TerminalWidth(), {0, 1}));
  return absl::OkStatus();
}

absl::Status Nearest(Session& session, const Flags& flags) {
  v1::ListNearestFeaturesRequest request;
  request.set_name(
      fmt::format("{}/features/{}", FullName("dictionaries", flags.dictionary), flags.latent));
  if (!flags.in.empty()) request.set_dictionary(FullName("dictionaries", flags.in));
  request.set_likeness(kLikeness.at(flags.by));
  request.set_count(flags.count);
  grpc::ClientContext context;
  v1::ListNearestFeaturesResponse r;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->features().ListNearestFeatures(&context, request, &r)));
  if (session.json) {
    fmt::print("{}", Json(r));
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& n : r.neighbours()) {
    const auto& f = n.feature();
    rows.push_back({std::to_string(f.latent()), fmt::format("{:.3f}", n.likeness()),
                    fmt::format("{:.2f} %", 100 * f.density()),
                    f.has_best_condition() ? f.best_condition() : "-",
                    f.has_best_test_auroc() ? fmt::format("{:.3f}", f.best_test_auroc()) : "-"});
  }
  fmt::print("{}", Table({"FEATURE", "LIKENESS", "ACTIVE", "BEST CONDITION", "HELD OUT"}, rows,
                         TerminalWidth(), {0, 1, 2, 4}));
  return absl::OkStatus();
}

absl::Status Report(Session& session, const std::string& dictionary, const std::string& path,
                    int features) {
  v1::RenderReportRequest request;
  request.set_name(FullName("dictionaries", dictionary));
  request.set_feature_count(features);
  grpc::ClientContext context;
  const auto stream = session.client->features().RenderReport(&context, request);
  const std::string part_path = path + ".part";
  std::ofstream out(part_path, std::ios::binary);
  if (!out) return absl::FailedPreconditionError(fmt::format("cannot write {}", part_path));
  v1::RenderReportResponse part;
  size_t bytes = 0;
  while (stream->Read(&part)) {
    out << part.chunk();
    bytes += part.chunk().size();
  }
  const absl::Status status = client::FromGrpc(stream->Finish());
  out.close();
  if (!status.ok() || !out) {
    std::filesystem::remove(part_path);
    return status.ok() ? absl::ResourceExhaustedError(fmt::format("cannot write {}", path))
                       : status;
  }
  std::filesystem::rename(part_path, path);
  fmt::print("{} ({}); open it in any browser\n", path, Bytes(static_cast<double>(bytes)));
  return absl::OkStatus();
}

}  // namespace

void AddCompareCommands(CLI::App& group, Session& session) {
  auto* match = group.add_subcommand(
      "match", "Which features of other dictionaries are the same, and how stable each one is");
  auto flags = std::make_shared<Flags>();
  match->add_option("dictionary", flags->dictionary, "Its name or id")->required();
  match->add_option("others", flags->others, "Other seeds, settings or recordings")->required();
  AddBy(match, *flags);
  Run(match, session, [&session, flags] { return Match(session, *flags); });

  auto* nearest = group.add_subcommand("nearest", "The features most like one");
  auto near = std::make_shared<Flags>();
  nearest->add_option("dictionary", near->dictionary, "Its name or id")->required();
  nearest->add_option("feature", near->latent, "Its number")->required();
  nearest->add_option("--in", near->in, "Another dictionary to look in");
  nearest->add_option("--count", near->count, "How many")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  AddBy(nearest, *near);
  Run(nearest, session, [&session, near] { return Nearest(session, *near); });
}

void AddReportCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand("report", "A dictionary as one HTML page");
  struct ReportFlags {
    std::string dictionary, path = "report.html";
    int features = 200;
  };
  auto f = std::make_shared<ReportFlags>();
  c->add_option("dictionary", f->dictionary, "Its name or id")->required();
  c->add_option("-o,--out", f->path, "File to write")->capture_default_str();
  c->add_option("--features", f->features, "How many in full, the best first; all are listed")
      ->check(CLI::Range(1, 2000))
      ->capture_default_str();
  Run(c, session, [&session, f] { return Report(session, f->dictionary, f->path, f->features); });
}

}  // namespace saed::cli

// FeatureService: dictionaries side by side, and the report.
#include "server/jobs/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "saed/v1/features.pb.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/base/status_macros.h"
#include "server/report/report.h"
#include "server/rpc/convert.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"
#include "server/rpc/turns.h"

namespace saed::rpc {
namespace {

// Matches, neighbours and reports at once, on all of the server's services.
Turns& Comparisons() {
  static Turns turns(2);
  return turns;
}

constexpr int kMostOthers = 20, kMostNeighbours = 100, kNeighbours = 10;
constexpr int kReportFeatures = 200, kMostReportFeatures = 2000;

absl::StatusOr<jobs::Likeness> LikenessOf(v1::Likeness likeness) {
  switch (likeness) {
    case v1::LIKENESS_UNSPECIFIED:
    case v1::LIKENESS_DECODER:
      return jobs::Likeness::kDecoder;
    case v1::LIKENESS_ACTIVATION:
      return jobs::Likeness::kActivation;
    case v1::LIKENESS_TUNING:
      return jobs::Likeness::kTuning;
    default:
      return InvalidField("likeness", fmt::format("is {}; must be LIKENESS_DECODER, "
                                                  "LIKENESS_ACTIVATION or LIKENESS_TUNING",
                                                  static_cast<int>(likeness)));
  }
}

absl::Status CheckSize(const std::string& name, size_t active) {
  if (active <= jobs::kMostMatched) return absl::OkStatus();
  return InvalidField("name", fmt::format("or others: {} has {} active features; at most {} are "
                                          "matched, use ListNearestFeatures for one of them",
                                          name, active, jobs::kMostMatched));
}

absl::Status MatchFeatures(Context& context, const Caller&, const v1::MatchFeaturesRequest& request,
                           v1::MatchFeaturesResponse& response) {
  SAED_ASSIGN_OR_RETURN(const auto turn, Comparisons().Take());
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "dictionaries", "name"));
  SAED_ASSIGN_OR_RETURN(const auto likeness, LikenessOf(request.likeness()));
  if (request.others_size() < 1 || request.others_size() > kMostOthers) {
    return InvalidField("others", fmt::format("has {} dictionaries; must be 1 to {}",
                                              request.others_size(), kMostOthers));
  }
  SAED_ASSIGN_OR_RETURN(const auto dictionary, context.stores.dictionaries.Get(id));
  SAED_ASSIGN_OR_RETURN(const auto rows, context.stores.dictionaries.ActiveLatents(id));
  SAED_RETURN_IF_ERROR(CheckSize(request.name(), rows.size()));
  std::map<int, double> sums;
  for (int latent : rows) sums[latent] = 0;
  for (const std::string& name : request.others()) {
    SAED_RETURN_IF_ERROR(StillWanted());
    SAED_ASSIGN_OR_RETURN(const std::string other_id, IdOf(name, "dictionaries", "others"));
    SAED_ASSIGN_OR_RETURN(const auto other, context.stores.dictionaries.Get(other_id));
    SAED_ASSIGN_OR_RETURN(const auto columns, context.stores.dictionaries.ActiveLatents(other_id));
    SAED_RETURN_IF_ERROR(CheckSize(name, columns.size()));
    // Likeness and what the assignment needs.
    SAED_ASSIGN_OR_RETURN(
        const auto memory,
        context.gate.memory().Take(16 * static_cast<int64_t>(rows.size() * columns.size())));
    SAED_ASSIGN_OR_RETURN(
        const auto matrix,
        jobs::Compare(context.stores, context.engine, dictionary, rows, other, columns, likeness));
    auto* out = response.add_dictionaries();
    out->set_other(name);
    double sum = 0;
    const auto matches = features::AssignOptimally(matrix);
    SAED_RETURN_IF_ERROR(StillWanted());
    for (const auto& match : matches) {
      auto* m = out->add_matches();
      m->set_latent(rows[match.row]);
      m->set_other(columns[match.column]);
      m->set_likeness(match.likeness);
      sum += match.likeness;
      sums[rows[match.row]] += match.likeness;
    }
    if (out->matches_size() > 0) out->set_mean_likeness(sum / out->matches_size());
    out->set_mean_maximum(features::MeanMaximum(matrix, false));
    out->set_mean_maximum_back(features::MeanMaximum(matrix, true));
  }
  for (const auto& [latent, sum] : sums) {
    auto* s = response.add_stabilities();
    s->set_latent(latent);
    s->set_stability(sum / request.others_size());
  }
  return absl::OkStatus();
}

absl::Status ListNearestFeatures(Context& context, const Caller&,
                                 const v1::ListNearestFeaturesRequest& request,
                                 v1::ListNearestFeaturesResponse& response) {
  SAED_ASSIGN_OR_RETURN(const auto turn, Comparisons().Take());
  SAED_ASSIGN_OR_RETURN(const FeatureName name, ParseFeatureName(request.name()));
  SAED_ASSIGN_OR_RETURN(const auto likeness, LikenessOf(request.likeness()));
  if (request.count() < 0 || request.count() > kMostNeighbours) {
    return InvalidField(
        "count", fmt::format("is {}; must be 0 (10) to {}", request.count(), kMostNeighbours));
  }
  std::string other_id = name.dictionary;
  if (!request.dictionary().empty()) {
    SAED_ASSIGN_OR_RETURN(other_id, IdOf(request.dictionary(), "dictionaries", "dictionary"));
  }
  auto& dictionaries = context.stores.dictionaries;
  SAED_ASSIGN_OR_RETURN(const auto dictionary, dictionaries.Get(name.dictionary));
  SAED_ASSIGN_OR_RETURN(const auto other, dictionaries.Get(other_id));
  SAED_RETURN_IF_ERROR(dictionaries.GetFeature(name.dictionary, name.latent).status());
  SAED_ASSIGN_OR_RETURN(const auto columns, dictionaries.ActiveLatents(other_id));
  SAED_ASSIGN_OR_RETURN(const auto matrix, jobs::Compare(context.stores, context.engine, dictionary,
                                                         {name.latent}, other, columns, likeness));
  SAED_RETURN_IF_ERROR(StillWanted());
  std::vector<std::pair<double, int>> order;
  for (size_t c = 0; c < columns.size(); ++c) {
    const double l = matrix.at(0, static_cast<int>(c));
    const bool itself = other_id == name.dictionary && columns[c] == name.latent;
    if (!std::isnan(l) && !itself) order.emplace_back(-l, columns[c]);
  }
  std::sort(order.begin(), order.end());
  const auto count = static_cast<size_t>(request.count() == 0 ? kNeighbours : request.count());
  order.resize(std::min(order.size(), count));
  SAED_ASSIGN_OR_RETURN(const auto conditions, dictionaries.Conditions(other_id));
  for (const auto& [l, latent] : order) {
    SAED_ASSIGN_OR_RETURN(const auto row, dictionaries.GetFeature(other_id, latent));
    auto* neighbour = response.add_neighbours();
    *neighbour->mutable_feature() =
        ToProto(other_id, row, row.best_condition ? conditions[*row.best_condition].name : "");
    neighbour->set_likeness(-l);
  }
  return absl::OkStatus();
}

absl::Status RenderReport(Context& context, const Caller& caller, grpc::ServerContext& server,
                          const v1::RenderReportRequest& request,
                          grpc::ServerWriter<v1::RenderReportResponse>& stream) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "dictionaries", "name"));
  if (request.feature_count() < 0 || request.feature_count() > kMostReportFeatures) {
    return InvalidField("feature_count", fmt::format("is {}; must be 0 (200) to {}",
                                                     request.feature_count(), kMostReportFeatures));
  }
  constexpr int64_t kPerFeature = 32 << 10;  // bytes, of the page and of the rows it is made of
  SAED_ASSIGN_OR_RETURN(const auto dictionary, context.stores.dictionaries.Get(id));
  SAED_ASSIGN_OR_RETURN(auto turn, Comparisons().Take());
  SAED_ASSIGN_OR_RETURN(const auto memory,
                        context.gate.memory().Take(kPerFeature * dictionary.features));
  SAED_ASSIGN_OR_RETURN(
      const std::string page,
      report::Render(context.stores, context.engine, id,
                     request.feature_count() == 0 ? kReportFeatures : request.feature_count(),
                     caller.viewer()));
  turn.reset();  // sending waits for the client
  StallGuard::Stream moving(context.stalls, server);
  for (size_t at = 0; at < page.size(); at += kChunk) {
    moving.Moved();
    SAED_RETURN_IF_ERROR(StillWanted());
    v1::RenderReportResponse part;
    part.set_chunk(page.substr(at, kChunk));
    if (!stream.Write(part) || server.IsCancelled()) {
      return absl::CancelledError("the client went away");
    }
  }
  return absl::OkStatus();
}

}  // namespace

void AddComparisonMethods(Methods& methods) {
  methods.Add(MatchFeatures);
  methods.Add(ListNearestFeatures);
  methods.Add(RenderReport);
}

}  // namespace saed::rpc

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "client/cli/command.h"
#include "client/cli/evidence.h"
#include "client/cli/output.h"
#include "client/cli/words.h"
#include "server/base/npy.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// The array as the smallest type that holds it exactly.
absl::StatusOr<v1::Tensor> ReadTensor(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(fmt::format("cannot open {}", path));
  std::stringstream bytes;
  bytes << in.rdbuf();
  SAED_ASSIGN_OR_RETURN(const NpyArray array, ParseNpy(path, bytes.str()));
  const std::vector<double> values = ToDoubles(array);
  bool whole = true;
  double most = 0;
  for (double v : values) {
    whole = whole && v >= 0 && v == std::floor(v) && v < 65536;
    most = std::max(most, v);
  }
  v1::Tensor out;
  out.mutable_shape()->Assign(array.shape.begin(), array.shape.end());
  const auto fill = [&]<class T>(v1::DataType type, T) {
    const std::vector<T> packed(values.begin(), values.end());
    out.set_dtype(type);
    out.set_data(packed.data(), packed.size() * sizeof(T));
  };
  if (whole && most < 256) {
    fill(v1::DATA_TYPE_U8, uint8_t{});
  } else if (whole) {
    fill(v1::DATA_TYPE_U16, uint16_t{});
  } else {
    fill(v1::DATA_TYPE_F32, float{});
  }
  return out;
}

struct Flags {
  std::string model, path, rule, evidence, dictionary;
  std::vector<int32_t> latents;
  std::vector<std::string> sets;  // names of conditions
};

// A line for each window: name=value of every column.
template <class Name>
void PrintColumns(const v1::Tensor& table, const Name& name) {
  const int64_t windows = table.shape(0), count = table.shape(1);
  std::vector<float> values(windows * count);
  std::memcpy(values.data(), table.data().data(), table.data().size());
  for (int64_t w = 0; w < windows; ++w) {
    fmt::print("window {}:", w);
    for (int64_t l = 0; l < count; ++l) {
      fmt::print("  {}={:.3f}", name(l), values[w * count + l]);
    }
    fmt::print("\n");
  }
}

absl::Status Encode(Session& session, const Flags& flags) {
  v1::EncodeRequest request;
  request.set_model(FullName("models", flags.model));
  SAED_ASSIGN_OR_RETURN(*request.mutable_counts(), ReadTensor(flags.path));
  if (flags.rule == "threshold") request.set_rule(v1::CODE_RULE_THRESHOLD);
  if (flags.rule == "topk") request.set_rule(v1::CODE_RULE_TOP_K);
  if (!flags.evidence.empty()) {
    request.mutable_evidence()->set_kind(EvidenceKinds().at(flags.evidence));
    request.mutable_evidence()->mutable_latents()->Assign(flags.latents.begin(),
                                                          flags.latents.end());
  }
  for (const std::string& condition : flags.sets) {
    request.add_sets(FullName("dictionaries", flags.dictionary) + "/conditions/" + condition);
  }
  grpc::ClientContext context;
  v1::EncodeResponse response;
  absl::Status status =
      client::FromGrpc(session.client->inference().Encode(&context, request, &response));
  // In the words of the flag that names sets.
  if (const std::string message(status.message()); message.starts_with("sets[")) {
    status = absl::Status(status.code(), "--set " + message.substr(message.find(' ') + 1));
  }
  SAED_RETURN_IF_ERROR(status);
  if (session.json) {
    const bool codes_alone = flags.evidence.empty() && flags.sets.empty();
    fmt::print("{}", codes_alone ? Json(response.codes()) : Json(response));
    return absl::OkStatus();
  }
  if (!flags.evidence.empty()) {
    PrintColumns(response.evidence(),
                 [&](int64_t l) { return flags.latents.empty() ? l : flags.latents[l]; });
  }
  if (!flags.sets.empty()) {
    PrintColumns(response.set_scores(), [&](int64_t l) { return flags.sets[l]; });
  }
  if (!flags.evidence.empty() || !flags.sets.empty()) return absl::OkStatus();
  const auto& codes = response.codes();
  for (int w = 0; w + 1 < codes.row_offsets_size(); ++w) {
    fmt::print("window {}:", w);
    for (int64_t e = codes.row_offsets(w); e < codes.row_offsets(w + 1); ++e) {
      fmt::print("  {}={:.3f}", codes.indices(static_cast<int>(e)),
                 codes.values(static_cast<int>(e)));
    }
    fmt::print("\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddEncodeCommand(CLI::App& app, Session& session) {
  auto* c = app.add_subcommand("encode", "Sparse codes of new count windows");
  auto f = std::make_shared<Flags>();
  c->add_option("model", f->model, "Its name or id")->required();
  c->add_option("counts", f->path, ".npy of raw counts [windows, bins, units]")->required();
  c->add_option("--rule", f->rule, "threshold or topk; default: the model's own")
      ->transform(OneOf({"threshold", "topk"}));
  std::vector<std::string> kinds;
  for (const auto& [name, kind] : EvidenceKinds()) kinds.push_back(name);
  auto* evidence =
      c->add_option("--evidence", f->evidence, "Graded scores of latents instead of codes")
          ->check(CLI::IsMember(kinds));
  c->add_option("--latents", f->latents, "Whose evidence; default: of all")->needs(evidence);
  auto* set = c->add_option("--set", f->sets,
                            "Scores of the set of features that stands for a condition, by its "
                            "name (saectl conditions list); may be given again");
  auto* dictionary = c->add_option("--dictionary", f->dictionary, "Whose conditions --set names");
  set->needs(dictionary);
  dictionary->needs(set);
  Run(c, session, [&session, f] { return Encode(session, *f); });
}

}  // namespace saed::cli

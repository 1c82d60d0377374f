#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "client/cli/command.h"
#include "client/cli/output.h"
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

absl::Status Encode(Session& session, const std::string& model, const std::string& path,
                    const std::string& rule) {
  v1::EncodeRequest request;
  request.set_model(FullName("models", model));
  SAED_ASSIGN_OR_RETURN(*request.mutable_counts(), ReadTensor(path));
  if (rule == "threshold") request.set_rule(v1::CODE_RULE_THRESHOLD);
  if (rule == "topk") request.set_rule(v1::CODE_RULE_TOP_K);
  grpc::ClientContext context;
  v1::EncodeResponse response;
  SAED_RETURN_IF_ERROR(
      client::FromGrpc(session.client->inference().Encode(&context, request, &response)));
  if (session.json) {
    fmt::print("{}", Json(response.codes()));
    return absl::OkStatus();
  }
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
  struct Flags {
    std::string model, path, rule;
  };
  auto f = std::make_shared<Flags>();
  c->add_option("model", f->model, "Its name or id")->required();
  c->add_option("counts", f->path, ".npy of raw counts [windows, bins, units]")->required();
  c->add_option("--rule", f->rule, "threshold or topk; default: the model's own")
      ->check(CLI::IsMember({"threshold", "topk"}));
  Run(c, session, [&session, f] { return Encode(session, f->model, f->path, f->rule); });
}

}  // namespace saed::cli

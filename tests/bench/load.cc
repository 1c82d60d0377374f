// Many clients of one server at once.
//
//   load ADDRESS SECONDS MODEL DICTIONARY JOB UPLOAD.npy KIND=CLIENTS@RATE ...
//
// Kinds: encode (ten windows), query (features of the dictionary by turns), upload (a recording of
// its own, deleted again), watch (a job's stream, ended after a second). Every client has a thread
// and a connection of its own and calls RATE times a second, at moments that are spread; one that
// is told RESOURCE_EXHAUSTED waits as long as the server says. Prints one JSON object: for each
// kind the calls by code, and the quantiles of those that went well, in ms from call to answer.
#include <fmt/format.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "client/cpp/client.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/base/sha256.h"

namespace saed {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Target {
  std::string address, model, dictionary, job, upload;
  v1::Tensor windows;  // what encode sends
};

struct Tally {
  std::mutex mutex;
  std::map<std::string, int64_t> codes;
  std::map<std::string, std::string> words;  // of the first error of each code
  std::vector<double> milliseconds;
  int64_t without_retry = 0;  // RESOURCE_EXHAUSTED that does not say when to try again
};

// What the server asks a refused caller to wait, s; 0: nothing.
double RetryAfter(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return 0;
  for (const auto& any : details.details()) {
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&retry)) {
      return static_cast<double>(retry.retry_delay().seconds()) +
             1e-9 * retry.retry_delay().nanos();
    }
  }
  return 0;
}

grpc::Status Encode(client::Client& client, const Target& target) {
  grpc::ClientContext context;
  v1::EncodeRequest request;
  v1::EncodeResponse response;
  request.set_model(target.model);
  *request.mutable_counts() = target.windows;
  return client.inference().Encode(&context, request, &response);
}

grpc::Status Query(client::Client& client, const Target& target, int turn) {
  grpc::ClientContext context;
  if (turn % 4 == 3) {
    v1::GetFeatureRequest request;
    v1::GetFeatureResponse response;
    request.set_name(fmt::format("{}/features/{}", target.dictionary, turn % 50));
    return client.features().GetFeature(&context, request, &response);
  }
  static const char* const kFilters[] = {"best_auroc > 0.6", "density < 0.2", ""};
  v1::ListFeaturesRequest request;
  v1::ListFeaturesResponse response;
  request.set_parent(target.dictionary);
  request.set_filter(kFilters[turn % 4]);
  request.set_order_by("best_auroc desc");
  request.set_page_size(50);
  return client.features().ListFeatures(&context, request, &response);
}

// Uploads a recording that no other client has: its last bytes are this client's.
grpc::Status Upload(client::Client& client, const Target& target, int number, int turn) {
  std::string bytes = target.upload;
  const int64_t mark = int64_t{number} << 32 | turn;
  for (int i = 0; i < 12; ++i)
    bytes[bytes.size() - 12 + i] = static_cast<char>(mark >> (5 * i) & 31);
  grpc::ClientContext context;
  v1::ImportRecordingResponse response;
  const auto stream = client.recordings().ImportRecording(&context, &response);
  v1::ImportRecordingRequest message;
  message.mutable_header()->set_format(v1::FORMAT_COUNTS_NPY);
  message.mutable_header()->set_bin_width(0.02);
  bool open = stream->Write(message);
  message.mutable_file()->set_role(v1::FileHeader::ROLE_MAIN);
  message.mutable_file()->set_name("counts.npy");
  message.mutable_file()->set_size(static_cast<int64_t>(bytes.size()));
  message.mutable_file()->set_sha256(Sha256Hex(bytes));
  open = open && stream->Write(message);
  constexpr size_t kChunk = 1 << 20;
  for (size_t at = 0; open && at < bytes.size(); at += kChunk) {
    message.set_chunk(bytes.substr(at, kChunk));
    open = stream->Write(message);
  }
  stream->WritesDone();
  if (const grpc::Status status = stream->Finish(); !status.ok()) return status;
  grpc::ClientContext next;
  v1::DeleteRecordingRequest request;
  v1::DeleteRecordingResponse deleted;
  request.set_name(response.recording().name());
  return client.recordings().DeleteRecording(&next, request, &deleted);
}

grpc::Status Watch(client::Client& client, const Target& target) {
  grpc::ClientContext context;
  v1::WatchJobRequest request;
  v1::WatchJobResponse response;
  request.set_name(target.job);
  request.set_after_sequence(-1);  // as saectl does
  const auto stream = client.jobs().WatchJob(&context, request);
  const auto end = Clock::now() + std::chrono::seconds(1);
  while (stream->Read(&response)) {
    if (Clock::now() >= end) {
      context.TryCancel();
      (void)stream->Finish();
      return grpc::Status::OK;
    }
  }
  return stream->Finish();
}

void Run(const Target& target, const std::string& kind, int number, double rate,
         Clock::time_point end, Tally& tally) {
  client::Client client(target.address);
  std::mt19937 random(number * 7919 + static_cast<int>(kind[0]));
  const Seconds period(1 / rate);
  auto next = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                 period * std::uniform_real_distribution<>(0, 1)(random));
  for (int turn = 0; next < end; ++turn) {
    std::this_thread::sleep_until(next);
    const auto start = Clock::now();
    const grpc::Status status = kind == "encode"  ? Encode(client, target)
                                : kind == "query" ? Query(client, target, turn)
                                : kind == "watch" ? Watch(client, target)
                                                  : Upload(client, target, number, turn);
    const auto now = Clock::now();
    next = std::max(now, next + std::chrono::duration_cast<Clock::duration>(period));
    const std::lock_guard lock(tally.mutex);
    if (status.ok()) {
      ++tally.codes["OK"];
      tally.milliseconds.push_back(1000 * Seconds(now - start).count());
      continue;
    }
    const std::string code =
        absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
    ++tally.codes[code];
    tally.words.try_emplace(code, status.error_message());
    if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
      const double wait = RetryAfter(status);
      if (wait == 0) ++tally.without_retry;
      // A little later than the others that were told the same.
      const Seconds pause(std::max(wait, 0.1) * std::uniform_real_distribution<>(1, 2)(random));
      next = now + std::chrono::duration_cast<Clock::duration>(pause);
    }
  }
}

double Quantile(std::vector<double>& values, double q) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<int64_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

int Main(int argc, char** argv) {
  if (argc < 8) {
    std::cerr << "load ADDRESS SECONDS MODEL DICTIONARY JOB UPLOAD.npy KIND=CLIENTS@RATE ...\n";
    return 2;
  }
  Target target{argv[1], argv[3], argv[4], argv[5], {}, {}};
  const double seconds = std::atof(argv[2]);
  std::ifstream file(argv[6], std::ios::binary);
  target.upload.assign(std::istreambuf_iterator<char>(file), {});
  {
    client::Client client(target.address);
    grpc::ClientContext context;
    v1::GetModelRequest request;
    v1::GetModelResponse response;
    request.set_name(target.model);
    if (const auto s = client.models().GetModel(&context, request, &response); !s.ok()) {
      std::cerr << s.error_message() << "\n";
      return 1;
    }
    const int64_t windows = 10, values = response.model().window() * response.model().units();
    std::mt19937 random(1);
    std::poisson_distribution<int> counts(0.2);
    std::string bytes(windows * values, '\0');
    for (char& b : bytes) b = static_cast<char>(counts(random));
    target.windows.set_dtype(v1::DATA_TYPE_U8);
    target.windows.add_shape(windows);
    target.windows.add_shape(values);
    target.windows.set_data(bytes);
  }
  std::map<std::string, Tally> tallies;
  std::vector<std::thread> threads;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
  for (int i = 7; i < argc; ++i) {
    char kind[16];
    int clients = 0;
    double rate = 0;
    if (std::sscanf(argv[i], "%15[a-z]=%d@%lf", kind, &clients, &rate) != 3 || rate <= 0) {
      std::cerr << argv[i] << " is not KIND=CLIENTS@RATE\n";
      return 2;
    }
    for (int c = 0; c < clients; ++c) {
      threads.emplace_back([&target, kind = std::string(kind), c, rate, end,
                            &tally = tallies[kind]] { Run(target, kind, c, rate, end, tally); });
    }
  }
  for (std::thread& t : threads) t.join();
  nlohmann::json out;
  for (auto& [kind, tally] : tallies) {
    out[kind] = {{"codes", tally.codes},
                 {"words", tally.words},
                 {"without_retry", tally.without_retry},
                 {"p50_ms", Quantile(tally.milliseconds, 0.5)},
                 {"p99_ms", Quantile(tally.milliseconds, 0.99)},
                 {"p999_ms", Quantile(tally.milliseconds, 0.999)},
                 {"max_ms", Quantile(tally.milliseconds, 1)}};
  }
  std::cout << out.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace saed

int main(int argc, char** argv) { return saed::Main(argc, argv); }

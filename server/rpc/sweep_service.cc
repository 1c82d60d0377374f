// SweepService: searches for good settings.
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <chrono>
#include <limits>
#include <map>
#include <thread>

#include "saed/v1/sweeps.pb.h"
#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/rpc/check_cost.h"
#include "server/rpc/convert_sweeps.h"
#include "server/rpc/methods.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

constexpr size_t kPageBytes = 900'000;

// The sweep with as many trials as a page has room for, at most `most`, from the one at the
// position `at` on, which becomes that of the first one left out.
v1::Sweep WithTrials(v1::Sweep sweep, int most, size_t& at) {
  google::protobuf::RepeatedPtrField<v1::Trial> all;
  all.Swap(sweep.mutable_trials());
  size_t bytes = 0;
  for (; at < static_cast<size_t>(all.size()) && sweep.trials_size() < most; ++at) {
    v1::Trial& trial = *all.Mutable(static_cast<int>(at));
    bytes += trial.ByteSizeLong();
    if (bytes > kPageBytes && sweep.trials_size() > 0) break;
    sweep.add_trials()->Swap(&trial);
  }
  return sweep;
}

constexpr int kAll = std::numeric_limits<int>::max();

absl::StatusOr<v1::Sweep> Whole(Context& context, const std::string& id) {
  SAED_ASSIGN_OR_RETURN(const jobs::SweepReport report, context.sweeps.Report(id));
  return ToProto(report);
}

absl::Status GetSweep(Context& context, const Caller&, const v1::GetSweepRequest& request,
                      v1::GetSweepResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "sweeps", "name"));
  SAED_ASSIGN_OR_RETURN(int size, PageSize(request.page_size()));
  const bool paged = request.page_size() != 0 || !request.page_token().empty();
  if (request.page_size() == 0) size = kAll;
  const std::string query = "trials/" + id;
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), query, 1));
  size_t at = after.empty() ? 0 : std::strtoull(after[0].c_str(), nullptr, 10);
  SAED_ASSIGN_OR_RETURN(v1::Sweep sweep, Whole(context, id));
  if (!paged) {  // who knows no pages gets all
    *response.mutable_sweep() = std::move(sweep);
    return absl::OkStatus();
  }
  const auto trials = static_cast<size_t>(sweep.trials_size());
  *response.mutable_sweep() = WithTrials(std::move(sweep), size, at);
  if (at < trials) response.set_next_page_token(MakePageToken(query, {std::to_string(at)}));
  return absl::OkStatus();
}

// The same bytes for the same message, whatever the order of its maps.
std::string Bytes(const google::protobuf::Message& message) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

// What a watcher of a sweep was sent.
class Sent {
 public:
  // Leaves only trials that are new or changed in it.
  void Reduce(v1::Sweep& sweep) {
    google::protobuf::RepeatedPtrField<v1::Trial> changed;
    for (v1::Trial& trial : *sweep.mutable_trials()) {
      std::string& before = trials_[trial.number()];
      std::string now = Bytes(trial);
      if (now == before) continue;
      before = std::move(now);
      changed.Add()->Swap(&trial);
    }
    changed.Swap(sweep.mutable_trials());
  }

 private:
  std::map<int64_t, std::string> trials_;
};

absl::Status CreateSweep(Context& context, const Caller& caller,
                         const v1::CreateSweepRequest& request, v1::CreateSweepResponse& response) {
  if (request.request_id().size() > 100) {
    return InvalidField("request_id", fmt::format("is {} bytes long; at most 100 are allowed",
                                                  request.request_id().size()));
  }
  if (!request.display_name().empty()) {
    SAED_RETURN_IF_ERROR(CheckDisplayName(request.display_name(), "display_name"));
  }
  SAED_ASSIGN_OR_RETURN(jobs::SweepSpec spec, FromProto(request.spec()));
  spec.name = request.display_name();
  SAED_RETURN_IF_ERROR(context.gate.Room(caller, 0));
  SAED_ASSIGN_OR_RETURN(const auto memory,
                        context.gate.memory().Take(CheckCost(context.stores, spec.base)));
  if (request.validate_only()) {
    SAED_ASSIGN_OR_RETURN(
        const int64_t trials,
        jobs::Check(context.stores, spec, context.scheduler.LimitsFor(caller.user)));
    response.mutable_sweep()->set_planned_trials(trials);
    *response.mutable_sweep()->mutable_spec() = ToProto(spec);
    return absl::OkStatus();
  }
  const auto row = context.sweeps.Submit(spec, request.request_id(), caller.user);
  if (absl::IsAlreadyExists(row.status())) {
    SAED_ASSIGN_OR_RETURN(const auto known,
                          context.stores.sweeps.OfRequest(request.request_id(), caller.user));
    return known ? context.gate.TakenBy(caller, "sweeps", known->id, row.status()) : row.status();
  }
  SAED_RETURN_IF_ERROR(row.status());
  SAED_ASSIGN_OR_RETURN(*response.mutable_sweep(), Whole(context, row->id));
  return absl::OkStatus();
}

// Its owner may end a sweep also where they may read it no more, as what it is made from was
// hidden: then the answer is its name and state alone.
absl::Status CancelSweep(Context& context, const Caller& caller,
                         const v1::CancelSweepRequest& request, v1::CancelSweepResponse& response) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "sweeps", "name"));
  SAED_RETURN_IF_ERROR(context.sweeps.Cancel(id).status());
  SAED_ASSIGN_OR_RETURN(v1::Sweep sweep, Whole(context, id));
  const auto owner = context.gate.access().OwnerOf("sweeps", id, caller.viewer());
  if (absl::IsNotFound(owner.status())) {
    response.mutable_sweep()->set_name(sweep.name());
    response.mutable_sweep()->set_state(sweep.state());
    return absl::OkStatus();
  }
  *response.mutable_sweep() = std::move(sweep);
  return owner.status();
}

absl::Status ListSweeps(Context& context, const Caller& caller,
                        const v1::ListSweepsRequest& request, v1::ListSweepsResponse& response) {
  SAED_ASSIGN_OR_RETURN(const int size, PageSize(request.page_size()));
  SAED_ASSIGN_OR_RETURN(const auto after, ParsePageToken(request.page_token(), "sweeps", 1));
  const int64_t before = after.empty() ? std::numeric_limits<int64_t>::max()
                                       : std::strtoll(after[0].c_str(), nullptr, 10);
  SAED_ASSIGN_OR_RETURN(const auto rows, context.stores.sweeps.List(size, before, caller.viewer()));
  for (const auto& row : rows) {
    SAED_ASSIGN_OR_RETURN(*response.add_sweeps(), ToProto(row));
  }
  if (static_cast<int>(rows.size()) == size) {
    response.set_next_page_token(MakePageToken("sweeps", {std::to_string(rows.back().number)}));
  }
  return absl::OkStatus();
}

absl::Status WatchSweep(Context& context, const Caller&, grpc::ServerContext& server,
                        const v1::WatchSweepRequest& request,
                        grpc::ServerWriter<v1::WatchSweepResponse>& stream) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "sweeps", "name"));
  std::string last;
  Sent sent;
  StallGuard::Stream moving(context.stalls, server);
  while (!server.IsCancelled()) {
    moving.Moved();
    if (context.draining) {
      return absl::UnavailableError("the server is stopping; watch again, nothing is lost");
    }
    // It may be somebody's private sweep by now, and the caller's token revoked.
    SAED_ASSIGN_OR_RETURN(const Caller now, context.gate.Identify(server));
    SAED_RETURN_IF_ERROR(context.gate.Resources(now, MethodOf(*request.descriptor()), request));
    const uint64_t rings = context.scheduler.bell().rings();
    SAED_ASSIGN_OR_RETURN(v1::Sweep sweep, Whole(context, id));
    std::string shown = Bytes(sweep);
    if (shown != last) {
      last = std::move(shown);
      if (request.changed_trials()) sent.Reduce(sweep);
      const auto trials = static_cast<size_t>(sweep.trials_size());
      size_t at = 0;
      do {
        v1::WatchSweepResponse message;
        *message.mutable_sweep() = request.changed_trials() ? WithTrials(sweep, kAll, at) : sweep;
        if (!stream.Write(message)) return absl::CancelledError("the watcher went away");
      } while (request.changed_trials() && at < trials);
    }
    if (sweep.state() != v1::Sweep::STATE_RUNNING) return absl::OkStatus();
    context.scheduler.bell().Wait(rings, std::chrono::milliseconds(1000));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // progress rings often
  }
  return absl::CancelledError("the watcher went away");
}

absl::Status DeleteSweep(Context& context, const Caller&, const v1::DeleteSweepRequest& request,
                         v1::DeleteSweepResponse&) {
  SAED_ASSIGN_OR_RETURN(const std::string id, IdOf(request.name(), "sweeps", "name"));
  return context.stores.sweeps.Delete(id);
}

}  // namespace

void AddSweepMethods(Methods& methods) {
  methods.Add(CreateSweep);
  methods.Add(GetSweep);
  methods.Add(ListSweeps);
  methods.Add(WatchSweep);
  methods.Add(CancelSweep);
  methods.Add(DeleteSweep);
}

}  // namespace saed::rpc

#include "server/rpc/rules.h"

#include <algorithm>

namespace saed::rpc {
namespace {

using Needs = Rule::Needs;
constexpr Role kReader = Role::kReader, kMember = Role::kMember, kAdmin = Role::kAdmin;

constexpr Rule kRules[] = {
    {"AdminService.CreateUser", kAdmin, Needs::kSelf, "user.name", true},
    {"AdminService.ListUsers", kAdmin, Needs::kRole, "", false},
    {"AdminService.GetUser", kReader, Needs::kSelf, "name", false},
    {"AdminService.UpdateUser", kAdmin, Needs::kSelf, "user.name", true},
    {"AdminService.DeleteUser", kAdmin, Needs::kSelf, "name reassign_to", true},
    {"AdminService.CreateToken", kReader, Needs::kSelf, "user", true},
    {"AdminService.ListTokens", kReader, Needs::kSelf, "user", false},
    {"AdminService.RevokeToken", kReader, Needs::kSelf, "name", true},
    {"AdminService.ListAuditRecords", kAdmin, Needs::kRole, "", false},
    {"AdminService.CreateBackup", kAdmin, Needs::kRole, "", true},
    {"FeatureService.GetDictionary", kReader, Needs::kSee, "name", false},
    {"FeatureService.ListDictionaries", kReader, Needs::kSee, "model", false},
    {"FeatureService.DeleteDictionary", kMember, Needs::kChange, "name", true, false, false, true},
    {"FeatureService.ListFeatures", kReader, Needs::kSee, "parent", false},
    {"FeatureService.GetFeature", kReader, Needs::kSee, "name", false},
    {"FeatureService.GetActivations", kReader, Needs::kSee, "name", false, true},
    {"FeatureService.CreateAnnotation", kMember, Needs::kSee, "parent", true},
    {"FeatureService.ListAnnotations", kReader, Needs::kSee, "parent", false},
    {"FeatureService.DeleteAnnotation", kMember, Needs::kSee, "name", true},
    {"FeatureService.MatchFeatures", kReader, Needs::kSee, "name others", false},
    {"FeatureService.ListNearestFeatures", kReader, Needs::kSee, "name dictionary", false},
    {"FeatureService.PoolCondition", kReader, Needs::kRole, "", false},
    {"FeatureService.RenderReport", kReader, Needs::kSee, "name", false, true},
    {"InferenceService.Encode", kReader, Needs::kSee, "model sets", false, false, true},
    {"JobService.CreateJob", kMember, Needs::kSee,
     "train.recording train.target.recording analyse.model analyse.recording dependencies", true},
    {"JobService.GetJob", kReader, Needs::kSee, "name", false},
    {"JobService.ListJobs", kReader, Needs::kRole, "", false},
    {"JobService.CancelJob", kMember, Needs::kChange, "name", true, false, false, true},
    {"JobService.PauseJob", kMember, Needs::kChange, "name", true},
    {"JobService.ResumeJob", kMember, Needs::kChange, "name", true},
    {"JobService.RetryJob", kMember, Needs::kChange, "name", true},
    {"JobService.WatchJob", kReader, Needs::kSee, "name", false, true},
    {"JobService.WatchJobs", kReader, Needs::kRole, "", false, true},
    {"JobService.UpdateJob", kMember, Needs::kChange, "name", true},
    {"JobService.DeleteJob", kMember, Needs::kChange, "name", true, false, false, true},
    {"ModelService.GetModel", kReader, Needs::kSee, "name", false},
    {"ModelService.ListModels", kReader, Needs::kSee, "recording", false},
    {"ModelService.UpdateModel", kMember, Needs::kChange, "name", true},
    {"ModelService.DeleteModel", kMember, Needs::kChange, "name", true, false, false, true},
    {"ModelService.DownloadModel", kReader, Needs::kSee, "name", false, true},
    {"ModelService.ImportModel", kMember, Needs::kSee, "spec.recording", true, true},
    {"RecordingService.ImportRecording", kMember, Needs::kRole, "", true, true},
    {"RecordingService.SimulateRecording", kMember, Needs::kRole, "", true},
    {"RecordingService.GetRecording", kReader, Needs::kSee, "name", false},
    {"RecordingService.ListRecordings", kReader, Needs::kRole, "", false},
    {"RecordingService.DeleteRecording", kMember, Needs::kChange, "name", true},
    {"RecordingService.UpdateRecording", kMember, Needs::kChange, "name", true},
    {"RecordingService.ListUnits", kReader, Needs::kSee, "parent", false},
    {"RecordingService.ListIntervalTables", kReader, Needs::kSee, "parent", false},
    {"RecordingService.ListFormats", kReader, Needs::kRole, "", false},
    {"RecordingService.DetectFormat", kReader, Needs::kRole, "", false},
    {"RecordingService.DownloadRecording", kReader, Needs::kSee, "name", false, true},
    {"ServerService.GetServerStatus", kReader, Needs::kRole, "", false},
    {"SweepService.CreateSweep", kMember, Needs::kSee,
     "spec.base.recording spec.base.target.recording", true},
    {"SweepService.GetSweep", kReader, Needs::kSee, "name", false},
    {"SweepService.ListSweeps", kReader, Needs::kRole, "", false},
    {"SweepService.WatchSweep", kReader, Needs::kSee, "name", false, true},
    {"SweepService.CancelSweep", kMember, Needs::kChange, "name", true, false, false, true},
    {"SweepService.DeleteSweep", kMember, Needs::kChange, "name", true, false, false, true},
};

}  // namespace

std::span<const Rule> Rules() { return kRules; }

const Rule* FindRule(std::string_view method) {
  const auto* const it = std::find_if(std::begin(kRules), std::end(kRules),
                                      [&](const Rule& r) { return r.method == method; });
  return it == std::end(kRules) ? nullptr : it;
}

}  // namespace saed::rpc

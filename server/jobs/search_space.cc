#include "server/jobs/search_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "server/base/faults.h"
#include "server/base/status_macros.h"

namespace saed::jobs {
namespace {

using nlohmann::json;

bool IsPlain(const json& value) {
  return value.is_number() || value.is_string() || value.is_boolean();
}

// 2 and 2.0 are the same value of a field.
bool Same(const json& a, const json& b) {
  if (a.is_number() && b.is_number()) return a.get<double>() == b.get<double>();
  return a == b;
}

// Texts as the interface spells enumerators, and as specs are stored.
std::string Stored(const std::string& text) {
  static const std::map<std::string, std::string> names = {{"batch_top_k", "batch_topk"},
                                                           {"top_k", "topk"},
                                                           {"jump_relu", "jumprelu"},
                                                           {"aux_k", "auxk"}};
  const auto it = names.find(text);
  return it == names.end() ? text : it->second;
}

std::string LongName(const std::string& field, size_t levels) {
  const std::string last = fmt::format("model.levels[{}].", levels - 1);
  static const std::map<std::string, std::string> names = {
      {"lr", "optimiser.learning_rate"}, {"lambda", "model.penalty.weight"},
      {"selection", "model.selection"},  {"loss", "model.loss"},
      {"window", "view.window"},         {"optimiser", "optimiser.kind"}};
  if (field == "k" || field == "features") return last + field;
  const auto it = names.find(field);
  return it == names.end() ? field : it->second;
}

// `model.levels[0].k` → /fit/model/levels/0/k, where stored specs have it.
json::json_pointer Pointer(const std::string& field) {
  std::string path = "/";
  for (const char c : field) {
    if (c == '.' || c == '[') {
      path += '/';
    } else if (c != ']') {
      path += c;
    }
  }
  const std::string first = path.substr(1, path.find('/', 1) - 1);
  const bool outside = first == "view" || first == "target" || first == "threads";
  return json::json_pointer(outside ? path : "/fit" + path);
}

absl::Status Set(const std::string& field, const json& value, size_t levels, json& spec) {
  try {
    const auto pointer = Pointer(LongName(field, levels));
    if (spec.contains(pointer)) {
      json& place = spec.at(pointer);
      if (value.is_string()) {
        place = Stored(value.get<std::string>());
        return absl::OkStatus();
      }
      if (place.is_number_integer() && value.is_number_float()) {
        constexpr double kExact = 9007199254740992;  // 2⁵³: doubles hold the whole numbers up to it
        const auto number = value.get<double>();
        if (number != std::floor(number) || std::abs(number) > kExact) {
          return InvalidField(field, fmt::format("is {}; must be a whole number", number));
        }
        place = static_cast<int64_t>(number);
      } else {
        place = value;
      }
      return absl::OkStatus();
    }
  } catch (const json::exception&) {  // not a path
  }
  return InvalidField(field,
                      "is not a field of a training specification; write for instance "
                      "optimiser.learning_rate, model.levels[0].k, model.penalty.weight, or short "
                      "lr, k, features, lambda, selection");
}

void CheckDomain(const SearchParameter& p, const std::string& at, Faults& faults) {
  if (!p.values.empty()) {
    if (p.values.size() > 1000) faults.Add(at + ".values", "has more than 1000 values");
    for (const json& v : p.values) {
      if (!IsPlain(v) || v.type() == json::value_t::discarded) {
        faults.Add(at + ".values", "has something else than numbers, texts and booleans");
      }
    }
    return;
  }
  if (!(std::isfinite(p.low) && std::isfinite(p.high) && p.low < p.high)) {
    faults.Add(at + ".range", fmt::format("is {} to {}; the first must be below the second, or "
                                          "give values",
                                          p.low, p.high));
  } else if (p.logarithmic && !(p.low > 0)) {
    faults.Add(at + ".range",
               fmt::format("starts at {}; a logarithmic one must start above 0", p.low));
  }
  if (p.points < 0 || p.points == 1 || p.points > 1000) {
    faults.Add(at + ".points", fmt::format("is {}; must be 2 to 1000", p.points));
  }
}

}  // namespace

bool SearchParameter::categorical() const {
  return std::any_of(values.begin(), values.end(), [](const json& v) { return !v.is_number(); });
}

absl::StatusOr<SearchSpace> SearchSpace::Make(std::vector<SearchParameter> parameters) {
  Faults faults;
  if (parameters.empty() || parameters.size() > kMaxParameters) {
    faults.Add("parameters",
               fmt::format("has {}; must be 1 to {}", parameters.size(), kMaxParameters));
  }
  SearchSpace out;
  std::map<std::string, size_t> known;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const SearchParameter& p = parameters[i];
    const std::string at = fmt::format("parameters[{}]", i);
    if (p.field.empty()) faults.Add(at + ".field", "is empty");
    CheckDomain(p, at, faults);
    int when = -1;
    if (!p.when_field.empty()) {
      const auto it = known.find(p.when_field);
      if (it == known.end()) {
        faults.Add(at + ".when_field",
                   fmt::format("is '{}', which is no parameter before this one", p.when_field));
      } else {
        when = static_cast<int>(it->second);
      }
      if (p.when_values.empty()) faults.Add(at + ".when_values", "is empty");
    }
    out.when_.push_back(when);
    if (!known.emplace(p.field, i).second) {
      faults.Add(at + ".field", fmt::format("is '{}', like one before; give each once", p.field));
    }
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  out.parameters_ = std::move(parameters);
  return out;
}

json SearchSpace::Value(size_t parameter, double unit) const {
  const SearchParameter& p = parameters_[parameter];
  unit = std::clamp(unit, 0.0, 1.0);
  if (!p.values.empty()) {
    const auto n = static_cast<double>(p.values.size());
    return p.values[static_cast<size_t>(std::min(n - 1, std::floor(unit * n)))];
  }
  if (unit == 0 && !p.integer) return p.low;
  double value = p.logarithmic ? std::exp(std::log(p.low) + unit * std::log(p.high / p.low))
                               : p.low + unit * (p.high - p.low);
  value = std::clamp(value, p.low, p.high);
  if (p.integer) return static_cast<int64_t>(std::llround(value));
  return value;
}

std::vector<bool> SearchSpace::Active(const std::vector<double>& point) const {
  std::vector<bool> out(size(), true);
  for (size_t i = 0; i < size(); ++i) {
    if (when_[i] < 0) continue;
    const json value = Value(when_[i], point[when_[i]]);
    const auto& allowed = parameters_[i].when_values;
    out[i] = out[when_[i]] && std::any_of(allowed.begin(), allowed.end(),
                                          [&](const json& v) { return Same(v, value); });
  }
  return out;
}

absl::StatusOr<std::vector<std::vector<double>>> SearchSpace::Grid() const {
  Faults faults;
  std::vector<int64_t> sizes;
  double all = 1;
  for (size_t i = 0; i < size(); ++i) {
    const SearchParameter& p = parameters_[i];
    sizes.push_back(p.values.empty() ? p.points : static_cast<int64_t>(p.values.size()));
    if (sizes.back() == 0) {
      faults.Add(fmt::format("parameters[{}].points", i),
                 "is not given; a grid needs the number of points of a range");
    }
    all *= static_cast<double>(sizes.back());
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  if (all > kMaxGrid) {
    return InvalidField("parameters", fmt::format("make a grid of {:.0f} points; at most {} are "
                                                  "allowed",
                                                  all, kMaxGrid));
  }
  std::vector<std::vector<double>> out;
  std::set<std::string> seen;
  std::vector<int64_t> at(size(), 0);
  for (auto left = static_cast<int64_t>(all); left > 0; --left) {
    std::vector<double> point(size());
    for (size_t i = 0; i < size(); ++i) {
      point[i] = parameters_[i].values.empty()
                     ? static_cast<double>(at[i]) / static_cast<double>(sizes[i] - 1)
                     : (static_cast<double>(at[i]) + 0.5) / static_cast<double>(sizes[i]);
    }
    if (seen.insert(Settings(point).dump()).second) out.push_back(std::move(point));
    for (size_t i = size(); i-- > 0;) {
      if (++at[i] < sizes[i]) break;
      at[i] = 0;
    }
  }
  return out;
}

json SearchSpace::Settings(const std::vector<double>& point) const {
  json out = json::object();
  const std::vector<bool> active = Active(point);
  for (size_t i = 0; i < size(); ++i) {
    if (active[i]) out[parameters_[i].field] = Value(i, point[i]);
  }
  return out;
}

absl::StatusOr<TrainSpec> SearchSpace::Apply(const TrainSpec& base, const json& settings) {
  json spec = ToJson(base);
  Faults faults;
  for (const auto& [field, value] : settings.items()) {
    faults.Merge(Set(field, value, base.fit.model.levels.size(), spec));
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  auto out = ParseTrainSpec(spec.dump());
  // What a field does not take is dropped in parsing, or becomes its default.
  const json again = out.ok() ? ToJson(*out) : json::object();
  for (const auto& [field, value] : settings.items()) {
    const auto pointer = Pointer(LongName(field, base.fit.model.levels.size()));
    const bool kept = again.contains(pointer) && Same(again.at(pointer), spec.at(pointer));
    if (!kept) faults.Add(field, fmt::format("is {}, which it does not take", value.dump()));
  }
  SAED_RETURN_IF_ERROR(faults.ToStatus());
  return out;
}

json ToJson(const SearchParameter& p) {
  return {{"field", p.field},   {"values", p.values},           {"low", p.low},
          {"high", p.high},     {"logarithmic", p.logarithmic}, {"integer", p.integer},
          {"points", p.points}, {"when_field", p.when_field},   {"when_values", p.when_values}};
}

SearchParameter ParseSearchParameter(const json& j) {
  SearchParameter p;
  p.field = j.value("field", "");
  p.values = j.value("values", std::vector<json>{});
  p.low = j.value("low", 0.0);
  p.high = j.value("high", 0.0);
  p.logarithmic = j.value("logarithmic", false);
  p.integer = j.value("integer", false);
  p.points = j.value("points", 0);
  p.when_field = j.value("when_field", "");
  p.when_values = j.value("when_values", std::vector<json>{});
  return p;
}

}  // namespace saed::jobs

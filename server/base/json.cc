#include "server/base/json.h"

namespace saed {

nlohmann::json ParseUntrustedJson(std::string_view text) {
  constexpr int kDeepest = 32;
  bool too_deep = false;
  const auto callback = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kDeepest;
    return !too_deep;
  };
  nlohmann::json value = nlohmann::json::parse(text, callback, false);
  if (too_deep) return nlohmann::json::value_t::discarded;
  return value;
}

}  // namespace saed

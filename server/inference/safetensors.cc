#include "server/inference/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "server/base/faults.h"
#include "server/base/json.h"

namespace saed::inference {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // as the reference reader
constexpr size_t kMaxTensors = 1000;

int ItemSize(const std::string& dtype) {
  if (dtype == "F64") return 8;
  if (dtype == "F32") return 4;
  return dtype == "F16" || dtype == "BF16" ? 2 : 0;
}

// Of the types that are left unread.
int UnreadItemSize(const std::string& dtype) {
  if (dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "I16" || dtype == "U16") return 2;
  const bool byte =
      dtype == "I8" || dtype == "U8" || dtype == "BOOL" || dtype == "F8_E4M3" || dtype == "F8_E5M2";
  return byte ? 1 : 0;
}

float FromHalf(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

float Element(const std::string& dtype, const char* at) {
  if (dtype == "F64") {
    double v;
    std::memcpy(&v, at, 8);
    return static_cast<float>(v);
  }
  if (dtype == "F32") {
    float v;
    std::memcpy(&v, at, 4);
    return v;
  }
  uint16_t bits;
  std::memcpy(&bits, at, 2);
  if (dtype == "F16") return FromHalf(bits);
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// nlohmann would round 1.5 and take what goes beyond 64 bits for something else.
std::optional<std::vector<uint64_t>> Sizes(const nlohmann::json& list) {
  if (!list.is_array()) return std::nullopt;
  std::vector<uint64_t> out;
  for (const auto& n : list) {
    if (!n.is_number_unsigned()) return std::nullopt;
    out.push_back(n.get<uint64_t>());
  }
  return out;
}

// nlohmann keeps the last of two equal keys silently; a file with such a header is refused.
bool HasDuplicateKeys(std::string_view text) {
  std::vector<std::set<std::string>> open;
  bool duplicate = false;
  const auto callback = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key && !open.back().insert(value.get<std::string>()).second) {
      duplicate = true;
    }
    return true;
  };
  const auto parsed = nlohmann::json::parse(text, callback, false);
  return duplicate || parsed.is_discarded();
}

}  // namespace

const storage::TensorRow* Safetensors::Find(std::string_view name) const {
  for (const auto& t : tensors) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

std::string SafetensorsHeader(const std::vector<storage::TensorRow>& tensors,
                              const std::map<std::string, std::string>& metadata) {
  nlohmann::json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const auto& t : tensors) {
    const size_t end = offset + t.data.size() * sizeof(float);
    header[t.name] = {{"dtype", "F32"}, {"shape", t.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + text;
}

std::string WriteSafetensors(const Safetensors& file) {
  std::string out = SafetensorsHeader(file.tensors, file.metadata);
  for (const auto& t : file.tensors) {
    out.append(reinterpret_cast<const char*>(t.data.data()), t.data.size() * sizeof(float));
  }
  return out;
}

absl::StatusOr<Safetensors> ReadSafetensors(std::string_view name, std::string_view bytes) {
  const auto bad = [&](const std::string& what) {
    return InvalidField(std::string(name), fmt::format("is no safetensors file: {}", what));
  };
  uint64_t size = 0;
  if (bytes.size() < sizeof size) return bad("it is shorter than 8 bytes");
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > kMaxHeader || size > bytes.size() - sizeof size) {
    return bad(fmt::format("its header of {} bytes does not fit the {} bytes of the file", size,
                           bytes.size()));
  }
  const std::string_view text = bytes.substr(sizeof size, size),
                         data = bytes.substr(sizeof size + size);
  const auto header = ParseUntrustedJson(text);
  if (!header.is_object()) return bad("its header is not a JSON object");
  if (HasDuplicateKeys(text)) return bad("its header names a tensor twice");
  if (header.size() > kMaxTensors) {
    return bad(fmt::format("it has {} tensors; at most {} are read", header.size(), kMaxTensors));
  }
  Safetensors out;
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") {
      for (const auto& [k, v] : entry.items()) {
        if (v.is_string()) out.metadata[k] = v.get<std::string>();
      }
      continue;
    }
    try {
      const auto dtype = entry.at("dtype").get<std::string>();
      const auto shape = Sizes(entry.at("shape")), range = Sizes(entry.at("data_offsets"));
      if (!shape || !range) {
        return bad(
            fmt::format("shape and data_offsets of tensor '{}' are no lists of whole "
                        "numbers of 0 or above",
                        key));
      }
      const bool read = ItemSize(dtype) > 0;
      const int item = read ? ItemSize(dtype) : UnreadItemSize(dtype);
      if (item == 0) {
        return bad(
            fmt::format("tensor '{}' has dtype {}; F32, F64, F16 and BF16 are read", key, dtype));
      }
      uint64_t count = 1;
      for (const uint64_t d : *shape) {
        if (d > data.size() || (d > 0 && count > data.size() / d + 1)) {
          return bad(fmt::format("the shape of tensor '{}' goes beyond the file", key));
        }
        count *= d;
      }
      if (range->size() != 2) {
        return bad(fmt::format("tensor '{}' has {} data_offsets; must be 2", key, range->size()));
      }
      const uint64_t begin = range->front(), end = range->back();
      if (begin > end || end > data.size() || end - begin != count * item) {
        return bad(
            fmt::format("tensor '{}' has offsets that fit neither its shape nor the {} bytes "
                        "of data",
                        key, data.size()));
      }
      ranges.emplace_back(begin, end);
      if (!read) {
        out.unread.push_back(fmt::format("{} ({})", key, dtype));
        continue;
      }
      storage::TensorRow tensor{key, {shape->begin(), shape->end()}, std::vector<float>(count)};
      for (uint64_t i = 0; i < count; ++i) {
        tensor.data[i] = Element(dtype, data.data() + begin + i * item);
      }
      out.tensors.push_back(std::move(tensor));
    } catch (const nlohmann::json::exception& e) {
      return bad(fmt::format("the entry of tensor '{}' is wrong: {}", key, e.what()));
    }
  }
  std::sort(ranges.begin(), ranges.end());
  uint64_t at = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != at) return bad("its tensors overlap or leave holes");
    at = end;
  }
  if (at != data.size())
    return bad(fmt::format("{} bytes of data belong to no tensor", data.size() - at));
  return out;
}

}  // namespace saed::inference

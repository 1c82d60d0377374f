#include "server/recordings/readers/zarr.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "server/base/faults.h"
#include "server/base/json.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/zarr_codec.h"

namespace saed::recordings {
namespace {

using nlohmann::json;

constexpr int64_t kMaxMetadataBytes = int64_t{32} << 20;  // of a store, all files together
constexpr int64_t kMaxChunks = int64_t{1} << 22;          // of an array
constexpr double kFreeBytes = 64 << 20;                   // of chunks that are not there
constexpr size_t kMaxDepth = 32;                          // of groups
constexpr int kMaxHops = 16;                              // of links after links

// Without slashes before and behind.
std::string Normal(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  return path.substr(std::min(path.find_first_not_of('/'), path.size()));
}

std::string Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string Child(const std::string& group, const std::string& name) {
  return group.empty() ? name : group + "/" + name;
}

bool IsMetadata(std::string_view base) {
  return base == ".zgroup" || base == ".zarray" || base == ".zattrs";
}

// Steps through the indices [low, high) in C order; false after the last.
bool Advance(std::vector<int64_t>& index, const std::vector<int64_t>& low,
             const std::vector<int64_t>& high) {
  for (size_t d = index.size(); d > 0; --d) {
    if (++index[d - 1] < high[d - 1]) return true;
    index[d - 1] = low[d - 1];
  }
  return false;
}

std::string ChunkName(const ZarrArray& array, const std::vector<int64_t>& chunk) {
  if (chunk.empty()) return "0";
  std::string out;
  for (size_t d = 0; d < chunk.size(); ++d) {
    if (d > 0) out += array.separator;
    out += std::to_string(chunk[d]);
  }
  return out;
}

// Distances between neighbours along each dimension.
std::vector<int64_t> Strides(const std::vector<int64_t>& sizes, bool fortran) {
  std::vector<int64_t> out(sizes.size());
  int64_t stride = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const size_t d = fortran ? i : sizes.size() - 1 - i;
    out[d] = stride;
    stride *= sizes[d];
  }
  return out;
}

// Copies what a chunk holds of the rows [first, first + count) to where it belongs among them.
template <class T>
void Scatter(const ZarrArray& array, const std::vector<int64_t>& chunk, std::vector<T>&& values,
             int64_t first, int64_t count, std::vector<T>& out) {
  const size_t rank = array.shape.size();
  if (rank == 0) {
    out[0] = std::move(values[0]);
    return;
  }
  std::vector<int64_t> low(rank), high(rank), shape = array.shape;
  shape[0] = count;
  for (size_t d = 0; d < rank; ++d) {
    low[d] = std::max(chunk[d] * array.chunks[d], d == 0 ? first : 0);
    high[d] = std::min((chunk[d] + 1) * array.chunks[d], d == 0 ? first + count : array.shape[d]);
    if (low[d] >= high[d]) return;
  }
  const auto from_strides = Strides(array.chunks, array.fortran),
             to_strides = Strides(shape, false);
  // The last dimension is the inner loop.
  const int64_t run = high[rank - 1] - low[rank - 1], step = from_strides[rank - 1];
  high[rank - 1] = low[rank - 1] + 1;
  std::vector<int64_t> index = low;
  do {
    int64_t from = 0, to = -first * to_strides[0];
    for (size_t d = 0; d < rank; ++d) {
      from += (index[d] - chunk[d] * array.chunks[d]) * from_strides[d];
      to += index[d] * to_strides[d];
    }
    for (int64_t i = 0; i < run; ++i) out[to + i] = std::move(values[from + i * step]);
  } while (Advance(index, low, high));
}

}  // namespace

ZarrStore::ZarrStore(const FileSet& files, std::string prefix, std::vector<std::string> sent,
                     Notes& notes)
    : files_(files), prefix_(std::move(prefix)), sent_(std::move(sent)), notes_(notes) {}

void ZarrStore::Take(const std::string& name, json value) {
  const std::string base = name.substr(name.rfind('/') + 1);
  if (!IsMetadata(base) ||
      std::count(name.begin(), name.end(), '/') > static_cast<int64_t>(kMaxDepth)) {
    return;
  }
  const std::string path = Parent(name);
  Node& node = nodes_[path];
  if (base == ".zgroup") node.group = true;
  if (base == ".zarray") {
    node.zarray = std::move(value);
  } else if (base == ".zattrs") {
    node.attributes = std::move(value);
  }
  for (std::string group = path; !group.empty();) {
    group = Parent(group);
    nodes_[group].group = true;
  }
}

absl::Status ZarrStore::ReadMetadata() {
  int64_t left = kMaxMetadataBytes;
  // Null, and a note, where it is damaged.
  const auto parse = [&](const std::string& name) -> absl::StatusOr<json> {
    SAED_ASSIGN_OR_RETURN(const std::string text, files_.Read(name, left));
    left -= static_cast<int64_t>(text.size());
    json value = ParseUntrustedJson(text);
    if (value.is_object()) return value;
    notes_.Mended(ValidUtf8(name), "left out: is not a JSON object");
    return json();
  };
  if (files_.Has(prefix_ + ".zmetadata")) {
    SAED_ASSIGN_OR_RETURN(json all, parse(prefix_ + ".zmetadata"));
    for (const auto& [name, value] : JsonMember(all, "metadata").items()) Take(name, value);
  }
  // The files themselves win: what is consolidated is a copy, perhaps an old one.
  for (const std::string& name : files_.names()) {
    if (!name.starts_with(prefix_) || !IsMetadata(name.substr(name.rfind('/') + 1))) continue;
    SAED_ASSIGN_OR_RETURN(json value, parse(name));
    if (!value.is_null()) Take(name.substr(prefix_.size()), std::move(value));
  }
  return absl::OkStatus();
}

void ZarrStore::CollectLinks() {
  for (const auto& [path, node] : nodes_) {
    const json& links = JsonMember(node.attributes, "zarr_link");
    if (!links.is_array()) continue;
    for (const json& link : links) {
      const json& name = JsonMember(link, "name");
      if (!name.is_string()) continue;
      const auto text = name.get<std::string>();
      if (!text.empty() && text.find('/') == std::string::npos) links_[Child(path, text)] = link;
    }
  }
}

absl::StatusOr<ZarrStore> ZarrStore::Open(const FileSet& files, std::string prefix,
                                          std::vector<std::string> sent, Notes& notes) {
  ZarrStore store(files, std::move(prefix), std::move(sent), notes);
  SAED_RETURN_IF_ERROR(store.ReadMetadata());
  store.CollectLinks();
  return store;
}

absl::StatusOr<std::string> ZarrStore::Resolve(const std::string& asked) const {
  std::string path = Normal(asked);
  for (int hop = 0; hop < kMaxHops; ++hop) {
    if (nodes_.count(path) != 0) return path;
    // The link that is deepest on the way.
    std::string at = path;
    while (!at.empty() && links_.count(at) == 0) at = Parent(at);
    if (at.empty()) return InvalidField(asked, "is missing");
    SAED_ASSIGN_OR_RETURN(const std::string target, ZarrReferencePath(asked, links_.at(at)));
    path = Normal(target) + path.substr(at.size());
    if (path.size() > 4096) break;
  }
  return InvalidField(asked, "is a link that leads round and round; must end at an object");
}

const ZarrStore::Node* ZarrStore::Find(const std::string& path) const {
  const auto real = Resolve(path);
  return real.ok() ? &nodes_.at(*real) : nullptr;
}

bool ZarrStore::Exists(const std::string& path) const {
  // A link that leads outside is there: whoever reads it gets the reason why it is not followed.
  return Find(path) != nullptr || links_.count(Normal(path)) != 0;
}

std::string ZarrStore::Identity(const std::string& path) const {
  return Resolve(path).value_or(path);
}

bool ZarrStore::IsGroup(const std::string& path) const {
  const Node* node = Find(path);
  if (node != nullptr) return node->group && node->zarray.is_null();
  if (links_.count(Normal(path)) != 0 && said_.insert(Normal(path)).second) {
    notes_.Mended(path, "left out: " + FaultsOf(Resolve(path).status())[0].description);
  }
  return false;
}

std::vector<std::string> ZarrStore::Children(const std::string& group) const {
  const auto real = Resolve(group);
  if (!real.ok()) return {};
  const std::string begin = real->empty() ? "" : *real + "/";
  std::set<std::string> names;
  const auto collect = [&](const auto& objects) {
    for (auto at = objects.lower_bound(begin);
         at != objects.end() && at->first.starts_with(begin);) {
      const std::string name =
          at->first.substr(begin.size(), at->first.find('/', begin.size()) - begin.size());
      if (!name.empty()) names.insert(name);
      // On to what comes after all that lies below: '0' follows '/'.
      at = name.empty()                ? std::next(at)
           : at->first == begin + name ? std::next(at)
                                       : objects.lower_bound(begin + name + "0");
    }
  };
  collect(nodes_);
  collect(links_);
  return {names.begin(), names.end()};
}

absl::StatusOr<ZarrArray> ZarrStore::Array(const std::string& real) const {
  const Node& node = nodes_.at(real);
  if (node.zarray.is_null()) return InvalidField(real, "is not an array");
  return ParseZarrArray(real, node.zarray, JsonMember(node.attributes, "zarr_dtype"));
}

absl::StatusOr<ArrayInfo> ZarrStore::Describe(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const std::string real, Resolve(path));
  SAED_ASSIGN_OR_RETURN(ZarrArray array, Array(real));
  ArrayInfo out{array.kind, array.type, array.shape};
  // hdmf-zarr writes a scalar as one element.
  if (JsonMember(nodes_.at(real).attributes, "zarr_dtype") == "scalar" && array.elements() == 1) {
    out.shape.clear();
  }
  return out;
}

void ZarrStore::SayMissing(const std::string& real, const ZarrArray& array, int64_t missing,
                           const std::string& first) const {
  if (missing == 0 || !said_.insert(real).second) return;
  const bool text = array.kind == ArrayInfo::Kind::kText;
  notes_.Said(real, fmt::format("{} of its {} chunks are not there, the first is {}; read as the "
                                "fill value {}",
                                missing, array.chunk_count(), first,
                                text ? "'" + array.fill_text + "'" : NumberText(array.fill)));
}

bool ZarrStore::NotSent(const std::string& name) const {
  return !sent_.empty() && std::none_of(sent_.begin(), sent_.end(), [&](const std::string& p) {
    return MatchesPattern(name, p);
  });
}

absl::Status ZarrStore::CheckThere(const std::string& real, const ZarrArray& array) const {
  if (!there_.insert(real).second) return absl::OkStatus();
  int64_t missing = 0;
  std::vector<int64_t> low(array.shape.size(), 0), high(low);
  for (size_t d = 0; d < high.size(); ++d) {
    high[d] = array.shape[d] == 0 ? 0 : (array.shape[d] - 1) / array.chunks[d] + 1;
    if (high[d] == 0) return absl::OkStatus();
  }
  std::vector<int64_t> chunk = low;
  do {
    const std::string name = Child(prefix_ + real, ChunkName(array, chunk));
    if (files_.Has(name)) continue;
    if (NotSent(name)) return absl::OkStatus();  // which whoever reads it is told
    ++missing;
  } while (Advance(chunk, low, high));
  const double each = static_cast<double>(array.chunk_elements()) *
                      static_cast<double>(std::max<int64_t>(1, array.item_size));
  const double gone = each * static_cast<double>(missing),
               kept = each * static_cast<double>(array.chunk_count() - missing);
  if (gone <= kFreeBytes + kept) return absl::OkStatus();
  there_.erase(real);
  return InvalidField(real, fmt::format("lacks {} of its {} chunks, which would be {:.0f} bytes of "
                                        "the fill value; must be written in full",
                                        missing, array.chunk_count(), gone));
}

template <class T, class Decode>
absl::StatusOr<std::vector<T>> ZarrStore::ReadRows(const std::string& real, const ZarrArray& array,
                                                   int64_t first, int64_t count, T fill,
                                                   const Decode& decode) const {
  if (!array.refusal.empty()) return InvalidField(real, array.refusal);
  const size_t rank = array.shape.size();
  const int64_t row = rank == 0 || array.shape[0] == 0 ? 1 : array.elements() / array.shape[0];
  const int64_t most = kMaxDatasetElements / std::max<int64_t>(1, array.item_size / 8);
  if (count > most / std::max<int64_t>(1, row) || array.chunk_count() > kMaxChunks) {
    return InvalidField(real, fmt::format("has {} elements in {} chunks; at most {} are read at "
                                          "once, of at most {} chunks",
                                          array.elements(), array.chunk_count(), most, kMaxChunks));
  }
  SAED_RETURN_IF_ERROR(CheckThere(real, array));
  std::vector<T> out(static_cast<size_t>(rank == 0 ? 1 : count * row), fill);
  if (out.empty()) return out;
  std::vector<int64_t> low(rank, 0), high(rank);
  for (size_t d = 0; d < rank; ++d) high[d] = (array.shape[d] - 1) / array.chunks[d] + 1;
  if (rank > 0) {
    low[0] = first / array.chunks[0];
    high[0] = (first + count - 1) / array.chunks[0] + 1;
  }
  int64_t missing = 0;
  std::string first_missing;
  // Compressed chunks may be a little larger than what they hold.
  const int64_t most_bytes =
      array.chunk_elements() * std::max<int64_t>(1, array.item_size) * 2 + (int64_t{32} << 20);
  std::vector<int64_t> chunk = low;
  do {
    const std::string name = Child(prefix_ + real, ChunkName(array, chunk));
    if (!files_.Has(name)) {
      if (NotSent(name)) {
        return InvalidField(real, fmt::format("has no chunk {} here; such arrays are not sent",
                                              ChunkName(array, chunk)));
      }
      if (missing++ == 0) first_missing = ChunkName(array, chunk);
      continue;
    }
    SAED_ASSIGN_OR_RETURN(std::string bytes, files_.Read(name, most_bytes));
    SAED_ASSIGN_OR_RETURN(std::vector<T> values, decode(ValidUtf8(name), array, std::move(bytes)));
    Scatter(array, chunk, std::move(values), first, count, out);
  } while (Advance(chunk, low, high));
  SayMissing(real, array, missing, first_missing);
  return out;
}

absl::StatusOr<std::variant<Numbers, Texts>> ZarrStore::Read(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const std::string real, Resolve(path));
  SAED_ASSIGN_OR_RETURN(const ZarrArray array, Array(real));
  const int64_t rows = array.shape.empty() ? 1 : array.shape[0];
  if (array.kind == ArrayInfo::Kind::kText || array.kind == ArrayInfo::Kind::kReference) {
    SAED_ASSIGN_OR_RETURN(auto texts, ReadRows(real, array, 0, rows, array.fill_text, DecodeTexts));
    return texts;
  }
  SAED_ASSIGN_OR_RETURN(auto numbers, ReadRows(real, array, 0, rows, array.fill, DecodeNumbers));
  return numbers;
}

absl::StatusOr<Numbers> ZarrStore::ReadNumbers(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(auto values, Read(path));
  if (auto* numbers = std::get_if<Numbers>(&values)) return std::move(*numbers);
  return InvalidField(path, "does not hold numbers");
}

absl::StatusOr<std::vector<int64_t>> ZarrStore::ReadIntegers(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const std::string real, Resolve(path));
  SAED_ASSIGN_OR_RETURN(const ZarrArray array, Array(real));
  if (array.kind == ArrayInfo::Kind::kText || array.kind == ArrayInfo::Kind::kReference) {
    return InvalidField(path, "does not hold integers");
  }
  const int64_t rows = array.shape.empty() ? 1 : array.shape[0];
  const bool small = std::abs(array.fill) < 9e15;
  return ReadRows(real, array, 0, rows, small ? static_cast<int64_t>(array.fill) : 0,
                  DecodeIntegers);
}

absl::StatusOr<std::vector<uint64_t>> ZarrStore::ReadUnsigned(const std::string& path) const {
  SAED_ASSIGN_OR_RETURN(const std::string real, Resolve(path));
  SAED_ASSIGN_OR_RETURN(const ZarrArray array, Array(real));
  if (array.kind != ArrayInfo::Kind::kUnsigned) {
    return InvalidField(path, "does not hold integers without a sign");
  }
  const int64_t rows = array.shape.empty() ? 1 : array.shape[0];
  const bool small = array.fill >= 0 && array.fill < 9e15;
  return ReadRows(real, array, 0, rows, small ? static_cast<uint64_t>(array.fill) : 0,
                  DecodeUnsigned);
}

absl::Status ZarrStore::ReadRange(const std::string& path, int64_t first,
                                  std::span<double> out) const {
  SAED_ASSIGN_OR_RETURN(const std::string real, Resolve(path));
  SAED_ASSIGN_OR_RETURN(const ZarrArray array, Array(real));
  const bool text =
      array.kind == ArrayInfo::Kind::kText || array.kind == ArrayInfo::Kind::kReference;
  const auto count = static_cast<int64_t>(out.size());
  if (array.shape.size() != 1 || text || first < 0 || count > array.shape[0] ||
      first > array.shape[0] - count) {
    return InvalidField(path, "does not have these elements");
  }
  SAED_ASSIGN_OR_RETURN(const Numbers values,
                        ReadRows(real, array, first, count, array.fill, DecodeNumbers));
  std::copy(values.begin(), values.end(), out.begin());
  return absl::OkStatus();
}

Texts ZarrStore::TextAttribute(const std::string& path, const std::string& name) const {
  const Node* node = Find(path);
  if (node == nullptr) return {};
  const json* value = &JsonMember(node->attributes, name.c_str());
  // A reference.
  if (JsonMember(*value, "zarr_dtype") == "object") value = &JsonMember(*value, "value");
  Texts out;
  const auto add = [&](const json& item) {
    if (item.is_string()) out.push_back(ValidUtf8(item.get_ref<const std::string&>()));
    if (!item.is_object()) return;
    if (auto target = ZarrReferencePath(name, item); target.ok()) out.push_back(*target);
  };
  if (value->is_array()) {
    for (const json& item : *value) add(item);
  } else {
    add(*value);
  }
  return out;
}

double ZarrStore::NumberAttribute(const std::string& path, const std::string& name,
                                  double fallback) const {
  const Node* node = Find(path);
  if (node == nullptr) return fallback;
  const json* value = &JsonMember(node->attributes, name.c_str());
  if (value->is_array() && value->size() == 1) value = &(*value)[0];
  if (value->is_boolean()) return value->get<bool>() ? 1 : 0;
  return value->is_number() ? value->get<double>() : fallback;
}

}  // namespace saed::recordings

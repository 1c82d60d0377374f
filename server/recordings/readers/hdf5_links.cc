#include "server/recordings/readers/hdf5_links.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <string_view>
#include <vector>

#include "server/base/faults.h"
#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/recordings/readers/hdf5.h"

namespace saed::recordings {
namespace {

constexpr int kMaxSoftLinks = 32;           // on the way to one object
constexpr size_t kMaxLinkBytes = 1 << 16;   // of a soft link's path, an external link's names
constexpr size_t kMaxObjects = 1'000'000;   // that references may lead to
constexpr char kNowhere[] = "/dev/null/x";  // no file can lie here

std::deque<std::string> Split(std::string_view path) {
  std::deque<std::string> out;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") out.emplace_back(part);
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
  }
  return out;
}

// What the link holds: the path of a soft one, the packed names of an external one.
std::string LinkValue(hid_t file, const std::string& link, const H5L_info_t& info) {
  if (info.u.val_size == 0 || info.u.val_size > kMaxLinkBytes) return "";
  std::string value(info.u.val_size, '\0');
  if (H5Lget_val(file, link.c_str(), value.data(), value.size(), LinkAccess()) < 0) return "";
  return value;
}

absl::Status LeadsOutside(const std::string& path, const std::string& link,
                          const std::string& target) {
  const std::string at =
      link.substr(1) == path ? "is" : fmt::format("goes through '{}', ", ValidUtf8(link.substr(1)));
  return InvalidField(path, fmt::format("{} an external link to the file '{}'; other files are "
                                        "never opened: copy the data into the file",
                                        at, ValidUtf8(target)));
}

absl::Status RefuseLink(hid_t file, const std::string& path, const std::string& link,
                        const H5L_info_t& info) {
  if (info.type != H5L_TYPE_EXTERNAL) {
    return InvalidField(path, fmt::format("goes through '{}', a link of a type of the user's own; "
                                          "must be a hard or a soft link: copy the data into the "
                                          "file",
                                          ValidUtf8(link.substr(1))));
  }
  const std::string value = LinkValue(file, link, info);
  const char *target = nullptr, *object = nullptr;
  unsigned flags = 0;
  if (value.empty() ||
      H5Lunpack_elink_val(value.data(), value.size(), &flags, &target, &object) < 0) {
    target = "?";
  }
  return LeadsOutside(path, link, target);
}

herr_t RefuseTraversal(const char*, const char*, const char*, const char*, unsigned*, hid_t,
                       void*) {
  return -1;
}

void Harden(hid_t list) {
  H5Pset_nlinks(list, 1);
  H5Pset_elink_prefix(list, kNowhere);
  H5Pset_elink_cb(list, RefuseTraversal, nullptr);
}

herr_t CollectHard(hid_t, const char* name, const H5L_info_t* info, void* out) {
  auto& links = *static_cast<std::vector<std::pair<haddr_t, std::string>>*>(out);
  if (info->type == H5L_TYPE_HARD) links.emplace_back(info->u.address, name);
  return links.size() > kMaxObjects ? 1 : 0;
}

}  // namespace

absl::StatusOr<std::optional<std::string>> ResolveLinks(hid_t file, const std::string& path) {
  std::deque<std::string> left = Split(path);
  std::string done;
  int soft_links = 0;
  while (!left.empty()) {
    const std::string link = done + "/" + left.front();
    left.pop_front();
    H5L_info_t info{};
    if (H5Lexists(file, link.c_str(), LinkAccess()) <= 0 ||
        H5Lget_info(file, link.c_str(), &info, LinkAccess()) < 0) {
      return std::nullopt;
    }
    if (info.type == H5L_TYPE_HARD) {
      done = link;
      continue;
    }
    if (info.type != H5L_TYPE_SOFT) return RefuseLink(file, path, link, info);
    if (++soft_links > kMaxSoftLinks) {
      return InvalidField(path,
                          "is a soft link that leads round in a circle; must lead to an "
                          "object in the file");
    }
    const std::string value = LinkValue(file, link, info);
    const std::string target(value.c_str());
    if (target.empty()) return std::nullopt;
    if (target[0] == '/') done.clear();
    const auto parts = Split(target);
    left.insert(left.begin(), parts.begin(), parts.end());
    if (left.size() > kMaxLinkBytes) return InvalidField(path, "has a soft link that is too long");
  }
  return done.empty() ? "/" : done;
}

absl::Status CheckStoredInside(hid_t dataset, const std::string& path) {
  const Handle created(H5Dget_create_plist(dataset), H5Pclose);
  if (!created.ok()) return InvalidField(path, "cannot be read; the file is damaged");
  if (H5Pget_layout(created.get()) == H5D_VIRTUAL) {
    return InvalidField(path,
                        "is a virtual data set, which takes its values from others; other "
                        "files are never opened: copy the data into the file");
  }
  if (H5Pget_external_count(created.get()) != 0) {
    char name[256] = "";
    off_t offset = 0;
    hsize_t size = 0;
    H5Pget_external(created.get(), 0, sizeof(name) - 1, name, &offset, &size);
    return InvalidField(path, fmt::format("keeps its values in the file '{}' (external storage); "
                                          "other files are never opened: copy the data into the "
                                          "file",
                                          ValidUtf8(name)));
  }
  return absl::OkStatus();
}

hid_t LinkAccess() {
  static const hid_t list = [] {
    const hid_t made = H5Pcreate(H5P_LINK_ACCESS);
    Harden(made);
    return made;
  }();
  return list;
}

hid_t DatasetAccess(size_t cache_bytes) {
  const hid_t list = H5Pcreate(H5P_DATASET_ACCESS);
  Harden(list);
  H5Pset_efile_prefix(list, kNowhere);
  H5Pset_virtual_prefix(list, kNowhere);
  if (cache_bytes > 0) H5Pset_chunk_cache(list, 521, cache_bytes, 1.0);
  return list;
}

std::map<haddr_t, std::string> PathsByAddress(hid_t file) {
  std::map<haddr_t, std::string> out;
  std::deque<std::string> groups = {""};
  while (!groups.empty() && out.size() < kMaxObjects) {
    const std::string group = groups.front();
    groups.pop_front();
    const Handle opened(H5Gopen2(file, group.empty() ? "/" : group.c_str(), LinkAccess()),
                        H5Gclose);
    if (!opened.ok()) continue;
    std::vector<std::pair<haddr_t, std::string>> links;
    H5Literate(opened.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, CollectHard, &links);
    for (auto& [address, name] : links) {
      const std::string path = group.empty() ? name : group + "/" + name;
      if (!out.emplace(address, path).second) continue;
      H5O_info_t info{};
      if (H5Oget_info_by_name2(opened.get(), name.c_str(), &info, H5O_INFO_BASIC, LinkAccess()) >=
              0 &&
          info.type == H5O_TYPE_GROUP) {
        groups.push_back(path);
      }
    }
  }
  return out;
}

}  // namespace saed::recordings

// Which files of a folder an import needs, told by the server.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/client.h"

namespace saed::client {

struct Choice {
  std::string format;             // a name of ListFormats
  std::vector<UploadFile> files;  // names relative to the folder
  std::vector<std::string> said;  // what was left out, in words
};

// Looks at the file or folder at `path` and asks the server which format it is of, unless `format`
// names one. Links are followed to files inside the folder only; hidden files are left out, those
// of Zarr apart. Sends names, sizes and the first and last bytes of files that some format reads.
absl::StatusOr<Choice> ChooseFiles(Client& client, const std::string& path,
                                   const std::string& format);

}  // namespace saed::client

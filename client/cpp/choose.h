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
  // What of the folder is not among them though it may be the user's, a line for each kind, as
  // ImportHeader.left_out has it.
  std::vector<std::string> left_out;
  std::vector<std::string> tables;  // paths of tables right in the folder that are not among them
};

// Looks at the file or folder at `path` and asks the server which format it is of, unless `format`
// names one. Links are followed to files inside the folder only; hidden files are passed over,
// those of Zarr apart. Sends names, sizes and the first and last bytes of files that some format
// reads. INVALID_ARGUMENT where the folder holds more than can be asked about or sent.
absl::StatusOr<Choice> ChooseFiles(Client& client, const std::string& path,
                                   const std::string& format);

// What to tell the user of tables that were not read: those of `choice` that were not given by
// themselves (`given`) and are not in the recording under their name either. Empty where
// there is none.
std::string Unread(const Choice& choice, const std::vector<UploadFile>& given,
                   const v1::Recording& recording);

}  // namespace saed::client

// What the server and the process that reads for it say to each other, through files in a directory
// that both know. The question is the server's and is believed; the answer comes from a process
// that a hostile file may have taken over.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/recordings/import.h"

namespace saed::recordings {

inline constexpr const char* kQuestionFile = "/question";
inline constexpr const char* kAnswerFile = "/answer";
inline constexpr const char* kRecordingFile = "/recording";
inline constexpr const char* kCountsFile = "/counts";  // what the reader cannot keep in memory
// Where many spikes are gathered: one of these is then the recording, instead of that file.
inline constexpr const char* kSpikeFiles[] = {"/spikes-a", "/spikes-b"};
inline constexpr int64_t kMaxAnswerBytes = int64_t{16} << 20;

struct Question {
  ImportSpec spec;
  std::vector<ImportFile> files;
};

std::string ToBytes(const Question& question);
absl::StatusOr<Question> ToQuestion(const std::string& bytes);

// A status with all it carries, and the warnings.
std::string ToAnswer(const absl::Status& status, const Texts& warnings);
// Whatever the bytes are: a status of a kind that an import may end with, in valid text of bounded
// length. INTERNAL where they are no answer.
absl::Status ReadAnswer(const std::string& bytes, Texts& warnings);

// A file of our own, to be read by name once this has returned.
absl::Status Save(const std::string& path, const std::string& bytes);

}  // namespace saed::recordings
